package engine_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segtest/segtest/chaos"
	"github.com/segtest/segtest/chaos/engine"
)

// scripted is a fault that does what a test says, and what mends it.
type scripted struct {
	mu        sync.Mutex
	calls     []string
	preflight error
	inject    func() error
	effect    func(look int) (chaos.Proof, error)
	healed    func(look int) (chaos.Proof, error)
	undo      func(chaos.Undo) error
	looks     map[string]int
}

func (f *scripted) call(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.looks == nil {
		f.looks = map[string]int{}
	}
	f.looks[name]++
	if f.looks[name] == 1 {
		f.calls = append(f.calls, name)
	}
	return f.looks[name]
}

func (f *scripted) Preflight(context.Context, chaos.Env) error { return f.preflight }

func (f *scripted) Inject(context.Context, chaos.Env, chaos.Step) error {
	f.call("inject")
	if f.inject != nil {
		return f.inject()
	}
	return nil
}

func (f *scripted) Effective(context.Context, chaos.Env, chaos.Step) (chaos.Proof, error) {
	return look(f.call("effect"), f.effect)
}

func (f *scripted) Healed(context.Context, chaos.Env, chaos.Step) (chaos.Proof, error) {
	return look(f.call("healed"), f.healed)
}

func look(n int, script func(int) (chaos.Proof, error)) (chaos.Proof, error) {
	if script == nil {
		return chaos.Proof{Seen: true, Detail: "seen"}, nil
	}
	return script(n)
}

func (f *scripted) Undo(ctx context.Context, u chaos.Undo) error {
	f.call("undo " + u.Node)
	if f.undo != nil {
		return f.undo(u)
	}
	return ctx.Err()
}

func (f *scripted) kind() chaos.Kind { return chaos.Kind{Name: "scripted", Fault: f} }

// standby records what it is told.
type standby struct{ told []string }

func (s *standby) Arm(id string, within time.Duration) error {
	if within <= 0 {
		return errors.New("armed without a deadline")
	}
	s.told = append(s.told, "arm "+id)
	return nil
}

func (s *standby) Disarm(id string) error {
	s.told = append(s.told, "disarm "+id)
	return nil
}

func unpause(nodes ...string) []chaos.Undo {
	var undo []chaos.Undo
	for _, n := range nodes {
		undo = append(undo, chaos.Undo{Op: chaos.OpUnpause, Cluster: "segtest-1", Node: n})
	}
	return undo
}

func step(undo ...chaos.Undo) chaos.Step {
	return chaos.Step{Kind: "scripted", Target: "something", Hold: 20 * time.Millisecond, RecoverWithin: 2 * time.Second, Undo: undo}
}

func wait() chaos.Undo { return chaos.Undo{Op: chaos.OpWait, Reason: "the cluster does"} }

