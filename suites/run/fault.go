package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segtest/segtest/chaos"
	"github.com/segtest/segtest/chaos/engine"
	"github.com/segtest/segtest/chaos/kinds"
	"github.com/segtest/segtest/chaos/profiles"
	"github.com/segtest/segtest/chaos/survey"
	"github.com/segtest/segtest/fixtures/deploy"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/run/record"
)

// quiet is how long samplers watch before the injection and after recovery.
const quiet = 2 * time.Second

// fault injects one fault while samplers watch, lets the cluster recover, and
// asks the whole matrix again.
func (s *Session) fault(ctx context.Context, i int, spec scenario.FaultSpec) error {
	id := faultID(i, spec)
	kind, err := kinds.Lookup(spec.Kind)
	if err != nil {
		return err
	}
	env := chaos.Env{Cluster: s.place.cluster, Client: s.place.client, Progress: s.opts.Progress}
	inventory, err := survey.Take(ctx, env, s.chaosPods())
	if err != nil {
		// What an earlier fault broke is this fault's error, not the end of the run.
		r := engine.Result{ID: id, Kind: kind.Name, Target: params(spec).Target.String(), Error: err.Error()}
		return errors.Join(context.Cause(ctx), s.write(record.Event{Fault: faultEvent(r, spec)}))
	}
	journal, err := engine.OpenJournal(s.opts.Safety.Journal)
	if err != nil {
		return err
	}
	eng := &engine.Engine{Env: env, Journal: journal, Now: s.now}
	step, refused := eng.Plan(ctx, id, kind, inventory, params(spec), s.opts.Seed)
	if refused != nil {
		s.opts.Progress("%s: not injected: %s%s", id, refused.Error, refused.Skipped)
		return s.write(record.Event{Fault: faultEvent(*refused, spec)})
	}
	if argv := s.opts.Safety.Reaper; len(argv) > 0 {
		reaper, err := engine.StartReaper(s.opts.Safety.Journal+".reaper.log", argv...)
		if err != nil {
			return err
		}
		eng.Standby = reaper
		defer s.dismiss(ctx, reaper)
	}
	result, watched, err := s.injectWatched(ctx, eng, id, kind, step, inventory)
	event := faultEvent(result, spec)
	watched.fill(event)
	if err = errors.Join(err, s.write(record.Event{Fault: event})); err != nil || ctx.Err() != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	if result.Healed.Seen {
		_, err = s.conclude(ctx, record.PhaseAfter(id), s.expected)
		return err
	}
	// A cluster that did not heal says nothing about the network any more.
	return s.sickNodes(ctx)
}

// dismiss ends the reaper, which has nothing left to do after a fault that was
// mended.
func (s *Session) dismiss(ctx context.Context, r *engine.Reaper) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	if err := r.Close(ctx); err != nil {
		s.opts.Progress("%v", err)
	}
}

func params(spec scenario.FaultSpec) chaos.Params {
	target := chaos.Target{Endpoint: spec.Target.Pod, Node: spec.Target.Node}
	if spec.Target.NodeOf != "" {
		target.Node = "of " + string(spec.Target.NodeOf)
	}
	return chaos.Params{Target: target, Hold: spec.Hold, RecoverWithin: spec.RecoverWithin, Optional: spec.Optional}
}

// CheckFaults lists what is wrong with the faults of a scenario, each with its
// place. It needs no cluster.
func CheckFaults(s *scenario.Scenario) error {
	var errs []error
	for _, spec := range s.Chaos {
		kind, err := kinds.Lookup(spec.Kind)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", spec.Origin, err))
			continue
		}
		for _, problem := range kind.Check(params(spec)) {
			errs = append(errs, fmt.Errorf("%s: %s: %s", spec.Origin, spec.Kind, problem))
		}
	}
	return errors.Join(errs...)
}

func faultEvent(r engine.Result, spec scenario.FaultSpec) *record.Fault {
	return &record.Fault{
		ID: r.ID, Kind: r.Kind, Target: r.Target, Optional: spec.Optional, Origin: spec.Origin,
		Injected: r.Injected, Effect: record.Proof(r.Effect), HealStart: r.HealStart, Healed: record.Proof(r.Healed),
		RecoverWithin: r.RecoverWithin, Error: r.Error, Skipped: r.Skipped,
	}
}

// chaosPods are the pods of the scenario in the terms of faults.
func (s *Session) chaosPods() []chaos.Pod {
	var pods []chaos.Pod
	for _, w := range s.opts.Scenario.Workloads {
		for _, slot := range w.Slots() {
			sel := s.isolated[slot]
			pods = append(pods, chaos.Pod{
				Endpoint: slot, Workload: w.Key(), Namespace: slot.Namespace(), Name: deploy.PodName(slot),
				Ingress: sel.ingress, Egress: sel.egress,
			})
		}
	}
	return pods
}

// injectWatched runs the fault under the eyes of samplers.
func (s *Session) injectWatched(
	ctx context.Context, eng *engine.Engine, id string, kind chaos.Kind, step chaos.Step, inv chaos.Inventory,
) (engine.Result, *watch, error) {
	profile, err := profiles.Lookup(s.place.cluster.Facts()["profile"])
	if err != nil {
		return engine.Result{ID: id, Kind: kind.Name, Target: step.Target, Error: err.Error()}, &watch{}, nil //nolint:nilerr // the fault's error, not the run's
	}
	w := s.newWatch(id, step, func(f matrix.Flow) record.Expect {
		return record.Expect(kind.Expect(profile, step, inv, f))
	})
	s.opts.Progress("%s: watching %s", id, w)
	if err := w.start(ctx); err != nil {
		w.stop(context.WithoutCancel(ctx))
		return engine.Result{ID: id, Kind: kind.Name, Target: step.Target, Error: err.Error()}, w, nil //nolint:nilerr // the fault's error, not the run's
	}
	linger(ctx, quiet)
	w.before(ctx)
	following, stop := context.WithCancel(ctx)
	followed := make(chan struct{})
	go func() { defer close(followed); w.follow(following) }()
	result := eng.Run(ctx, id, kind, step)
	if result.Healed.Seen && ctx.Err() == nil {
		left := result.HealStart + result.RecoverWithin - s.now()
		if _, err = s.settle(ctx, round{phase: record.PhaseAfter(id)}, s.expected, max(left, time.Second)); err == nil {
			linger(ctx, quiet)
		}
	}
	stop()
	<-followed
	w.stop(context.WithoutCancel(ctx))
	return result, w, err
}
