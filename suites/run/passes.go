package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/segtest/segtest/fixtures/cluster"
	"github.com/segtest/segtest/fixtures/deploy"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
	"github.com/segtest/segtest/suites/run/record"
)

const (
	// settleDeadline is how long a matrix may take to become what it should be.
	// What it is then is what is judged.
	settleDeadline = 20 * time.Second
	// settledAfter passes in a row that are as expected, a matrix is settled.
	settledAfter = 2
	// voidAttempts bounds how often a pass that proved nothing is repeated.
	voidAttempts = 3
)

// round is what one pass is asked to do.
type round struct {
	phase    string
	flows    []int // nil: all
	wait     time.Duration
	settling bool
}

// pass asks flows once, all at the same moment, and writes down what it saw.
func (s *Session) pass(ctx context.Context, r round) (record.Pass, error) {
	pods, err := s.place.deployment.Pods(ctx)
	if err != nil {
		return record.Pass{}, err
	}
	plan := prober.Plan{Members: members(pods), Wait: r.wait, Seed: s.opts.Seed + s.seen.passes, Baseline: s.seen.baseline}
	s.seen.passes++
	p := record.Pass{Phase: r.phase, Wait: r.wait, Settling: r.settling, Fenced: r.phase != record.PhaseBaseline && r.phase != record.PhaseOpen}
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
	if before == nil || r.settling {
		if before, err = s.drops(ctx, r); err != nil {
			return record.Pass{}, err
		}
	}
	p.Start = now()
	cells, err := s.place.fleet.Pass(ctx, plan)
	if err != nil {
		return record.Pass{}, err
	}
	p.End = now()
	if r.flows == nil {
		s.learn(cells)
	}
	// A pass right after this one need not ask again.
	after, unread := s.drops(ctx, r)
	s.seen.queues = after
	p.Void = voided(before, after)
	if unread != nil {
		p.Void = unread.Error()
	}
	for _, c := range cells {
		p.Cells = append(p.Cells, record.Cell{Flow: c.Flow, Sample: c.Sample, Evidence: record.Evidence(c.Evidence)})
	}
	slices.SortFunc(p.Cells, func(a, b record.Cell) int { return a.Flow - b.Flow })
	return p, errors.Join(context.Cause(ctx), s.write(record.Event{Pass: &p}), unread)
}

// learn takes the deny wait of the next pass from what this pass and the one
// before it saw, whichever was slower: a machine that is busy for a moment does
// not slow the whole run down, and one that becomes busy is noticed at once.
func (s *Session) learn(cells []prober.Cell) {
	wait := prober.DenyWait(cells)
	s.seen.wait, s.seen.lastWait = max(wait, s.seen.lastWait), wait
}

// queues prints the number and the holder of each queue of a policy engine and columns 6 and 7:
// packets dropped by a full queue and by a reader that did not read
// (https://docs.kernel.org, nfnetlink_queue). A kernel without queues has no file.
const queues = `f=/proc/net/netfilter/nfnetlink_queue; [ ! -e $f ] || awk '{print $1, $2, $6, $7}' $f`

// drops reads on every node how many packets the queues of policy engines have
// dropped, on all nodes at once. A settling pass proves nothing and is not worth
// the question. A node that does not answer is an error: what a pass sees there
// cannot be believed.
func (s *Session) drops(ctx context.Context, r round) (map[string]string, error) {
	if r.settling {
		return nil, nil //nolint:nilnil // nothing was asked
	}
	nodes := s.place.cluster.Nodes()
	read, errs := make([]string, len(nodes)), make([]error, len(nodes))
	var asked sync.WaitGroup
	for i, n := range nodes {
		if c, ok := n.(cluster.Commander); ok {
			asked.Go(func() {
				out, err := c.Run(ctx, nil, "sh", "-c", queues)
				if err != nil {
					errs[i] = fmt.Errorf("reading the queue counters of node %s: %w", n.Name(), err)
				}
				read[i] = strings.TrimSpace(string(out))
			})
		}
	}
	asked.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	counts := map[string]string{}
	for i, n := range nodes {
		counts[n.Name()] = read[i]
	}
	return counts, nil
}

// voided says why a pass proves nothing, "" for one that does.
func voided(before, after map[string]string) string {
	var full []string
	for node, counts := range before {
		if now, ok := after[node]; ok && now != counts {
			full = append(full, fmt.Sprintf("%s (queue, full, unread: %s, were %s)", node, now, counts))
		}
	}
	if len(full) == 0 {
		return ""
	}
	slices.Sort(full)
	return "a policy engine's queue dropped packets or changed hands during the pass on " + strings.Join(full, ", ")
}

