package edit

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/plan"
)

// candidates are the changes worth a try, the simplest first, for a flow that is
// not as wanted in this direction. Most of them miss: each is tried out.
func candidates(p *plan.Plan, aim Aim, f matrix.Flow, d direction) []change {
	e := p.Oracle.Explain(f)
	action := policyv1alpha2.ClusterNetworkPolicyRuleActionAccept
	if aim.Want == matrix.Deny {
		action = policyv1alpha2.ClusterNetworkPolicyRuleActionDeny
	}
	wide := overrule(p.World, e, f, d, action)
	switch {
	case !f.Protocol.HasPorts(): // NetworkPolicies say nothing of it
		return wide
	case aim.Want == matrix.Allow:
		return append(widen(p, e, f, d), wide...)
	}
	return append(narrow(p, aim, e, f, d), wide...)
}

// isolating are the NetworkPolicies that select the pod in this direction, in
// order.
func isolating(w oracle.World, e oracle.Explanation, d direction) []network {
	var all []network
	for _, s := range d.steps(e) {
		if s.Rule.Kind != "" || s.Rule.Policy == "" || s.Rule.Rule >= 0 {
			continue
		}
		if n, ok := policyNamed(w, s.Rule.Policy, d); ok {
			all = append(all, n)
		}
	}
	return all
}

// widen gives the changes by which NetworkPolicies may let the flow pass: a port
// or a peer more in a rule, a rule more in a policy, a policy more.
func widen(p *plan.Plan, e oracle.Explanation, f matrix.Flow, d direction) []change {
	subject, other := d.ends(f)
	home := subject.Namespace()
	peers, ports := peersFor(p.World, home, other, f.Family), portsFor(p.World, f)
	var all []change
	policies := isolating(p.World, e, d)
	for _, n := range policies {
		for i, r := range n.rules() {
			if len(r.ports) > 0 {
				for _, port := range ports {
					all = append(all, n.replaced("add a port to", i, r.withPorts(append(slices.Clone(r.ports), port))))
				}
			}
			if len(r.peers) > 0 {
				for _, peer := range peers {
					all = append(all, n.replaced("add a peer to", i, r.withPeers(append(slices.Clone(r.peers), peer))))
				}
			}
			all = append(all, n.mended(p.World, i, peers)...)
		}
	}
	for _, n := range policies {
		for _, peer := range peers {
			all = append(all, n.appended(rule{[]networkingv1.NetworkPolicyPeer{peer}, ports[:1]}))
		}
	}
	pod, ok := podOf(p.World, subject)
	if !ok || pod.HostNetwork {
		return all
	}
	for i, q := range p.World.Policies {
		if n := (network{q, i, d}); q.Namespace == home && !n.selects(p.World) {
			for _, labels := range labelsOf(pod) {
				all = append(all, n.selecting(labels)) // a misspelt label, perhaps
			}
		}
	}
	name := "allow-" + workloadName(p, f.From) + "-to-" + workloadName(p, f.To)
	for _, labels := range labelsOf(pod) {
		for _, peer := range peers {
			c := created(newPolicy(p.World, home, name, labels, d, rule{[]networkingv1.NetworkPolicyPeer{peer}, ports[:1]}), d)
			if len(policies) == 0 {
				c.isolates("the pods that it selects")
			}
			all = append(all, c)
		}
	}
	return all
}

// mended gives the ways to replace a peer that means no pod of the policy's
// namespace, as a misspelt label does.
func (n network) mended(w oracle.World, i int, peers []networkingv1.NetworkPolicyPeer) []change {
	var all []change
	r := n.rules()[i]
	for k, dead := range r.peers {
		if dead.PodSelector == nil || dead.NamespaceSelector != nil || selectsAny(w, n.Namespace, dead.PodSelector) {
			continue
		}
		for _, peer := range peers {
			mended := slices.Clone(r.peers)
			mended[k] = peer
			all = append(all, n.replaced("replace a peer of", i, r.withPeers(mended)))
		}
	}
	return all
}

func newPolicy(w oracle.World, home, name string, labels map[string]string, d direction, rules ...rule) *networkingv1.NetworkPolicy {
	p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: policyName(w, home, name)}}
	p.Spec.PodSelector.MatchLabels = labels
	p.Spec.PolicyTypes = []networkingv1.PolicyType{d.policyType()}
	return network{Policy: oracle.Policy{NetworkPolicy: p}, direction: d}.with(rules, nil).NetworkPolicy
}
