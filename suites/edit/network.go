package edit

import (
	"cmp"
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/segtest/segtest/probes/oracle"
)

// rule of a NetworkPolicy, in either direction.
type rule struct {
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
}

// written is the rule as it stands in a policy.
func (r rule) written(d direction) any {
	if d == egress {
		return networkingv1.NetworkPolicyEgressRule{To: r.peers, Ports: r.ports}
	}
	return networkingv1.NetworkPolicyIngressRule{From: r.peers, Ports: r.ports}
}

func (r rule) withPeers(peers []networkingv1.NetworkPolicyPeer) rule {
	r.peers = peers
	return r
}

func (r rule) withPorts(ports []networkingv1.NetworkPolicyPort) rule {
	r.ports = ports
	return r
}

// network is one NetworkPolicy of a world, for changes.
type network struct {
	oracle.Policy
	index     int // in World.Policies
	direction direction
}

// policyNamed finds a NetworkPolicy; false where there is none.
func policyNamed(w oracle.World, key string, d direction) (network, bool) {
	i := slices.IndexFunc(w.Policies, func(p oracle.Policy) bool { return p.Key() == key })
	if i < 0 {
		return network{}, false
	}
	return network{w.Policies[i], i, d}, true
}

func (n network) rules() []rule {
	var all []rule
	if n.direction == egress {
		for _, r := range n.Spec.Egress {
			all = append(all, rule{r.To, r.Ports})
		}
		return all
	}
	for _, r := range n.Spec.Ingress {
		all = append(all, rule{r.From, r.Ports})
	}
	return all
}

// origins of the rules; may be shorter.
func (n network) origins() []oracle.Origin {
	if n.direction == egress {
		return n.Egress
	}
	return n.Ingress
}

// originOf a rule, of the policy where that of the rule is unknown.
func (n network) originOf(i int) oracle.Origin {
	if o := n.origins(); i >= 0 && i < len(o) && !o[i].IsZero() {
		return o[i]
	}
	return n.Origin
}

// with other rules, as a policy of its own.
func (n network) with(rules []rule, origins []oracle.Origin) oracle.Policy {
	p := n.Policy
	p.NetworkPolicy = p.DeepCopy()
	if n.direction == egress {
		p.Spec.Egress, p.Egress = nil, origins
		for _, r := range rules {
			p.Spec.Egress = append(p.Spec.Egress, networkingv1.NetworkPolicyEgressRule{To: r.peers, Ports: r.ports})
		}
		return p
	}
	p.Spec.Ingress, p.Ingress = nil, origins
	for _, r := range rules {
		p.Spec.Ingress = append(p.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: r.peers, Ports: r.ports})
	}
	return p
}

// change makes a change that puts another policy into the place of this one.
func (n network) change(e Edit, after oracle.Policy) change {
	e.Policy, e.Kind = n.Key(), "NetworkPolicy"
	return change{Edit: e, scope: scope{n.Namespace, n.direction}, apply: func(w oracle.World) oracle.World {
		w.Policies = slices.Clone(w.Policies)
		w.Policies[n.index] = after
		return w
	}}
}

// replaced changes one rule.
func (n network) replaced(what string, i int, r rule) change {
	rules := n.rules()
	before := rules[i]
	rules[i] = r
	return n.change(Edit{
		What:   fmt.Sprintf("%s %s rule %d of NetworkPolicy %s", what, n.direction, i, n.Key()),
		Origin: n.originOf(i),
		Diff:   difference(text([]any{before.written(n.direction)}), text([]any{r.written(n.direction)})),
	}, n.with(rules, n.origins()))
}

// appended adds a rule at the end.
func (n network) appended(r rule) change {
	c := n.change(Edit{
		What:   fmt.Sprintf("add an %s rule to NetworkPolicy %s", n.direction, n.Key()),
		Origin: n.originOf(len(n.rules()) - 1),
		Diff:   difference(nil, text([]any{r.written(n.direction)})),
	}, n.with(append(n.rules(), r), n.origins()))
	if s := n.Spec.PodSelector; len(n.rules()) == 0 && len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		c.toll = 1 // what denies all by default is to be read as that tomorrow, too
	}
	return c
}

// removed takes a rule away.
func (n network) removed(i int) change {
	rules, origins := n.rules(), slices.Clone(n.origins())
	before := rules[i]
	if i < len(origins) {
		origins = slices.Delete(origins, i, i+1)
	}
	return n.change(Edit{
		What:   fmt.Sprintf("remove %s rule %d of NetworkPolicy %s", n.direction, i, n.Key()),
		Origin: n.originOf(i),
		Diff:   difference(text([]any{before.written(n.direction)}), nil),
	}, n.with(slices.Delete(rules, i, i+1), origins))
}

