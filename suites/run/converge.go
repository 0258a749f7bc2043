package run

import (
	"context"
	"fmt"
	"time"

	"github.com/segtest/segtest/fixtures/deploy"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
	"github.com/segtest/segtest/suites/run/record"
)

const (
	// convergePeriod is how often the sentinel flow of a node is sampled around a
	// change. More nodes than five share as many samples a second.
	convergePeriod    = 10 * time.Millisecond
	convergePerSecond = 500
	// The flow is watched for so long before a change is made, and after it was
	// seen to have taken effect.
	watchBefore = 200 * time.Millisecond
	watchAfter  = 300 * time.Millisecond
)

// change of the sentinels' policy or labels.
type change struct {
	what  scenario.Change
	to    matrix.Intent
	write func(context.Context, []deploy.Sentinel) ([]span, error)
}

// span is from before to after a call of the API server.
type span = [2]time.Duration

// cycle is the changes of one round, at whose end everything is as at its
// beginning: the sentinels are open, and would be selected by their policy.
func (s *Session) cycle() []change {
	d := s.place.deployment
	once := func(write func(context.Context) error) func(context.Context, []deploy.Sentinel) ([]span, error) {
		return func(ctx context.Context, sentinels []deploy.Sentinel) ([]span, error) {
			at := span{s.now()}
			err := write(ctx)
			at[1] = s.now()
			all := make([]span, len(sentinels))
			for i := range all {
				all[i] = at
			}
			return all, err
		}
	}
	label := func(on bool) func(context.Context, []deploy.Sentinel) ([]span, error) {
		return func(ctx context.Context, sentinels []deploy.Sentinel) ([]span, error) {
			all := make([]span, len(sentinels))
			for i, sen := range sentinels {
				all[i][0] = s.now()
				if err := d.Guard(ctx, sen, on); err != nil {
					return all, err
				}
				all[i][1] = s.now()
			}
			return all, nil
		}
	}
	return []change{
		{scenario.Apply, matrix.Deny, once(d.ApplySentinelPolicy)},
		{scenario.Relabel, matrix.Allow, label(false)},
		{scenario.Relabel, matrix.Deny, label(true)},
		{scenario.Delete, matrix.Allow, once(d.DeleteSentinelPolicy)},
	}
}

// converge measures how soon changes take effect, at the sentinel flow of every
// node: the team's pods and policies are left alone. A change that some node
// never follows ends it.
func (s *Session) converge(ctx context.Context) error {
	d, asked := s.place.deployment, s.opts.Scenario.Convergence
	sentinels, err := d.Sentinels(ctx)
	if err != nil {
		return err
	}
	if err := d.DeleteSentinelPolicy(ctx); err != nil {
		return err
	}
	open, err := s.cross(ctx, s.place.fleet, fence{sentinels: sentinels, since: s.now()})
	if err != nil {
		return err
	}
	if missing := open.missing(); len(missing) > 0 {
		return fmt.Errorf("the sentinels are not open without their policy: %v", missing)
	}
	of := map[scenario.Change]bool{}
	for _, c := range asked.Of {
		of[c] = true
	}
	for round := 1; round <= asked.Times; round++ {
		s.opts.Progress("convergence: round %d of %d on %d nodes", round, asked.Times, len(sentinels))
		for _, c := range s.cycle() {
			if c.what == scenario.Relabel && !of[c.what] {
				continue // nothing that follows needs it
			}
			seen, followed, err := s.follow(ctx, c, sentinels)
			if err != nil {
				return err
			}
			for i := range seen {
				if seen[i].Round = round; !of[c.what] {
					continue
				}
				if err := s.write(record.Event{Change: &seen[i]}); err != nil {
					return err
				}
			}
			if !followed {
				return s.unchange(ctx, sentinels)
			}
		}
	}
	return nil
}

// unchange brings policy and labels to where a cycle begins.
func (s *Session) unchange(ctx context.Context, sentinels []deploy.Sentinel) error {
	for _, sen := range sentinels {
		if err := s.place.deployment.Guard(ctx, sen, true); err != nil {
			return err
		}
	}
	return s.place.deployment.DeleteSentinelPolicy(ctx)
}

// follow makes a change under the eyes of samplers, one on every node, and waits
// until every node has followed it, or the deadline.
func (s *Session) follow(ctx context.Context, c change, sentinels []deploy.Sentinel) (seen []record.Change, followed bool, err error) {
	f := fence{sentinels: sentinels, closed: c.to == matrix.Deny}
	plan, err := s.watchPlan(c, f)
	if err != nil {
		return nil, false, err
	}
	// Those that could not be started say so when they are stopped.
	watching, failed := s.place.fleet.Watch(ctx, plan)
	if watching == nil {
		return nil, false, failed
	}
	linger(ctx, watchBefore)
	spans, err := c.write(ctx, sentinels)
	if err == nil {
		f.since = spans[0][0]
		f, err = s.cross(ctx, s.place.fleet, f)
	}
	if err == nil {
		linger(ctx, watchAfter)
	}
	collect, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), collectDeadline, fmt.Errorf("the agents did not return their samples within %s", collectDeadline))
	defer cancel()
	got := watching.Stop(collect)
	if err != nil {
		return nil, false, err
	}
	for i, sen := range sentinels {
		r := record.Change{What: string(c.what), To: c.to, Node: sen.Node, Write: spans[i], Period: plan.Period, Limit: fenceDeadline, Proof: f.posts[i].outcome}
		r.Series, r.Error = got[i].Series, got[i].Error
		if held := i + len(sentinels); held < len(got) {
			r.Held = got[held].Series
		}
		seen = append(seen, r)
	}
	return seen, len(f.missing()) == 0, nil
}

// watchPlan samples the sentinel flow of every node with fresh connections, and,
// around a change that closes it, with one that is older than the change.
func (s *Session) watchPlan(c change, f fence) (prober.WatchPlan, error) {
	ask, err := f.plan(s.opts.Seed)
	if err != nil {
		return prober.WatchPlan{}, err
	}
	n := len(ask.Questions)
	plan := prober.WatchPlan{
		Name: fmt.Sprintf("convergence-%s-%s", c.what, c.to), Members: ask.Members, Questions: ask.Questions,
		Period: max(convergePeriod, time.Duration(n)*time.Second/convergePerSecond),
		Until:  2*fenceDeadline + time.Minute, Seed: s.opts.Seed,
	}
	if c.to == matrix.Deny {
		for _, q := range ask.Questions {
			q.Flow, q.Held = q.Flow+n, true
			plan.Questions = append(plan.Questions, q)
		}
	}
	return plan, nil
}
