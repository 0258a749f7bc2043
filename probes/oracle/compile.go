package oracle

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// tier orders the policies: lower ones are asked first.
type tier uint8

const (
	tierAdmin tier = iota
	tierNetwork
	tierBaseline
)

func (t tier) String() string { return [...]string{"Admin", "NetworkPolicy", "Baseline"}[t] }

// policy is a policy of any kind, ready for questions.
type policy struct {
	whole            RuleRef
	tier             tier
	priority         int32
	home             string // of a NetworkPolicy: its namespace
	namespaces, pods int    // selectors of its subject, -1 is any
	applies          [2]bool
	rules            [2][]*rule
}

// selects reports that the policy selects what is of this class. Cluster-wide
// policies leave out who shares its node's network.
func (p *policy) selects(k *class) bool {
	if p.tier != tierNetwork && k.nature != ownNetwork || p.home != "" && p.home != k.home {
		return false
	}
	return (p.namespaces < 0 || k.namespaces.has(p.namespaces)) && (p.pods < 0 || k.pods.has(p.pods))
}

// compiler turns the policies of one World into compiled ones and collects
// everything that is wrong with them.
type compiler struct {
	lexicon  lexicon
	rules    []*rule // by number
	policies []*policy
	found    *problems
}

// compile all policies; they mean something only if nothing was found.
func compile(w World, found *problems) *compiler {
	c := &compiler{found: found, lexicon: lexicon{
		portNames: map[string]bool{}, homes: map[string]bool{}, blockIDs: map[string]int{},
		podNetworks: w.PodNetworks, serviceNetworks: w.ServiceNetworks,
	}}
	seen := map[string]Origin{}
	for _, p := range w.Policies {
		if p.NetworkPolicy == nil {
			found.add(p.Origin, "policy", "is empty", "give it metadata and spec")
			continue
		}
		c.once(seen, "policy "+p.Key(), p.Origin)
		c.network(p)
	}
	for _, p := range w.ClusterPolicies {
		if p.ClusterNetworkPolicy == nil {
			found.add(p.Origin, "cluster policy", "is empty", "give it metadata and spec")
			continue
		}
		c.once(seen, p.kind()+" "+p.Name, p.Origin)
		c.cluster(p)
	}
	slices.SortStableFunc(c.policies, func(a, b *policy) int {
		return cmp.Or(cmp.Compare(a.tier, b.tier), cmp.Compare(a.priority, b.priority),
			cmp.Compare(a.whole.Policy, b.whole.Policy), cmp.Compare(a.whole.Kind, b.whole.Kind))
	})
	return c
}

func (c *compiler) once(seen map[string]Origin, subject string, at Origin) {
	if first, ok := seen[subject]; ok {
		c.found.add(at, subject, "is declared twice", "rename or remove one, the first is at "+first.String())
		return
	}
	seen[subject] = at
}

// NamespaceLabels of the namespaces of a World and of those of its pods, by name,
// with the label that the API server sets on every namespace.
func NamespaceLabels(w World) map[string]labels.Set {
	sets := map[string]labels.Set{}
	for _, n := range w.Namespaces {
		sets[n.Name] = labels.Set(maps.Clone(n.Labels))
	}
	for _, p := range w.Pods {
		if name := p.Name.Namespace(); sets[name] == nil {
			sets[name] = labels.Set{}
		}
	}
	for name, set := range sets {
		if set == nil {
			set = labels.Set{}
			sets[name] = set
		}
		set[corev1.LabelMetadataName] = name
	}
	return sets
}

