package run

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segtest/segtest/chaos"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/prober"
	"github.com/segtest/segtest/probes/wire"
	"github.com/segtest/segtest/suites/run/record"
)

// logbook is agents that answer from a book, by pod.
type logbook struct {
	mu    sync.Mutex
	pods  map[string]prober.Receipts
	began map[string]time.Duration // when a pod's agent started
	errs  map[string]error
	reads chan string // the pods that were read, where anybody listens
}

func (l *logbook) Receipts(ctx context.Context, m prober.Member, since time.Duration) (prober.Receipts, error) {
	l.mu.Lock()
	got, err := l.pods[m.PodUID], l.errs[m.PodUID]
	l.mu.Unlock()
	select {
	case l.reads <- m.PodUID:
	default:
	}
	if errors.Is(err, errFrozen) {
		<-ctx.Done()
		return prober.Receipts{}, context.Cause(ctx)
	}
	got.Forgot = got.Forgot || since > 0 && l.began[m.PodUID] > since
	got.All = slices.DeleteFunc(slices.Clone(got.All), func(r wire.Receipt) bool { return !r.HalfOpen && r.At < since })
	return got, err
}

var errFrozen = errors.New("frozen")

func (l *logbook) set(uid string, r prober.Receipts, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pods[uid], l.errs[uid] = r, err
}

func member(ep matrix.Endpoint, uid string, ips ...string) prober.Member {
	return prober.Member{Endpoint: ep, PodUID: uid, IPs: ips}
}

// town is a session of receivers in which nobody reads by itself: web-0 must
// not reach db-0 on TCP/5432 (flow 3) and UDP/53 (flow 4), nor on TCP/5432 over
// IPv6 (flow 5).
func town() (*receivers, *logbook, func(...prober.Member)) {
	book := &logbook{pods: map[string]prober.Receipts{}, began: map[string]time.Duration{}, errs: map[string]error{}, reads: make(chan string, 100)}
	r := newReceivers(book, chaos.Now, 100, map[route]int{
		{"shop/web-0", "shop/db-0", matrix.TCP, 5432, matrix.IPv4}: 3,
		{"shop/web-0", "shop/db-0", matrix.UDP, 53, matrix.IPv4}:   4,
		{"shop/web-0", "shop/db-0", matrix.TCP, 5432, matrix.IPv6}: 5,
		{"shop/web-0", "shop/db-0", matrix.SCTP, 132, matrix.IPv4}: 6,
		{"shop/web-0", "shop/db-0", matrix.ICMP, 0, matrix.IPv4}:   7,
	})
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	return r, book, func(members ...prober.Member) { r.follow(ended, members) }
}

func told(r *receivers, flow int) record.Watched {
	protocol := matrix.TCP
	for way, n := range r.denied {
		if n == flow {
			protocol = way.protocol
		}
	}
	w := record.Watched{Flow: flow}
	r.tell(&w, "shop/db-0", protocol)
	return w
}

func tcp(at time.Duration, source string, half bool) wire.Receipt {
	return wire.Receipt{At: at, Protocol: matrix.TCP, Source: source, Port: 5432, HalfOpen: half}
}

var web, db = member("shop/web-0", "w1", "10.0.0.1", "fd00::1"), member("shop/db-0", "d1", "10.0.0.2", "fd00::2")

