// Package engine runs one fault at a time: it journals the undo, arms what
// mends it should segtest die, injects, proves the effect, holds, heals and
// proves the healing. What was journalled is mended whatever happens; see
// Journal, Heal and Reaper.
package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segtest/segtest/chaos"
)

// Stage is where a running fault is.
type Stage string

// The stages, in order. A fault that fails leaves some out, but never Healing
// once Injecting was reached.
const (
	Injecting Stage = "injecting"
	Effective Stage = "effective" // the effect is proven
	Healing   Stage = "healing"
	Healed    Stage = "healed" // the healing is proven
)

// Standby mends a fault should this process not live to do it; see Reaper.
type Standby interface {
	Arm(id string, within time.Duration) error
	Disarm(id string) error
}

// Engine runs faults on one cluster.
type Engine struct {
	Env     chaos.Env
	Journal *Journal
	Undoer  chaos.Undoer // nil: through the cluster's own powers
	Standby Standby      // nil: the journal alone must do
	// Observe is told each stage as it is reached; nil is nobody. It must not
	// block.
	Observe func(Stage)

	EffectWithin time.Duration // deadline of the effect's proof; 0 is 15 s
	HealTimeout  time.Duration // of healing after a cancellation; 0 is 60 s
	Pause        time.Duration // between two looks; 0 is 100 ms

	Now func() time.Duration // of all times of a Result; nil is chaos.Now
}

// Result is what became of a fault. Times are CLOCK_MONOTONIC.
type Result struct {
	ID     string
	Kind   string
	Target string // in words
	// Injected brackets the injection: before the first and after the last call.
	Injected  [2]time.Duration
	Effect    chaos.Proof
	HealStart time.Duration
	Healed    chaos.Proof
	// RecoverWithin is the bound from HealStart to Healed.
	RecoverWithin time.Duration
	Error         string // why it did not run to its end
	Skipped       string // why it cannot run on this cluster
}

// Plan asks whether the kind can work here and decides on a step. Where it
// fails, the Result says why, and is what the record should hold of the fault.
func (e *Engine) Plan(
	ctx context.Context, id string, kind chaos.Kind, inv chaos.Inventory, params chaos.Params, seed uint64,
) (chaos.Step, *Result) {
	params = params.WithDefaults()
	failed := &Result{ID: id, Kind: kind.Name, Target: params.Target.String(), RecoverWithin: params.RecoverWithin}
	step, err := kind.Plan(chaos.Rand(seed, id), inv, params)
	if err == nil {
		err = kind.Fault.Preflight(ctx, e.Env)
	}
	var skip *chaos.SkipError
	switch {
	case err == nil:
		return step, nil
	case errors.As(err, &skip):
		failed.Skipped = skip.Reason
	default:
		failed.Error = err.Error()
	}
	return chaos.Step{}, failed
}

// Run does a step from injection to the proof of healing. When the context
// ends it heals at once, on a deadline of its own.
func (e *Engine) Run(ctx context.Context, id string, kind chaos.Kind, step chaos.Step) Result {
	r := Result{ID: id, Kind: kind.Name, Target: step.Target, RecoverWithin: step.RecoverWithin}
	if err := e.begin(ctx, id, step); err != nil {
		r.Error = err.Error()
		return r
	}
	// From here on everything leads through heal.
	err := e.inject(ctx, kind, step, &r)
	if err == nil && !selfHealing(step) {
		err = stay(ctx, step.Hold)
	}
	if err = errors.Join(err, e.heal(ctx, id, kind, step, &r, err == nil)); err != nil {
		r.Error = err.Error()
	}
	return r
}

// selfHealing reports that the cluster begins to mend the step at once.
func selfHealing(step chaos.Step) bool {
	for _, u := range step.Undo {
		if u.Op != chaos.OpWait {
			return false
		}
	}
	return true
}

func (e *Engine) observe(s Stage) {
	if e.Observe != nil {
		e.Observe(s)
	}
}

// begin makes sure that the fault will be mended, before it happens.
func (e *Engine) begin(ctx context.Context, id string, step chaos.Step) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("beginning %s: %w", id, context.Cause(ctx))
	}
	entry := Entry{ID: id, Kind: step.Kind, Target: step.Target, Undo: step.Undo, Started: now().UTC()}
	if err := e.Journal.Begin(entry); err != nil {
		return fmt.Errorf("beginning %s: %w", id, err)
	}
	if e.Standby == nil || selfHealing(step) {
		return nil
	}
	within := e.effectWithin() + step.Hold + step.RecoverWithin + e.healTimeout()
	if err := e.Standby.Arm(id, within); err != nil {
		return errors.Join(fmt.Errorf("beginning %s: %w", id, err), e.Journal.Done(id))
	}
	return nil
}

