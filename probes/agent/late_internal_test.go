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

// TestPausedListenerSaysSo: somebody may be waiting to be accepted.
func TestPausedListenerSaysSo(t *testing.T) {
	t.Parallel()
	at := netip.AddrFrom4([4]byte{127, 76, 0, 2})
	a, err := New(Config{Bind: at})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	truncated := func() bool {
		near, far := net.Pipe()
		defer func() { _ = near.Close() }()
		go func() { _ = a.Handle(context.Background(), far) }()
		var r wire.Response
		if err := errors.Join(json.NewEncoder(near).Encode(wire.Request{Receipts: &wire.Receipts{}}), json.NewDecoder(near).Decode(&r)); err != nil {
			t.Fatal(err)
		}
		return r.Done.Truncated
	}
	during := make(chan int)
	a.loop.post(func() {
		l, err := listen(a, wire.Port{Protocol: matrix.TCP, Number: 80}, at)
		if err != nil {
			during <- -1
			return
		}
		l.pause()
		n := a.pauses
		a.pauses++ // one that lasts
		during <- n
	})
	if n := <-during; n != 1 {
		t.Fatalf("%d listeners are paused, want 1", n)
	}
	if !truncated() {
		t.Error("receipts of an agent that accepts nobody are taken for all of them")
	}
	a.on(func() { a.pauses-- })
	for end := now() + 20*time.Second; truncated(); {
		if now() > end {
			t.Fatal("the listener stays paused")
		}
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