// network compiles a NetworkPolicy.
func (c *compiler) network(p Policy) {
	spec := &p.Spec
	at := place{c: c, origin: p.Origin, subject: "policy " + p.Key(), places: p.Places}
	if p.Name == "" {
		at.add("has no name", "set metadata.name")
	}
	if p.Namespace == "" {
		at.add("has no namespace", "set metadata.namespace")
	}
	if !at.bounded(p) {
		return
	}
	defer at.crowded(c.lexicon.named)
	c.lexicon.homes[p.Namespace] = true
	out := &policy{
		whole: RuleRef{Policy: p.Key(), Rule: -1, Origin: p.Origin}, tier: tierNetwork,
		home: p.Namespace, namespaces: -1, pods: at.in("spec").selector(&c.lexicon.pods, "podSelector", &spec.PodSelector),
	}
	out.applies = at.in("spec").directions(spec)
	for i, r := range spec.Ingress {
		ruleAt := at.rule(ingress, i, p.Ingress)
		out.rules[ingress] = append(out.rules[ingress], ruleAt.network(out, r.From, r.Ports))
	}
	for i, r := range spec.Egress {
		ruleAt := at.rule(egress, i, p.Egress)
		out.rules[egress] = append(out.rules[egress], ruleAt.network(out, r.To, r.Ports))
	}
	c.policies = append(c.policies, out)
}

// place is where in a policy a problem is.
type place struct {
	c         *compiler
	origin    Origin // of the rule, or of the policy
	places    Places
	path      []any // of the field, none for the policy as a whole
	subject   string
	field     string // "ingress[0]", "" for the policy as a whole
	direction direction
	index     int
	limit     int // of entries in one list of a cluster-wide policy
}

func (at place) add(message, hint string) {
	subject := at.subject
	if at.field != "" {
		subject += ": " + at.field
	}
	at.c.found.add(at.where(), subject, message, hint)
}

// where the field was written, or what is around it.
func (at place) where() Origin {
	if at.places == nil || len(at.path) == 0 {
		return at.origin
	}
	return at.places(at.path...)
}

// in is a part of the place.
func (at place) in(path ...any) place {
	at.path = slices.Concat(at.path, path)
	return at
}

func (at place) rule(d direction, i int, origins []Origin) place {
	if i < len(origins) && !origins[i].IsZero() {
		at.origin = origins[i]
	}
	at.field, at.direction, at.index = fmt.Sprintf("%s[%d]", d, i), d, i
	return at.in("spec", d.String(), i)
}

// newRule of the policy, with the next number.
func (at place) newRule(of *policy) *rule {
	ref := of.whole
	ref.Rule, ref.Origin = at.index, at.origin
	r := &rule{id: len(at.c.rules), by: []RuleRef{ref}, direction: at.direction, cluster: of.tier != tierNetwork, broken: -1}
	at.c.rules = append(at.c.rules, r)
	return r
}

// directions applies the defaulting of policyTypes: Ingress always, Egress only
// where the policy has egress rules.
func (at place) directions(spec *networkingv1.NetworkPolicySpec) (isolates [2]bool) {
	if len(spec.PolicyTypes) == 0 {
		return [2]bool{ingress: true, egress: len(spec.Egress) > 0}
	}
	for i, t := range spec.PolicyTypes {
		switch t {
		case networkingv1.PolicyTypeIngress:
			isolates[ingress] = true
		case networkingv1.PolicyTypeEgress:
			isolates[egress] = true
		default:
			at.in("policyTypes", i).add(fmt.Sprintf("policyType %q is unknown", t), "write Ingress or Egress")
		}
	}
	if len(spec.PolicyTypes) > 2 {
		at.in("policyTypes").add("has more than two policyTypes", "write each of Ingress and Egress at most once")
	}
	return isolates
}

// selector compiles the selector of a field, which may be one in another; what is
// invalid matches nothing.
func (at place) selector(among *selectors, field string, s *metav1.LabelSelector) int {
	compiled, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		for name := range strings.SplitSeq(field, ".") {
			at = at.in(name)
		}
		at.add(fmt.Sprintf("%s is invalid: %v", field, err), "mend the selector")
		compiled = labels.Nothing()
	}
	return among.id(compiled)
}

// network compiles a rule of a NetworkPolicy.
func (at place) network(of *policy, peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) *rule {
	r := at.newRule(of)
	r.anyone, r.anyPort = len(peers) == 0, len(ports) == 0
	for i, p := range peers {
		r.peers = append(r.peers, at.peer(i, of.home, p))
	}
	for i, p := range ports {
		if port, ok := at.port(i, p); ok {
			r.ports = append(r.ports, port)
		}
	}
	return r
}