// rig is an engine over a scripted fault.
func rig(t *testing.T, f *scripted) (*engine.Engine, *[]engine.Stage) {
	t.Helper()
	j, err := engine.OpenJournal(filepath.Join(t.TempDir(), "faults.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	stages := &[]engine.Stage{}
	return &engine.Engine{
		Journal: j, Undoer: f, Pause: time.Millisecond, EffectWithin: 5 * time.Second,
		Observe: func(s engine.Stage) { *stages = append(*stages, s) },
	}, stages
}

func pending(t *testing.T, e *engine.Engine) []string {
	t.Helper()
	entries, err := engine.Pending(e.Journal.Path())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, p := range entries {
		ids = append(ids, p.ID)
	}
	return ids
}

func TestRunGoesThroughAllStages(t *testing.T) {
	t.Parallel()
	f := &scripted{}
	e, stages := rig(t, f)
	guard := &standby{}
	e.Standby = guard
	f.inject = func() error {
		if got := pending(t, e); !slices.Equal(got, []string{"1"}) || !slices.Equal(guard.told, []string{"arm 1"}) {
			return errors.New("injected before the undo was journalled and the standby armed")
		}
		return nil
	}
	f.healed = func(n int) (chaos.Proof, error) {
		if n < 3 {
			return chaos.Proof{}, errors.New("API server is away")
		}
		return chaos.Proof{Seen: true, Detail: "healed"}, nil
	}
	r := e.Run(t.Context(), "1", f.kind(), step(unpause("a")...))
	if r.Error != "" || !r.Effect.Seen || !r.Healed.Seen || r.Healed.Detail != "healed" {
		t.Fatalf("result %+v", r)
	}
	if want := []string{"inject", "effect", "undo a", "healed"}; !slices.Equal(f.calls, want) {
		t.Errorf("did %v, want %v", f.calls, want)
	}
	if want := []engine.Stage{engine.Injecting, engine.Effective, engine.Healing, engine.Healed}; !slices.Equal(*stages, want) {
		t.Errorf("stages %v", *stages)
	}
	if times := []time.Duration{1, r.Injected[0], r.Injected[1], r.Effect.At, r.HealStart, r.Healed.At}; !slices.IsSorted(times) {
		t.Errorf("times %v are not in order", times)
	}
	if held := r.HealStart - r.Effect.At; held < 20*time.Millisecond {
		t.Errorf("held for %s, want 20 ms", held)
	}
	if got := pending(t, e); len(got) > 0 || !slices.Equal(guard.told, []string{"arm 1", "disarm 1"}) {
		t.Errorf("left %v in the journal; told the standby %v", got, guard.told)
	}
}

func TestHalfDoneFaultsAreHealed(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	never := func(int) (chaos.Proof, error) { return chaos.Proof{Detail: "nothing to be seen"}, nil }
	for _, tc := range []struct {
		name    string
		fault   *scripted
		step    chaos.Step
		problem string
		effect  bool
		healed  bool
		calls   string
		left    bool // in the journal
	}{
		{"injection fails", &scripted{inject: func() error { return broken }}, step(unpause("a")...), "injecting scripted: broken", false, true, "inject, undo a, healed", false},
		{"no effect", &scripted{effect: never}, step(unpause("a")...), "last seen: nothing to be seen", false, true, "inject, effect, undo a, healed", false},
		{"the effect cannot be looked at", &scripted{effect: func(int) (chaos.Proof, error) { return chaos.Proof{}, broken }}, step(unpause("a")...), "last error: broken", false, true, "inject, effect, undo a, healed", false},
		{"an undo fails, the others are done", &scripted{undo: func(u chaos.Undo) error {
			if u.Node == "a" {
				return broken
			}
			return nil
		}}, step(unpause("a", "b")...), "segtest clean tries again", true, true, "inject, effect, undo a, undo b, healed", true},
		{"never healed", &scripted{healed: never}, chaos.Step{Undo: unpause("a"), RecoverWithin: 30 * time.Millisecond}, "proving that scripted is healed: not within 30ms", true, false, "inject, effect, undo a, healed", true},
		{"self-healing, injection fails", &scripted{inject: func() error { return broken }}, step(wait()), "broken", false, false, "inject", false},
		{"self-healing, no effect", &scripted{effect: never}, step(wait()), "not within", false, false, "inject, effect", false},
		{"self-healing, never healed", &scripted{healed: never}, chaos.Step{Undo: []chaos.Undo{wait()}, RecoverWithin: 30 * time.Millisecond}, "not within 30ms", true, false, "inject, effect, healed", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e, _ := rig(t, tc.fault)
			e.EffectWithin = 20 * time.Millisecond
			r := e.Run(t.Context(), "1", tc.fault.kind(), tc.step)
			if !strings.Contains(r.Error, tc.problem) || r.Effect.Seen != tc.effect || r.Healed.Seen != tc.healed {
				t.Errorf("result %+v; want effect %v, healed %v, error %q", r, tc.effect, tc.healed, tc.problem)
			}
			if got := strings.Join(tc.fault.calls, ", "); got != tc.calls {
				t.Errorf("did %s; want %s", got, tc.calls)
			}
			if got := len(pending(t, e)) > 0; got != tc.left {
				t.Errorf("left in the journal: %v, want %v", got, tc.left)
			}
		})
	}
}

func TestCancellationHealsAtOnce(t *testing.T) {
	t.Parallel()
	for _, at := range []engine.Stage{engine.Injecting, engine.Effective, engine.Healing} {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			f := &scripted{}
			e, stages := rig(t, f)
			if at == engine.Injecting {
				f.inject = func() error { return context.Cause(ctx) }
			}
			e.Observe = func(s engine.Stage) {
				*stages = append(*stages, s)
				if s == at {
					cancel(errors.New("interrupted"))
				}
			}
			s := step(unpause("a")...)
			if at == engine.Effective {
				s.Hold = time.Hour
			}
			r := e.Run(ctx, "1", f.kind(), s)
			if !r.Healed.Seen || len(pending(t, e)) > 0 || !slices.Contains(f.calls, "undo a") {
				t.Errorf("result %+v after %v", r, f.calls)
			}
			if interrupted := strings.Contains(r.Error, "interrupted"); interrupted != (at != engine.Healing) {
				t.Errorf("error %q", r.Error)
			}
		})
	}
	t.Run("before", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		f := &scripted{}
		e, _ := rig(t, f)
		if r := e.Run(ctx, "1", f.kind(), step(unpause("a")...)); r.Error == "" || len(f.calls) > 0 || len(pending(t, e)) > 0 {
			t.Errorf("result %+v after %v", r, f.calls)
		}
	})
}

