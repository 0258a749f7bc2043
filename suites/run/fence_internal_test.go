package run

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/segtest/segtest/chaos"
	"github.com/segtest/segtest/fixtures/cluster"
	"github.com/segtest/segtest/fixtures/deploy"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
	"github.com/segtest/segtest/suites/run/record"
)

func sentinel(node string) deploy.Sentinel {
	pod := func(role, ip string) deploy.Pod {
		ep := matrix.Endpoint("segtest-sentinel/" + node + "-" + role)
		return deploy.Pod{Endpoint: ep, Node: node, UID: "uid-" + string(ep), Addresses: []netip.Addr{netip.MustParseAddr(ip)}}
	}
	return deploy.Sentinel{Node: node, Client: pod("b", "10.0.0.2"), Server: pod("a", "10.0.0.1")}
}

func TestGuarded(t *testing.T) {
	t.Parallel()
	web, db := deploy.Pod{Endpoint: "shop/web-0", Node: "worker"}, deploy.Pod{Endpoint: "shop/db-0", Node: "worker2"}
	for _, row := range []struct {
		name      string
		pods      []deploy.Pod
		sentinels []deploy.Sentinel
		want      string // "" for no error
	}{
		{"a pair on every node", []deploy.Pod{web, db}, []deploy.Sentinel{sentinel("worker"), sentinel("worker2")}, ""},
		{"more pairs than nodes with pods", []deploy.Pod{web}, []deploy.Sentinel{sentinel("worker"), sentinel("worker2")}, ""},
		{"a node without a pair", []deploy.Pod{web, db}, []deploy.Sentinel{sentinel("worker")}, "node worker2 of shop/db-0 has no pair of sentinels"},
		{"no pair at all", []deploy.Pod{web}, nil, "node worker of shop/web-0 has no pair"},
		{"nothing at all", nil, nil, "no node has a pair of sentinels"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			err := guarded(row.pods, row.sentinels)
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("%v, want %q", err, row.want)
			}
		})
	}
}

// outcomes is the cells of one look.
func outcomes(at time.Duration, all ...matrix.Outcome) []prober.Cell {
	cells := make([]prober.Cell, len(all))
	for i, o := range all {
		cells[i] = prober.Cell{Flow: i, Sample: matrix.Sample{Outcome: o, Start: at}}
	}
	return cells
}

// TestFenceNeedsTwoLooks: one silence can be a packet that is late.
func TestFenceNeedsTwoLooks(t *testing.T) {
	t.Parallel()
	const open, shut, unseen, refused = matrix.Connected, matrix.TimedOut, matrix.Unknown, matrix.Refused
	for _, row := range []struct {
		name         string
		open         bool // wanted
		looks        []matrix.Outcome
		crossed      bool
		lower, upper int // seconds; look k begins k seconds after the change
	}{
		{"never looked at", false, nil, false, 0, 0},
		{"closed once", false, []matrix.Outcome{open, shut}, false, 1, 0},
		{"closed twice", false, []matrix.Outcome{open, shut, shut}, true, 1, 2},
		{"closed from the beginning", false, []matrix.Outcome{shut, refused}, true, 0, 1},
		{"one late packet", false, []matrix.Outcome{open, shut, open, shut, shut}, true, 3, 4},
		{"every other look", false, []matrix.Outcome{open, shut, open, shut, open, shut}, false, 5, 0},
		{"a look that says nothing", false, []matrix.Outcome{open, shut, unseen, shut}, false, 3, 0},
		{"open again afterwards", false, []matrix.Outcome{shut, shut, open}, true, 0, 1},
		{"one way is not closed", false, []matrix.Outcome{matrix.OneWay, matrix.HandshakeOnly, matrix.WrongPeer}, false, 3, 0},
		{"open twice", true, []matrix.Outcome{shut, open, open}, true, 1, 2},
		{"open once", true, []matrix.Outcome{open, shut, open}, false, 2, 0},
		{"half open is not open", true, []matrix.Outcome{matrix.HandshakeOnly, matrix.HandshakeOnly}, false, 2, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			const since = 100 * time.Second
			f := fence{sentinels: []deploy.Sentinel{sentinel("worker")}, closed: !row.open, since: since, posts: make([]post, 1)}
			for k, o := range row.looks {
				at := since + time.Duration(k+1)*time.Second
				f.look(at, outcomes(at, o))
			}
			p := f.posts[0]
			lower, upper := time.Duration(row.lower)*time.Second, time.Duration(row.upper)*time.Second
			if p.crossed() != row.crossed || p.lower != lower || row.crossed && p.upper != upper {
				t.Errorf("%+v, want crossed %v between %d and %d", p, row.crossed, row.lower, row.upper)
			}
			if row.crossed == (len(f.missing()) > 0) {
				t.Errorf("missing: %q", f.missing())
			}
		})
	}
}

// scripted answers one look after another, the last one again and again.
type scripted struct {
	looks [][]matrix.Outcome
	plans []prober.Plan
	err   error
}

