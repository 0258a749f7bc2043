package mutate

import (
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/segtest/segtest/probes/oracle"
)

func dropPolicy(v *visit) { v.emit(whole(), "", "drops the policy", nil) }

func dropRule(v *visit) {
	for at := range v.each() {
		v.mutant(at, at.rulePath(), "drops the rule", func(d *draft) {
			d.rules[at.direction] = slices.Delete(d.rules[at.direction], at.rule, at.rule+1)
		})
	}
}

func dropPolicyTypes(v *visit) {
	if len(v.types) > 0 {
		v.mutant(whole(), "policyTypes", fmt.Sprintf("drops policyTypes %v", v.types), func(d *draft) { d.types = nil })
	}
}

func dropDirection(v *visit) {
	if len(v.types) < 2 {
		return
	}
	for i, t := range v.types {
		v.mutant(whole(), fmt.Sprintf("policyTypes[%d]", i), fmt.Sprintf("drops %s of policyTypes", t), func(d *draft) {
			d.types = slices.DeleteFunc(d.types, func(u networkingv1.PolicyType) bool { return u == t })
		})
	}
}

// changeNamespace takes the next namespace that has no policy of this name.
func changeNamespace(v *visit) {
	if v.cluster {
		return
	}
	name := v.world.Policies[v.policy].Name
	for _, ns := range v.othersAfter(v.namespace) {
		taken := func(p oracle.Policy) bool { return p.NetworkPolicy != nil && p.Namespace == ns && p.Name == name }
		if !slices.ContainsFunc(v.world.Policies, taken) {
			v.mutant(whole(), "namespace", "moves the policy to namespace "+ns, func(d *draft) { d.namespace = ns })
			return
		}
	}
}

// othersAfter are the other namespaces of the World, the next one in order of
// name first.
func (v *visit) othersAfter(name string) []string {
	var all []string
	for _, n := range v.world.Namespaces {
		all = append(all, n.Name)
	}
	for _, p := range v.world.Pods {
		all = append(all, p.Name.Namespace())
	}
	slices.Sort(all)
	all = slices.DeleteFunc(slices.Compact(all), func(ns string) bool { return ns == name })
	next, _ := slices.BinarySearch(all, name)
	return append(all[next:len(all):len(all)], all[:next]...)
}

func changeTier(v *visit) {
	if !v.cluster || v.isOld() {
		return
	}
	other := map[policyv1alpha2.Tier]policyv1alpha2.Tier{
		policyv1alpha2.AdminTier: policyv1alpha2.BaselineTier, policyv1alpha2.BaselineTier: policyv1alpha2.AdminTier,
	}[v.tier]
	v.mutant(whole(), "tier", fmt.Sprintf("moves the policy from tier %s to %s", v.tier, other), func(d *draft) { d.tier = other })
}

// isOld reports a policy that was converted: its kind says the tier.
func (v *visit) isOld() bool {
	kind := v.world.ClusterPolicies[v.policy].Kind
	return kind != "" && kind != oracle.KindCluster
}

const lastPriority = 1000

// changePriority takes the first free priority after that of the next policy.
func changePriority(v *visit) {
	if !v.cluster || v.world.ClusterPolicies[v.policy].Kind == oracle.KindBaseline {
		return
	}
	taken := map[int32]bool{}
	next := int32(lastPriority + 1)
	for _, p := range v.world.ClusterPolicies {
		if p.ClusterNetworkPolicy == nil || p.Spec.Tier != v.tier {
			continue
		}
		taken[p.Spec.Priority] = true
		if p.Spec.Priority > v.priority {
			next = min(next, p.Spec.Priority)
		}
	}
	for taken[next] {
		next++
	}
	if next <= lastPriority {
		v.mutant(whole(), "priority", fmt.Sprintf("changes priority %d to %d", v.priority, next), func(d *draft) { d.priority = next })
	}
}

func swapAction(v *visit) {
	if !v.cluster {
		return
	}
	for at, r := range v.each() {
		other := policyv1alpha2.ClusterNetworkPolicyRuleActionAccept
		if r.action == other {
			other = policyv1alpha2.ClusterNetworkPolicyRuleActionDeny
		}
		v.mutant(at, at.rulePath()+".action", fmt.Sprintf("changes %s to %s", r.action, other), func(d *draft) { d.rule(at).action = other })
	}
}

func swapRules(v *visit) {
	if !v.cluster {
		return
	}
	for at := range v.each() {
		if at.rule+1 == len(v.rules[at.direction]) {
			continue
		}
		v.mutant(at, at.rulePath(), "swaps the rule with the next one", func(d *draft) {
			rules := d.rules[at.direction]
			rules[at.rule], rules[at.rule+1] = rules[at.rule+1], rules[at.rule]
		})
	}
}
