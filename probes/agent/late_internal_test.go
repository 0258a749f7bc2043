package agent

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// TestReceiptsAreUpToDate asks a busy agent: what its kernel has taken for it
// has arrived, although the agent has not seen it yet.
func TestReceiptsAreUpToDate(t *testing.T) {
	t.Parallel()
	at := netip.AddrFrom4([4]byte{127, 76, 0, 1})
	a, err := New(Config{Bind: at, Listen: []wire.Port{{Protocol: matrix.TCP, Number: 80}, {Protocol: matrix.UDP, Number: 80}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	since := now()
	busy, freed := make(chan struct{}), make(chan struct{})
	a.loop.post(func() { close(busy); <-freed })
	free := sync.OnceFunc(func() { close(freed) })
	t.Cleanup(free)
	<-busy
	const each = 3 * acceptsPerTurn // more than the agent takes in one turn
	for range each {
		tcp, err := net.Dial("tcp", netip.AddrPortFrom(at, 80).String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tcp.Close() })
	}
	udp, err := net.Dial("udp", netip.AddrPortFrom(at, 80).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = udp.Close() })
	for range each {
		if _, err := udp.Write([]byte("n\n")); err != nil {
			t.Fatal(err)
		}
	}
	near, far := net.Pipe()
	t.Cleanup(func() { _ = near.Close() })
	go func() { _ = a.Handle(context.Background(), far) }()
	answer := make(chan map[matrix.Protocol]int, 1)
	go func() {
		count := map[matrix.Protocol]int{}
		for in := json.NewDecoder(near); ; {
			var r wire.Response
			if err := in.Decode(&r); err != nil || r.Receipt == nil {
				answer <- count
				return
			}
			count[r.Receipt.Protocol]++
		}
	}()
	if err := json.NewEncoder(near).Encode(wire.Request{Receipts: &wire.Receipts{Since: since}}); err != nil {
		t.Fatal(err)
	}
	for waiting := false; !waiting; {
		select {
		case got := <-answer:
			t.Fatalf("%v, said without looking", got)
		default:
		}
		a.loop.mu.Lock()
		waiting = len(a.loop.posted) > 0
		a.loop.mu.Unlock()
		runtime.Gosched()
	}
	free()
	if got := <-answer; got[matrix.TCP] != each || got[matrix.UDP] != each {
		t.Errorf("%v arrived, want %d of each", got, each)
	}
}

// TestPausedListenerIsWaitedFor: whoever waits to be accepted has arrived.
func TestPausedListenerIsWaitedFor(t *testing.T) {
	t.Parallel()
	at := netip.AddrFrom4([4]byte{127, 76, 0, 2})
	a, err := New(Config{Bind: at})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	since := now()
	paused := make(chan int, 1)
	a.loop.post(func() { // which is busy until somebody waits
		l, err := listen(a, wire.Port{Protocol: matrix.TCP, Number: 80}, at)
		if err != nil {
			paused <- -1
			return
		}
		tcp, err := net.Dial("tcp", netip.AddrPortFrom(at, 80).String())
		if err != nil {
			paused <- -1
			return
		}
		t.Cleanup(func() { _ = tcp.Close() })
		l.pause()
		paused <- a.pauses
	})
	if n := <-paused; n != 1 {
		t.Fatalf("%d listeners are paused, want 1", n)
	}
	near, far := net.Pipe()
	defer func() { _ = near.Close() }()
	go func() { _ = a.Handle(context.Background(), far) }()
	var first, untold, last wire.Response
	in := json.NewDecoder(near)
	if err := errors.Join(json.NewEncoder(near).Encode(wire.Request{Receipts: &wire.Receipts{Since: since}}), in.Decode(&first)); err != nil {
		t.Fatal(err)
	}
	if first.Receipt == nil {
		t.Fatalf("%+v, said while the listener was paused", first)
	}
	if err := errors.Join(in.Decode(&untold), in.Decode(&last)); err != nil || untold.Untold == nil || last.Done == nil || last.Done.Truncated {
		t.Errorf("%+v, %v: a pause is told as a loss", last, err)
	}
}

// TestPauseOutlastsWhoAsks: nobody waits for a pause longer than its caller does.
func TestPauseOutlastsWhoAsks(t *testing.T) {
	t.Parallel()
	a, err := New(Config{Bind: netip.AddrFrom4([4]byte{127, 76, 0, 3})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	a.on(func() { a.pauses++ })
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(2*acceptPause, cancel)
	if a.upToDate(ctx, func() { t.Error("up to date while a listener is paused") }) {
		t.Error("up to date without having looked")
	}
	ended := make(chan struct{})
	a.on(func() {
		a.pauses--
		a.loop.at(now()+2*acceptPause, func() { close(ended) })
	})
	<-ended // nobody looks for one who is gone
}

// TestLateHandshakeWithoutAnAnswer: a handshake that came after the wait is
// told, although nobody answers after it.
func TestLateHandshakeWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	at := netip.AddrFrom4([4]byte{127, 76, 0, 4})
	mute, err := net.Listen("tcp", netip.AddrPortFrom(at, 0).String()) // accepts nobody: the kernel shakes hands
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mute.Close() })
	a, err := New(Config{Bind: at})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	told, late := make(chan wire.Result, 1), make(chan wire.Result, 1)
	a.loop.post(func() {
		p := &probe{
			loop: a.loop, target: wire.Target{Protocol: matrix.TCP, Address: mute.Addr().String(), PeerUID: "x"},
			wait: time.Hour, hold: time.Hour, attempts: 1, nonces: a.nonces,
			done: func(r wire.Result) { told <- r }, late: func(r wire.Result) { late <- r },
		}
		p.start()
		p.expire() // before the loop has seen the handshake
	})
	if r := <-told; r.Sample.Outcome != matrix.TimedOut {
		t.Fatalf("told %+v, want silence", r)
	}
	select {
	case r := <-late:
		if r.Sample.Outcome != matrix.HandshakeOnly || len(r.Sources) != 1 || r.Sample.Attempts != 1 {
			t.Errorf("late %+v, want a handshake", r)
		}
	case <-time.After(20 * time.Second):
		t.Error("nobody tells of the handshake")
	}
}

