package edit

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/plan"
)

// narrow gives the changes by which NetworkPolicies may keep the flow from
// passing: each rule that admits it gone or narrower, a policy that isolates
// where none does.
func narrow(p *plan.Plan, aim Aim, e oracle.Explanation, f matrix.Flow, d direction) []change {
	var all []change
	for _, s := range admitting(e, d) {
		if s.Rule.Kind != "" {
			continue
		}
		if n, ok := policyNamed(p.World, s.Rule.Policy, d); ok {
			all = append(all, n.narrowed(p, aim, f, s.Rule.Rule)...)
		}
	}
	if !d.half(e.Decision).Isolated {
		all = append(all, isolate(p, aim, f, d)...)
	}
	return all
}

// narrowed gives the ways to make one rule admit less.
func (n network) narrowed(p *plan.Plan, aim Aim, f matrix.Flow, i int) []change {
	all := []change{n.removed(i)}
	r := n.rules()[i]
	for k := range r.ports {
		if len(r.ports) > 1 { // no ports are all ports
			all = append(all, n.replaced("remove a port from", i, r.withPorts(slices.Delete(slices.Clone(r.ports), k, k+1))))
		}
	}
	for k := range r.peers {
		if len(r.peers) > 1 { // no peers are everybody
			all = append(all, n.replaced("remove a peer from", i, r.withPeers(slices.Delete(slices.Clone(r.peers), k, k+1))))
		}
	}
	for _, ports := range otherPorts(p, f, n.direction) {
		all = append(all, n.replaced("name the ports of", i, r.withPorts(ports)))
	}
	subject, other := n.direction.ends(f)
	if peers := keep(p, aim, subject, n.direction).by(p, n, i, subject).peers(p.World, n.Namespace, f.Family); len(peers) > 0 {
		all = append(all, n.replaced("name the peers of", i, r.withPeers(peers)))
	}
	for k, peer := range r.peers {
		for _, less := range without(p.World, n.Namespace, peer, other, f.Family) {
			peers := slices.Clone(r.peers)
			peers[k] = less
			all = append(all, n.replaced("narrow a peer of", i, r.withPeers(peers)))
		}
	}
	if len(r.peers) == 0 {
		if pod, ok := podOf(p.World, other); ok && !pod.HostNetwork {
			for _, peers := range allBut(n.Namespace, pod) {
				all = append(all, n.replaced("narrow the peers of", i, r.withPeers(peers)))
			}
		}
	}
	return all
}

// otherPorts gives lists of ports without that of the flow: those that the
// receiver declares and, on the way out, those that any pod declares.
func otherPorts(p *plan.Plan, f matrix.Flow, d direction) [][]networkingv1.NetworkPolicyPort {
	own, _ := podOf(p.World, f.To)
	lists := [][]oracle.Port{own.Ports}
	if d == egress {
		var every []oracle.Port
		for _, pod := range p.World.Pods {
			every = append(every, pod.Ports...)
		}
		lists = append(lists, every)
	}
	var out [][]networkingv1.NetworkPolicyPort
	for _, list := range lists {
		var ports []networkingv1.NetworkPolicyPort
		seen := map[oracle.Port]bool{}
		for _, q := range list {
			q.Name = ""
			if !seen[q] && (q.Port != f.Port || q.Protocol != f.Protocol) {
				seen[q] = true
				ports = append(ports, portOf(q))
			}
		}
		if len(ports) > 0 {
			out = append(out, ports)
		}
	}
	return out
}

