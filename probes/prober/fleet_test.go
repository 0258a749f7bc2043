package prober_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/agent"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
	"github.com/segtest/segtest/probes/wire"
)

const patience = 20 * time.Second

// nextHost numbers the loopback addresses, one per agent of this process.
var nextHost atomic.Uint32

// town is agents on loopback addresses and a dialer that reaches them.
type town struct {
	t       testing.TB
	mu      sync.Mutex
	agents  map[matrix.Endpoint]*agent.Agent
	members []prober.Member
	streams map[matrix.Endpoint][]net.Conn
	dials   int
	// dial takes the place of the dialer where it is set.
	dial func(context.Context, matrix.Endpoint) (io.ReadWriteCloser, error)
}

func newTown(t testing.TB, listen string, endpoints ...matrix.Endpoint) *town {
	t.Helper()
	w := &town{t: t, agents: map[matrix.Endpoint]*agent.Agent{}, streams: map[matrix.Endpoint][]net.Conn{}}
	ports, err := wire.ParseListen(listen)
	if err != nil {
		t.Fatal(err)
	}
	for i, ep := range endpoints {
		n := nextHost.Add(1)
		ip := netip.AddrFrom4([4]byte{127, 78, byte(n >> 8), byte(n)})
		m := prober.Member{Endpoint: ep, Node: fmt.Sprintf("worker%d", i%2), PodUID: "uid-" + string(ep), IPs: []string{ip.String()}}
		a, err := agent.New(agent.Config{
			Identity: wire.Identity{Endpoint: ep, PodUID: m.PodUID, Node: m.Node}, Listen: ports, Bind: ip,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(a.Close)
		w.agents[ep], w.members = a, append(w.members, m)
	}
	return w
}

func (w *town) Dial(ctx context.Context, ep matrix.Endpoint) (io.ReadWriteCloser, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dials++
	if w.dial != nil {
		return w.dial(ctx, ep)
	}
	return w.open(ep)
}

// open is the ordinary dialer.
func (w *town) open(ep matrix.Endpoint) (io.ReadWriteCloser, error) {
	a, ok := w.agents[ep]
	if !ok {
		return nil, errors.New("no such pod")
	}
	ours, theirs := net.Pipe()
	w.streams[ep] = append(w.streams[ep], ours)
	go func() { _ = a.Handle(context.Background(), theirs) }()
	return ours, nil
}

// cut breaks the streams to an endpoint.
func (w *town) cut(ep matrix.Endpoint) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.streams[ep] {
		_ = s.Close()
	}
}

func (w *town) fleet(limits prober.Limits) *prober.Fleet {
	w.t.Helper()
	f := prober.NewFleet(w, limits)
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := f.Close(ctx); err != nil {
			w.t.Error(err)
		}
	})
	return f
}

func (w *town) member(ep matrix.Endpoint) prober.Member {
	for _, m := range w.members {
		if m.Endpoint == ep {
			return m
		}
	}
	w.t.Fatalf("no member %s", ep)
	return prober.Member{}
}

func (w *town) ask(flow int, from, to matrix.Endpoint, p matrix.Protocol, port int) prober.Question {
	return prober.Question{
		Flow: flow, From: from, Protocol: p, To: []matrix.Endpoint{to},
		Address: fmt.Sprintf("%s:%d", w.member(to).IPs[0], port),
	}
}

func pass(t *testing.T, f *prober.Fleet, p prober.Plan) map[int]prober.Cell {
	t.Helper()
	if p.Wait == 0 {
		p.Wait = 200 * time.Millisecond
	}
	cells, err := f.Pass(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	if len(cells) != len(p.Questions) {
		t.Fatalf("%d cells for %d questions", len(cells), len(p.Questions))
	}
	byFlow := map[int]prober.Cell{}
	for i, c := range cells {
		if c.Flow != p.Questions[i].Flow {
			t.Fatalf("cell %d is of flow %d, want %d", i, c.Flow, p.Questions[i].Flow)
		}
		byFlow[c.Flow] = c
	}
	return byFlow
}

// settled waits until no more goroutines run than before.
func settled(t *testing.T, before int) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for runtime.NumGoroutine() > before {
		select {
		case <-tick.C:
		case <-deadline.C:
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
}