// TestReceiversTellFlows sorts what arrived to the flows that ought to be closed.
func TestReceiversTellFlows(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		got  []wire.Receipt
		want map[int][]record.Arrival
	}{
		{"nothing", nil, nil},
		{"a connection", []wire.Receipt{tcp(200, "10.0.0.1:4000", false)}, map[int][]record.Arrival{3: {{At: 200}}}},
		{"half-open", []wire.Receipt{tcp(200, "10.0.0.1:4000", true)}, map[int][]record.Arrival{3: {{At: 200, HalfOpen: true}}}},
		{"half-open before the watch", []wire.Receipt{tcp(99, "10.0.0.1:4000", true)}, nil},
		{"half-open and undated", []wire.Receipt{tcp(300, "10.0.0.1:4000", false), tcp(0, "10.0.0.1:4001", true)}, map[int][]record.Arrival{3: {{HalfOpen: true}, {At: 300}}}},
		{"a datagram", []wire.Receipt{{At: 200, Protocol: matrix.UDP, Source: "10.0.0.1:4000", Port: 53}}, map[int][]record.Arrival{4: {{At: 200}}}},
		{"a datagram to another port", []wire.Receipt{{At: 200, Protocol: matrix.UDP, Source: "10.0.0.1:4000", Port: 54}}, nil},
		{"over IPv6", []wire.Receipt{tcp(200, "[fd00::1]:4000", false)}, map[int][]record.Arrival{5: {{At: 200}}}},
		{"from itself", []wire.Receipt{tcp(200, "10.0.0.2:4000", false)}, nil},
		{"from a stranger", []wire.Receipt{tcp(200, "10.0.0.9:4000", false)}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r, book, follow := town()
			follow(web, db)
			book.set("d1", prober.Receipts{Boot: "b", All: row.got}, nil)
			r.before(t.Context())
			r.close(t.Context(), time.Minute)
			for flow := 3; flow <= 5; flow++ {
				if w := told(r, flow); !w.Heard || w.Unheard != "" || !slices.Equal(w.Arrivals, row.want[flow]) {
					t.Errorf("flow %d: %+v, want %+v", flow, w, row.want[flow])
				}
			}
			for flow, what := range map[int]string{6: "SCTP", 7: "echo requests"} {
				if w := told(r, flow); w.Heard || !strings.Contains(w.Unheard, what) || len(w.Arrivals) > 0 {
					t.Errorf("flow %d, of which a log knows nothing: %+v", flow, w)
				}
			}
			close(book.reads)
			for uid := range book.reads {
				if uid != "d1" {
					t.Errorf("pod %s was read, which may receive everything", uid)
				}
			}
		})
	}
}

// TestReceiversSayWhatTheyMissed: no arrivals are no proof where a log was not
// read to its end.
func TestReceiversSayWhatTheyMissed(t *testing.T) {
	t.Parallel()
	good, anew := prober.Receipts{Boot: "b"}, prober.Receipts{Boot: "c"}
	replaced := member("shop/db-0", "d2", "10.0.0.3")
	broken := errors.New("the stream broke")
	for _, row := range []struct {
		name string
		do   func(r *receivers, book *logbook, follow func(...prober.Member))
		want string // why not all is known, "" where it is
	}{
		{"read twice", func(*receivers, *logbook, func(...prober.Member)) {}, ""},
		{"unread at the end", func(_ *receivers, b *logbook, _ func(...prober.Member)) { b.set("d1", good, broken) }, "the stream broke"},
		{"frozen at the end", func(_ *receivers, b *logbook, _ func(...prober.Member)) { b.set("d1", good, errFrozen) }, "no answer within 20ms"},
		{"unread meanwhile", func(r *receivers, b *logbook, _ func(...prober.Member)) {
			b.set("d1", good, broken)
			r.readAll(context.Background(), time.Minute)
			b.set("d1", good, nil)
		}, ""},
		{"unread for as long as a half-open connection lasts", func(r *receivers, _ *logbook, _ func(...prober.Member)) {
			r.logs[0].read -= 2 * halfOpenLife
		}, "it could not be read for 2m0s"},
		{"started anew", func(_ *receivers, b *logbook, _ func(...prober.Member)) { b.set("d1", anew, nil) }, "its agent was started anew"},
		{"too much", func(_ *receivers, b *logbook, _ func(...prober.Member)) {
			b.set("d1", prober.Receipts{Boot: "b", Forgot: true}, nil)
		}, "more arrived than its agent keeps"},
		{"replaced", func(_ *receivers, b *logbook, follow func(...prober.Member)) {
			b.set("d1", good, broken)
			b.set("d2", anew, nil)
			follow(web, replaced)
		}, ""},
		{"replaced by one that cannot be read", func(_ *receivers, b *logbook, follow func(...prober.Member)) {
			b.set("d2", anew, broken)
			follow(web, replaced)
		}, "the stream broke"},
		{"replaced before it was read", func(r *receivers, b *logbook, follow func(...prober.Member)) {
			r.struck = chaos.Now()
			follow(web, replaced)
			b.set("d2", anew, nil)
		}, "it went with its pod before it was read"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r, book, follow := town()
			if w := told(r, 3); w.Heard || w.Unheard != "it had no pod whose log could be read" {
				t.Errorf("before there is a pod: %+v", w)
			}
			follow(web, db)
			if w := told(r, 3); w.Heard || w.Unheard != "its log was never read" {
				t.Errorf("before it is read: %+v", w)
			}
			book.set("d1", good, nil)
			r.before(t.Context())
			row.do(r, book, follow)
			r.close(t.Context(), 20*time.Millisecond)
			if w := told(r, 3); w.Heard != (row.want == "") || !strings.Contains(w.Unheard, row.want) || row.want == "" && w.Unheard != "" {
				t.Errorf("%+v, want %q", w, row.want)
			}
		})
	}
}

