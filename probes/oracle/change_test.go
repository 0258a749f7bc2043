package oracle_test

import (
	"fmt"
	"maps"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/oracle/cases"
)

// cloned lets a change write into policies.
func cloned(w oracle.World) oracle.World {
	w.Namespaces, w.Nodes, w.Pods = slices.Clone(w.Namespaces), slices.Clone(w.Nodes), slices.Clone(w.Pods)
	w.Policies, w.ClusterPolicies = slices.Clone(w.Policies), slices.Clone(w.ClusterPolicies)
	for i := range w.Policies {
		w.Policies[i].NetworkPolicy = w.Policies[i].DeepCopy()
	}
	for i := range w.ClusterPolicies {
		w.ClusterPolicies[i].ClusterNetworkPolicy = w.ClusterPolicies[i].DeepCopy()
	}
	return w
}

// addAllowRule adds a rule in a direction that the policy isolates already.
func addAllowRule(r cases.Random, w oracle.World) oracle.World {
	if len(w.Policies) == 0 {
		return w
	}
	p, like := w.Policies[r.IntN(len(w.Policies))], r.Policy(0, w)
	if len(p.Spec.PolicyTypes) == 0 || slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeIngress) {
		p.Spec.Ingress = append(p.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{})
		if len(like.Spec.Ingress) > 0 {
			p.Spec.Ingress[len(p.Spec.Ingress)-1] = like.Spec.Ingress[0]
		}
	} else {
		p.Spec.Egress = append(p.Spec.Egress, networkingv1.NetworkPolicyEgressRule{})
		if len(like.Spec.Egress) > 0 {
			p.Spec.Egress[len(p.Spec.Egress)-1] = like.Spec.Egress[0]
		}
	}
	return w
}

// insert puts a rule of this action somewhere into a cluster-wide policy.
func insert(action policyv1alpha2.ClusterNetworkPolicyRuleAction) change {
	return func(r cases.Random, w oracle.World) oracle.World {
		if len(w.ClusterPolicies) == 0 {
			p := r.ClusterPolicy(0)
			p.Spec.Ingress, p.Spec.Egress = nil, nil
			w.ClusterPolicies = append(w.ClusterPolicies, p)
		}
		spec := &w.ClusterPolicies[r.IntN(len(w.ClusterPolicies))].Spec
		like := r.ClusterPolicy(0).Spec
		for _, rule := range like.Ingress {
			rule.Action = action
			spec.Ingress = slices.Insert(spec.Ingress, r.IntN(len(spec.Ingress)+1), rule)
		}
		for _, rule := range like.Egress {
			if action != policyv1alpha2.ClusterNetworkPolicyRuleActionAccept && namesDomains(rule) {
				continue // only Accept may
			}
			rule.Action = action
			spec.Egress = slices.Insert(spec.Egress, r.IntN(len(spec.Egress)+1), rule)
		}
		return w
	}
}

func namesDomains(r policyv1alpha2.ClusterNetworkPolicyEgressRule) bool {
	return slices.ContainsFunc(r.To, func(p policyv1alpha2.ClusterNetworkPolicyEgressPeer) bool { return len(p.DomainNames) > 0 })
}

func shuffle(r cases.Random, w oracle.World) oracle.World {
	r.Shuffle(len(w.Policies), func(i, j int) { w.Policies[i], w.Policies[j] = w.Policies[j], w.Policies[i] })
	r.Shuffle(len(w.ClusterPolicies), func(i, j int) {
		w.ClusterPolicies[i], w.ClusterPolicies[j] = w.ClusterPolicies[j], w.ClusterPolicies[i]
	})
	r.Shuffle(len(w.Pods), func(i, j int) { w.Pods[i], w.Pods[j] = w.Pods[j], w.Pods[i] })
	r.Shuffle(len(w.Nodes), func(i, j int) { w.Nodes[i], w.Nodes[j] = w.Nodes[j], w.Nodes[i] })
	return w
}

