package agent

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// The waits of one sample are under the second after which TCP would send a
// second SYN, so that a sample is a point in time.
const (
	streamSampleDeadline   = 400 * time.Millisecond
	datagramSampleDeadline = 300 * time.Millisecond
)

// maxRuns bounds the memory of one series. What does not fit is Unknown.
const maxRuns = 8192

// sampler tries every target once a period until it is stopped. Tick k of a
// target is due at t0 + offset + k·period ± 10 %, whatever became of tick k-1.
type sampler struct {
	loop    *loop
	request wire.Sampling
	nonces  func() string
	until   time.Duration // CLOCK_MONOTONIC
	tracks  []*track
	waiting []func([]wire.Series)
	stopped bool
}

// track is one target of a sampler.
type track struct {
	sampler *sampler
	target  wire.Target
	base    time.Duration // of tick 0, without jitter
	ticks   int           // scheduled so far
	due     time.Duration // of the next tick
	chance  *rand.Rand
	timer   *timer
	pending []*tick // begun or missed, in order, not yet in series
	held    *held   // asks over one connection; nil dials for each sample
	series  wire.Series
}

// tick is one sample, or the lack of one.
type tick struct {
	ended bool
	wire.Run
}

func checkSampling(s wire.Sampling) error {
	switch {
	case s.Name == "":
		return errors.New("starting a sampler: it has no name")
	case s.Period <= 0:
		return fmt.Errorf("starting sampler %q: period is not positive", s.Name)
	case s.Until <= 0:
		return fmt.Errorf("starting sampler %q: until is not positive; it must end by itself one day", s.Name)
	case s.Deadline < 0 || s.Deadline >= time.Second:
		return fmt.Errorf("starting sampler %q: deadline %s is not under 1s, after which TCP repeats its SYN", s.Name, s.Deadline)
	}
	for _, t := range s.Targets {
		if t.Held && t.Protocol != matrix.TCP {
			return fmt.Errorf("starting sampler %q: flow %d is held, and %s has no connection to hold", s.Name, t.Flow, t.Protocol)
		}
	}
	return nil
}

func newSampler(l *loop, r wire.Sampling, nonces func() string) *sampler {
	s := &sampler{loop: l, request: r, nonces: nonces, until: now() + r.Until}
	start := now()
	for i, t := range r.Targets {
		offset := r.Period * time.Duration(i) / time.Duration(len(r.Targets))
		k := &track{
			sampler: s, target: t, base: start + offset, series: wire.Series{Flow: t.Flow},
			chance: rand.New(rand.NewPCG(r.Seed, uint64(t.Flow))), //nolint:gosec // a schedule that a seed repeats
		}
		if t.Held {
			k.held = hold(l, t, nonces)
		}
		s.tracks = append(s.tracks, k)
	}
	return s
}

func (s *sampler) start() {
	for _, t := range s.tracks {
		t.schedule()
	}
}

// stop ends the schedule and calls ready once every sample has ended.
func (s *sampler) stop(ready func([]wire.Series)) {
	s.waiting = append(s.waiting, ready)
	if !s.stopped {
		s.stopped = true
		for _, t := range s.tracks {
			t.skip(now() - s.request.Period/2)
			s.loop.cancel(t.timer)
		}
	}
	s.deliver()
}

// deliver hands the series over when it is asked for and complete.
func (s *sampler) deliver() {
	if !s.stopped || len(s.waiting) == 0 {
		return
	}
	all := make([]wire.Series, 0, len(s.tracks))
	for _, t := range s.tracks {
		if len(t.pending) > 0 {
			return
		}
		all = append(all, t.series)
	}
	for _, t := range s.tracks {
		t.held.letGo()
	}
	waiting := s.waiting
	s.waiting = nil
	for _, ready := range waiting {
		ready(all)
	}
}

// schedule sets due and the timer of the next tick; none after the end.
func (t *track) schedule() {
	period := t.sampler.request.Period
	jitter := time.Duration((t.chance.Float64()*2 - 1) * 0.1 * float64(period))
	t.due = max(t.base+time.Duration(t.ticks)*period+jitter, t.base)
	if t.due < t.sampler.until {
		t.timer = t.sampler.loop.at(t.due, t.run)
	}
}

// run is the turn of the next tick, and of those that were missed.
func (t *track) run() {
	late := t.sampler.request.Period / 2
	t.skip(now() - late)
	if t.due >= t.sampler.until || t.due > now() {
		return // skip has set the timer of a tick to come, if there is one
	}
	t.sampler.loop.cancel(t.timer)
	t.ticks++
	t.series.Scheduled++
	t.series.Taken++
	t.begin()
	t.schedule()
}

// skip counts the ticks that were due before the given time as missed.
func (t *track) skip(before time.Duration) {
	for t.due < before && t.due < t.sampler.until {
		t.sampler.loop.cancel(t.timer)
		t.ticks++
		t.series.Scheduled++
		t.series.Late++
		missed := wire.Run{Outcome: matrix.Unknown, Detail: "the agent was frozen or starved", Count: 1, First: t.due, Last: t.due, End: t.due}
		t.pending = append(t.pending, &tick{ended: true, Run: missed})
		t.schedule()
	}
	t.flush()
}

func (t *track) begin() {
	k := &tick{}
	t.pending = append(t.pending, k)
	wait := sampleDeadline(t.sampler.request.Deadline, t.target.Protocol)
	taken := func(s matrix.Sample) {
		k.ended = true
		k.Run = wire.Run{
			Outcome: s.Outcome, Denial: s.Denial, Detail: s.Detail, Starved: s.Starved,
			Count: 1, First: s.Start, Last: s.Start, End: s.Start + s.RTT,
		}
		t.flush()
		t.sampler.deliver()
	}
	if t.held != nil {
		t.held.ask(wait, taken)
		return
	}
	p := &probe{
		loop: t.sampler.loop, target: t.target, attempts: 1, nonces: t.sampler.nonces, wait: wait,
		done: func(r wire.Result) { taken(r.Sample) },
	}
	p.start()
}

func sampleDeadline(asked time.Duration, p matrix.Protocol) time.Duration {
	limit := streamSampleDeadline
	if asked > 0 {
		limit = asked
	}
	if !stream(p) {
		limit = min(limit, datagramSampleDeadline)
	}
	return limit
}

// flush moves ended ticks into the series, in the order of the schedule.
func (t *track) flush() {
	for len(t.pending) > 0 && t.pending[0].ended {
		t.series.Runs = extend(t.series.Runs, t.pending[0].Run)
		t.pending = t.pending[1:]
	}
}

// extend appends a run of one sample, or lengthens the last run by it.
func extend(runs []wire.Run, r wire.Run) []wire.Run {
	if len(runs) >= maxRuns {
		r.Outcome, r.Denial, r.Detail = matrix.Unknown, matrix.DenialUnknown, "the series changed too often to be kept"
	}
	n := len(runs)
	if n > 0 && r.First < runs[n-1].Last { // missed, and the one before it started later than due
		r.First, r.Last, r.End = runs[n-1].Last, runs[n-1].Last, max(r.End, runs[n-1].Last)
	}
	if n > 0 && runs[n-1].Outcome == r.Outcome && runs[n-1].Denial == r.Denial && runs[n-1].Detail == r.Detail && runs[n-1].Starved == r.Starved {
		last := &runs[n-1]
		last.Count++
		last.Last = r.Last
		last.End = max(last.End, r.End)
		return runs
	}
	return append(runs, r)
}