// TestReceiversFollowPods: what an old pod logged before it went counts, and a
// sender is known by its old and by its new address.
func TestReceiversFollowPods(t *testing.T) {
	t.Parallel()
	r, book, follow := town()
	follow(web, db)
	book.set("d1", prober.Receipts{Boot: "b", All: []wire.Receipt{tcp(300, "10.0.0.1:4000", false)}}, nil)
	r.before(t.Context())
	follow(member("shop/web-0", "w2", "10.0.0.7"), member("shop/db-0", "d2", "10.0.0.3"))
	book.set("d2", prober.Receipts{Boot: "c", All: []wire.Receipt{tcp(500, "10.0.0.1:4001", false), tcp(400, "10.0.0.7:4000", true)}}, nil)
	r.close(t.Context(), time.Minute)
	w := told(r, 3)
	if want := []record.Arrival{{At: 300}, {At: 400, HalfOpen: true}, {At: 500}}; !w.Heard || !slices.Equal(w.Arrivals, want) {
		t.Errorf("%+v, want %+v", w, want)
	}
}

// TestReceiversKeepReading: a log is read again and again, also after it could
// not be, until its pod is gone.
func TestReceiversKeepReading(t *testing.T) {
	t.Parallel()
	r, book, follow := town()
	follow(web, db)
	book.set("d1", prober.Receipts{}, errors.New("the stream broke"))
	ended := make(chan struct{})
	go func() { defer close(ended); r.keepReading(t.Context(), r.logs[0], 0, time.Millisecond) }()
	for range 3 {
		<-book.reads
	}
	follow(web, member("shop/db-0", "d2", "10.0.0.3"))
	await(t, ended)
	ctx, cancel := context.WithCancel(t.Context())
	ended = make(chan struct{})
	go func() { defer close(ended); r.keepReading(ctx, r.logs[1], time.Hour, time.Hour) }()
	cancel()
	await(t, ended)
}

func await(t *testing.T, ended <-chan struct{}) {
	t.Helper()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the reading does not end")
	}
}

// An agent cannot speak for the time before it started. Of a pod that was not
// there then, nothing can have arrived.
func TestANewPodForgotNothing(t *testing.T) {
	t.Parallel()
	r, book, follow := town()
	follow(web, db)
	book.set("d1", prober.Receipts{Boot: "x"}, nil)
	r.before(context.Background())
	next := member("shop/db-0", "d2", "10.0.0.3")
	book.began["d2"] = 300
	book.set("d2", prober.Receipts{Boot: "y", All: []wire.Receipt{tcp(400, "10.0.0.1:999", false)}}, nil)
	follow(web, next)
	r.close(context.Background(), time.Second)
	w := told(r, 3)
	if !w.Heard || w.Unheard != "" || len(w.Arrivals) != 1 {
		t.Errorf("told %+v, want one arrival and nothing unheard", w)
	}
	if r.logs[0].since == 0 {
		t.Error("a log that was there before is asked for all it holds, older phases included")
	}
}

// TestHoldsEndWhileKernelsRemember: a fault that freezes a receiver for longer
// than half-open connections last is refused where the scenario asks for it.
func TestHoldsEndWhileKernelsRemember(t *testing.T) {
	t.Parallel()
	spec := scenario.FaultSpec{
		Kind: "node-pause", Target: scenario.Target{Node: "worker-1"}, Hold: halfOpenLife - 2*(readEvery+readingDeadline),
		Origin: oracle.Origin{File: "scenario.yaml", Line: 7, Column: 5},
	}
	err := CheckFaults(&scenario.Scenario{Chaos: []scenario.FaultSpec{spec}})
	if err == nil || !strings.Contains(err.Error(), "scenario.yaml:7:5: node-pause: hold 54s is too long") {
		t.Errorf("checked: %v", err)
	}
}
