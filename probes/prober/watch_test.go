package prober_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/agent"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
	"github.com/segtest/segtest/probes/wire"
)

func watchPlan(w *town) prober.WatchPlan {
	return prober.WatchPlan{
		Name: "1-pod-kill", Members: w.members, Period: 20 * time.Millisecond, Until: time.Hour, Seed: 1,
		Questions: []prober.Question{
			w.ask(3, "shop/web-0", "shop/db-0", matrix.TCP, 80), w.ask(1, "shop/db-0", "shop/web-0", matrix.UDP, 80),
			w.ask(2, "shop/web-0", "shop/web-0", matrix.TCP, 81),
		},
	}
}

// sampled waits until a flow's receiver saw n samples.
func sampled(t *testing.T, w *town, to matrix.Endpoint, n int) {
	t.Helper()
	c := prober.NewClient(w, to, prober.Limits{})
	defer func() { _ = c.Close(context.Background()) }()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		lines, err := c.Do(context.Background(), wire.Request{Receipts: &wire.Receipts{}}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(lines) >= n {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s saw %d samples, want %d", to, len(lines), n)
		}
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	w := newTown(t, "TCP/80,UDP/80", "shop/web-0", "shop/db-0")
	f := w.fleet(prober.Limits{})
	watching, err := f.Watch(context.Background(), watchPlan(w))
	if err != nil {
		t.Fatal(err)
	}
	sampled(t, w, "shop/db-0", 5)
	w.cut("shop/web-0") // no sample is lost with a stream
	sampled(t, w, "shop/db-0", 10)
	got := watching.Stop(context.Background())
	for i, want := range []struct {
		flow    int
		outcome matrix.Outcome
	}{{3, matrix.Connected}, {1, matrix.Connected}, {2, matrix.Refused}} {
		g := got[i]
		wrong := slices.ContainsFunc(g.Series.Runs, func(r wire.Run) bool {
			return r.Outcome != want.outcome && r.Outcome != matrix.Unknown // a busy machine misses ticks
		})
		if g.Flow != want.flow || g.Error != "" || g.Series.Flow != want.flow || g.Series.Taken < 3 || wrong {
			t.Errorf("watched %d: %+v, want %+v", i, g, want)
		}
	}
}

func TestWatchIsNeverAnEmptySuccess(t *testing.T) {
	t.Parallel()
	w := newTown(t, "TCP/80,UDP/80", "shop/web-0", "shop/db-0")
	f := w.fleet(prober.Limits{Reply: 300 * time.Millisecond, Dial: 300 * time.Millisecond})
	watching, err := f.Watch(context.Background(), watchPlan(w))
	if err != nil {
		t.Fatal(err)
	}
	w.cut("shop/web-0")
	w.cut("shop/db-0")
	anew, err := agent.New(agent.Config{Identity: wire.Identity{Endpoint: "shop/web-0", PodUID: "uid-shop/web-0", Node: "worker0"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(anew.Close)
	w.mu.Lock()
	w.agents["shop/web-0"] = anew
	delete(w.agents, "shop/db-0")
	w.mu.Unlock()
	got := watching.Stop(context.Background())
	for i, want := range []string{"started anew", "no such pod", "started anew"} {
		if got[i].Series.Scheduled != 0 || !strings.Contains(got[i].Error, want) {
			t.Errorf("watched %d: %+v, want error %q", i, got[i], want)
		}
	}
}

func TestWatchNamesWhoCouldNotStart(t *testing.T) {
	t.Parallel()
	w := newTown(t, "TCP/80,UDP/80", "shop/web-0", "shop/db-0")
	delete(w.agents, "shop/db-0")
	watching, err := w.fleet(prober.Limits{}).Watch(context.Background(), watchPlan(w))
	if err == nil || !strings.Contains(err.Error(), `starting sampler "1-pod-kill": asking the agent of shop/db-0: connecting: no such pod`) {
		t.Fatalf("err = %v", err)
	}
	got := watching.Stop(context.Background())
	if got[1].Error == "" || got[1].Series.Scheduled != 0 {
		t.Errorf("the lost sender's flow: %+v", got[1])
	}
	if got[0].Error != "" && !strings.Contains(got[0].Error, "nothing was scheduled") {
		t.Errorf("the other sender's flow: %+v", got[0])
	}
	if _, err := w.fleet(prober.Limits{}).Watch(context.Background(), prober.WatchPlan{}); err == nil {
		t.Error("a watch without a name, a period and an end was started")
	}
}
