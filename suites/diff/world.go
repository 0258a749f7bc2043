package diff

import (
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/plan"
)

// address outside of the cluster stands for a block, without the narrower blocks
// that policies name: no policy tells such addresses apart.
type address struct {
	block netip.Prefix
	addr  netip.Addr
}

func (a address) endpoint() matrix.Endpoint { return matrix.WorldEndpoint(a.addr.String()) }

// name of the block as an endpoint.
func (a address) name() matrix.Endpoint { return matrix.WorldEndpoint(a.block.String()) }

func (a address) family() matrix.Family {
	if a.addr.Is4() {
		return matrix.IPv4
	}
	return matrix.IPv6
}

// outsideOf finds an address for each block that a policy of either version
// names, and for the rest of the world, in the families that are asked.
func outsideOf(plans ...*plan.Plan) []address {
	var blocks []netip.Prefix
	for _, p := range plans {
		if p == nil {
			continue
		}
		for _, family := range p.Scenario.Cluster.IPs {
			rest := netip.MustParsePrefix("0.0.0.0/0")
			if family == matrix.IPv6 {
				rest = netip.MustParsePrefix("::/0")
			}
			blocks = append(blocks, rest)
		}
		blocks = append(blocks, blocksOf(p.World)...)
	}
	slices.SortFunc(blocks, netip.Prefix.Compare)
	blocks = slices.Compact(blocks)
	var all []address
	for _, b := range blocks {
		if a, ok := inside(b, blocks); ok && slices.ContainsFunc(blocks, func(rest netip.Prefix) bool { return rest.Bits() == 0 && rest.Addr().Is4() == a.Is4() }) {
			all = append(all, address{b, a})
		}
	}
	return all
}

// inside is an address of a block that is in none of the narrower ones; false
// where they fill it.
func inside(block netip.Prefix, all []netip.Prefix) (netip.Addr, bool) {
	a := block.Addr()
	if block.Bits() == 0 && a.Is4() {
		a = netip.MustParseAddr("1.0.0.0") // 0.0.0.0/8 is nobody's
	}
	for range len(all) + 1 {
		i := slices.IndexFunc(all, func(b netip.Prefix) bool { return b.Bits() > block.Bits() && b.Contains(a) })
		if i < 0 {
			return a, true
		}
		if a = last(all[i]).Next(); !block.Contains(a) { // the zero Addr is in none
			return a, false
		}
	}
	return a, false
}

// last address of a block.
func last(b netip.Prefix) netip.Addr {
	bytes := b.Masked().Addr().AsSlice()
	for bit := b.Bits(); bit < 8*len(bytes); bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	a, _ := netip.AddrFromSlice(bytes)
	return a
}

// blocksOf are all blocks that policies name.
func blocksOf(w oracle.World) []netip.Prefix {
	var blocks []netip.Prefix
	add := func(texts ...string) {
		for _, text := range texts {
			if b, err := netip.ParsePrefix(text); err == nil { // the oracle refuses others
				blocks = append(blocks, b.Masked())
			}
		}
	}
	peers := func(list []networkingv1.NetworkPolicyPeer) {
		for _, peer := range list {
			if peer.IPBlock != nil {
				add(peer.IPBlock.CIDR)
				add(peer.IPBlock.Except...)
			}
		}
	}
	for _, p := range w.Policies {
		for _, r := range p.Spec.Ingress {
			peers(r.From)
		}
		for _, r := range p.Spec.Egress {
			peers(r.To)
		}
	}
	for _, p := range w.ClusterPolicies {
		for _, r := range p.Spec.Egress {
			for _, peer := range r.To {
				for _, network := range peer.Networks {
					add(string(network))
				}
			}
		}
	}
	return blocks
}

// outsidePorts are the ports on which pods knock outside of the cluster: those
// that egress rules name, and the canary's, which stand for all others.
func outsidePorts(p *plan.Plan) []oracle.Port {
	ports := []oracle.Port{{Protocol: matrix.TCP, Port: p.Scenario.Canary}, {Protocol: matrix.UDP, Port: p.Scenario.Canary}}
	add := func(protocol matrix.Protocol, numbers ...int32) {
		for _, n := range numbers {
			if n > 0 && n <= 65535 {
				ports = append(ports, oracle.Port{Protocol: protocol, Port: uint16(n)})
			}
		}
	}
	for _, policy := range p.World.Policies {
		for _, r := range policy.Spec.Egress {
			for _, port := range r.Ports {
				if port.Port == nil || port.Port.Type != intstr.Int {
					continue
				}
				add(protocolOf(port), port.Port.IntVal)
				if port.EndPort != nil {
					add(protocolOf(port), *port.EndPort)
				}
			}
		}
	}
	for _, policy := range p.World.ClusterPolicies {
		for _, r := range policy.Spec.Egress {
			for _, protocol := range r.Protocols {
				named, numbers := clusterPorts(protocol)
				add(named, numbers...)
			}
		}
	}
	return ports
}

func protocolOf(port networkingv1.NetworkPolicyPort) matrix.Protocol {
	if port.Protocol != nil {
		for _, p := range []matrix.Protocol{matrix.UDP, matrix.SCTP} {
			if string(*port.Protocol) == p.String() {
				return p
			}
		}
	}
	return matrix.TCP
}

func clusterPorts(p policyv1alpha2.ClusterNetworkPolicyProtocol) (matrix.Protocol, []int32) {
	protocol, port := matrix.TCP, (*policyv1alpha2.Port)(nil)
	switch {
	case p.TCP != nil:
		port = p.TCP.DestinationPort
	case p.UDP != nil:
		protocol, port = matrix.UDP, p.UDP.DestinationPort
	case p.SCTP != nil:
		protocol, port = matrix.SCTP, p.SCTP.DestinationPort
	}
	switch {
	case port == nil:
		return protocol, nil
	case port.Range != nil:
		return protocol, []int32{port.Range.Start, port.Range.End}
	}
	return protocol, []int32{port.Number}
}
