package outside

import (
	"cmp"
	"slices"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// Span is ports of a protocol from Low to High, inclusive.
type Span struct {
	Protocol  matrix.Protocol
	Low, High uint16
}

// Spans are the ports that rules of the worlds name by number, in either
// direction, in order and without doubles.
func Spans(worlds ...oracle.World) []Span {
	var found []Span
	for r := range rules(worlds) {
		found = append(found, r.spans()...)
	}
	return Unite(found)
}

func (r rule) spans() []Span {
	var found []Span
	for _, p := range r.ports {
		if p.low > 0 && p.low <= p.high && p.high <= LastPort {
			found = append(found, Span{cmp.Or(p.protocol, matrix.TCP), uint16(p.low), uint16(p.high)}) //nolint:gosec // checked
		}
	}
	return found
}

// Compare puts spans in order of protocol, first and last port.
func (s Span) Compare(other Span) int {
	return cmp.Or(cmp.Compare(s.Protocol, other.Protocol), cmp.Compare(s.Low, other.Low), cmp.Compare(s.High, other.High))
}

// Tract is ports of one class: the same spans hold all of them.
type Tract struct {
	Span
	Class int // classes are numbered from 0
}

// Divide all ports of TCP, UDP and SCTP where one of the spans begins or ends. The
// tracts are in order of protocol and port; there is no port between them.
func Divide(spans []Span) (tracts []Tract, classes int) {
	known := map[string]int{}
	for _, protocol := range []matrix.Protocol{matrix.TCP, matrix.UDP, matrix.SCTP} {
		starts := []int{1}
		for _, s := range spans {
			if s.Protocol == protocol {
				starts = append(starts, int(s.Low), int(s.High)+1)
			}
		}
		slices.Sort(starts)
		starts = append(slices.Compact(starts), LastPort+1)
		for i, low := range starts[:len(starts)-1] {
			if low > LastPort {
				break
			}
			key := []byte{byte(protocol)}
			for k, s := range spans {
				if s.Protocol == protocol && int(s.Low) <= low && low <= int(s.High) {
					key = append(key, byte(k>>16), byte(k>>8), byte(k)) //nolint:gosec // its three bytes
				}
			}
			class, ok := known[string(key)]
			if !ok {
				class = len(known)
				known[string(key)] = class
			}
			high := min(starts[i+1]-1, LastPort)
			tracts = append(tracts, Tract{Span{protocol, uint16(low), uint16(high)}, class}) //nolint:gosec // ports
		}
	}
	return tracts, len(known)
}

// Holds reports that the port is one of the span.
func (s Span) Holds(p oracle.Port) bool {
	return s.Protocol == p.Protocol && s.Low <= p.Port && p.Port <= s.High
}
