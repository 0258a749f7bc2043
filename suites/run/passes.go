package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
	"github.com/segtest/segtest/probes/wire"
	"github.com/segtest/segtest/suites/run/record"
)

const (
	// settleDeadline is how long a matrix may take to become what it should be.
	// What it is then is what is judged.
	settleDeadline = 20 * time.Second
	// settledAfter passes in a row that are as expected, a matrix is settled.
	settledAfter = 2
	// voidAttempts bounds how often a pass that proved nothing is repeated, each
	// time with so many times fewer flows in flight.
	voidAttempts, gentler = 3, 4
)

// round is what one pass is asked to do.
type round struct {
	phase    string
	flows    []int         // nil: all
	wait     time.Duration // 0: prober.MinDenyWait
	settling bool
}

// pass asks flows once, all at the same moment, and writes down what it saw.
func (s *Session) pass(ctx context.Context, r round) (record.Pass, error) {
	pods, err := s.place.deployment.Pods(ctx)
	if err != nil {
		return record.Pass{}, err
	}
	plan := prober.Plan{
		Members: members(pods), Wait: cmp.Or(r.wait, prober.MinDenyWait), MaxWait: prober.MaxDenyWait, PerNode: s.seen.perNode,
		Seed: s.opts.Seed + s.seen.passes, Baseline: s.seen.baseline,
	}
	s.seen.passes++
	p := record.Pass{Phase: r.phase, Settling: r.settling, Fenced: s.behindFence(r.phase), Repetition: s.seen.again}
	at := byEndpoint(pods)
	for i, f := range s.index.All() {
		if r.flows != nil && !slices.Contains(r.flows, i) {
			continue
		}
		q, ok := question(i, f, at)
		if !ok {
			cause := fmt.Sprintf("%s or %s has no pod with an address at the moment", f.From, f.To)
			p.Cells = append(p.Cells, record.Cell{Flow: i, Evidence: record.Evidence{Cause: cause}})
			continue
		}
		plan.Questions = append(plan.Questions, q)
	}
	before := s.seen.queues
	if before == nil || !s.proves(r) {
		if before, err = s.drops(ctx, r); err != nil {
			return record.Pass{}, err
		}
	}
	p.Start = s.now()
	cells, err := s.place.fleet.Pass(ctx, plan)
	if err != nil {
		return record.Pass{}, err
	}
	p.End, p.Wait = s.now(), plan.DenyWait(cells)
	// A pass right after this one need not ask again.
	after, unread := s.drops(ctx, r)
	s.seen.queues = after
	if unread != nil {
		p.Void = unread.Error()
	} else if p.Void = voided(before, after); p.Void != "" {
		p.Unasked = letThrough(before, after)
		s.seen.perNode = max(cmp.Or(s.seen.perNode, prober.DefaultPerNode)/gentler, 1)
		s.opts.Progress("%s: %s; from now on a node's pods have at most %d flows in flight", r.phase, p.Void, s.seen.perNode)
	}
	for _, c := range cells {
		p.Cells = append(p.Cells, record.Cell{Flow: c.Flow, Sample: c.Sample, Evidence: record.Evidence(c.Evidence)})
	}
	slices.SortFunc(p.Cells, func(a, b record.Cell) int { return a.Flow - b.Flow })
	return p, errors.Join(context.Cause(ctx), s.write(record.Event{Pass: &p}), unread)
}

// behindFence reports a phase in which all policies are known to be enforced.
// The fence tells it of NetworkPolicies; cluster policies come to an engine by
// another way, so that only the settled matrix does.
func (s *Session) behindFence(phase string) bool {
	switch phase {
	case record.PhaseBaseline, record.PhaseMutant, record.PhaseOpen:
		return false
	case record.PhaseMatrix:
		return len(s.opts.Scenario.Manifests.ClusterPolicies) == 0
	}
	return true
}

// proves reports a pass of which something counts: any but one that settles
// before the policies are known to be enforced.
func (s *Session) proves(r round) bool { return !r.settling || s.behindFence(r.phase) }

// surprising lists the flows of a pass that are not as wanted.
func surprising(p record.Pass, want func(int) matrix.Intent) []int {
	cells := make([]prober.Cell, len(p.Cells))
	for i, c := range p.Cells {
		cells[i] = prober.Cell{Flow: c.Flow, Sample: c.Sample}
	}
	return prober.Surprising(cells, want)
}

// otherwise lists the flows of a pass that were blocked in another way than the
// scenario says they must be: one lost reset or ICMP error reads like a drop.
func (s *Session) otherwise(p record.Pass) []int {
	var flows []int
	for _, c := range p.Cells {
		if by := s.declared.At(c.Flow).By; by != matrix.DenialUnknown && c.Sample.Outcome.Blocked() && c.Sample.Denial != by {
			flows = append(flows, c.Flow)
		}
	}
	return flows
}

// settle repeats passes until they are as wanted, or the deadline, and says how
// they got there.
func (s *Session) settle(ctx context.Context, r round, want func(int) matrix.Intent, deadline time.Duration) (settling, error) {
	var how settling
	r.settling = true
	for end := s.now() + deadline; how.inARow < settledAfter && s.now() < end; {
		p, err := s.pass(ctx, r)
		if err != nil {
			return how, err
		}
		if unknown(p) {
			if err := s.deadNodes(ctx); err != nil {
				return how, err
			}
		}
		if p.Void != "" {
			continue // it tells of the queue, not of the policies
		}
		if how.look(p, len(surprising(p, want))); how.wrong > 0 {
			s.opts.Progress("%s: %d of %d flows are not yet as expected", r.phase, how.wrong, len(p.Cells))
		}
	}
	return how, nil
}

