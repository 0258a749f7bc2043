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

func TestStarvedSamplesAreRunsOfTheirOwn(t *testing.T) {
	t.Parallel()
	var runs []wire.Run
	for i, starved := range []bool{false, false, true, false} {
		runs = extend(runs, wire.Run{Outcome: matrix.TimedOut, Starved: starved, Count: 1, First: now() + 1, Last: now() + 1, End: now() + 1})
		if want := []int{1, 1, 2, 3}[i]; len(runs) != want {
			t.Errorf("%d runs after sample %d, want %d", len(runs), i, want)
		}
	}
}
