package agent

import (
	"testing"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

const ms = time.Millisecond

// idle is a loop that nobody runs: its timers only fire when a test says so.
func idle(t *testing.T) *loop {
	t.Helper()
	l, err := newLoop()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l
}

func TestTargetsAreSpreadOverThePeriod(t *testing.T) {
	t.Parallel()
	l := idle(t)
	s := newSampler(l, wire.Sampling{Period: 100 * ms, Until: time.Hour, Targets: make([]wire.Target, 4)}, nil)
	s.start()
	if len(l.timers) != 4 {
		t.Fatalf("%d timers for 4 targets", len(l.timers))
	}
	first := s.tracks[0].base
	for i, tr := range s.tracks {
		if got, want := tr.base-first, time.Duration(i)*25*ms; got != want {
			t.Errorf("target %d starts after %s, want %s", i, got, want)
		}
		if tr.due < tr.base || tr.due > tr.base+10*ms {
			t.Errorf("target %d: the first tick is due %s after its turn", i, tr.due-tr.base)
		}
	}
}

func TestScheduleJittersAndRepeats(t *testing.T) {
	t.Parallel()
	dues := func(seed uint64) []time.Duration {
		s := newSampler(idle(t), wire.Sampling{Period: 100 * ms, Until: time.Hour, Seed: seed, Targets: make([]wire.Target, 1)}, nil)
		tr := s.tracks[0]
		var out []time.Duration
		for tr.ticks = range 50 {
			tr.schedule()
			out = append(out, tr.due-tr.base)
		}
		return out
	}
	one, again, two := dues(1), dues(1), dues(2)
	same, moved := 0, 0
	for k := range one {
		if off := one[k] - time.Duration(k)*100*ms; off < -10*ms || off > 10*ms {
			t.Errorf("tick %d is %s from its time", k, off)
		} else if off != 0 {
			moved++
		}
		if one[k] != again[k] {
			t.Errorf("tick %d is due at %s and at %s with one seed", k, one[k], again[k])
		}
		if one[k] == two[k] {
			same++
		}
	}
	if moved < 40 || same > 10 {
		t.Errorf("%d of 50 ticks jitter, %d are the same with another seed", moved, same)
	}
}

func TestExtend(t *testing.T) {
	t.Parallel()
	at := func(o matrix.Outcome, detail string, first, end time.Duration) wire.Run {
		return wire.Run{Outcome: o, Detail: detail, Count: 1, First: first, Last: first, End: end}
	}
	var runs []wire.Run
	for _, r := range []wire.Run{
		at(matrix.Connected, "", 10, 19), at(matrix.Connected, "", 20, 15), at(matrix.Connected, "late", 30, 31),
		at(matrix.Unknown, "", 29, 29), // missed: due before the last one really began
		at(matrix.Connected, "late", 40, 41),
	} {
		runs = extend(runs, r)
	}
	want := []wire.Run{
		{Outcome: matrix.Connected, Count: 2, First: 10, Last: 20, End: 19},
		at(matrix.Connected, "late", 30, 31),
		at(matrix.Unknown, "", 30, 30), at(matrix.Connected, "late", 40, 41),
	}
	if len(runs) != len(want) {
		t.Fatalf("runs = %+v", runs)
	}
	for i := range want {
		if runs[i] != want[i] {
			t.Errorf("run %d = %+v, want %+v", i, runs[i], want[i])
		}
	}
	for i := range 2 * maxRuns {
		runs = extend(runs, at(matrix.Outcome(1+i%2), "", 100, 100))
	}
	if last := runs[len(runs)-1]; len(runs) != maxRuns+1 || last.Outcome != matrix.Unknown || last.Count != 2*maxRuns-(maxRuns-4) {
		t.Errorf("%d runs, the last is %+v", len(runs), last)
	}
}
