package simnet

import (
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/segtest/segtest/probes/oracle"
)

// Defect is a mistake that the policy engines of a network make. The zero value
// is none.
type Defect struct {
	Name    string // "ignores-egress"
	Summary string // what the engines do wrong
	// misread changes what they know into what they take it for; nil for a defect
	// of another sort. The policies are its own.
	misread func(*oracle.World)
	trait   trait
}

// trait is a mistake that is not one of reading.
type trait uint8

const (
	none trait = iota
	dropsEchoes
	forgetsConnections
	forgetsRemoval
	idlesOnANode
	keepsFirstLabels
	learnsPodsLate
	learnsPodsWithPolicies
	leaksFirstPacket
	leaksOnce
	opensBriefly
	opensUnderLoad
)

// Defects in order of name.
func Defects() []Defect {
	return []Defect{
		{Name: "drops-echoes", Summary: "no ping gets through while there are policies", trait: dropsEchoes},
		{Name: "drops-replies", Summary: "answers are judged as if they were new connections", trait: forgetsConnections},
		{Name: "first-packet-leaks", Summary: "the first packet of every connection gets through before it is judged", trait: leaksFirstPacket},
		{Name: "forgets-last-removal", Summary: "the last policy of a namespace stays when it is deleted", trait: forgetsRemoval},
		{Name: "ignores-egress", Summary: "policies do not isolate egress", misread: ignoreEgress},
		{Name: "ignores-end-port", Summary: "a range of ports is its first one", misread: eachPort(func(_ *oracle.World, p *networkingv1.NetworkPolicyPort) { p.EndPort = nil })},
		{Name: "ignores-except", Summary: "an ipBlock is all of its cidr", misread: eachPeer(ignoreExcept)},
		{Name: "ignores-namespace-selector", Summary: "a peer of some namespaces is one of all", misread: eachPeer(ignoreNamespaceSelector)},
		{Name: "ignores-policy-types", Summary: "policyTypes are always those that they are where they are not given", misread: each(func(_ *oracle.World, s *networkingv1.NetworkPolicySpec) { s.PolicyTypes = nil })},
		{Name: "leaks-once", Summary: "the first packet of every flow gets through, and none after it", trait: leaksOnce},
		{Name: "node-does-not-enforce", Summary: "one node has no engine", trait: idlesOnANode},
		{Name: "open-at-pod-start", Summary: "a pod is open until the engines have heard of it", trait: learnsPodsLate},
		{Name: "opens-briefly", Summary: "one node lets everything through for 80 ms, some time after a pod died", trait: opensBriefly},
		{Name: "opens-under-load", Summary: "what comes too fast gets through without being judged", trait: opensUnderLoad},
		{Name: "policy-of-another-namespace", Summary: "a policy selects pods of all namespaces", misread: everyNamespace},
		{Name: "sctp-as-tcp", Summary: "a rule for SCTP opens TCP", misread: eachPort(as(corev1.ProtocolSCTP, corev1.ProtocolTCP))},
		{Name: "stale-addresses", Summary: "a pod is known by its address only from the next change of policies on", trait: learnsPodsWithPolicies},
		{Name: "stale-after-relabel", Summary: "a pod counts by the labels that it was born with", trait: keepsFirstLabels},
		{Name: "udp-as-tcp", Summary: "a rule for UDP opens TCP", misread: eachPort(as(corev1.ProtocolUDP, corev1.ProtocolTCP))},
		{Name: "wrong-named-port", Summary: "a named port is what the first pod that has the name takes it for", misread: eachPort(firstNamed)},
	}
}

// moment is for how long an engine that opens briefly does.
const moment = 80 * time.Millisecond

// The engines of a network judge so many packets in so long a time.
const (
	busyPackets = 5
	busyTime    = 10 * time.Millisecond
)

// count a packet that the engines are asked about.
func (e *engines) count(now time.Duration) {
	e.packets = append(e.packets, now)
	if drop := len(e.packets) - busyPackets; drop > 0 {
		e.packets = e.packets[drop:]
	}
}

// overrun reports that packets come too fast for engines that cannot take that.
func (e *engines) overrun(now time.Duration) bool {
	return e.net.config.Defect.trait == opensUnderLoad && len(e.packets) == busyPackets && now-e.packets[0] < busyTime
}

// works reports that the engine of a node enforces anything.
func (e *engines) works(node string, now time.Duration, sound bool) bool {
	if sound {
		return true
	}
	switch e.net.config.Defect.trait {
	case idlesOnANode:
		return node != e.weak()
	case opensBriefly:
		return now < e.opens[0] || now >= e.opens[1] || node != e.weak()
	case none, dropsEchoes, forgetsConnections, forgetsRemoval, keepsFirstLabels, learnsPodsLate, learnsPodsWithPolicies, leaksFirstPacket, leaksOnce, opensUnderLoad:
	}
	return true
}