// settling is how a matrix became what it should be, pass by pass. The zero
// value is that of a matrix that nobody looked at.
type settling struct {
	passes, inARow int
	wrong          int           // flows that were not as expected in the last pass
	unsettled      time.Duration // when the last pass that was not as expected began, 0 for none
	settled        time.Duration // when the first pass of those in a row ended
	last           time.Duration // when the last pass began
	apart          time.Duration // the longest time from the beginning of a pass to that of the next
}

// look takes a pass of which so many flows were not as expected.
func (h *settling) look(p record.Pass, wrong int) {
	if h.passes > 0 {
		h.apart = max(h.apart, p.Start-h.last)
	}
	h.passes++
	h.last, h.wrong = p.Start, wrong
	switch {
	case wrong > 0:
		h.inARow, h.unsettled = 0, p.Start
	case h.inARow == 0:
		h.inARow, h.settled = 1, p.End
	default:
		h.inARow++
	}
}

// convergence is the time from applying the policies to the first of the passes
// that were as expected.
func (h *settling) convergence(applied time.Duration) record.Convergence {
	c := record.Convergence{What: "matrix settled", Resolution: h.apart}
	if h.unsettled > 0 {
		c.Lower = h.unsettled - applied
	}
	if h.inARow < settledAfter {
		c.Error = fmt.Sprintf("within %s never %d passes in a row as expected; flows that were not in the last: %d", settleDeadline, settledAfter, h.wrong)
		return c
	}
	c.Upper = h.settled - applied
	return c
}

// conclude makes the pass that is judged, and asks what surprises once more
// with a longer wait. Both count.
func (s *Session) conclude(ctx context.Context, phase string, want func(int) matrix.Intent) (record.Pass, error) {
	p, err := s.believable(ctx, round{phase: phase})
	if err != nil {
		return p, err
	}
	s.opts.Progress("%s: %d flows in %s", phase, len(p.Cells), (p.End - p.Start).Round(time.Millisecond))
	again := append(surprising(p, want), s.otherwise(p)...)
	if len(again) == 0 || p.Void != "" {
		return p, nil
	}
	if unknown(p) {
		if err := s.sickNodes(ctx); err != nil {
			return p, err
		}
	}
	// The other flows of the same pairs come along, as controls.
	_, err = s.pass(ctx, round{phase: phase, flows: s.withControls(doubtful(p, again, want)), wait: prober.SurpriseWait})
	return p, err
}

// believable repeats a pass while it is void, if not for ever.
func (s *Session) believable(ctx context.Context, r round) (p record.Pass, err error) {
	for attempt := 0; err == nil && (attempt == 0 || p.Void != "" && attempt < voidAttempts); attempt++ {
		p, err = s.pass(ctx, r)
	}
	return p, err
}

// doubtful adds to surprises what they make doubtful: where a flow that ought to
// connect was silent, packets may have been lost, and then no silence of that
// pass is proof.
func doubtful(p record.Pass, surprises []int, want func(int) matrix.Intent) []int {
	var silent []int
	lost := false
	for _, c := range p.Cells {
		if c.Sample.Outcome == matrix.TimedOut {
			silent = append(silent, c.Flow)
			lost = lost || want(c.Flow) == matrix.Allow
		}
	}
	if !lost {
		return surprises
	}
	return append(silent, surprises...)
}

// unknown reports that a cell could not be observed.
func unknown(p record.Pass) bool {
	return slices.ContainsFunc(p.Cells, func(c record.Cell) bool { return c.Sample.Outcome == matrix.Unknown })
}

// withControls adds the flows between the same endpoints.
func (s *Session) withControls(flows []int) []int {
	type pair struct{ from, to matrix.Endpoint }
	pairs := map[pair]bool{}
	for _, i := range flows {
		pairs[pair{s.index.Flow(i).From, s.index.Flow(i).To}] = true
	}
	var all []int
	for i, f := range s.index.All() {
		if pairs[pair{f.From, f.To}] {
			all = append(all, i)
		}
	}
	return all
}

func everythingOpen(int) matrix.Intent { return matrix.Allow }

// baseline asks everything before there are policies: what does not connect
// now can prove no deny later.
func (s *Session) baseline(ctx context.Context) error {
	if _, err := s.settle(ctx, round{phase: record.PhaseBaseline}, everythingOpen, settleDeadline); err != nil {
		return err
	}
	p, err := s.conclude(ctx, record.PhaseBaseline, everythingOpen)
	if err != nil {
		return err
	}
	s.seen.baseline, s.seen.unspoken = map[int]bool{}, map[int]bool{}
	for _, c := range p.Cells {
		s.seen.baseline[c.Flow], s.seen.unspoken[c.Flow] = c.Sample.Outcome == matrix.Connected, wire.Unspoken(c.Sample)
	}
	return nil
}

// matrix asks everything once the policies are enforced.
func (s *Session) matrix(ctx context.Context) error {
	how, err := s.settle(ctx, round{phase: record.PhaseMatrix}, s.expected, settleDeadline)
	if err != nil {
		return err
	}
	figure := how.convergence(s.seen.applied)
	if err := s.write(record.Event{Convergence: &figure}); err != nil {
		return err
	}
	_, err = s.conclude(ctx, record.PhaseMatrix, s.expected)
	return err
}

// open removes the policies and asks whether everything connects again.
func (s *Session) open(ctx context.Context) error {
	s.opts.Progress("removing the policies")
	if err := errors.Join(s.place.deployment.DeletePolicies(ctx), s.place.deployment.DeleteSentinelPolicy(ctx)); err != nil {
		return err
	}
	if _, err := s.settle(ctx, round{phase: record.PhaseOpen}, everythingOpen, settleDeadline); err != nil {
		return err
	}
	_, err := s.conclude(ctx, record.PhaseOpen, everythingOpen)
	return err
}
