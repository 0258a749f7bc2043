package netns_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
	"github.com/segtest/segtest/probes/wire"
)

// TestEstablished closes a flow in three ways: fresh connections are denied each
// time, within 20 ms of the truth, and the one that is older fares as the kernel
// has it.
func TestEstablished(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, rule string
		held       matrix.Outcome
		denial     matrix.Denial
	}{
		{"kept", "ct state new drop", matrix.Connected, matrix.DenialUnknown},
		{"stalled", "drop", matrix.TimedOut, matrix.Dropped},
		{"reset", "reject with tcp reset", matrix.Refused, matrix.Reset},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			f := l.fleet()
			l.nft(router, "forward", "")
			asked := l.questions(2, matrix.IPv4, port, matrix.TCP)
			asked[1].Held = true
			const period = 10 * time.Millisecond
			w, err := f.Watch(context.Background(), prober.WatchPlan{Name: "w", Members: l.members, Questions: asked, Period: period, Until: time.Minute, Seed: 4})
			if err != nil {
				t.Fatal(err)
			}
			hold(30 * period)
			closed := l.change(router, "nft", "add rule inet lab forward tcp dport "+fmt.Sprint(port)+" "+row.rule)
			hold(80 * period)
			got := w.Stop(context.Background())
			fresh, held := got[0], got[1]
			if fresh.Error != "" || held.Error != "" {
				t.Fatal(fresh.Error, held.Error)
			}
			runs := stretches(fresh.Series.Runs)
			if len(runs) != 2 || !runs[0].Outcome.Passed() || !runs[1].Outcome.Blocked() {
				t.Fatalf("%+v, want open, closed", fresh.Series.Runs)
			}
			if runs[0].Last > closed[1] || runs[1].First < closed[0]-period/10 {
				t.Errorf("%+v do not contain closing %v", runs, closed)
			}
			if gap := runs[1].First - runs[0].Last; gap > 2*period+time.Duration(fresh.Series.Late)*period {
				t.Errorf("the samples around the change are %s apart, with %d late ticks", gap, fresh.Series.Late)
			}
			all := slices.DeleteFunc(held.Series.Runs, func(r wire.Run) bool { return r.Outcome == matrix.Unknown })
			if first, last := all[0], all[len(all)-1]; first.Outcome != matrix.Connected || last.Outcome != row.held || last.Denial != row.denial {
				t.Errorf("the older connection was %+v and is %+v", first, last)
			}
		})
	}
}
