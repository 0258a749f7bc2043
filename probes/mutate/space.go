package mutate

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// drafts of the policies of a World, and of what mutants make of them.
func drafts(w *oracle.World, mutants []Mutant) iter.Seq[*draft] {
	return func(yield func(*draft) bool) {
		for _, p := range w.Policies {
			if !yield(networkDraft(p)) {
				return
			}
		}
		for _, p := range w.ClusterPolicies {
			if !yield(clusterDraft(p)) {
				return
			}
		}
		for _, m := range mutants {
			if m.Policy != nil && !yield(networkDraft(*m.Policy)) || m.ClusterPolicy != nil && !yield(clusterDraft(*m.ClusterPolicy)) {
				return
			}
		}
	}
}

// span is ports that a policy names.
type span struct {
	protocol  matrix.Protocol
	low, high int
}

// The NodePorts of a cluster that nobody configured otherwise: there the oracle
// does not ask policies about nodes.
const firstNodePort, lastNodePort = 30000, 32767

// portsOf a World stand for all ports: of those which no policy and no
// container port tells apart there is one. All that are asked are among them.
func portsOf(w *oracle.World, mutants []Mutant, asked []oracle.Port) []oracle.Port {
	var spans []span
	for _, protocol := range []matrix.Protocol{matrix.TCP, matrix.UDP, matrix.SCTP} {
		spans = append(spans, span{protocol, 1, lastPort})
		if len(w.Nodes) > 0 {
			spans = append(spans, span{protocol, firstNodePort, lastNodePort})
		}
	}
	for _, p := range w.Pods {
		for _, have := range p.Ports {
			spans = append(spans, span{have.Protocol, int(have.Port), int(have.Port)})
		}
	}
	for d := range drafts(w, mutants) {
		for _, p := range d.ports() {
			if p.low != 0 {
				spans = append(spans, span{protocolOf(p.protocol), int(p.low), int(p.high)})
			}
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	spans = slices.Compact(spans)
	ports := slices.Clone(asked)
	known := map[string]bool{}
	for _, p := range asked {
		known[within(spans, p)] = true
	}
	for _, s := range spans {
		for _, port := range []int{s.low, s.high + 1} {
			p := oracle.Port{Protocol: s.protocol, Port: uint16(port)} //nolint:gosec // it wraps to 0, which is left out
			if key := within(spans, p); p.Port != 0 && !known[key] {
				known[key] = true
				ports = append(ports, p)
			}
		}
	}
	return ports
}

// within is the same for ports that are in the same spans.
func within(spans []span, p oracle.Port) string {
	var key strings.Builder
	for i, s := range spans {
		if s.protocol == p.Protocol && s.low <= int(p.Port) && int(p.Port) <= s.high {
			fmt.Fprint(&key, i, " ")
		}
	}
	return key.String()
}

func protocolOf(p corev1.Protocol) matrix.Protocol {
	switch p {
	case corev1.ProtocolUDP:
		return matrix.UDP
	case corev1.ProtocolSCTP:
		return matrix.SCTP
	case corev1.ProtocolTCP:
	}
	return matrix.TCP
}

// outside addresses of a family stand for all that no pod or node has: of those
// which no policy tells apart there is one.
func outside(w *oracle.World, mutants []Mutant, family matrix.Family) []netip.Addr {
	starts := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.IPv4Unspecified()}
	if family == matrix.IPv6 {
		starts = []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.IPv6Unspecified()}
	}
	blocks := blocksOf(w, mutants, starts[0].BitLen())
	for _, b := range blocks {
		starts = append(starts, b.Addr().Next(), b.Addr())
		if end := last(b).Next(); end.IsValid() {
			starts = append(starts, end.Next(), end)
		}
	}
	taken := map[netip.Addr]bool{}
	for _, p := range w.Pods {
		take(taken, p.Addresses)
	}
	for _, n := range w.Nodes {
		take(taken, n.Addresses)
	}
	var found []netip.Addr
	known := map[string]bool{}
	for _, a := range starts {
		for taken[a] {
			a = a.Next()
		}
		var key strings.Builder
		for i, b := range blocks {
			if b.Contains(a) {
				fmt.Fprint(&key, i, " ")
			}
		}
		if a.IsValid() && !known[key.String()] {
			known[key.String()] = true
			found = append(found, a)
		}
	}
	return found
}

func take(taken map[netip.Addr]bool, addresses []netip.Addr) {
	for _, a := range addresses {
		taken[a.Unmap()] = true
	}
}

// blocksOf all policies, of addresses with so many bits, in order.
func blocksOf(w *oracle.World, mutants []Mutant, bits int) []netip.Prefix {
	var blocks []netip.Prefix
	add := func(text string) {
		if b, err := netip.ParsePrefix(text); err == nil && b.Addr().BitLen() == bits {
			blocks = append(blocks, b.Masked())
		}
	}
	for d := range drafts(w, mutants) {
		for _, p := range d.peers() {
			if p.block != nil {
				add(p.block.CIDR)
				for _, e := range p.block.Except {
					add(e)
				}
			}
			for _, n := range p.networks {
				add(string(n))
			}
		}
	}
	slices.SortFunc(blocks, func(a, b netip.Prefix) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(blocks)
}

// last address of a block.
func last(b netip.Prefix) netip.Addr {
	bytes := b.Addr().AsSlice()
	for i := b.Bits(); i < len(bytes)*8; i++ {
		bytes[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(bytes)
	return a
}
