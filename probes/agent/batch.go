package agent

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/segtest/segtest/probes/wire"
)

// burst is how many targets are begun before sockets and timers get their
// turn, so that beginning a thousand targets delays no answer by much.
const burst = 16

// batch tries every target once and reports each result as it comes.
type batch struct {
	loop     *loop
	request  wire.Batch
	nonces   func() string
	report   func(wire.Result)
	late     func(wire.Result) // see wire.Batch.Hold
	order    []int
	next     int
	flying   map[*probe]struct{}
	inFlight int
	first    time.Duration // when the first target is due
	stopped  bool
	pumping  bool
}

func checkBatch(b wire.Batch) error {
	switch {
	case b.Wait <= 0:
		return errors.New("starting a batch: wait is not positive")
	case b.Attempts < 1:
		return errors.New("starting a batch: attempts is less than 1")
	case b.InFlight < 0:
		return fmt.Errorf("starting a batch: inFlight is %d", b.InFlight)
	case b.Spread < 0 || b.Hold < 0:
		return errors.New("starting a batch: spread or hold is negative")
	}
	return nil
}

func newBatch(l *loop, b wire.Batch, nonces func() string, report, late func(wire.Result)) *batch {
	limit := b.InFlight
	if limit == 0 {
		limit = len(b.Targets)
	}
	chance := rand.New(rand.NewPCG(b.Seed, 0)) //nolint:gosec // an order that a seed repeats
	order := chance.Perm(len(b.Targets))
	first := now()
	if b.Spread > 0 {
		// So that agents which begin together do not stay in step.
		first += time.Duration(chance.Int64N(int64(b.Spread)/int64(max(len(order), 1)) + 1))
	}
	return &batch{
		loop: l, request: b, nonces: nonces, report: report, late: late, inFlight: limit,
		order: order, first: first, flying: make(map[*probe]struct{}, limit),
	}
}

// due is when the next target may begin.
func (b *batch) due() time.Duration {
	return b.first + b.request.Spread*time.Duration(b.next)/time.Duration(len(b.order))
}

// pump begins targets while the budget allows, none before it is due.
func (b *batch) pump() {
	b.pumping = false
	for range burst {
		if b.stopped || b.next == len(b.order) || len(b.flying) >= b.inFlight {
			return
		}
		if at := b.due(); at > now() {
			b.pumping = true
			b.loop.at(at, b.pump)
			return
		}
		b.begin(b.request.Targets[b.order[b.next]])
		b.next++
	}
	b.again()
}

func (b *batch) again() {
	if !b.pumping {
		b.pumping = true
		b.loop.soon(b.pump)
	}
}

func (b *batch) begin(t wire.Target) {
	p := &probe{
		loop: b.loop, target: t, wait: b.request.Wait, hold: b.request.Hold,
		attempts: b.request.Attempts, nonces: b.nonces, late: b.late,
	}
	p.done = func(r wire.Result) {
		delete(b.flying, p)
		b.report(r)
		b.again()
	}
	b.flying[p] = struct{}{}
	p.start()
}

// stop abandons what has no result yet. What is held closes by itself.
func (b *batch) stop() {
	b.stopped = true
	for p := range b.flying {
		p.abandon()
	}
}
