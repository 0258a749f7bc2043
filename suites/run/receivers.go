package run

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
	"github.com/segtest/segtest/probes/wire"
	"github.com/segtest/segtest/suites/run/record"
)

const (
	// readEvery is how often the log of a receiver is read while flows are watched:
	// often, because a half-open connection can be gone soon, and because what a
	// pod logged goes with it. Many receivers are read less often.
	readEvery       = time.Second
	readReceiver    = 20 * time.Millisecond
	readingDeadline = 2 * time.Second
	// halfOpenLife is how long the kernel keeps a half-open connection, a little
	// less than 63 s. Between two readings that are further apart one can come and
	// go unseen.
	halfOpenLife = time.Minute
)

// receiptReader asks an agent what arrived there.
type receiptReader interface {
	Receipts(ctx context.Context, m prober.Member, since time.Duration) (prober.Receipts, error)
}

// route is a flow as its receiver sees it.
type route struct {
	from, to matrix.Endpoint
	protocol matrix.Protocol
	port     uint16
	family   matrix.Family
}

// receivers are the logs of those who must receive nothing on some flow, read
// while flows are watched. A packet on such a flow is told by its sender's
// address, whoever sent it: a sampler, or a pass meanwhile.
type receivers struct {
	agents receiptReader
	now    func() time.Duration // the clock of their logs
	from   time.Duration        // what arrived before does not count
	denied map[route]int

	mu      sync.Mutex
	senders map[netip.Addr]matrix.Endpoint
	logs    []*receiverLog
	struck  time.Duration // when all were read the last time before the fault
	work    sync.WaitGroup
}

// receiverLog is what one pod logged.
type receiverLog struct {
	member prober.Member
	gone   bool // its pod was replaced; guarded by receivers.mu

	turn     chan struct{} // holds one while it is read
	since    time.Duration
	read     time.Duration // when the last good reading began
	boot     string
	half     map[wire.Receipt]bool // half-open in the last good reading, without At
	arrivals map[int][]record.Arrival
	lost     string // why some of what arrived is not known, for good
	problem  string // of the last reading, "" for a good one
}

func newReceivers(agents receiptReader, now func() time.Duration, from time.Duration, denied map[route]int) *receivers {
	return &receivers{agents: agents, now: now, from: from, denied: denied, senders: map[netip.Addr]matrix.Endpoint{}}
}

// follow takes over who the agents are now, and reads the logs of those that
// are new until ctx ends.
func (r *receivers) follow(ctx context.Context, members []prober.Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	to := map[matrix.Endpoint]bool{}
	for way := range r.denied {
		to[way.to] = true
	}
	every := max(readEvery, time.Duration(len(to))*readReceiver)
	for i, m := range members {
		for _, ip := range m.IPs {
			if addr, err := netip.ParseAddr(ip); err == nil {
				r.senders[addr.Unmap()] = m.Endpoint
			}
		}
		known, since := false, r.from
		for _, l := range r.logs {
			if l.member.Endpoint == m.Endpoint {
				same := l.member.PodUID == m.PodUID
				known, l.gone = known || same, l.gone || !same
				since = 0 // all that a new pod logged counts
			}
		}
		if known || !to[m.Endpoint] {
			continue
		}
		l := &receiverLog{member: m, turn: make(chan struct{}, 1), since: since, read: r.now(), arrivals: map[int][]record.Arrival{}}
		r.logs = append(r.logs, l)
		r.work.Go(func() { r.keepReading(ctx, l, every*time.Duration(i)/time.Duration(len(members)), every) })
	}
}

// keepReading reads a log again and again. Readings of several logs begin at
// different times, so that they do not disturb the sampling together.
func (r *receivers) keepReading(ctx context.Context, l *receiverLog, first, every time.Duration) {
	timer := time.NewTimer(first)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		r.mu.Lock()
		gone := l.gone
		r.mu.Unlock()
		if gone {
			return
		}
		r.read(ctx, l, readingDeadline)
		timer.Reset(every)
	}
}

// before reads all logs once more, right before a fault that may take some of
// them away.
func (r *receivers) before(ctx context.Context) {
	r.struck = r.now()
	r.readAll(ctx, readingDeadline)
}

// close ends the reading, ctx of follow having ended, with one that counts.
func (r *receivers) close(ctx context.Context, within time.Duration) {
	r.work.Wait()
	r.readAll(ctx, within)
}

