package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/segtest/segtest/fixtures/deploy"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
	"github.com/segtest/segtest/suites/run/record"
)

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
	pods, err := s.place.deployment.Pods(ctx)
	if err != nil {
		return err
	}
	if err := guarded(pods, sentinels); err != nil {
		return err
	}
	s.opts.Progress("applying %d policies", len(s.opts.Scenario.Policies)+len(s.opts.Scenario.Manifests.ClusterPolicies))
	shut, err := s.behind(ctx, sentinels, func() error {
		s.seen.applied = s.now()
		return s.place.deployment.ApplyPolicies(ctx, policies(s.opts.Scenario))
	})
	if err != nil {
		return err
	}
	return s.fenced(shut)
}

// behind changes policies and waits until every node enforces the change, or the
// deadline: the sentinels, open before, are closed by a policy that is created
// after it.
func (s *Session) behind(ctx context.Context, sentinels []deploy.Sentinel, change func() error) (fence, error) {
	open, err := s.cross(ctx, s.place.fleet, fence{sentinels: sentinels})
	if err != nil {
		return open, err
	}
	if missing := open.missing(); len(missing) > 0 {
		return open, fmt.Errorf("the sentinels do not reach each other while no policy forbids it: %s", strings.Join(missing, ", "))
	}
	since := s.now()
	if err := change(); err != nil {
		return open, err
	}
	if err := s.place.deployment.ApplySentinelPolicy(ctx); err != nil {
		return open, err
	}
	return s.cross(ctx, s.place.fleet, fence{sentinels: sentinels, closed: true, since: since})
}

// guarded is an error unless every node with a pod has a pair of sentinels.
func guarded(pods []deploy.Pod, sentinels []deploy.Sentinel) error {
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

// asker asks flows once, all at the same moment.
type asker interface {
	Pass(ctx context.Context, p prober.Plan) ([]prober.Cell, error)
}

// fence is the sentinels of a run and how far each has become as wanted. A
// sentinel has crossed when two looks in a row found it so: one silence can be
// a packet that is late.
type fence struct {
	sentinels []deploy.Sentinel
	closed    bool          // wanted: closed, else open
	since     time.Duration // of the change that is waited for

	posts []post        // one per sentinel
	began time.Duration // of the look before
	apart time.Duration // the longest time between two looks
}

// post is what the looks at one sentinel found.
type post struct {
	looks        int // in a row that were as wanted, the last ones
	lower, upper time.Duration
	last         string // what the last look saw
	outcome      matrix.Outcome
}

func (p post) crossed() bool { return p.looks > 1 }

// plan asks every sentinel's flow, those of a cluster without IPv4 over IPv6.
func (f *fence) plan(seed uint64) (prober.Plan, error) {
	plan := prober.Plan{Wait: fenceWait, Seed: seed, Baseline: map[int]bool{}}
	for i, sen := range f.sentinels {
		pair := []deploy.Pod{sen.Client, sen.Server}
		plan.Members = append(plan.Members, members(pair)...)
		flow := sen.Flow()
		q, ok := question(i, flow, byEndpoint(pair))
		if !ok {
			flow.Family = matrix.IPv6
			if q, ok = question(i, flow, byEndpoint(pair)); !ok {
				return plan, fmt.Errorf("the sentinels of node %s have no addresses", sen.Node)
			}
		}
		plan.Questions = append(plan.Questions, q)
		plan.Baseline[i] = f.closed
	}
	return plan, nil
}

// look takes what a look that began at a time saw, one cell per sentinel.
func (f *fence) look(start time.Duration, cells []prober.Cell) {
	if f.began > 0 {
		f.apart = max(f.apart, start-f.began)
	}
	f.began = start
	for i, c := range cells {
		p := &f.posts[i]
		as := c.Sample.Outcome == matrix.Connected
		if f.closed {
			// Who lets packets in and no answer out enforces, if badly: what it
			// leaks is for the matrix to show.
			as = c.Sample.Outcome.Blocked() || c.Sample.Outcome == matrix.OneWay
		}
		p.outcome = c.Sample.Outcome
		p.last = strings.TrimSpace(c.Sample.Outcome.String() + " " + c.Evidence.Cause)
		switch {
		case p.crossed():
		case !as:
			p.looks, p.lower = 0, max(0, start-f.since)
		case p.looks == 0:
			p.looks, p.upper = 1, c.Sample.Start-f.since
		default:
			p.looks++
		}
	}
}

// missing names the nodes whose sentinel has not crossed, with what it did last.
func (f *fence) missing() []string {
	var nodes []string
	for i, p := range f.posts {
		if !p.crossed() {
			nodes = append(nodes, fmt.Sprintf("node %s (%s)", f.sentinels[i].Node, p.last))
		}
	}
	return nodes
}

// cross asks the sentinels' flows until each is as wanted, or the deadline.
func (s *Session) cross(ctx context.Context, ask asker, f fence) (fence, error) {
	f.posts = make([]post, len(f.sentinels))
	plan, err := f.plan(s.opts.Seed)
	if err != nil {
		return f, err
	}
	for end := s.now() + fenceDeadline; len(f.missing()) > 0 && s.now() < end; {
		start := s.now()
		cells, err := ask.Pass(ctx, plan)
		if err = errors.Join(err, context.Cause(ctx)); err != nil {
			return f, err
		}
		if slices.ContainsFunc(cells, func(c prober.Cell) bool { return c.Sample.Outcome == matrix.Unknown }) {
			if err := s.deadNodes(ctx); err != nil {
				return f, err
			}
		}
		f.look(start, cells)
	}
	return f, nil
}

// fenced writes down how far the fence was crossed.
func (s *Session) fenced(f fence) error {
	for i, p := range f.posts {
		c := record.Convergence{What: "policies enforced", Node: f.sentinels[i].Node, Lower: p.lower, Upper: p.upper, Resolution: f.apart}
		if !p.crossed() {
			c.Upper, c.Error = 0, fmt.Sprintf("the sentinel flow stayed %s for %s", p.last, fenceDeadline)
		}
		if err := s.write(record.Event{Convergence: &c}); err != nil {
			return err
		}
	}
	missing := f.missing()
	e := record.Enforcement{
		Enforced: len(missing) < len(f.posts),
		Detail:   fmt.Sprintf("a deny policy took effect on %d of %d nodes", len(f.posts)-len(missing), len(f.posts)),
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
