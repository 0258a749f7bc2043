package prober

import (
	"slices"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// The bounds of a deny wait, and the wait with which a surprise is asked again.
const (
	MinDenyWait = 200 * time.Millisecond
	// MaxDenyWait is under a second, after which TCP sends its first packet again:
	// until then each attempt is one packet.
	MaxDenyWait  = 950 * time.Millisecond
	SurpriseWait = 3 * time.Second
)

// patience is how many times as long as the slowest answer of its own pass
// silence must last. What delays packets is stalls, of a policy engine or of the
// machine. Flows begin one after the other, a millisecond apart, so that a stall
// catches many, and who is caught at its beginning measures all of it. An answer
// is two trips through the network or more, and wakes two processes; a packet
// that gets through needs a single trip to be in its receiver's log, and two are
// sent.
const patience = 2

// DenyWait is how long silence had to last in a pass of this plan that saw
// these cells, in order to read as a deny: patience times the slowest answer
// from another pod, at least Wait and at most MaxWait. Without any such answer
// nothing is known of the network, and it is MaxWait.
//
// Only the pass itself can say how slow the network was during it: on a busy
// machine the slowest answers of two passes in a row differ by a factor of ten,
// either way.
func (p Plan) DenyWait(cells []Cell) time.Duration {
	slowest, known := time.Duration(0), false
	for i, q := range p.Questions {
		if c := cells[i]; c.Sample.Outcome == matrix.Connected && !byItself(q, c) {
			slowest, known = max(slowest, c.Sample.RTT), true
		}
	}
	if !known {
		return max(p.Wait, p.MaxWait)
	}
	return max(p.Wait, min(patience*slowest, p.MaxWait))
}

// byItself reports that the sender of a question answered it. An echo reply has
// no identity.
func byItself(q Question, c Cell) bool {
	return c.Peer.Endpoint == q.From || c.Evidence.Identity == ByAddress && slices.Contains(q.To, q.From)
}

// Surprising are the flows whose cell is not what was expected: an Allow that
// did not connect, a Deny that was not blocked, and whatever is not known. A
// flow of another intent is never a surprise, nor one whose sender cannot speak
// its protocol.
func Surprising(cells []Cell, expect func(flow int) matrix.Intent) []int {
	var flows []int
	for _, c := range cells {
		if wire.Unspoken(c.Sample) {
			continue
		}
		switch expect(c.Flow) {
		case matrix.Allow:
			if c.Sample.Outcome != matrix.Connected {
				flows = append(flows, c.Flow)
			}
		case matrix.Deny:
			if !c.Sample.Outcome.Blocked() {
				flows = append(flows, c.Flow)
			}
		case matrix.Unstated, matrix.Undefined:
		}
	}
	return flows
}

// The load that all samplers of a cluster share, and the period of hot flows.
const (
	samplesPerSecond = 500
	hotPeriod        = 50 * time.Millisecond
)

// Period is how often each of so many flows is sampled: every 50 ms for up to
// 25 of them, less often for more, so that the cluster sees 500 a second.
func Period(flows int) time.Duration {
	return max(hotPeriod, time.Duration(flows)*time.Second/samplesPerSecond)
}
