package outside

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/segtest/segtest/probes/oracle"
)

// Naming knows which ports the policies of a world name by number to whom they
// select. It is safe for concurrent use.
type Naming struct {
	namings []naming
	labels  map[string]labels.Set // of namespaces
}

// naming is a rule that names ports.
type naming struct {
	home             string // of a NetworkPolicy: its namespace
	namespaces, pods labels.Selector
	sends            bool
	spans            []Span
}

// NamingOf a world.
func NamingOf(w oracle.World) *Naming {
	n := &Naming{labels: oracle.NamespaceLabels(w)}
	for r := range rules([]oracle.World{w}) {
		if spans := r.spans(); len(spans) > 0 && r.subject != nil {
			n.namings = append(n.namings, naming{r.home, selectorOf(r.subject.namespaces), selectorOf(r.subject.pods), r.sends, spans})
		}
	}
	return n
}

// selectorOf nil fits all; one that is broken fits nothing, as the oracle refuses
// it.
func selectorOf(s *metav1.LabelSelector) labels.Selector {
	if s == nil {
		return labels.Everything()
	}
	out, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return labels.Nothing()
	}
	return out
}

// Spans that policies which select a pod of the world name for what it sends, and
// for what it gets, in order and without doubles.
func (n *Naming) Spans(p oracle.Pod) (sent, got []Span) {
	namespace := p.Name.Namespace()
	for _, r := range n.namings {
		if r.home != "" && r.home != namespace || !r.namespaces.Matches(n.labels[namespace]) || !r.pods.Matches(labels.Set(p.Labels)) {
			continue
		}
		if r.sends {
			sent = append(sent, r.spans...)
		} else {
			got = append(got, r.spans...)
		}
	}
	return Unite(sent), Unite(got)
}

// Unite lists of spans: in order and without doubles.
func Unite(lists ...[]Span) []Span {
	all := slices.Concat(lists...)
	slices.SortFunc(all, Span.Compare)
	return slices.Compact(all)
}
