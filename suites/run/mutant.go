package run

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/mutate"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/run/record"
)

const (
	// mutantTries bounds how many mistakes are looked at for one that opens a flow.
	mutantTries = 100
	// mutantFlips bounds how many of the flows that it changes are asked.
	mutantFlips = 25
	// mendDeadline is how long putting a policy back may take, also where the run
	// was interrupted meanwhile.
	mendDeadline = 10 * time.Second
)

// mutant makes one small mistake in one of the policies, asks the flows that it
// flips, and puts the policy back: a run that does not notice proves nothing.
// The namespaces of a run are copies that it throws away, so that no other copy is
// made for this.
func (s *Session) mutant(ctx context.Context) error {
	if len(s.opts.Scenario.Manifests.ClusterPolicies) > 0 {
		// They may close the sentinels, without which nobody knows when the policy is back.
		return s.write(record.Event{Mutant: &record.Mutant{None: "cluster-wide policies may decide over the sentinels too"}})
	}
	m, flips, err := s.mistake(ctx)
	if err != nil {
		return err
	}
	if len(flips) == 0 {
		return s.write(record.Event{Mutant: &record.Mutant{None: m.What}})
	}
	seen := record.Mutant{ID: m.ID(), What: m.What, Path: m.Path, At: m.At, Flips: flips, Applied: s.now()}
	s.opts.Progress("a mistake on purpose, to see whether this run would notice: %s: %s", m.At.Policy, m.What)
	if err := s.makeMistake(ctx, m, flips); err != nil {
		return errors.Join(err, s.mend(ctx, m.At.Policy))
	}
	if err := s.putBack(ctx, m.At.Policy); err != nil {
		return err
	}
	seen.Restored = s.now()
	return s.write(record.Event{Mutant: &seen})
}

// mistake chooses a mutant of a NetworkPolicy that opens a flow that is asked, or
// else closes one: with the seed, among those that the API takes. Without flips
// it says in What why there is none.
func (s *Session) mistake(ctx context.Context) (mutate.Mutant, []record.Flip, error) {
	world := s.opts.Scenario.World()
	all := mutate.Mutants(world, mutate.Operators())
	var closes mutate.Mutant
	var closed []record.Flip
	tries := 0
	for _, i := range rand.New(rand.NewPCG(s.opts.Seed, 0)).Perm(len(all)) { //nolint:gosec // a choice that can be repeated
		m := all[i]
		if m.At.Kind != "" || m.Policy != nil && m.Policy.Key() != m.At.Policy {
			continue // another object than a NetworkPolicy of this run
		}
		if tries++; tries > mutantTries || ctx.Err() != nil {
			break
		}
		opens, flips, err := s.flips(m.In(world))
		switch {
		case err != nil:
			return m, nil, fmt.Errorf("computing the mutant %s of %s: %w", m.ID(), m.At.Policy, err)
		case opens:
			return m, flips, nil
		case len(closed) == 0:
			closes, closed = m, flips
		}
	}
	if len(closed) == 0 {
		closes.What = fmt.Sprintf("no small mistake in a NetworkPolicy changes a flow that is asked (%d tried)", tries)
	}
	return closes, closed, context.Cause(ctx)
}

// flips are the judged flows that policies with a mistake in them change, those
// that they open alone where there are any.
func (s *Session) flips(mutated oracle.World) (opens bool, flips []record.Flip, err error) {
	judge, err := oracle.New(mutated)
	if err != nil {
		return false, nil, err
	}
	var open, shut []record.Flip
	for i, f := range s.index.All() {
		was, declared := s.expected(i), s.declared.At(i).Intent
		if s.controls[f] || s.seen.unspoken[i] || declared != was && declared != matrix.Unstated {
			continue
		}
		switch after := judge.Decide(f).Intent; {
		case was == matrix.Deny && after == matrix.Allow && len(open) < mutantFlips:
			open = append(open, record.Flip{Flow: i, After: after})
		case was == matrix.Allow && after == matrix.Deny && len(shut) < mutantFlips:
			shut = append(shut, record.Flip{Flow: i, After: after})
		}
	}
	if len(open) > 0 {
		return true, open, nil
	}
	return false, shut, nil
}

// makeMistake changes the policy and asks the flips until they are as the mistake
// has it, or the deadline, and then once more for the judge.
func (s *Session) makeMistake(ctx context.Context, m mutate.Mutant, flips []record.Flip) error {
	if err := s.place.deployment.DeleteSentinelPolicy(ctx); err != nil {
		return err
	}
	var err error
	if m.Policy == nil {
		namespace, name, _ := strings.Cut(m.At.Policy, "/")
		err = s.place.deployment.DeletePolicy(ctx, namespace, name)
	} else {
		err = s.place.deployment.SetPolicy(ctx, m.Policy.NetworkPolicy)
	}
	if err != nil {
		return err
	}
	after := map[int]matrix.Intent{}
	var flows []int
	for _, f := range flips {
		after[f.Flow] = f.After
		flows = append(flows, f.Flow)
	}
	r := round{phase: record.PhaseMutant, flows: s.withControls(flows)}
	if _, err := s.settle(ctx, r, func(i int) matrix.Intent { return after[i] }, settleDeadline); err != nil {
		return err
	}
	_, err = s.believable(ctx, r)
	return err
}

// putBack restores the policy and waits until every node enforces it and all
// flows are as the policies say.
func (s *Session) putBack(ctx context.Context, key string) error {
	sentinels, err := s.place.deployment.Sentinels(ctx)
	if err != nil {
		return err
	}
	shut, err := s.behind(ctx, sentinels, func() error { return s.mend(ctx, key) })
	if err != nil {
		return err
	}
	if missing := shut.missing(); len(missing) > 0 {
		return fmt.Errorf("policy %s was put back, and not every node enforces it: %s", key, strings.Join(missing, ", "))
	}
	how, err := s.settle(ctx, round{phase: record.PhaseMutant}, s.expected, settleDeadline)
	if err == nil && how.inARow < settledAfter {
		err = fmt.Errorf("policy %s was put back, and after %s %d flows are not yet as before", key, settleDeadline, how.wrong)
	}
	return err
}

// mend writes a policy as the scenario has it, also for a run that was
// interrupted.
func (s *Session) mend(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mendDeadline)
	defer cancel()
	var was *networkingv1.NetworkPolicy
	for _, p := range s.opts.Scenario.Policies {
		if p.Key() == key {
			was = p.NetworkPolicy
		}
	}
	if was == nil {
		return fmt.Errorf("policy %s is none of the scenario's", key)
	}
	return s.place.deployment.SetPolicy(ctx, was)
}
