package prober

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
)

// untold is nil when everything of the flow's protocol that arrived at its
// receivers is in their logs. What a kernel dropped before the agent could log
// it may have been this flow's.
func untold(q Question, logs map[matrix.Endpoint]arrivals) error {
	for _, to := range q.To {
		var n uint64
		switch q.Protocol {
		case matrix.TCP:
			n = logs[to].untold.TCP
		case matrix.UDP:
			n = logs[to].untold.UDP
		case matrix.SCTP, matrix.ICMP: // see wire.Unlogged
		}
		if n > 0 {
			return fmt.Errorf("the kernel of %s dropped %d %s arrivals meanwhile, and does not say whose: an accept queue or a socket was full, or answers were rejected",
				to, n, q.Protocol)
		}
	}
	return nil
}

// loss is how many of the flows that connected with another pod lost a packet
// on the way.
type loss struct{ lost, connected int }

func lossOf(p Plan, cells []Cell) loss {
	var l loss
	for i, q := range p.Questions {
		if c := cells[i]; c.Sample.Outcome == matrix.Connected && !byItself(q, c) {
			l.connected++
			if c.Sample.Lost > 0 {
				l.lost++
			}
		}
	}
	return l
}

// byChance is how likely all attempts of an open flow may be to get lost before
// silence proves nothing any more.
const byChance = 0.001

// doubt is an error where the pass lost so many packets that so many attempts
// may all have been lost. One alone says nothing about how many get lost.
func (l loss) doubt(attempts int) error {
	if l.lost < 2 || math.Pow(float64(l.lost)/float64(l.connected), float64(attempts)) < byChance {
		return nil
	}
	return fmt.Errorf("the network loses packets: %d of the %d flows that connected needed another attempt, and this one had %d",
		l.lost, l.connected, attempts)
}

func sentence(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
}
