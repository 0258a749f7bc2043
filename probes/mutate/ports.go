package mutate

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// nobodyPort is the name of no container port.
const nobodyPort = "nobody"

const lastPort = 65535

func dropPorts(v *visit) {
	for at, r := range v.each() {
		if len(r.ports) > 0 {
			v.mutant(at, v.portsPath(at), "drops all ports", func(d *draft) { d.rule(at).ports = nil })
		}
	}
}

func dropPort(v *visit) {
	for at, p := range v.ports() {
		if len(v.draft.rule(at).ports) < 2 {
			continue
		}
		v.mutant(at, v.portPath(at), "drops "+p.String(), func(d *draft) {
			r := d.rule(at)
			r.ports = slices.Delete(r.ports, at.entry, at.entry+1)
		})
	}
}

// changePort leaves out entries that mean all ports. Of a range it moves the
// first port.
func changePort(v *visit) {
	for at, p := range v.ports() {
		other := *p
		switch {
		case p.name != "":
			other.name = nobodyPort
		case p.low == 0 || p.low == p.high && p.low == lastPort:
			continue
		case p.low == p.high:
			other.low, other.high = p.low+1, p.low+1
		default:
			other.low++
		}
		v.change(at, other)
	}
}

// change one port for another.
func (v *visit) change(at spot, other port) {
	v.mutant(at, v.portPath(at), fmt.Sprintf("changes %s to %s", v.draft.port(at), &other), func(d *draft) { *d.port(at) = other })
}

// changeProtocol leaves out names that mean every protocol.
func changeProtocol(v *visit) {
	for at, p := range v.ports() {
		other := *p
		switch p.protocol {
		case "":
			continue
		case corev1.ProtocolTCP:
			other.protocol = corev1.ProtocolUDP
		case corev1.ProtocolUDP, corev1.ProtocolSCTP:
			other.protocol = corev1.ProtocolTCP
		}
		v.change(at, other)
	}
}

func dropEndPort(v *visit) {
	for at, p := range v.ports() {
		if p.high == p.low {
			continue
		}
		other := *p
		other.high = other.low
		v.change(at, other)
	}
}

// widenRange adds the port before a range that ends with the last one.
func widenRange(v *visit) {
	for at, p := range v.ports() {
		other := *p
		switch {
		case p.high == p.low:
			continue
		case p.high < lastPort:
			other.high++
		case p.low > 1:
			other.low--
		default:
			continue
		}
		v.change(at, other)
	}
}

// String is "TCP/5432", "TCP/8000-8080", "UDP/dns" or "TCP" for all of it.
func (p *port) String() string {
	text := string(p.protocol)
	if text != "" && (p.name != "" || p.low != 0) {
		text += "/"
	}
	switch {
	case p.name != "":
		return text + p.name
	case p.low == 0:
		return text
	case p.low == p.high:
		return fmt.Sprintf("%s%d", text, p.low)
	}
	return fmt.Sprintf("%s%d-%d", text, p.low, p.high)
}