func TestLateResultsSayWhenTheyForgot(t *testing.T) {
	t.Parallel()
	var l lateResults
	start := now()
	for i := range keptLate + 10 {
		l.add(wire.Result{Flow: i})
	}
	kept, truncated := l.since(start)
	if len(kept) != keptLate || kept[0].Flow != 10 || !truncated {
		t.Errorf("%d kept from %d on, truncated %t", len(kept), kept[0].Flow, truncated)
	}
	if kept, truncated := l.since(now()); len(kept) > 0 || truncated {
		t.Errorf("later than everything: %d kept, truncated %t", len(kept), truncated)
	}
}

// TestLingering: an attempt that nobody needs any more stays until its handshake
// is complete or its time is over, and one without a handshake ahead of it goes.
func TestLingering(t *testing.T) {
	t.Parallel()
	l, err := newLoop()
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	for _, row := range []struct {
		name     string
		attempt  attempt
		next     func(a *attempt)
		at, then bool // open at first, and after next
	}{
		{"shaking hands", attempt{protocol: matrix.TCP}, func(*attempt) {}, true, true},
		{"its time is over", attempt{protocol: matrix.TCP}, func(*attempt) { l.timers.fire(l, now()+time.Hour) }, true, false},
		{"connected", attempt{protocol: matrix.TCP}, (*attempt).connected, true, false},
		{"refused", attempt{protocol: matrix.SCTP}, func(a *attempt) { a.told(unix.ECONNREFUSED) }, true, false},
		{"waiting for the answer", attempt{protocol: matrix.TCP, handshake: true}, func(*attempt) {}, false, false},
		{"datagram", attempt{protocol: matrix.UDP}, func(*attempt) {}, false, false},
	} {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		a := row.attempt
		a.loop, a.fd, a.done = l, pair[0], func(finding) { t.Errorf("%s: a result", row.name) }
		a.linger(now() + time.Minute)
		at := a.fd >= 0
		row.next(&a)
		if then := a.fd >= 0; at != row.at || then != row.then {
			t.Errorf("%s: open %t and %t, want %t and %t", row.name, at, then, row.at, row.then)
		}
		a.abandon()
		_ = unix.Close(pair[1])
	}
}
