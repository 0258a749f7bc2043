package agent

import (
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

func TestStarvedTryIsMarked(t *testing.T) {
	t.Parallel()
	p := &probe{loop: &loop{stalled: 2 * starved}, stalled: 2*starved - 1}
	if p.sample().Starved {
		t.Error("a try without a stall is marked")
	}
	p.stalled = 0
	if !p.sample().Starved {
		t.Error("a try that fell into a stall is not marked")
	}
}

func TestUnlikeSamplesAreRunsOfTheirOwn(t *testing.T) {
	t.Parallel()
	var runs []wire.Run
	for i, r := range []wire.Run{{}, {}, {Starved: true}, {}, {Denial: matrix.Dropped}, {Denial: matrix.Dropped}, {Denial: matrix.ICMPError}} {
		r.Outcome, r.Count, r.First, r.Last, r.End = matrix.TimedOut, 1, now()+1, now()+1, now()+1
		runs = extend(runs, r)
		if want := []int{1, 1, 2, 3, 4, 4, 5}[i]; len(runs) != want {
			t.Errorf("%d runs after sample %d, want %d", len(runs), i, want)
		}
	}
}