func TestInterruptionDoesNotWaitForWhatNobodyCanMend(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	f := &scripted{healed: func(int) (chaos.Proof, error) {
		cancel(errors.New("interrupted"))
		return chaos.Proof{Detail: "not yet"}, nil
	}}
	e, _ := rig(t, f)
	s := step(wait())
	s.RecoverWithin = time.Hour
	if r := e.Run(ctx, "1", f.kind(), s); r.Healed.Seen || r.Error == "" || len(pending(t, e)) > 0 {
		t.Errorf("result %+v", r)
	}
}

func TestSelfHealingIsTimedFromTheInjectionAndWatchedForTheHold(t *testing.T) {
	t.Parallel()
	f := &scripted{}
	e, _ := rig(t, f)
	e.Standby = &standby{}
	s := step(wait())
	s.Hold = 50 * time.Millisecond
	before := chaos.Now()
	r := e.Run(t.Context(), "1", f.kind(), s)
	if r.Error != "" || !r.Healed.Seen || r.HealStart != r.Injected[1] {
		t.Errorf("result %+v; want that healing begins with the injection", r)
	}
	if took := chaos.Now() - before; took < s.Hold || r.Healed.At-r.Effect.At >= s.Hold {
		t.Errorf("took %s, healed %s after the effect; want an early proof, and to stay for 50 ms", took, r.Healed.At-r.Effect.At)
	}
	if told := e.Standby.(*standby).told; len(told) > 0 {
		t.Errorf("told the standby %v; it cannot help", told)
	}
}

func TestNothingHappensWithoutAJournal(t *testing.T) {
	t.Parallel()
	f := &scripted{}
	e, _ := rig(t, f)
	if r := e.Run(t.Context(), "", f.kind(), step(unpause("a")...)); r.Error == "" || len(f.calls) > 0 {
		t.Errorf("a fault without an id: %+v after %v", r, f.calls)
	}
	if r := e.Run(t.Context(), "1", f.kind(), step()); r.Error == "" || len(f.calls) > 0 {
		t.Errorf("a fault without an undo: %+v after %v", r, f.calls)
	}
}

func TestPlanTellsSkippedFromFailed(t *testing.T) {
	t.Parallel()
	planned := func(err error) func(*rand.Rand, chaos.Inventory, chaos.Params) (chaos.Step, error) {
		return func(*rand.Rand, chaos.Inventory, chaos.Params) (chaos.Step, error) {
			return chaos.Step{Target: "t"}, err
		}
	}
	for _, tc := range []struct {
		name           string
		plan, prefl    error
		skipped, error string
	}{
		{"good", nil, nil, "", ""},
		{"no target is never a skip", &chaos.NoTargetError{Reason: "no pod is shop/bd"}, nil, "", "no target: no pod is shop/bd"},
		{"cannot work here", nil, &chaos.SkipError{Reason: "no docker"}, "no docker", ""},
		{"cannot tell", nil, errors.New("node is paused already"), "", "node is paused already"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := &scripted{preflight: tc.prefl}
			e, _ := rig(t, f)
			kind := f.kind()
			kind.Plan = planned(tc.plan)
			s, failed := e.Plan(t.Context(), "1", kind, chaos.Inventory{}, chaos.Params{Target: chaos.Target{Endpoint: "shop/bd"}}, 1)
			if tc.skipped+tc.error == "" {
				if failed != nil || s.Target != "t" {
					t.Errorf("planned %+v, %+v", s, failed)
				}
				return
			}
			if failed == nil || failed.Skipped != tc.skipped || failed.Error != tc.error || failed.Target != "shop/bd" || failed.Effect.Seen {
				t.Errorf("failed with %+v", failed)
			}
		})
	}
}
