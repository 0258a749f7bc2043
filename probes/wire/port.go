package wire

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
)

// Port is a port of one protocol, written "TCP/8080".
type Port struct {
	Protocol matrix.Protocol
	Number   uint16
}

func (p Port) String() string { return fmt.Sprintf("%s/%d", p.Protocol, p.Number) }

// ParsePort reads what Port.String writes.
func ParsePort(s string) (Port, error) {
	proto, number, ok := strings.Cut(s, "/")
	if !ok {
		return Port{}, fmt.Errorf("parsing port %q: want PROTOCOL/PORT, for example TCP/8080", s)
	}
	var p Port
	if err := p.Protocol.UnmarshalText([]byte(proto)); err != nil || !p.Protocol.HasPorts() {
		return Port{}, fmt.Errorf("parsing port %q: %q is not a protocol (TCP, UDP or SCTP)", s, proto)
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n == 0 {
		return Port{}, fmt.Errorf("parsing port %q: %q is not a number from 1 to 65535", s, number)
	}
	p.Number = uint16(n)
	return p, nil
}

// ParseListen reads the value of EnvListen. The ports come back sorted and
// without doubles; an empty value is no ports.
func ParseListen(s string) ([]Port, error) {
	var ports []Port
	for field := range strings.SplitSeq(s, ",") {
		if field = strings.TrimSpace(field); field == "" {
			continue
		}
		p, err := ParsePort(field)
		if err != nil {
			return nil, err
		}
		ports = append(ports, p)
	}
	return SortPorts(ports), nil
}

// FormatListen writes a value for EnvListen.
func FormatListen(ports []Port) string {
	words := make([]string, 0, len(ports))
	for _, p := range SortPorts(ports) {
		words = append(words, p.String())
	}
	return strings.Join(words, ",")
}

// SortPorts returns the ports by protocol and number, without doubles.
func SortPorts(ports []Port) []Port {
	sorted := slices.Clone(ports)
	slices.SortFunc(sorted, func(a, b Port) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Number, b.Number))
	})
	return slices.Compact(sorted)
}