// selecting makes the policy select other pods.
func (n network) selecting(label map[string]string) change {
	after := n.Policy
	after.NetworkPolicy = n.DeepCopy()
	after.Spec.PodSelector = metav1.LabelSelector{MatchLabels: label}
	selector := func(s metav1.LabelSelector) []string { return text(map[string]any{"podSelector": s}) }
	return n.change(Edit{
		What:   fmt.Sprintf("change podSelector of NetworkPolicy %s", n.Key()),
		Origin: n.Origin, Diff: difference(selector(n.Spec.PodSelector), selector(after.Spec.PodSelector)),
	}, after)
}

// selects reports that the policy selects a pod of the world.
func (n network) selects(w oracle.World) bool { return selectsAny(w, n.Namespace, &n.Spec.PodSelector) }

func selectsAny(w oracle.World, namespace string, s *metav1.LabelSelector) bool {
	return selected(w, namespace, s) > 0
}

// selected is how many pods of a namespace a selector fits.
func selected(w oracle.World, namespace string, s *metav1.LabelSelector) int {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return 0
	}
	n := 0
	for _, p := range w.Pods {
		if p.Name.Namespace() == namespace && selector.Matches(labels.Set(p.Labels)) {
			n++
		}
	}
	return n
}

// narrowFirst puts those changes first whose policy selects few pods: of two that
// do as much, the one is better that has to do with nobody else.
func narrowFirst(w oracle.World, all []change) []change {
	pods := map[string]int{}
	for _, p := range w.Policies {
		pods["NetworkPolicy "+p.Key()] = selected(w, p.Namespace, &p.Spec.PodSelector)
	}
	count := func(c change) int {
		if n, ok := pods[c.Kind+" "+c.Policy]; ok {
			return n
		}
		return len(w.Pods)
	}
	slices.SortStableFunc(all, func(a, b change) int { return cmp.Compare(count(a), count(b)) })
	return all
}

// typed makes the policy isolate in this direction.
func (n network) typed() change {
	after := n.Policy
	after.NetworkPolicy = n.DeepCopy()
	before := after.Spec.PolicyTypes
	if len(before) == 0 {
		before = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
	}
	after.Spec.PolicyTypes = append(slices.Clone(before), n.direction.policyType())
	types := func(t []networkingv1.PolicyType) []string {
		if len(n.Spec.PolicyTypes) == 0 && len(t) == 1 {
			return nil // left out
		}
		return text(map[string]any{"policyTypes": t})
	}
	c := n.change(Edit{
		What:   fmt.Sprintf("add %s to policyTypes of NetworkPolicy %s", n.direction.policyType(), n.Key()),
		Origin: n.Origin, Diff: difference(types(before), types(after.Spec.PolicyTypes)),
	}, after)
	c.isolates("the pods of " + n.Key())
	if len(n.rules()) > 0 {
		c.toll = 0 // who writes rules means them
	}
	return c
}

func (d direction) policyType() networkingv1.PolicyType {
	return [...]networkingv1.PolicyType{networkingv1.PolicyTypeEgress, networkingv1.PolicyTypeIngress}[d]
}

// isolates says what a change does that makes the first policy of its direction.
func (c *change) isolates(who string) {
	c.Caveat, c.toll = "nothing else may then reach "+who+", from outside of the cluster neither, unless another policy allows it", 1
	if c.scope.direction == egress {
		c.Caveat, c.toll = who+" may then reach nothing else, DNS and the outside of the cluster included, unless another policy allows it", 2
	}
}

// created is a change that adds a policy.
func created(p *networkingv1.NetworkPolicy, d direction) change {
	document := map[string]any{
		"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
		"metadata": map[string]string{"name": p.Name, "namespace": p.Namespace}, "spec": p.Spec,
	}
	return change{
		Edit: Edit{
			What: fmt.Sprintf("add NetworkPolicy %s/%s", p.Namespace, p.Name), Policy: p.Namespace + "/" + p.Name, Kind: "NetworkPolicy", New: true,
			Diff: difference(nil, text(document)),
		},
		scope: scope{p.Namespace, d},
		apply: func(w oracle.World) oracle.World {
			w.Policies = append(slices.Clone(w.Policies), oracle.Policy{NetworkPolicy: p})
			return w
		},
	}
}