// surprising lists the flows of a pass that are not as wanted.
func surprising(p record.Pass, want func(int) matrix.Intent) []int {
	cells := make([]prober.Cell, len(p.Cells))
	for i, c := range p.Cells {
		cells[i] = prober.Cell{Flow: c.Flow, Sample: c.Sample}
	}
	return prober.Surprising(cells, want)
}

// settle repeats passes until the matrix is as wanted, or the deadline.
func (s *Session) settle(ctx context.Context, phase string, want func(int) matrix.Intent, deadline time.Duration) error {
	for inARow, end := 0, now()+deadline; inARow < settledAfter && now() < end; {
		p, err := s.pass(ctx, round{phase: phase, wait: s.seen.wait, settling: true})
		if err != nil {
			return err
		}
		if unknown(p) {
			if err := s.deadNodes(ctx); err != nil {
				return err
			}
		}
		inARow++
		if n := len(surprising(p, want)); n > 0 {
			inARow = 0
			s.opts.Progress("%s: %d of %d flows are not yet as expected", phase, n, len(p.Cells))
		}
	}
	return nil
}

// conclude makes the pass that is judged, and asks what surprises once more
// with a longer wait. Both count.
func (s *Session) conclude(ctx context.Context, phase string, want func(int) matrix.Intent) (record.Pass, error) {
	var p record.Pass
	for attempt := 0; attempt == 0 || p.Void != "" && attempt < voidAttempts; attempt++ {
		var err error
		if p, err = s.pass(ctx, round{phase: phase, wait: s.seen.wait}); err != nil {
			return p, err
		}
	}
	s.opts.Progress("%s: %d flows in %s", phase, len(p.Cells), (p.End - p.Start).Round(time.Millisecond))
	again := surprising(p, want)
	if len(again) == 0 || p.Void != "" {
		return p, nil
	}
	if unknown(p) {
		if err := s.sickNodes(ctx); err != nil {
			return p, err
		}
	}
	// The other flows of the same pairs come along, as controls.
	_, err := s.pass(ctx, round{phase: phase, flows: s.withControls(again), wait: prober.SurpriseWait})
	return p, err
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
	s.seen.wait = prober.MaxDenyWait
	if err := s.settle(ctx, record.PhaseBaseline, everythingOpen, settleDeadline); err != nil {
		return err
	}
	p, err := s.conclude(ctx, record.PhaseBaseline, everythingOpen)
	if err != nil {
		return err
	}
	s.seen.baseline = map[int]bool{}
	for _, c := range p.Cells {
		s.seen.baseline[c.Flow] = c.Sample.Outcome == matrix.Connected
	}
	return nil
}

// matrix asks everything once the policies are enforced.
func (s *Session) matrix(ctx context.Context) error {
	if err := s.settle(ctx, record.PhaseMatrix, s.expected, settleDeadline); err != nil {
		return err
	}
	_, err := s.conclude(ctx, record.PhaseMatrix, s.expected)
	return err
}

// open removes the policies and asks whether everything connects again.
func (s *Session) open(ctx context.Context) error {
	s.opts.Progress("removing the policies")
	if err := errors.Join(s.place.deployment.DeletePolicies(ctx), s.place.deployment.DeleteSentinelPolicy(ctx)); err != nil {
		return err
	}
	if err := s.settle(ctx, record.PhaseOpen, everythingOpen, settleDeadline); err != nil {
		return err
	}
	_, err := s.conclude(ctx, record.PhaseOpen, everythingOpen)
	return err
}

const (
	// fenceDeadline is how long the first node may take to enforce a policy. An
	// engine that works takes about a second.
	fenceDeadline = 25 * time.Second
	fenceWait     = prober.MinDenyWait
)

// enforce applies the policies and waits at the fence: a sentinel policy,
// created after the last change, has closed a flow on every node.
func (s *Session) enforce(ctx context.Context) error {
	sentinels, err := s.place.deployment.Sentinels(ctx)
	if err != nil {
		return err
	}
	if err := s.guarded(ctx, sentinels); err != nil {
		return err
	}
	if err := s.fence(ctx, sentinels, false, 0); err != nil {
		return err
	}
	s.opts.Progress("applying %d policies", len(s.opts.Scenario.Policies))
	applied := now()
	if err := s.place.deployment.ApplyPolicies(ctx, policies(s.opts.Scenario)); err != nil {
		return err
	}
	if err := s.place.deployment.ApplySentinelPolicy(ctx); err != nil {
		return err
	}
	return s.fence(ctx, sentinels, true, applied)
}

