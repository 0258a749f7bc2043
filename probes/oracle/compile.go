package oracle

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/segtest/segtest/probes/matrix"
)

// policy is a Policy ready for questions.
type policy struct {
	key, namespace                  string
	origin                          Origin
	pods                            labels.Selector
	isolatesIngress, isolatesEgress bool
	ingress, egress                 []*rule
}

func (p *policy) selects(q *Pod) bool {
	return q.Name.Namespace() == p.namespace && p.pods.Matches(labels.Set(q.Labels))
}

// compiler turns the policies of one World into compiled ones and collects
// everything that is wrong with them.
type compiler struct {
	world      World
	namespaces map[string]labels.Set
	found      *problems
}

// compile returns the policies in order of key; they mean something only if
// nothing was found.
func compile(w World, found *problems) []*policy {
	c := compiler{world: w, namespaces: namespaceLabels(w), found: found}
	var compiled []*policy
	seen := map[string]Origin{}
	for _, p := range w.Policies {
		if p.NetworkPolicy == nil {
			found.add(p.Origin, "policy", "is empty", "give it metadata and spec")
			continue
		}
		if first, ok := seen[p.Key()]; ok {
			found.add(p.Origin, "policy "+p.Key(), "is declared twice", "rename or remove one, the first is at "+first.String())
		} else {
			seen[p.Key()] = p.Origin
		}
		compiled = append(compiled, c.policy(p))
	}
	slices.SortStableFunc(compiled, func(a, b *policy) int { return strings.Compare(a.key, b.key) })
	return compiled
}

// namespaceLabels adds the label that the API server sets on every namespace.
func namespaceLabels(w World) map[string]labels.Set {
	sets := map[string]labels.Set{}
	for _, p := range w.Pods {
		sets[p.Name.Namespace()] = labels.Set{}
	}
	for _, n := range w.Namespaces {
		sets[n.Name] = labels.Set(maps.Clone(n.Labels))
		if sets[n.Name] == nil {
			sets[n.Name] = labels.Set{}
		}
	}
	for name, set := range sets {
		set[corev1.LabelMetadataName] = name
	}
	return sets
}

func (c *compiler) policy(p Policy) *policy {
	spec := &p.Spec
	at := place{c: c, origin: p.Origin, subject: "policy " + p.Key()}
	out := &policy{key: p.Key(), namespace: p.Namespace, origin: p.Origin, pods: at.selector("podSelector", &spec.PodSelector)}
	if p.Name == "" {
		at.add("has no name", "set metadata.name")
	}
	if p.Namespace == "" {
		at.add("has no namespace", "set metadata.namespace")
	}
	out.isolatesIngress, out.isolatesEgress = at.directions(spec)
	for i, r := range spec.Ingress {
		ruleAt := at.rule("ingress", i, p.Ingress)
		out.ingress = append(out.ingress, ruleAt.compile(p, false, r.From, r.Ports))
	}
	for i, r := range spec.Egress {
		ruleAt := at.rule("egress", i, p.Egress)
		out.egress = append(out.egress, ruleAt.compile(p, true, r.To, r.Ports))
	}
	return out
}

// place is where in a policy a problem is.
type place struct {
	c       *compiler
	origin  Origin
	subject string
	field   string // "ingress[0]", "" for the policy as a whole
	index   int
}

func (at place) add(message, hint string) {
	subject := at.subject
	if at.field != "" {
		subject += ": " + at.field
	}
	at.c.found.add(at.origin, subject, message, hint)
}

func (at place) rule(direction string, i int, origins []Origin) place {
	if i < len(origins) && !origins[i].IsZero() {
		at.origin = origins[i]
	}
	at.field, at.index = fmt.Sprintf("%s[%d]", direction, i), i
	return at
}

// directions applies the defaulting of policyTypes: Ingress always, Egress only
// where the policy has egress rules.
func (at place) directions(spec *networkingv1.NetworkPolicySpec) (ingress, egress bool) {
	if len(spec.PolicyTypes) == 0 {
		return true, len(spec.Egress) > 0
	}
	for _, t := range spec.PolicyTypes {
		switch t {
		case networkingv1.PolicyTypeIngress:
			ingress = true
		case networkingv1.PolicyTypeEgress:
			egress = true
		default:
			at.add(fmt.Sprintf("policyType %q is unknown", t), "write Ingress or Egress")
		}
	}
	if len(spec.PolicyTypes) > 2 {
		at.add("has more than two policyTypes", "write each of Ingress and Egress at most once")
	}
	return ingress, egress
}

// selector compiles one selector; what is invalid matches nothing.
func (at place) selector(field string, s *metav1.LabelSelector) labels.Selector {
	compiled, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		at.add(fmt.Sprintf("%s is invalid: %v", field, err), "mend the selector")
		return labels.Nothing()
	}
	return compiled
}

// compile asks every pod of the world once, so that a decision only looks up.
func (at place) compile(p Policy, egress bool, peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) *rule {
	pods := at.c.world.Pods
	r := &rule{
		by:       []RuleRef{{Policy: p.Key(), Rule: at.index, Origin: at.origin}},
		egress:   egress,
		selected: make([]answer, len(pods)),
		blocked:  [2][]answer{make([]answer, len(pods)), make([]answer, len(pods))},
		allPorts: len(ports) == 0,
	}
	compiled := make([]peer, len(peers))
	for i, q := range peers {
		compiled[i] = at.peer(i, q)
	}
	for i := range pods {
		q := &pods[i]
		if len(peers) == 0 {
			r.selected[i] = answer{is: yes}
		}
		for _, c := range compiled {
			r.selected[i] = r.selected[i].or(c.selects(p.Namespace, q, at.c.namespaces[q.Name.Namespace()]))
			for _, family := range []matrix.Family{matrix.IPv4, matrix.IPv6} {
				r.blocked[family][i] = r.blocked[family][i].or(c.block.fits(q, family))
			}
		}
	}
	for i, port := range ports {
		if c, ok := at.port(i, port); ok {
			r.ports = append(r.ports, c)
		}
	}
	return r
}
