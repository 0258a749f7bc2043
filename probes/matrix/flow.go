package matrix

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Endpoint names who speaks or listens. The name is stable across runs:
// "shop/db-0" is slot 0 of workload db in namespace shop, whatever pod holds
// that slot at the moment.
type Endpoint string

// NodeEndpoint is the endpoint of a cluster's node, "node/NAME", and
// WorldEndpoint that of an address outside of the cluster, "world/ADDRESS". The
// namespaces "node" and "world" are therefore no namespaces of pods.
func NodeEndpoint(name string) Endpoint     { return Endpoint("node/" + name) }
func WorldEndpoint(address string) Endpoint { return Endpoint("world/" + address) }

// Namespace is the part before the slash, "" where there is none.
func (e Endpoint) Namespace() string {
	ns, _, ok := strings.Cut(string(e), "/")
	if !ok {
		return ""
	}
	return ns
}

// Name is the part after the slash, the whole name where there is none.
func (e Endpoint) Name() string {
	_, name, ok := strings.Cut(string(e), "/")
	if !ok {
		return string(e)
	}
	return name
}

// Protocol is what a Flow speaks. The zero value is no protocol and is valid
// nowhere.
type Protocol uint8

// The protocols. A NetworkPolicy can name the first three; ICMP is an echo
// request and its reply, and has no ports.
const (
	TCP Protocol = iota + 1
	UDP
	SCTP
	ICMP
)

var protocolNames = names[Protocol]{"", "TCP", "UDP", "SCTP", "ICMP"} //nolint:gochecknoglobals // constant table

// HasPorts reports that a flow of this protocol has a port.
func (p Protocol) HasPorts() bool { return p == TCP || p == UDP || p == SCTP }

func (p Protocol) String() string                { return protocolNames.of(p) }
func (p Protocol) MarshalText() ([]byte, error)  { return protocolNames.marshal(p) }
func (p *Protocol) UnmarshalText(b []byte) error { return protocolNames.unmarshal(p, b, "protocol") }

// ParseProtocol reads the protocol of a port: "TCP", "UDP" or "SCTP". Anything
// else is none, ICMP too.
func ParseProtocol(s string) (Protocol, bool) {
	var p Protocol
	err := p.UnmarshalText([]byte(s))
	return p, err == nil && p.HasPorts()
}

// Way is the kind of address that a Flow is addressed to. The zero value is
// the pod's own address.
type Way uint8

// The ways to reach an endpoint.
const (
	PodIP Way = iota
	ServiceIP
)

var wayNames = names[Way]{"pod", "service"} //nolint:gochecknoglobals // constant table

func (w Way) String() string                { return wayNames.of(w) }
func (w Way) MarshalText() ([]byte, error)  { return wayNames.marshal(w) }
func (w *Way) UnmarshalText(b []byte) error { return wayNames.unmarshal(w, b, "way") }

// Family is an IP version. The zero value is IPv4.
type Family uint8

// The IP families.
const (
	IPv4 Family = iota
	IPv6
)

var familyNames = names[Family]{"ipv4", "ipv6"} //nolint:gochecknoglobals // constant table

func (f Family) String() string                { return familyNames.of(f) }
func (f Family) MarshalText() ([]byte, error)  { return familyNames.marshal(f) }
func (f *Family) UnmarshalText(b []byte) error { return familyNames.unmarshal(f, b, "family") }

// Flow is one question to the network: may From open Protocol/Port on To?
// Port is the number on which the target's containers listen (or the service
// port when Way is ServiceIP), 1 to 65535, and 0 for ICMP. Flow is comparable.
type Flow struct {
	From     Endpoint `json:"from"`
	To       Endpoint `json:"to"`
	Protocol Protocol `json:"protocol"`
	Port     uint16   `json:"port"`
	Way      Way      `json:"way,omitempty"`
	Family   Family   `json:"family,omitempty"`
}

// String is the form that reports and the --select flag use, for example
// "shop/web-0 → shop/db-0 TCP/5432" or "shop/web-0 → shop/db-0 ICMP". Way and
// Family follow where they are not the default: "… TCP/80 service ipv6".
func (f Flow) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s → %s %s", f.From, f.To, f.Protocol)
	if f.Protocol != ICMP {
		fmt.Fprintf(&b, "/%d", f.Port)
	}
	if f.Way != PodIP {
		b.WriteString(" " + f.Way.String())
	}
	if f.Family != IPv4 {
		b.WriteString(" " + f.Family.String())
	}
	return b.String()
}

// ParseFlow reads what String writes; "->" stands for the arrow too.
func ParseFlow(s string) (Flow, error) {
	fields := strings.Fields(strings.NewReplacer("→", " ", "->", " ").Replace(s))
	if len(fields) < 3 {
		return Flow{}, fmt.Errorf("parsing flow %q: want FROM → TO PROTOCOL/PORT, for example %q", s, "shop/web-0 → shop/db-0 TCP/5432")
	}
	f := Flow{From: Endpoint(fields[0]), To: Endpoint(fields[1])}
	if err := f.readPort(fields[2]); err != nil {
		return Flow{}, fmt.Errorf("parsing flow %q: %w", s, err)
	}
	for _, word := range fields[3:] {
		if f.Way.UnmarshalText([]byte(word)) != nil && f.Family.UnmarshalText([]byte(word)) != nil {
			return Flow{}, fmt.Errorf("parsing flow %q: %q is neither a way nor an IP family", s, word)
		}
	}
	return f, nil
}

// readPort reads "TCP/5432" or "ICMP".
func (f *Flow) readPort(word string) error {
	proto, port, ok := strings.Cut(word, "/")
	if !ok && !strings.EqualFold(proto, ICMP.String()) {
		return fmt.Errorf("%q is not PROTOCOL/PORT, nor ICMP", word)
	}
	if err := f.Protocol.UnmarshalText([]byte(strings.ToUpper(proto))); err != nil {
		return err
	}
	if f.Protocol == ICMP {
		if ok {
			return fmt.Errorf("%q has a port, and ICMP has none", word)
		}
		return nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	f.Port = uint16(n)
	return nil
}

// Compare orders flows by From, To, Port, Protocol, Way, Family.
func (f Flow) Compare(g Flow) int {
	return cmp.Or(
		cmp.Compare(f.From, g.From), cmp.Compare(f.To, g.To),
		cmp.Compare(f.Port, g.Port), cmp.Compare(f.Protocol, g.Protocol),
		cmp.Compare(f.Way, g.Way), cmp.Compare(f.Family, g.Family),
	)
}