func (r *receivers) readAll(ctx context.Context, within time.Duration) {
	r.mu.Lock()
	logs := slices.DeleteFunc(slices.Clone(r.logs), func(l *receiverLog) bool { return l.gone })
	r.mu.Unlock()
	var all sync.WaitGroup
	for _, l := range logs {
		all.Go(func() { r.read(ctx, l, within) })
	}
	all.Wait()
}

// read reads a log once. It gives up after a time and leaves the stream to
// others: a frozen agent answers when it is thawed.
func (r *receivers) read(ctx context.Context, l *receiverLog, within time.Duration) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return
	}
	ctx, cancel := context.WithCancelCause(ctx)
	late := time.AfterFunc(within, func() { cancel(fmt.Errorf("no answer within %s", within)) })
	defer func() { late.Stop(); cancel(nil) }()
	start := r.now()
	got, err := r.agents.Receipts(ctx, l.member, l.since)
	if err != nil {
		l.problem = err.Error()
		return
	}
	switch {
	case l.boot != "" && got.Boot != l.boot:
		l.lost = cmp.Or(l.lost, "its agent was started anew and forgot what it had logged")
	case got.Forgot:
		l.lost = cmp.Or(l.lost, "more arrived than its agent keeps")
	case start-l.read > halfOpenLife:
		l.lost = cmp.Or(l.lost, fmt.Sprintf("it could not be read for %s: %s", (start-l.read).Round(time.Second), l.problem))
	}
	l.boot, l.read, l.problem = got.Boot, start, ""
	r.take(l, got.All)
}

// take sorts what a log has that is new to the flows that ought to be closed. A
// half-open connection is listed in every reading while it lasts.
func (r *receivers) take(l *receiverLog, receipts []wire.Receipt) {
	half := map[wire.Receipt]bool{}
	for _, a := range receipts {
		at := a.At
		if a.HalfOpen {
			a.At = 0
			half[a] = true
			if l.half[a] || at > 0 && at < r.from {
				continue
			}
		} else {
			l.since = max(l.since, at+1)
		}
		if flow, ok := r.flow(l.member.Endpoint, a); ok {
			l.arrivals[flow] = append(l.arrivals[flow], record.Arrival{At: at, HalfOpen: a.HalfOpen})
		}
	}
	l.half = half
}

// flow is the flow that an arrival belongs to, if that ought to be closed.
func (r *receivers) flow(to matrix.Endpoint, a wire.Receipt) (int, bool) {
	source, err := netip.ParseAddrPort(a.Source)
	if err != nil {
		return 0, false
	}
	way := route{to: to, protocol: a.Protocol, port: a.Port, family: matrix.IPv4}
	if !source.Addr().Unmap().Is4() {
		way.family = matrix.IPv6
	}
	r.mu.Lock()
	way.from = r.senders[source.Addr().Unmap()]
	r.mu.Unlock()
	flow, ok := r.denied[way]
	return flow, ok
}

// tell fills in what arrived on a flow, and whether that is all. Of a protocol
// that no receiver can log it never is.
func (r *receivers) tell(w *record.Watched, to matrix.Endpoint, protocol matrix.Protocol) {
	known, why := false, ""
	for _, l := range r.logs {
		if l.member.Endpoint == to {
			known, why = true, cmp.Or(why, l.missing(r.struck))
			w.Arrivals = append(w.Arrivals, l.arrivals[w.Flow]...)
		}
	}
	if !known {
		why = "it had no pod whose log could be read"
	}
	why = cmp.Or(why, wire.Unlogged(protocol))
	w.Heard, w.Unheard = why == "", why
	slices.SortStableFunc(w.Arrivals, func(a, b record.Arrival) int { return cmp.Compare(a.At, b.At) })
}

// missing says why a log does not tell all that arrived, "" where it does. What
// a pod logged after the last reading before a fault took it away is lost, and
// then nobody could watch it any more.
func (l *receiverLog) missing(struck time.Duration) string {
	switch {
	case l.gone && l.read < struck:
		return cmp.Or(l.lost, l.problem, "it went with its pod before it was read")
	case l.boot == "":
		return cmp.Or(l.problem, "its log was never read")
	case l.gone:
		return l.lost
	}
	return cmp.Or(l.lost, l.problem)
}
