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
		for _, p := range r.ports {
			if p.low > 0 && p.low <= p.high && p.high <= 65535 {
				found = append(found, Span{cmp.Or(p.protocol, matrix.TCP), uint16(p.low), uint16(p.high)}) //nolint:gosec // checked
			}
		}
	}
	slices.SortFunc(found, func(a, b Span) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Low, b.Low), cmp.Compare(a.High, b.High))
	})
	return slices.Compact(found)
}
