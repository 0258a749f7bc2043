package cases

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// Random draws worlds and flows for property tests. Everything comes from few names, so that rules often fit.
type Random struct{ *rand.Rand }

// NewRandom draws the numbered world of a seed, the same every time.
func NewRandom(seed, world uint64) Random {
	return Random{rand.New(rand.NewPCG(seed, world))}
}

// Flow goes from and to pods, mostly, else nodes and addresses in the world.
func (r Random) Flow(w oracle.World) matrix.Flow {
	f := matrix.Flow{Protocol: r.protocol(), Port: r.port(), Family: pick(r, matrix.IPv4, matrix.IPv4, matrix.IPv6)}
	f.From, f.To = r.endpoint(w, f.Family), r.endpoint(w, f.Family)
	return f
}

func (r Random) endpoint(w oracle.World, family matrix.Family) matrix.Endpoint {
	switch r.IntN(12) {
	case 0:
		return matrix.NodeEndpoint(w.Nodes[r.IntN(len(w.Nodes))].Name)
	case 1:
		if family == matrix.IPv6 {
			return matrix.WorldEndpoint(pick(r, "2001:db8::7", "2001:db9::7"))
		}
		return matrix.WorldEndpoint(pick(r, "192.0.2.7", "192.0.2.8"))
	}
	return w.Pods[r.IntN(len(w.Pods))].Name
}

func pick[T any](r Random, from ...T) T { return from[r.IntN(len(from))] }

// one is true once in n times.
func (r Random) one(n int) bool { return r.IntN(n) == 0 }

// World has two nodes, two to four namespaces with two to four pods each, and
// up to eight policies of each kind.
func (r Random) World() oracle.World {
	var w oracle.World
	for i := range 2 {
		w.Nodes = append(w.Nodes, oracle.Node{
			Name: fmt.Sprintf("n-%d", i), Labels: r.labels(), Addresses: addresses(200, i),
		})
	}
	for i := range 2 + r.IntN(3) {
		ns := fmt.Sprintf("ns-%d", i)
		w.Namespaces = append(w.Namespaces, oracle.Namespace{Name: ns, Labels: r.labels()})
		for j := range 2 + r.IntN(3) {
			w.Pods = append(w.Pods, r.pod(w, ns, i, j))
		}
	}
	for i := range r.IntN(9) {
		w.Policies = append(w.Policies, r.Policy(i, w))
	}
	if !r.one(3) {
		for i := range r.IntN(9) {
			w.ClusterPolicies = append(w.ClusterPolicies, r.ClusterPolicy(i))
		}
	}
	return w
}

// addresses are 10.0.I.J and fd00::I:J.
func addresses(i, j int) []netip.Addr {
	return []netip.Addr{
		netip.AddrFrom4([4]byte{10, 0, byte(i), byte(j + 1)}),
		netip.MustParseAddr(fmt.Sprintf("fd00::%x:%x", i, j+1)),
	}
}

// network is one of few, nested in each other, around the addresses.
func (r Random) network() string {
	return pick(r, "0.0.0.0/0", "10.0.0.0/16", "10.0.0.0/23", "10.0.0.0/24", "10.0.1.0/24", "10.0.1.1/32", "10.0.0.2/31", "10.0.200.0/24",
		"192.0.2.0/24", "192.0.2.7/32", "::/0", "fd00::/96", "fd00::1:0/112", "fd00::1:1/128", "2001:db8::/32")
}

func (r Random) pod(w oracle.World, ns string, i, j int) oracle.Pod {
	p := oracle.Pod{
		Name: matrix.Endpoint(fmt.Sprintf("%s/p-%d", ns, j)), Labels: r.labels(), Addresses: addresses(i, j),
		Node: w.Nodes[r.IntN(len(w.Nodes))].Name,
	}
	if r.one(12) {
		p.HostNetwork = true
		p.Addresses = w.Nodes[p.Node[2]-'0'].Addresses
	}
	for _, name := range []string{"web", "dns", "api"} {
		if !r.one(3) {
			p.Ports = append(p.Ports, oracle.Port{Name: name, Protocol: r.protocol(), Port: r.port()})
		}
	}
	if len(p.Ports) > 0 && r.one(10) {
		p.Ports = append(p.Ports, oracle.Port{Name: p.Ports[0].Name, Protocol: p.Ports[0].Protocol, Port: r.port()})
	}
	return p
}