// passLast lets everything pass on behind all others of the tier.
func passLast(r cases.Random, w oracle.World) oracle.World {
	for i := range w.ClusterPolicies {
		if spec := &w.ClusterPolicies[i].Spec; spec.Priority == 1000 {
			spec.Priority = 999
		}
	}
	everyone := &metav1.LabelSelector{}
	for _, tier := range []policyv1alpha2.Tier{policyv1alpha2.AdminTier, policyv1alpha2.BaselineTier} {
		p := r.ClusterPolicy(0)
		p.Name = "pass-" + string(tier)
		p.Spec = policyv1alpha2.ClusterNetworkPolicySpec{
			Tier: tier, Priority: 1000, Subject: policyv1alpha2.ClusterNetworkPolicySubject{Namespaces: everyone},
			Ingress: []policyv1alpha2.ClusterNetworkPolicyIngressRule{{
				Action: policyv1alpha2.ClusterNetworkPolicyRuleActionPass, From: []policyv1alpha2.ClusterNetworkPolicyIngressPeer{{Namespaces: everyone}},
			}},
			Egress: []policyv1alpha2.ClusterNetworkPolicyEgressRule{{
				Action: policyv1alpha2.ClusterNetworkPolicyRuleActionPass, To: []policyv1alpha2.ClusterNetworkPolicyEgressPeer{{Namespaces: everyone}, {Networks: []policyv1alpha2.CIDR{"0.0.0.0/0", "::/0"}}},
			}},
		}
		w.ClusterPolicies = append(w.ClusterPolicies, p)
	}
	return w
}

func selectNobody(r cases.Random, w oracle.World) oracle.World {
	nobody := metav1.LabelSelector{MatchLabels: map[string]string{"nobody-has": "this"}}
	p, c := r.Policy(90, w), r.ClusterPolicy(90)
	p.Spec.PodSelector = nobody
	c.Spec.Subject = policyv1alpha2.ClusterNetworkPolicySubject{Pods: &policyv1alpha2.NamespacedPod{PodSelector: nobody}}
	w.Policies, w.ClusterPolicies = append(w.Policies, p), append(w.ClusterPolicies, c)
	return w
}

// inertRules adds rules for a direction that stands not among the policyTypes.
func inertRules(r cases.Random, w oracle.World) oracle.World {
	for _, p := range w.Policies {
		like := r.Policy(0, w)
		switch types := p.Spec.PolicyTypes; {
		case len(types) != 1:
		case types[0] == networkingv1.PolicyTypeIngress:
			p.Spec.Egress = append(p.Spec.Egress, like.Spec.Egress...)
		default:
			p.Spec.Ingress = append(p.Spec.Ingress, like.Spec.Ingress...)
		}
	}
	return w
}