// weak is the node whose engine has the defect, where it is one of a node.
func (e *engines) weak() string {
	workers := e.net.Workers()
	return workers[int(e.net.config.Seed%uint64(len(workers)))] //nolint:gosec // below the number of nodes
}

// podDied tells the engines.
func (e *engines) podDied(now time.Duration) {
	from := now + e.net.draw("moment", 0, 4*time.Second)
	e.opens = [2]time.Duration{from, from + moment}
}

// slips reports that a packet gets through that was denied.
func (e *engines) slips(p packet) bool {
	switch e.net.config.Defect.trait {
	case leaksFirstPacket:
		return true
	case leaksOnce:
		p.from = netip.AddrPortFrom(p.from.Addr(), 0) // of whatever port
		first := !e.slipped[p]
		e.slipped[p] = true
		return first
	case none, dropsEchoes, forgetsConnections, forgetsRemoval, idlesOnANode, keepsFirstLabels, learnsPodsLate, learnsPodsWithPolicies, opensBriefly, opensUnderLoad:
	}
	return false
}

// each changes every policy.
func each(change func(*oracle.World, *networkingv1.NetworkPolicySpec)) func(*oracle.World) {
	return func(w *oracle.World) {
		for _, p := range w.Policies {
			change(w, &p.Spec)
		}
	}
}

// eachPort changes every port of every rule.
func eachPort(change func(*oracle.World, *networkingv1.NetworkPolicyPort)) func(*oracle.World) {
	return each(func(w *oracle.World, s *networkingv1.NetworkPolicySpec) {
		for _, r := range s.Ingress {
			for i := range r.Ports {
				change(w, &r.Ports[i])
			}
		}
		for _, r := range s.Egress {
			for i := range r.Ports {
				change(w, &r.Ports[i])
			}
		}
	})
}

// eachPeer changes every peer of every rule.
func eachPeer(change func(*networkingv1.NetworkPolicyPeer)) func(*oracle.World) {
	return each(func(_ *oracle.World, s *networkingv1.NetworkPolicySpec) {
		for _, r := range s.Ingress {
			for i := range r.From {
				change(&r.From[i])
			}
		}
		for _, r := range s.Egress {
			for i := range r.To {
				change(&r.To[i])
			}
		}
	})
}

func ignoreEgress(w *oracle.World) {
	w.Policies = slices.DeleteFunc(w.Policies, func(p oracle.Policy) bool {
		p.Spec.PolicyTypes = slices.DeleteFunc(p.Spec.PolicyTypes, func(t networkingv1.PolicyType) bool { return t == networkingv1.PolicyTypeEgress })
		p.Spec.Egress = nil
		return len(p.Spec.PolicyTypes) == 0
	})
}

func ignoreExcept(p *networkingv1.NetworkPolicyPeer) {
	if p.IPBlock != nil {
		p.IPBlock.Except = nil
	}
}

func ignoreNamespaceSelector(p *networkingv1.NetworkPolicyPeer) {
	if p.NamespaceSelector != nil {
		p.NamespaceSelector = &metav1.LabelSelector{}
	}
}

// as takes one protocol for another.
func as(from, to corev1.Protocol) func(*oracle.World, *networkingv1.NetworkPolicyPort) {
	return func(_ *oracle.World, p *networkingv1.NetworkPolicyPort) {
		if p.Protocol != nil && *p.Protocol == from {
			p.Protocol = &to
		}
	}
}

// firstNamed puts the number that a name has at the first pod in its place.
func firstNamed(w *oracle.World, p *networkingv1.NetworkPolicyPort) {
	if p.Port == nil || p.Port.Type != intstr.String {
		return
	}
	for _, pod := range w.Pods {
		for _, port := range pod.Ports {
			if port.Name == p.Port.StrVal {
				number := intstr.FromInt32(int32(port.Port))
				p.Port = &number
				return
			}
		}
	}
}

// everyNamespace adds every policy to all other namespaces.
func everyNamespace(w *oracle.World) {
	for _, p := range slices.Clone(w.Policies) {
		for _, ns := range w.Namespaces {
			other := p.DeepCopy()
			other.Namespace, other.Name = ns.Name, p.Name+"-of-"+p.Namespace
			if ns.Name != p.Namespace {
				w.Policies = append(w.Policies, oracle.Policy{NetworkPolicy: other})
			}
		}
	}
}