func (r Random) protocol() matrix.Protocol { return pick(r, matrix.TCP, matrix.UDP, matrix.SCTP) }
func (r Random) port() uint16              { return pick[uint16](r, 79, 80, 81, 82) }

func (r Random) labels() map[string]string {
	labels := map[string]string{}
	for _, key := range []string{"a", "b"} {
		if !r.one(4) {
			labels[key] = pick(r, "1", "2")
		}
	}
	return labels
}

func (r Random) selector() *metav1.LabelSelector {
	s := &metav1.LabelSelector{}
	if r.one(2) {
		s.MatchLabels = map[string]string{pick(r, "a", "b"): pick(r, "1", "2")}
	}
	if r.one(3) {
		e := metav1.LabelSelectorRequirement{Key: pick(r, "a", "b", corev1.LabelMetadataName)}
		e.Operator = pick(r, metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn, metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist)
		if e.Operator == metav1.LabelSelectorOpIn || e.Operator == metav1.LabelSelectorOpNotIn {
			e.Values = pick(r, []string{"1"}, []string{"2", "3"}, []string{"ns-0", "1"})
		}
		s.MatchExpressions = append(s.MatchExpressions, e)
	}
	return s
}

// Policy draws a NetworkPolicy with the number in its name.
func (r Random) Policy(i int, w oracle.World) oracle.Policy {
	p := &networkingv1.NetworkPolicy{}
	p.Namespace, p.Name = w.Namespaces[r.IntN(len(w.Namespaces))].Name, fmt.Sprintf("p-%d", i)
	p.Spec.PodSelector = *r.selector()
	p.Spec.PolicyTypes = pick(r, nil, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}, []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
		[]networkingv1.PolicyType{networkingv1.PolicyTypeEgress, networkingv1.PolicyTypeIngress})
	for range r.IntN(3) {
		p.Spec.Ingress = append(p.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: r.peers(), Ports: r.ports()})
	}
	for range r.IntN(3) {
		p.Spec.Egress = append(p.Spec.Egress, networkingv1.NetworkPolicyEgressRule{To: r.peers(), Ports: r.ports()})
	}
	return oracle.Policy{NetworkPolicy: p}
}

func (r Random) peers() []networkingv1.NetworkPolicyPeer {
	var peers []networkingv1.NetworkPolicyPeer
	for range r.IntN(4) {
		switch r.IntN(4) {
		case 0:
			peers = append(peers, networkingv1.NetworkPolicyPeer{PodSelector: r.selector()})
		case 1:
			peers = append(peers, networkingv1.NetworkPolicyPeer{NamespaceSelector: r.selector()})
		case 2:
			peers = append(peers, networkingv1.NetworkPolicyPeer{PodSelector: r.selector(), NamespaceSelector: r.selector()})
		case 3:
			peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: r.block()})
		}
	}
	return peers
}

// block has, at times, one of the networks inside it as a hole.
func (r Random) block() *networkingv1.IPBlock {
	b := &networkingv1.IPBlock{CIDR: r.network()}
	outer := netip.MustParsePrefix(b.CIDR)
	for range r.IntN(3) {
		text := r.network()
		if hole := netip.MustParsePrefix(text); outer.Contains(hole.Addr()) && hole.Bits() > outer.Bits() {
			b.Except = append(b.Except, text)
		}
	}
	return b
}

func (r Random) ports() []networkingv1.NetworkPolicyPort {
	var ports []networkingv1.NetworkPolicyPort
	for range r.IntN(4) {
		var p networkingv1.NetworkPolicyPort
		if !r.one(4) {
			p.Protocol = new(corev1.Protocol(r.protocol().String()))
		}
		switch r.IntN(4) {
		case 0:
		case 1:
			p.Port = new(intstr.FromString(pick(r, "web", "dns", "api", "nobody")))
		default:
			port := int32(r.port())
			p.Port = new(intstr.FromInt32(port))
			if r.one(3) {
				p.EndPort = new(port + r.Int32N(3))
			}
		}
		ports = append(ports, p)
	}
	return ports
}