// guarded is an error unless every node with a pod has a pair of sentinels.
func (s *Session) guarded(ctx context.Context, sentinels []deploy.Sentinel) error {
	pods, err := s.place.deployment.Pods(ctx)
	if err != nil {
		return err
	}
	for _, p := range pods {
		if !slices.ContainsFunc(sentinels, func(sen deploy.Sentinel) bool { return sen.Node == p.Node }) {
			return fmt.Errorf("node %s of %s has no pair of sentinels, so that enforcement there cannot be proven", p.Node, p.Endpoint)
		}
	}
	if len(sentinels) == 0 {
		return errors.New("no node has a pair of sentinels, so that enforcement cannot be proven")
	}
	return nil
}

// fence asks the sentinels' flows until each is as wanted.
func (s *Session) fence(ctx context.Context, sentinels []deploy.Sentinel, closed bool, since time.Duration) error {
	plan := prober.Plan{Wait: fenceWait, Seed: s.opts.Seed, Baseline: map[int]bool{}}
	for i, sen := range sentinels {
		plan.Members = append(plan.Members, members([]deploy.Pod{sen.Client, sen.Server})...)
		q, ok := question(i, sen.Flow(), byEndpoint([]deploy.Pod{sen.Client, sen.Server}))
		if !ok {
			f := sen.Flow()
			f.Family = matrix.IPv6
			if q, ok = question(i, f, byEndpoint([]deploy.Pod{sen.Client, sen.Server})); !ok {
				return fmt.Errorf("the sentinels of node %s have no addresses", sen.Node)
			}
		}
		plan.Questions = append(plan.Questions, q)
		plan.Baseline[i] = closed
	}
	crossed := make([]record.Convergence, len(sentinels))
	waiting, last, looks := len(sentinels), make([]string, len(sentinels)), make([]int, len(sentinels))
	for end := now() + fenceDeadline; waiting > 0 && now() < end; {
		start := now()
		cells, err := s.place.fleet.Pass(ctx, plan)
		if err = errors.Join(err, context.Cause(ctx)); err != nil {
			return err
		}
		if slices.ContainsFunc(cells, func(c prober.Cell) bool { return c.Sample.Outcome == matrix.Unknown }) {
			if err := s.deadNodes(ctx); err != nil {
				return err
			}
		}
		for i, c := range cells {
			reached := c.Sample.Outcome == matrix.Connected
			if closed {
				reached = c.Sample.Outcome.Blocked()
			}
			last[i] = strings.TrimSpace(c.Sample.Outcome.String() + " " + c.Evidence.Cause)
			switch {
			case crossed[i].Node != "":
			case reached && looks[i] > 0:
				crossed[i].What, crossed[i].Node = "policies enforced", sentinels[i].Node
				waiting--
			case reached:
				// One silence can be a packet that is late.
				looks[i]++
				crossed[i].Upper = c.Sample.Start - since
			default:
				looks[i] = 0
				crossed[i].Lower = max(0, start-since)
			}
		}
	}
	return s.fenced(sentinels, crossed, last, closed)
}

// fenced writes down how far the fence was crossed.
func (s *Session) fenced(sentinels []deploy.Sentinel, crossed []record.Convergence, last []string, closed bool) error {
	var missing []string
	for i, c := range crossed {
		if c.Node == "" {
			missing = append(missing, fmt.Sprintf("node %s (%s)", sentinels[i].Node, last[i]))
			crossed[i] = record.Convergence{
				What: "policies enforced", Node: sentinels[i].Node, Lower: c.Lower,
				Error: fmt.Sprintf("the sentinel flow stayed %s for %s", last[i], fenceDeadline),
			}
		}
	}
	if !closed {
		if len(missing) > 0 {
			return fmt.Errorf("the sentinels do not reach each other before there is any policy: %s", strings.Join(missing, ", "))
		}
		return nil
	}
	for i := range crossed {
		if err := s.write(record.Event{Convergence: &crossed[i]}); err != nil {
			return err
		}
	}
	e := record.Enforcement{
		Enforced: len(missing) < len(crossed),
		Detail:   fmt.Sprintf("a deny policy took effect on %d of %d nodes", len(crossed)-len(missing), len(crossed)),
	}
	if !e.Enforced {
		e.Detail = fmt.Sprintf("%s after a deny policy was applied, every sentinel flow is still open (%s); install a CNI with a policy engine",
			fenceDeadline, strings.Join(missing, ", "))
	}
	if err := s.write(record.Event{Enforcement: &e}); err != nil {
		return err
	}
	if !e.Enforced {
		return ErrUnenforced
	}
	return nil
}