// splitPolicies makes of every rule a policy of its own; one without rules
// stays, for what it isolates.
func splitPolicies(_ cases.Random, w oracle.World) oracle.World {
	var all []oracle.Policy
	add := func(p oracle.Policy, ingress []networkingv1.NetworkPolicyIngressRule, egress []networkingv1.NetworkPolicyEgressRule) {
		q := oracle.Policy{NetworkPolicy: p.DeepCopy()}
		q.Name, q.Spec.Ingress, q.Spec.Egress = fmt.Sprintf("%s-%d", p.Name, len(all)), ingress, egress
		if len(q.Spec.PolicyTypes) == 0 {
			q.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
			if len(p.Spec.Egress) > 0 {
				q.Spec.PolicyTypes = append(q.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
			}
		}
		all = append(all, q)
	}
	for _, p := range w.Policies {
		add(p, nil, nil)
		for i := range p.Spec.Ingress {
			add(p, p.Spec.Ingress[i:i+1], nil)
		}
		for i := range p.Spec.Egress {
			add(p, nil, p.Spec.Egress[i:i+1])
		}
	}
	w.Policies = all
	return w
}

// splitClusterPolicies makes of every rule a policy of its own. Policies of one
// tier and priority stay whole: which of their rules comes first is open, but
// not within each.
func splitClusterPolicies(_ cases.Random, w oracle.World) oracle.World {
	var all []oracle.ClusterPolicy
	for _, p := range w.ClusterPolicies {
		// At most eight policies of six rules: 20 numbers for each priority in use.
		lower := map[int32]bool{}
		shared := false
		for _, q := range w.ClusterPolicies {
			if q.Spec.Priority < p.Spec.Priority {
				lower[q.Spec.Priority] = true
			}
			shared = shared || q.Name != p.Name && q.Spec.Tier == p.Spec.Tier && q.Spec.Priority == p.Spec.Priority
		}
		base := int32(20 * len(lower)) //nolint:gosec // at most eight
		if shared {
			q := oracle.ClusterPolicy{ClusterNetworkPolicy: p.DeepCopy(), Kind: p.Kind}
			q.Spec.Priority = base
			all = append(all, q)
			continue
		}
		for i, r := range p.Spec.Ingress {
			all = append(all, single(p, base, i, []policyv1alpha2.ClusterNetworkPolicyIngressRule{r}, nil))
		}
		for i, r := range p.Spec.Egress {
			all = append(all, single(p, base, i, nil, []policyv1alpha2.ClusterNetworkPolicyEgressRule{r}))
		}
	}
	w.ClusterPolicies = all
	return w
}

func single(p oracle.ClusterPolicy, base int32, i int, in []policyv1alpha2.ClusterNetworkPolicyIngressRule, out []policyv1alpha2.ClusterNetworkPolicyEgressRule) oracle.ClusterPolicy {
	q := oracle.ClusterPolicy{ClusterNetworkPolicy: p.DeepCopy(), Kind: p.Kind}
	q.Name = fmt.Sprintf("%s-%d-%t", p.Name, i, in != nil)
	q.Spec.Priority, q.Spec.Ingress, q.Spec.Egress = base+int32(i), in, out //nolint:gosec // at most six rules
	return q
}

// unranked makes a BaselineAdminNetworkPolicy of the first policy that can be
// one: of the Baseline tier, without Pass.
func unranked(_ cases.Random, w oracle.World) oracle.World {
	for i, p := range w.ClusterPolicies {
		passes := func(a policyv1alpha2.ClusterNetworkPolicyRuleAction) bool {
			return a == policyv1alpha2.ClusterNetworkPolicyRuleActionPass
		}
		if p.Spec.Tier == policyv1alpha2.BaselineTier &&
			!slices.ContainsFunc(p.Spec.Ingress, func(r policyv1alpha2.ClusterNetworkPolicyIngressRule) bool { return passes(r.Action) }) &&
			!slices.ContainsFunc(p.Spec.Egress, func(r policyv1alpha2.ClusterNetworkPolicyEgressRule) bool { return passes(r.Action) }) {
			w.ClusterPolicies[i].Kind, p.Name = oracle.KindBaseline, "default"
			break
		}
	}
	return w
}

// withoutAddresses forgets where pods and nodes are to be found.
func withoutAddresses(_ cases.Random, w oracle.World) oracle.World {
	for i := range w.Pods {
		w.Pods[i].Addresses = nil
	}
	for i := range w.Nodes {
		w.Nodes[i].Addresses = nil
	}
	return w
}

// withoutNodes forgets on which nodes pods run.
func withoutNodes(_ cases.Random, w oracle.World) oracle.World {
	for i := range w.Pods {
		w.Pods[i].Node = ""
	}
	return w
}

// renamed gives the label "a" another name, wherever it stands.
func renamed(_ cases.Random, w oracle.World) oracle.World {
	const name = "segment.example.com/a"
	rename := func(m map[string]string) map[string]string {
		m = maps.Clone(m)
		if v, ok := m["a"]; ok {
			delete(m, "a")
			m[name] = v
		}
		return m
	}
	for i := range w.Namespaces {
		w.Namespaces[i].Labels = rename(w.Namespaces[i].Labels)
	}
	for i := range w.Nodes {
		w.Nodes[i].Labels = rename(w.Nodes[i].Labels)
	}
	for i := range w.Pods {
		w.Pods[i].Labels = rename(w.Pods[i].Labels)
	}
	for _, s := range selectors(w) {
		s.MatchLabels = rename(s.MatchLabels)
		for i := range s.MatchExpressions {
			if s.MatchExpressions[i].Key == "a" {
				s.MatchExpressions[i].Key = name
			}
		}
	}
	return w
}

// selectors are all that the policies have.
func selectors(w oracle.World) []*metav1.LabelSelector {
	var all []*metav1.LabelSelector
	add := func(s ...*metav1.LabelSelector) {
		for _, s := range s {
			if s != nil {
				all = append(all, s)
			}
		}
	}
	pods := func(p *policyv1alpha2.NamespacedPod) {
		if p != nil {
			add(&p.NamespaceSelector, &p.PodSelector)
		}
	}
	for _, p := range w.Policies {
		add(&p.Spec.PodSelector)
		for _, r := range p.Spec.Ingress {
			for _, q := range r.From {
				add(q.PodSelector, q.NamespaceSelector)
			}
		}
		for _, r := range p.Spec.Egress {
			for _, q := range r.To {
				add(q.PodSelector, q.NamespaceSelector)
			}
		}
	}
	for _, p := range w.ClusterPolicies {
		add(p.Spec.Subject.Namespaces)
		pods(p.Spec.Subject.Pods)
		for _, r := range p.Spec.Ingress {
			for _, q := range r.From {
				add(q.Namespaces)
				pods(q.Pods)
			}
		}
		for _, r := range p.Spec.Egress {
			for _, q := range r.To {
				add(q.Namespaces, q.Nodes)
				pods(q.Pods)
			}
		}
	}
	return all
}