// without gives the ways to take an endpoint out of a peer.
func without(w oracle.World, home string, peer networkingv1.NetworkPolicyPeer, e matrix.Endpoint, family matrix.Family) []networkingv1.NetworkPolicyPeer {
	var out []networkingv1.NetworkPolicyPeer
	pod, isPod := podOf(w, e)
	switch {
	case peer.IPBlock != nil:
		cidr := block(w, e, family)
		for _, a := range pod.Addresses {
			if a = a.Unmap(); a.Is4() == (family == matrix.IPv4) && cidr == "" {
				cidr = a.String() + map[bool]string{true: "/32", false: "/128"}[a.Is4()]
			}
		}
		if cidr != "" {
			less := *peer.DeepCopy()
			less.IPBlock.Except = append(less.IPBlock.Except, cidr)
			out = append(out, less)
		}
	case isPod && !pod.HostNetwork:
		for _, labels := range labelsOf(pod) {
			if len(labels) == 1 && !contradicts(peer.PodSelector, labels) {
				less := *peer.DeepCopy()
				if less.PodSelector == nil {
					less.PodSelector = &metav1.LabelSelector{}
				}
				less.PodSelector.MatchExpressions = append(less.PodSelector.MatchExpressions, notIn(labels))
				out = append(out, less)
			}
		}
		if peer.NamespaceSelector != nil && e.Namespace() != home {
			less := *peer.DeepCopy()
			less.NamespaceSelector.MatchExpressions = append(less.NamespaceSelector.MatchExpressions, notIn(namespaceIs(e.Namespace()).MatchLabels))
			out = append(out, less)
		}
	}
	return out
}

// contradicts reports that a selector asks for what would be excluded.
func contradicts(s *metav1.LabelSelector, label map[string]string) bool {
	for k := range label {
		if s != nil && s.MatchLabels[k] != "" {
			return true
		}
	}
	return false
}

// notIn excludes one label.
func notIn(label map[string]string) metav1.LabelSelectorRequirement {
	for _, k := range slices.Sorted(maps.Keys(label)) {
		return metav1.LabelSelectorRequirement{Key: k, Operator: metav1.LabelSelectorOpNotIn, Values: []string{label[k]}}
	}
	return metav1.LabelSelectorRequirement{}
}

// allBut gives the ways to write: every pod but these.
func allBut(home string, pod oracle.Pod) [][]networkingv1.NetworkPolicyPeer {
	ns := pod.Name.Namespace()
	elsewhere := networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{
		MatchExpressions: []metav1.LabelSelectorRequirement{{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpNotIn, Values: []string{ns}}},
	}}
	var out [][]networkingv1.NetworkPolicyPeer
	for _, labels := range labelsOf(pod) {
		if len(labels) != 1 {
			continue
		}
		here := networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{notIn(labels)}}}
		if ns != home {
			here.NamespaceSelector = namespaceIs(ns)
		}
		out = append(out, []networkingv1.NetworkPolicyPeer{elsewhere, here})
	}
	return append(out, []networkingv1.NetworkPolicyPeer{elsewhere})
}

// isolate gives policies for a pod that none isolates in this direction: one that
// admits everybody but the other end, and one that admits those who are to keep
// what they have. A policy that is there and isolates in the other direction only
// may do it too.
func isolate(p *plan.Plan, aim Aim, f matrix.Flow, d direction) []change {
	subject, other := d.ends(f)
	home := subject.Namespace()
	pod, ok := podOf(p.World, subject)
	if !ok || pod.HostNetwork {
		return nil
	}
	var all []change
	for i, q := range p.World.Policies {
		if n := (network{q, i, d}); q.Namespace == home && !slices.Contains(q.Spec.PolicyTypes, d.policyType()) {
			all = append(all, n.typed())
		}
	}
	name := "limit-" + d.String() + "-of-" + workloadName(p, subject)
	add := func(labels map[string]string, rules []rule) {
		c := created(newPolicy(p.World, home, name, labels, d, rules...), d)
		c.isolates("the pods that it selects")
		all = append(all, c)
	}
	kept := keep(p, aim, subject, d)
	for _, labels := range labelsOf(pod) {
		add(labels, kept.only(p.World, home, f.Family))
		if peer, ok := podOf(p.World, other); ok && !peer.HostNetwork {
			for _, peers := range allBut(home, peer) {
				rules := []rule{{peers: peers}}
				if mine := kept.of(other); mine != nil && len(mine.ports) > 0 {
					rules = append(rules, rule{peersFor(p.World, home, other, f.Family)[:1], mine.ports})
				}
				add(labels, rules)
			}
		}
	}
	return all
}

// kept are the peers of a pod that are to keep what they have, in order.
type kept []keeping