func (s *scripted) Pass(_ context.Context, p prober.Plan) ([]prober.Cell, error) {
	k := min(len(s.plans), len(s.looks)-1)
	s.plans = append(s.plans, p)
	return outcomes(chaos.Now(), s.looks[k]...), s.err
}

// history is a session that writes its record into memory.
func history(t *testing.T) *Session {
	t.Helper()
	s := &Session{opts: Options{History: record.NewWriter(discard{}), Progress: func(string, ...any) {}}}
	if err := s.write(record.Event{Header: &record.Header{}}); err != nil {
		t.Fatal(err)
	}
	return s
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close() error                { return nil }

func TestCrossTheFence(t *testing.T) {
	t.Parallel()
	const open, shut, leaky = matrix.Connected, matrix.TimedOut, matrix.OneWay
	ask := &scripted{looks: [][]matrix.Outcome{{open, open}, {shut, open}, {shut, shut}, {open, leaky}}}
	s := history(t)
	applied := chaos.Now()
	f, err := s.cross(t.Context(), ask, fence{sentinels: []deploy.Sentinel{sentinel("worker"), sentinel("worker2")}, closed: true, since: applied})
	if err != nil || len(ask.plans) != 4 {
		t.Fatalf("%d looks, %v; want 4: two for the first node, two more for the second", len(ask.plans), err)
	}
	if q := ask.plans[0].Questions; len(q) != 2 || q[1].From != "segtest-sentinel/worker2-b" || q[1].Address != "10.0.0.1:7654" {
		t.Errorf("asked %+v", q)
	}
	if err := s.fenced(f); err != nil {
		t.Fatal(err)
	}
	rec := s.Record()
	if rec.Enforcement == nil || !rec.Enforcement.Enforced || len(rec.Convergence) != 2 {
		t.Fatalf("recorded %+v, %+v", rec.Enforcement, rec.Convergence)
	}
	for i, c := range rec.Convergence {
		if c.Error != "" || c.Node != f.sentinels[i].Node || c.Lower >= c.Upper || c.Upper > chaos.Now()-applied || c.Resolution <= 0 {
			t.Errorf("convergence %+v", c)
		}
	}
}

// TestFenceOfANodeThatEnforcesNothing: one node is not all nodes, and none is
// the end of the run.
func TestFenceOfANodeThatEnforcesNothing(t *testing.T) {
	t.Parallel()
	pair := []deploy.Sentinel{sentinel("worker"), sentinel("worker2")}
	for _, row := range []struct {
		name  string
		posts []post
		err   error
		want  string
	}{
		{"one of two", []post{{looks: 2, upper: 2}, {lower: 1, last: "connected"}}, nil, "a deny policy took effect on 1 of 2 nodes"},
		{"one look is none", []post{{looks: 1, upper: 2, last: "timed-out"}, {last: "connected"}}, ErrUnenforced, "every sentinel flow is still open (node worker (timed-out), node worker2 (connected))"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := history(t)
			if err := s.fenced(fence{sentinels: pair, closed: true, posts: row.posts}); !errors.Is(err, row.err) {
				t.Errorf("%v, want %v", err, row.err)
			}
			rec := s.Record()
			if !strings.Contains(rec.Enforcement.Detail, row.want) {
				t.Errorf("%q, want %q", rec.Enforcement.Detail, row.want)
			}
			if c := rec.Convergence[1]; c.Upper != 0 || !strings.Contains(c.Error, "stayed connected for 25s") {
				t.Errorf("convergence %+v", c)
			}
		})
	}
}

// dead is a node that answers no command.
type dead struct{ cluster.Node }

func (dead) Name() string { return "worker" }
func (dead) Run(context.Context, io.Reader, ...string) ([]byte, error) {
	return nil, errors.New("container is gone")
}

type nodes struct {
	cluster.Cluster
	all []cluster.Node
}

func (n nodes) Nodes() []cluster.Node { return n.all }

// TestFenceTellsADeadNode: a sentinel of which nothing is seen is asked after.
func TestFenceTellsADeadNode(t *testing.T) {
	t.Parallel()
	s := history(t)
	s.place.cluster = nodes{all: []cluster.Node{dead{}}}
	ask := &scripted{looks: [][]matrix.Outcome{{matrix.Unknown}}}
	_, err := s.cross(t.Context(), ask, fence{sentinels: []deploy.Sentinel{sentinel("worker")}, closed: true})
	if err == nil || !strings.Contains(err.Error(), "node worker answers no command") {
		t.Errorf("%v", err)
	}
	ask = &scripted{looks: [][]matrix.Outcome{{matrix.TimedOut}}, err: errors.New("no such plan")}
	if _, err := s.cross(t.Context(), ask, fence{sentinels: []deploy.Sentinel{sentinel("worker")}, closed: true}); err == nil {
		t.Error("a look that failed is no error")
	}
}
