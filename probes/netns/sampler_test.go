package netns_test

import (
	"context"
	"fmt"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
	"github.com/segtest/segtest/probes/wire"
)

const period = 50 * time.Millisecond

func (l *lab) output(ns string, argv ...string) (string, error) {
	out, err := exec.Command("ip", append([]string{"netns", "exec", l.name + ns}, argv...)...).CombinedOutput()
	return string(out), err
}

// watch samples TCP and UDP flows.
func (l *lab) watch(f *prober.Fleet) *prober.Watching {
	l.t.Helper()
	w, err := f.Watch(context.Background(), prober.WatchPlan{
		Name: "w", Members: l.members, Questions: l.questions(2, matrix.IPv4, port, matrix.TCP, matrix.UDP),
		Period: period, Until: time.Minute, Seed: 4,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return w
}

// hold lets the samplers see a state for a while.
func hold(d time.Duration) { <-time.After(d) }

// change runs a command and brackets the moment at which it took effect.
func (l *lab) change(ns string, argv ...string) [2]time.Duration {
	l.t.Helper()
	before := monotonic(l.t)
	l.in(ns, argv...)
	return [2]time.Duration{before, monotonic(l.t)}
}

// TestWindowHoldsTheTruth closes a flow and opens it again; the bounds of the
// window that the samples give must contain what was done.
func TestWindowHoldsTheTruth(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	f := l.fleet()
	l.nft(router, "forward", "")
	w := l.watch(f)
	hold(10 * period)
	closed := l.change(router, "nft", "add", "rule", "inet", "lab", "forward", "th", "dport", fmt.Sprint(port), "drop")
	hold(12 * period)
	opened := l.change(router, "nft", "flush", "chain", "inet", "lab", "forward")
	hold(10 * period)
	for _, got := range w.Stop(context.Background()) {
		if got.Error != "" {
			t.Fatal(got.Error)
		}
		s, runs := got.Series, stretches(got.Series.Runs)
		if len(runs) != 3 || !runs[0].Outcome.Passed() || !runs[1].Outcome.Blocked() || !runs[2].Outcome.Passed() {
			t.Fatalf("flow %d: %+v, want open, closed, open", got.Flow, s.Runs)
		}
		open, shut, again := runs[0], runs[1], runs[2]
		// The last packet that passed left before the rule; the first that did
		// not left no earlier than the rule could be there.
		if open.Last > closed[1] || shut.First < closed[0]-period/10 || shut.Last > opened[1] || again.First < opened[0]-period/10 {
			t.Errorf("flow %d: %+v do not contain closing %v and opening %v", got.Flow, s.Runs, closed, opened)
		}
		if lower, upper := shut.Last-shut.First, again.First-open.Last; lower > opened[1]-closed[0] || upper < opened[0]-closed[1] {
			t.Errorf("flow %d: closed for %s to %s, in truth for %s to %s", got.Flow, lower, upper, opened[0]-closed[1], opened[1]-closed[0])
		} else if upper-lower > 4*period+time.Duration(s.Late)*period {
			t.Errorf("flow %d: the bounds %s and %s are far apart, with %d late ticks", got.Flow, lower, upper, s.Late)
		}
	}
}

// stretches joins runs that are all open or all closed; what is not known
// belongs to neither.
func stretches(runs []wire.Run) []wire.Run {
	var out []wire.Run
	for _, r := range runs {
		switch n := len(out); {
		case r.Outcome == matrix.Unknown:
		case n > 0 && out[n-1].Outcome.Passed() == r.Outcome.Passed():
			out[n-1].Last, out[n-1].End = r.Last, r.End
		default:
			out = append(out, r)
		}
	}
	return out
}

// TestFrozenAgentLeavesAGap freezes the sampling agent.
func TestFrozenAgentLeavesAGap(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	f := l.fleet()
	w := l.watch(f)
	hold(10 * period)
	frozen := [2]time.Duration{monotonic(t)}
	l.signal(sender, syscall.SIGSTOP)
	const freeze = 20 * period
	hold(freeze)
	frozen[1] = monotonic(t)
	l.signal(sender, syscall.SIGCONT)
	hold(10 * period)
	for _, got := range w.Stop(context.Background()) {
		if got.Error != "" {
			t.Fatal(got.Error)
		}
		s := got.Series
		var gap time.Duration // of the freeze; a busy machine may leave others
		late, after := 0, 0
		for _, r := range s.Runs {
			switch {
			case r.Outcome == matrix.Unknown:
				late += r.Count
				gap += max(0, min(r.Last, frozen[1])-max(r.First, frozen[0]))
			case r.Outcome != matrix.Connected:
				t.Errorf("flow %d: %+v, and the network was well", got.Flow, r)
			case r.First > frozen[1]:
				after += r.Count
				if need := time.Duration(r.Count-2) * period; r.Last-r.First < need {
					t.Errorf("flow %d: %d samples in %s: a burst", got.Flow, r.Count, r.Last-r.First)
				}
			}
		}
		if late != s.Late || gap < freeze-4*period || s.Late < int(freeze/period)-2 {
			t.Errorf("flow %d: %d ticks missed, %d late, a gap of %s: %+v", got.Flow, late, s.Late, gap, s.Runs)
		}
		if after < 2 || after > 15 {
			t.Errorf("flow %d: %d samples after the freeze", got.Flow, after)
		}
	}
	if h := f.Health(context.Background(), l.members[:1])[0]; h.Err != nil || h.Stats.MaxLate < freeze-2*period {
		t.Errorf("health after a freeze of %s: %+v", freeze, h)
	}
}

// TestAgentKilledWhileSampling expects errors, not an empty success.
func TestAgentKilledWhileSampling(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	w := l.watch(l.fleet())
	l.kill(l.agents[sender])
	for _, got := range w.Stop(context.Background()) {
		if got.Error == "" || got.Series.Scheduled != 0 {
			t.Errorf("%+v", got)
		}
	}
}
