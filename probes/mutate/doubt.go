package mutate

import (
	"reflect"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// doubtful are those of some flows, undefined before and after, of which the
// mutant may change the answer: what is left open about its policy is not the
// same. An oracle names but one doubt of a flow, so that the policy is asked
// alone.
func (s *scorer) doubtful(m Mutant, subjects []int, undefined []change, family matrix.Family) ([]change, error) {
	pairs, alike := s.alone(m)
	var found []change
	for _, pair := range pairs {
		var views [2]view
		for i := range pair {
			o, err := oracle.New(pair[i])
			if err != nil {
				return nil, err
			}
			views[i] = s.look(o, subjects, family)
		}
		for _, c := range undefined {
			x, y := s.at(views[0], subjects, c), s.at(views[1], subjects, c)
			if unsure(x.Egress, y.Egress, alike) || unsure(x.Ingress, y.Ingress, alike) {
				found = append(found, s.complete(c, family))
			}
		}
		if len(found) > 0 {
			break
		}
	}
	return found, nil
}

// unsure reports that one of two answers is none and, where they may be compared,
// that the other one is not the same.
func unsure(x, y oracle.Half, alike bool) bool {
	same := alike && x.Intent == y.Intent && x.Reason == y.Reason
	return (x.Intent == matrix.Undefined || y.Intent == matrix.Undefined) && !same
}

// at the flow of a change, in a view.
func (s *scorer) at(v view, subjects []int, c change) *oracle.Decision {
	if a, ok := slices.BinarySearch(subjects, c.from); ok {
		column := c.to
		if c.from == c.to {
			column = s.twins[c.to]
		}
		return v.out.At(a, column, c.port)
	}
	b, _ := slices.BinarySearch(subjects, c.to)
	return v.in.At(c.from, b, c.port)
}

// alone are Worlds with nothing but the policy of a mutant before and after, and
// with only the rules in which they differ. Where they differ in something else,
// answers of the two cannot be compared. A cluster-wide policy is asked twice:
// where all else is denied, and where it is allowed.
func (s *scorer) alone(m Mutant) (pairs [][2]oracle.World, alike bool) {
	empty := s.world
	empty.Policies, empty.ClusterPolicies = nil, nil
	if !m.cluster {
		p := s.world.Policies[m.position]
		x, y := networkDraft(p), &draft{}
		if m.Policy != nil {
			y = networkDraft(*m.Policy)
		}
		alike = only(x, y)
		pair := [2]oracle.World{empty, empty}
		pair[0].Policies = []oracle.Policy{*x.network(p)}
		if m.Policy != nil {
			pair[1].Policies = []oracle.Policy{*y.network(*m.Policy)}
		}
		return [][2]oracle.World{pair}, alike
	}
	p := s.world.ClusterPolicies[m.position]
	x, y := clusterDraft(p), &draft{}
	if m.ClusterPolicy != nil {
		y = clusterDraft(*m.ClusterPolicy)
	}
	alike = only(x, y)
	for _, passes := range []policyv1alpha2.ClusterNetworkPolicyRuleAction{policyv1alpha2.ClusterNetworkPolicyRuleActionAccept, policyv1alpha2.ClusterNetworkPolicyRuleActionDeny} {
		pair := [2]oracle.World{empty, empty}
		if passes == policyv1alpha2.ClusterNetworkPolicyRuleActionAccept {
			for i := range pair {
				pair[i].ClusterPolicies = []oracle.ClusterPolicy{denyAll()}
			}
		}
		pair[0].ClusterPolicies = append(slices.Clip(pair[0].ClusterPolicies), *x.first(passes).clusterWide(p))
		if m.ClusterPolicy != nil {
			pair[1].ClusterPolicies = append(slices.Clip(pair[1].ClusterPolicies), *y.first(passes).clusterWide(*m.ClusterPolicy))
		}
		pairs = append(pairs, pair)
	}
	return pairs, alike
}

// only leaves in two drafts the rules that the other one has not, and reports
// that they differ in nothing else.
func only(x, y *draft) bool {
	a, b := *x, *y
	a.rules, b.rules = [2][]rule{}, [2][]rule{}
	if !reflect.DeepEqual(a, b) {
		return false
	}
	for way := range x.rules {
		a.rules[way], b.rules[way] = without(x.rules[way], y.rules[way]), without(y.rules[way], x.rules[way])
		if len(a.rules[way])+len(b.rules[way]) == 0 && !reflect.DeepEqual(x.rules[way], y.rules[way]) {
			return false // they stand in another order
		}
	}
	*x, *y = a, b
	return true
}

func without(rules, others []rule) []rule {
	return slices.DeleteFunc(slices.Clone(rules), func(r rule) bool {
		return slices.ContainsFunc(others, func(o rule) bool { return reflect.DeepEqual(r, o) })
	})
}

// first is the draft in the tier that is asked first, with another action for
// rules that pass on to what is not there.
func (d *draft) first(passes policyv1alpha2.ClusterNetworkPolicyRuleAction) *draft {
	c := d.clone()
	c.tier = policyv1alpha2.AdminTier
	for _, r := range c.each() {
		if r.action == policyv1alpha2.ClusterNetworkPolicyRuleActionPass {
			r.action = passes
		}
	}
	return c
}

// denyAll lets no pod reach anything, unless a policy of the Admin tier does.
func denyAll() oracle.ClusterPolicy {
	all := &metav1.LabelSelector{}
	p := &policyv1alpha2.ClusterNetworkPolicy{}
	p.Name = nobodyLabel
	p.Spec = policyv1alpha2.ClusterNetworkPolicySpec{
		Tier: policyv1alpha2.BaselineTier, Subject: policyv1alpha2.ClusterNetworkPolicySubject{Namespaces: all},
		Ingress: []policyv1alpha2.ClusterNetworkPolicyIngressRule{{
			Action: policyv1alpha2.ClusterNetworkPolicyRuleActionDeny, From: []policyv1alpha2.ClusterNetworkPolicyIngressPeer{{Namespaces: all}},
		}},
		Egress: []policyv1alpha2.ClusterNetworkPolicyEgressRule{{
			Action: policyv1alpha2.ClusterNetworkPolicyRuleActionDeny,
			To:     []policyv1alpha2.ClusterNetworkPolicyEgressPeer{{Namespaces: all}, {Nodes: all}, {Networks: []policyv1alpha2.CIDR{"0.0.0.0/0", "::/0"}}},
		}},
	}
	return oracle.ClusterPolicy{ClusterNetworkPolicy: p}
}
