package prober

import (
	"math"
	"slices"
	"time"

	"github.com/segtest/segtest/probes/matrix"
)

// The bounds of a deny wait, and the wait with which a surprise is asked again.
const (
	MinDenyWait  = 200 * time.Millisecond
	MaxDenyWait  = 1200 * time.Millisecond
	SurpriseWait = 3 * time.Second
)

// DenyWait is how long silence must last to read as a deny: ten times the 99th
// percentile of the round trips of the flows that connected in an earlier
// pass, at least MinDenyWait and at most MaxDenyWait. When none connected
// nothing is known of the network and the answer is MaxDenyWait.
func DenyWait(cells []Cell) time.Duration {
	var trips []time.Duration
	for _, c := range cells {
		if c.Sample.Outcome == matrix.Connected {
			trips = append(trips, c.Sample.RTT)
		}
	}
	if len(trips) == 0 {
		return MaxDenyWait
	}
	slices.Sort(trips)
	p99 := trips[int(math.Ceil(0.99*float64(len(trips))))-1]
	return min(max(10*p99, MinDenyWait), MaxDenyWait)
}

// Surprising are the flows whose cell is not what was expected: an Allow that
// did not connect, a Deny that was not blocked, and whatever is not known. A
// flow of another intent is never a surprise.
func Surprising(cells []Cell, expect func(flow int) matrix.Intent) []int {
	var flows []int
	for _, c := range cells {
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