// keeping is one workload: its first pod and its ports, none where it keeps all.
type keeping struct {
	workload, pod matrix.Endpoint
	ports         []networkingv1.NetworkPolicyPort
}

// keep lists what a pod may keep in this direction: what is declared as allowed,
// and what is allowed where nothing is declared.
func keep(p *plan.Plan, aim Aim, subject matrix.Endpoint, d direction) kept {
	var out kept
	for _, pod := range p.World.Pods {
		if pod.Name == subject || slices.ContainsFunc(out, func(k keeping) bool { return k.workload == pod.Workload }) {
			continue
		}
		from, to := pod.Name, subject
		if d == egress {
			from, to = subject, pod.Name
		}
		k, whole := keeping{workload: pod.Workload, pod: pod.Name}, true
		seen := map[oracle.Port]bool{}
		for f := range p.Between(from, to) {
			if !f.Protocol.HasPorts() { // no rule can keep it
				continue
			}
			declared, computed := p.Expect(f).Intent, p.Oracle.Decide(f).Intent
			if slices.Contains(aim.Flows, f) || declared == matrix.Deny || declared == matrix.Unstated && computed != matrix.Allow {
				whole = false
			} else if q := (oracle.Port{Protocol: f.Protocol, Port: f.Port}); !seen[q] && !p.Scenario.IsCanary(f) {
				seen[q] = true
				k.ports = append(k.ports, portOf(q))
			}
		}
		switch {
		case whole:
			k.ports = nil
			fallthrough
		case len(k.ports) > 0:
			out = append(out, k)
		}
	}
	return out
}

// of the workload of an endpoint; nil where it keeps nothing.
func (k kept) of(e matrix.Endpoint) *keeping {
	for i := range k {
		if k[i].pod == e {
			return &k[i]
		}
	}
	return nil
}

// by are those who owe to one rule something of what they keep.
func (k kept) by(p *plan.Plan, n network, rule int, subject matrix.Endpoint) kept {
	admits := func(f matrix.Flow) bool {
		return slices.ContainsFunc(admitting(p.Oracle.Explain(f), n.direction), func(s oracle.Step) bool {
			return s.Rule.Kind == "" && s.Rule.Policy == n.Key() && s.Rule.Rule == rule
		})
	}
	return slices.DeleteFunc(slices.Clone(k), func(one keeping) bool {
		from, to := one.pod, subject
		if n.direction == egress {
			from, to = subject, one.pod
		}
		for f := range p.Between(from, to) {
			if f.Protocol.HasPorts() && p.Expect(f).Intent != matrix.Deny && !p.Scenario.IsCanary(f) && admits(f) {
				return false
			}
		}
		return true
	})
}

// only are rules that admit what is kept and nothing else. Workloads that keep
// the same ports share a rule.
func (k kept) only(w oracle.World, home string, family matrix.Family) []rule {
	var rules []rule
	for _, one := range k {
		peer := kept{one}.peers(w, home, family)
		same := slices.IndexFunc(rules, func(r rule) bool { return slices.Equal(text(r.ports), text(one.ports)) })
		switch {
		case len(peer) == 0:
		case same < 0:
			rules = append(rules, rule{peer, one.ports})
		default:
			rules[same].peers = joined(rules[same].peers, peer)
		}
	}
	return rules
}

// peers that stand for who keeps something.
func (k kept) peers(w oracle.World, home string, family matrix.Family) []networkingv1.NetworkPolicyPeer {
	var all []networkingv1.NetworkPolicyPeer
	for _, one := range k {
		if forms := peersFor(w, home, one.pod, family); len(forms) > 0 {
			all = joined(all, forms[:1])
		}
	}
	return all
}

// joined appends the peers that are not there yet.
func joined(all, more []networkingv1.NetworkPolicyPeer) []networkingv1.NetworkPolicyPeer {
	for _, p := range more {
		if !slices.ContainsFunc(all, func(q networkingv1.NetworkPolicyPeer) bool { return slices.Equal(text(p), text(q)) }) {
			all = append(all, p)
		}
	}
	return all
}
