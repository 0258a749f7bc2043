package agent

import (
	"container/heap"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// stallAfter is how much later than planned the loop may run before the
// difference counts as a stall: time in which the agent was frozen or starved.
const stallAfter = 20 * time.Millisecond

// handler is told that its socket is ready. It must not block.
type handler interface {
	ready(events uint32)
}

type registration struct {
	handler handler
	gen     int32
}

// loop waits for sockets and timers and calls their handlers, one at a time.
// All methods except post and run belong to the loop's own goroutine.
type loop struct {
	epoll  int
	event  int // eventfd that wakes the loop for posted functions
	fds    map[int]registration
	gen    int32 // tells a socket from an earlier one of the same number
	timers timers
	// sources are the source ports of datagrams.
	sources sourcePorts
	next    []func() // run in the next round
	found   int      // sockets that the last poll found ready
	// stalled is the sum of all stalls.
	stalled  time.Duration
	stopping bool

	mu     sync.Mutex
	posted []func()
	closed bool
}

// now is CLOCK_MONOTONIC, the clock that all containers of a machine share.
func now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("reading CLOCK_MONOTONIC: " + err.Error()) // the kernel has no such error
	}
	return time.Duration(ts.Nano())
}

func newLoop() (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("creating epoll: %w", err)
	}
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(epoll)
		return nil, fmt.Errorf("creating eventfd: %w", err)
	}
	l := &loop{epoll: epoll, event: event, fds: map[int]registration{}, sources: newSourcePorts()}
	if err := l.add(event, unix.EPOLLIN, wakeup{fd: event}); err != nil {
		_ = unix.Close(epoll)
		_ = unix.Close(event)
		return nil, err
	}
	return l, nil
}

// post runs f on the loop, soon; false means that the loop has ended.
func (l *loop) post(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.posted = append(l.posted, f)
	if len(l.posted) == 1 {
		_, _ = unix.Write(l.event, binary.NativeEndian.AppendUint64(nil, 1)) // a full counter wakes it too
	}
	return true
}

// soon runs f in the next round, after sockets and timers had their turn.
func (l *loop) soon(f func()) { l.next = append(l.next, f) }

// caughtUp runs f after a poll that began after this call and found no socket
// ready: whatever the kernel had by now is handled then.
func (l *loop) caughtUp(f func()) {
	l.soon(func() {
		if l.found != 0 { // an interrupted poll found -1
			l.caughtUp(f)
			return
		}
		f()
	})
}

// add watches a socket, modify changes what for, drop forgets and closes it.
func (l *loop) add(fd int, events uint32, h handler) error {
	l.gen++
	ev := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: l.gen}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("watching a socket: %w", err)
	}
	l.fds[fd] = registration{handler: h, gen: l.gen}
	return nil
}

func (l *loop) modify(fd int, events uint32) {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: l.fds[fd].gen}
	_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_MOD, fd, &ev) // fails only for a socket that is not watched
}

func (l *loop) drop(fd int) {
	delete(l.fds, fd)
	_ = unix.Close(fd)
}

// run serves until stopping is set by a posted function.
func (l *loop) run() error {
	defer l.close()
	events := make([]unix.EpollEvent, 256)
	woke := now()
	for !l.stopping {
		t := now()
		l.note(woke, t)
		timeout, planned := l.timeout(t)
		n, err := unix.EpollWait(l.epoll, events, timeout)
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("waiting for sockets: %w", err)
		}
		woke = now()
		l.note(planned, woke)
		l.found = n
		for _, ev := range events[:max(n, 0)] {
			if r, ok := l.fds[int(ev.Fd)]; ok && r.gen == ev.Pad {
				r.handler.ready(ev.Events)
			}
		}
		l.timers.fire(l, woke)
		l.runPosted()
	}
	return nil
}

// note counts the time from when the loop meant to be somewhere until it was.
func (l *loop) note(planned, actual time.Duration) {
	if late := actual - planned; late > stallAfter {
		l.stalled += late
	}
}

// timeout is how long to wait, in whole milliseconds rounded up, and when that ends.
func (l *loop) timeout(t time.Duration) (int, time.Duration) {
	if len(l.next) > 0 {
		return 0, t
	}
	wait := time.Minute
	if len(l.timers) > 0 {
		wait = min(max(l.timers[0].at-t, 0), wait)
	}
	ms := (wait + time.Millisecond - 1) / time.Millisecond
	return int(ms), t + ms*time.Millisecond //nolint:durationcheck // a count times a unit
}

func (l *loop) runPosted() {
	l.mu.Lock()
	posted := l.posted
	l.posted = nil
	l.mu.Unlock()
	next := l.next
	l.next = nil
	for _, f := range posted {
		f()
	}
	for _, f := range next {
		f()
	}
}

func (l *loop) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.runPosted() // who waits for an answer gets one
	for fd := range l.fds {
		_ = unix.Close(fd)
	}
	_ = unix.Close(l.epoll)
}

// wakeup empties the eventfd; the round it starts runs the posted functions.
type wakeup struct{ fd int }

func (w wakeup) ready(uint32) {
	var b [8]byte
	_, _ = unix.Read(w.fd, b[:])
}

// timer calls fire once, at or after its time.
type timer struct {
	at    time.Duration
	fire  func()
	index int
	// running timers count only time in which the loop was not stalled, so that
	// a frozen agent does not read its own freeze as the network's silence.
	running bool
	stalled time.Duration // the loop's sum when at was set
}

// at sets a timer on CLOCK_MONOTONIC.
func (l *loop) at(t time.Duration, fire func()) *timer {
	tm := &timer{at: t, fire: fire, stalled: l.stalled}
	heap.Push(&l.timers, tm)
	return tm
}

// after sets a timer that counts only time in which the loop was not stalled.
func (l *loop) after(d time.Duration, fire func()) *timer {
	tm := l.at(now()+d, fire)
	tm.running = true
	return tm
}

// cancel is fine for a timer that has fired, and for none.
func (l *loop) cancel(tm *timer) {
	if tm != nil && tm.index >= 0 {
		heap.Remove(&l.timers, tm.index)
	}
}

// timers is a heap ordered by time.
type timers []*timer

func (h timers) Len() int           { return len(h) }
func (h timers) Less(i, j int) bool { return h[i].at < h[j].at }
func (h timers) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timers) Push(x any) {
	tm := x.(*timer) //nolint:forcetypeassert // only timers are pushed
	tm.index = len(*h)
	*h = append(*h, tm)
}

func (h *timers) Pop() any {
	old := *h
	tm := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	tm.index = -1
	return tm
}

// fire calls the timers that are due, earliest first.
func (h *timers) fire(l *loop, t time.Duration) {
	for len(*h) > 0 && (*h)[0].at <= t {
		tm := (*h)[0]
		if lost := l.stalled - tm.stalled; tm.running && lost > 0 {
			tm.at, tm.stalled = tm.at+lost, l.stalled
			heap.Fix(h, 0)
			continue
		}
		heap.Pop(h)
		tm.fire()
	}
}