func (e *Engine) inject(ctx context.Context, kind chaos.Kind, step chaos.Step, r *Result) error {
	e.observe(Injecting)
	e.Env.Say("%s: %s", kind.Name, step.Target)
	r.Injected[0] = e.now()
	err := kind.Fault.Inject(ctx, e.Env, step)
	r.Injected[1] = e.now()
	if err != nil {
		return fmt.Errorf("injecting %s: %w", kind.Name, err)
	}
	limit, cancel := context.WithTimeoutCause(ctx, e.effectWithin(), fmt.Errorf("not within %s", e.effectWithin()))
	defer cancel()
	r.Effect, err = e.await(limit, "proving the effect of "+kind.Name, func(ctx context.Context) (chaos.Proof, error) {
		return kind.Fault.Effective(ctx, e.Env, step)
	})
	if err != nil {
		return err
	}
	e.observe(Effective)
	return nil
}

// heal undoes the step and proves it. What the cluster mends by itself is
// watched for the rest of the hold time, if watch says so.
func (e *Engine) heal(ctx context.Context, id string, kind chaos.Kind, step chaos.Step, r *Result, watch bool) error {
	e.observe(Healing)
	r.HealStart = e.now()
	if selfHealing(step) {
		r.HealStart = r.Injected[1]
	}
	own, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), e.healTimeout(),
		fmt.Errorf("not within %s", e.healTimeout()))
	defer cancel()
	undone := undoAll(own, step.Undo, e.undoer())
	if undone != nil {
		undone = fmt.Errorf("healing %s (segtest clean tries again): %w", kind.Name, undone)
	}
	proven := e.proveHealed(ctx, kind, step, r)
	var held error
	if watch && selfHealing(step) {
		held = stay(ctx, step.Hold-(e.now()-r.Effect.At))
	}
	// A fault that is not proven mended stays in the journal, but for one that
	// nobody can do anything about.
	if undone == nil && (proven == nil || selfHealing(step)) {
		undone = e.end(id, step)
	}
	return errors.Join(undone, proven, held)
}

// proveHealed waits for the proof. Where the cluster mends by itself, an
// interruption ends the wait, and without an effect there is nothing to wait for.
func (e *Engine) proveHealed(ctx context.Context, kind chaos.Kind, step chaos.Step, r *Result) error {
	if selfHealing(step) && (ctx.Err() != nil || !r.Effect.Seen) {
		r.Healed.Detail = "not waited for"
		return nil
	}
	limit, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), step.RecoverWithin,
		fmt.Errorf("not within %s", step.RecoverWithin))
	defer cancel()
	if selfHealing(step) {
		defer context.AfterFunc(ctx, cancel)()
	} else {
		// What segtest itself mended is worth some patience.
		defer context.AfterFunc(ctx, func() { time.AfterFunc(e.healTimeout(), cancel) })()
	}
	proof, err := e.await(limit, "proving that "+kind.Name+" is healed", func(ctx context.Context) (chaos.Proof, error) {
		return kind.Fault.Healed(ctx, e.Env, step)
	})
	r.Healed = proof
	if err == nil {
		e.observe(Healed)
	}
	return err
}

func (e *Engine) end(id string, step chaos.Step) error {
	err := e.Journal.Done(id)
	if e.Standby != nil && !selfHealing(step) {
		err = errors.Join(err, e.Standby.Disarm(id))
	}
	return err
}

func (e *Engine) now() time.Duration {
	if e.Now != nil {
		return e.Now()
	}
	return chaos.Now()
}

func (e *Engine) undoer() chaos.Undoer {
	if e.Undoer != nil {
		return e.Undoer
	}
	return ClusterUndoer{Env: e.Env}
}

func (e *Engine) effectWithin() time.Duration { return orElse(e.EffectWithin, 15*time.Second) }
func (e *Engine) healTimeout() time.Duration  { return orElse(e.HealTimeout, 60*time.Second) }
func (e *Engine) pause() time.Duration        { return orElse(e.Pause, 100*time.Millisecond) }

func orElse(d, other time.Duration) time.Duration {
	if d == 0 {
		return other
	}
	return d
}
