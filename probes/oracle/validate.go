package oracle

import (
	"fmt"
	"net/netip"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
)

// peerAt is the place of one entry of from or to.
func (at place) peerAt(i int) place {
	at.field += fmt.Sprintf(": peer %d", i)
	return at.in([...]string{egress: "to", ingress: "from"}[at.direction], i)
}

// peer compiles one entry of from or to.
func (at place) peer(i int, home string, p networkingv1.NetworkPolicyPeer) peer {
	at = at.peerAt(i)
	words := &at.c.lexicon
	switch {
	case p.IPBlock != nil && (p.PodSelector != nil || p.NamespaceSelector != nil):
		at.add("has an ipBlock and a selector", "write them as two entries of the list")
	case p.IPBlock != nil:
		return peer{by: byAddress, blocks: []int{words.block(at.in("ipBlock").block(*p.IPBlock))}}
	case p.PodSelector == nil && p.NamespaceSelector == nil:
		at.add("is empty", "set podSelector, namespaceSelector or ipBlock; {} as podSelector means all pods of the namespace")
		return peer{}
	}
	out := peer{by: byLabels, home: home, namespaces: -1, pods: -1}
	if p.NamespaceSelector != nil {
		out.home, out.namespaces = "", at.selector(&words.namespaces, "namespaceSelector", p.NamespaceSelector)
	}
	if p.PodSelector != nil {
		out.pods = at.selector(&words.pods, "podSelector", p.PodSelector)
	}
	return out
}

// block compiles an ipBlock; what is invalid holds nothing.
func (at place) block(b networkingv1.IPBlock) block {
	var out block
	var ok bool
	if out.cidr, ok = at.in("cidr").cidr("ipBlock.cidr", b.CIDR); !ok {
		return block{}
	}
	for i, text := range b.Except {
		at := at.in("except", i)
		e, ok := at.cidr("ipBlock.except", text)
		switch {
		case !ok:
		case !out.cidr.Contains(e.Addr()) || e.Bits() <= out.cidr.Bits():
			at.add(fmt.Sprintf("except %s is not inside cidr %s", text, b.CIDR), "write a smaller block of the same cidr, or drop it")
		default:
			out.except = append(out.except, e)
		}
	}
	return out
}

func (at place) cidr(field, text string) (netip.Prefix, bool) {
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		at.add(fmt.Sprintf("%s %q is not a CIDR", field, text), `write an address and a length, for example "10.0.0.0/8"`)
	case prefix.Addr().Is4In6():
		at.add(fmt.Sprintf("%s %q is an IPv4 address in IPv6 form, which systems read in different ways", field, text), "write it as IPv4")
	default:
		return prefix, true
	}
	return netip.Prefix{}, false
}

// port compiles one entry of ports, false where it is invalid.
func (at place) port(i int, p networkingv1.NetworkPolicyPort) (portRange, bool) {
	at = at.in("ports", i)
	at.field += fmt.Sprintf(": ports[%d]", i)
	out := portRange{protocol: ProtocolOf(p.Protocol), low: 1, high: 65535}
	before := len(*at.c.found)
	if out.protocol == 0 {
		at.in("protocol").add(fmt.Sprintf("protocol %q is unknown", *p.Protocol), "write TCP, UDP or SCTP")
	}
	switch {
	case p.Port == nil:
	case p.Port.Type == intstr.String:
		out.name = at.in("port").portName(p.Port.StrVal)
	default:
		out.low = at.in("port").number(p.Port.IntVal)
		out.high = out.low
	}
	at.in("endPort").endPort(p, &out)
	return out, len(*at.c.found) == before
}

// portName is one that endpoints can be told apart by from now on.
func (at place) portName(name string) string {
	if faults := validation.IsValidPortName(name); len(faults) > 0 {
		at.add(fmt.Sprintf("%q is not a port name: %s", name, strings.Join(faults, ", ")), "write a number without quotes, or the name of a container port")
	}
	at.c.lexicon.portNames[name] = true
	return name
}

// number of a port.
func (at place) number(n int32) uint16 {
	if n < 1 || n > 65535 {
		at.add(fmt.Sprintf("port %d is out of range", n), "write a number from 1 to 65535")
		return 0
	}
	return uint16(n) //nolint:gosec // checked above
}

func (at place) endPort(p networkingv1.NetworkPolicyPort, out *portRange) {
	switch {
	case p.EndPort == nil:
	case p.Port == nil:
		at.add("has endPort without port", "set port to the first port of the range")
	case p.Port.Type == intstr.String:
		at.add("has endPort with a named port", "write port as a number")
	case *p.EndPort < p.Port.IntVal:
		at.add(fmt.Sprintf("endPort %d is below port %d", *p.EndPort, p.Port.IntVal), "swap them: a range runs from port to endPort")
	case *p.EndPort > 65535:
		at.add(fmt.Sprintf("endPort %d is out of range", *p.EndPort), "write a number from 1 to 65535")
	default:
		out.high = uint16(*p.EndPort) //nolint:gosec // checked above
	}
}
