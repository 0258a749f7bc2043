package netns_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
)

const (
	maxBinary = 6 << 20
	maxRSS    = 15 << 20
)

// TestSize needs no namespace: it builds the agent and looks.
func TestSize(t *testing.T) {
	t.Parallel()
	info, err := os.Stat(executable(t))
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > maxBinary {
		t.Errorf("the agent is %d bytes, at most %d", info.Size(), maxBinary)
	}
}

// TestMemory sends one agent's share of a large matrix, several times over.
func TestMemory(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	f := l.fleet()
	questions := l.questions(162, matrix.IPv4, port, matrix.TCP, matrix.UDP)
	for _, c := range l.pass(f, prober.Plan{Questions: questions, PerNode: 1000}) {
		if c.Sample.Outcome != matrix.Connected {
			t.Fatalf("%+v", c)
		}
	}
	l.nft(router, "forward", "th dport 80 drop")
	for range 3 {
		l.pass(f, prober.Plan{Questions: questions, PerNode: 1000, Wait: 200 * time.Millisecond})
	}
	for _, h := range f.Health(context.Background(), l.members) {
		if h.Err != nil || h.Stats.RSSBytes > maxRSS {
			t.Errorf("%s: %d bytes resident, at most %d (%v)", h.Endpoint, h.Stats.RSSBytes, maxRSS, h.Err)
		}
		t.Logf("%s: %.1f MiB resident, %d sockets", h.Endpoint, float64(h.Stats.RSSBytes)/(1<<20), h.Stats.SocketsNow)
	}
}

// BenchmarkPass is 324 flows between two agents in namespaces: all open, and
// all dropped, where the deny wait of 200 ms is the floor.
func BenchmarkPass(b *testing.B) {
	for _, row := range []struct{ name, rules string }{{"open", ""}, {"denied", "th dport 80 drop"}} {
		b.Run(row.name, func(b *testing.B) {
			l := newLab(b)
			l.nft(router, "forward", row.rules)
			f := l.fleet()
			p := prober.Plan{Questions: l.questions(162, matrix.IPv4, port, matrix.TCP, matrix.UDP), PerNode: 1000, Wait: prober.MinDenyWait}
			l.pass(f, p)
			for b.Loop() {
				l.pass(f, p)
			}
			var most int64
			for _, h := range f.Health(context.Background(), l.members) {
				most = max(most, h.Stats.RSSBytes)
			}
			b.ReportMetric(float64(most)/(1<<20), "MiB-resident")
			if info, err := os.Stat(executable(b)); err == nil {
				b.ReportMetric(float64(info.Size())/(1<<20), "MiB-binary")
			}
		})
	}
}
