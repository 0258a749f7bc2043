package simnet

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// try is one attempt at a target of a batch, or the end of its wait.
type try struct {
	target int
	at     time.Duration
	last   bool
}

// batch asks all targets as an agent does: in random order, evenly over the
// spread, with several attempts within the wait.
func (a *agent) batch(b wire.Batch) []wire.Response {
	results := make([]wire.Result, len(b.Targets))
	for _, t := range schedule(b, a.net.Now()) {
		r := &results[t.target]
		if r.Sample.Outcome != matrix.Unknown {
			continue
		}
		if !a.until(t.at) {
			return nil
		}
		if t.last {
			r.Sample.Outcome, r.Sample.Denial, r.Sample.RTT = matrix.TimedOut, matrix.Dropped, b.Wait
			continue
		}
		a.attempt(b.Targets[t.target], r)
	}
	lines := make([]wire.Response, len(results))
	for i := range results {
		results[i].Flow = b.Targets[i].Flow
		lines[i] = wire.Response{Result: &results[i]}
	}
	return lines
}

// schedule lists all attempts in the order of time.
func schedule(b wire.Batch, start time.Duration) []try {
	attempts := max(b.Attempts, 1)
	var all []try
	order := rand.New(rand.NewPCG(b.Seed, 0)).Perm(len(b.Targets)) //nolint:gosec // an order that a seed repeats
	for i, target := range order {
		begin := start + b.Spread*time.Duration(i)/time.Duration(len(order))
		for k := range attempts {
			all = append(all, try{target: target, at: begin + b.Wait*time.Duration(k)/time.Duration(attempts)})
		}
		all = append(all, try{target: target, at: begin + b.Wait, last: true})
	}
	slices.SortStableFunc(all, func(x, y try) int { return cmp.Compare(x.at, y.at) })
	return all
}

// attempt adds one to a result.
func (a *agent) attempt(t wire.Target, r *wire.Result) {
	now := a.net.Now()
	if r.Sample.Attempts == 0 {
		r.Sample.Start = now
	}
	r.Sample.Attempts++
	p, f, who, err := a.dial(t)
	if err != nil {
		r.Sample.Outcome, r.Sample.Detail = matrix.LocalError, err.Error()
		return
	}
	r.Sources = append(r.Sources, p.from.String())
	o, denial := outcome(p, f, who, t.PeerUID)
	if o == matrix.Unknown {
		return
	}
	r.Sample.Outcome, r.Sample.Denial = o, denial
	r.Sample.RTT = now - r.Sample.Start + a.net.delay(p)
	r.Sample.Lost = r.Sample.Attempts - 1
	if f == answered && p.protocol != matrix.ICMP {
		r.Peer = who.agent.identity()
	}
}

// outcome of an attempt, Unknown while nobody has answered. An echo says nothing
// of who it is.
func outcome(p packet, f fate, who *pod, wanted string) (matrix.Outcome, matrix.Denial) {
	switch f {
	case answered:
		if p.protocol != matrix.ICMP && !slices.Contains(strings.Split(wanted, ","), who.uid) {
			return matrix.WrongPeer, matrix.DenialUnknown
		}
		return matrix.Connected, matrix.DenialUnknown
	case refused:
		return matrix.Refused, matrix.Reset
	case unknown, lost, arrived:
	}
	return matrix.Unknown, matrix.DenialUnknown
}
