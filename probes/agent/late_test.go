package agent_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// late asks until there are so many late results, and returns them.
func (l *line) late(since time.Duration, n int) []wire.Result {
	l.t.Helper()
	var results []wire.Result
	eventually(l.t, fmt.Sprintf("%d late results", n), func() bool {
		lines, last := l.ask(wire.Request{Late: &wire.Late{Since: since}})
		if last.Error != "" || last.Done.Truncated {
			l.t.Fatalf("late results: %+v", last)
		}
		results = nil
		for _, r := range lines {
			results = append(results, *r.Result)
		}
		return len(results) >= n
	})
	return results
}

func (l *line) now() time.Duration {
	lines, _ := l.ask(wire.Request{Hello: &wire.Hello{}})
	return lines[0].Hello.Now
}

// TestHeldTargetsAreAnsweredLate lets the wait end before anybody answers.
func TestHeldTargetsAreAnsweredLate(t *testing.T) {
	t.Parallel()
	s := start(t)
	l := connect(t, s.Agent)
	c, address := mute(t)
	since := l.now()
	b := wire.Batch{Wait: wait, Hold: patience, Attempts: 2, InFlight: 1, Targets: []wire.Target{
		{Flow: 1, Protocol: matrix.UDP, Address: address, PeerUID: "x"}, {Flow: 2, Protocol: matrix.UDP, Address: address, PeerUID: "x"},
	}}
	told := l.batch(b) // with one in flight, the second target needs the place of the first
	for flow := 1; flow <= 2; flow++ {
		if r := told[flow]; r.Sample.Outcome != matrix.TimedOut || r.Sample.Attempts != 2 || r.Sample.RTT < wait || len(r.Sources) != 2 {
			t.Fatalf("told %+v, want two attempts without an answer", r)
		}
	}
	if got := l.late(since, 0); len(got) > 0 {
		t.Fatalf("late before anybody answered: %+v", got)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	for range 4 {
		buf := make([]byte, 100)
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			t.Fatal(err)
		}
		if from.String() == told[1].Sources[1] { // of all attempts this one is answered
			_, _ = fmt.Fprintf(writerTo{c, from}, `{"nonce":%q,"podUID":"x"}`+"\n", strings.TrimSpace(string(buf[:n])))
		}
	}
	got := l.late(since, 1)
	if len(got) != 1 || got[0].Flow != 1 || got[0].Sample.Outcome != matrix.Connected || got[0].Sample.Attempts != 2 ||
		got[0].Sample.Start+got[0].Sample.RTT < told[1].Sample.Start+wait || !slices.Equal(got[0].Sources, told[1].Sources) {
		t.Errorf("late %+v, want flow 1 connected", got)
	}
	if got := l.late(l.now(), 0); len(got) > 0 {
		t.Errorf("late since after it came: %+v", got)
	}
}

// TestHoldEnds counts sockets: a target is held for so long and not longer.
func TestHoldEnds(t *testing.T) {
	t.Parallel()
	s := start(t)
	l := connect(t, s.Agent)
	_, address := mute(t)
	sockets := func() int {
		lines, _ := l.ask(wire.Request{Stats: &wire.Stats{}})
		return lines[0].Stats.SocketsNow
	}
	b := wire.Batch{Wait: wait, Hold: patience, Attempts: 2, Targets: []wire.Target{{Protocol: matrix.UDP, Address: address, PeerUID: "x"}}}
	l.batch(b)
	if n := sockets(); n != 2 {
		t.Errorf("%d sockets are held, want the two attempts", n)
	}
	b.Hold = wait
	l.batch(b)
	eventually(t, "only the first batch's sockets are held", func() bool { return sockets() == 2 })
	b.Hold = 0
	l.batch(b)
	if n := sockets(); n != 2 {
		t.Errorf("%d sockets after a batch without a hold, want none of its own", n-2)
	}
}

// TestLateAnswerAfterTheHandshake holds two connections: one peer thinks long,
// the other closes at last, which says no more than its silence did.
func TestLateAnswerAfterTheHandshake(t *testing.T) {
	t.Parallel()
	s := start(t)
	l := connect(t, s.Agent)
	think := make(chan struct{})
	address := stranger(t, func(c net.Conn) {
		nonce := make([]byte, 100)
		n, _ := c.Read(nonce)
		<-think
		_, _ = fmt.Fprintf(c, `{"nonce":%q,"podUID":"x"}`+"\n", strings.TrimSpace(string(nonce[:n])))
		_, _ = c.Read(nonce)
	})
	closer := stranger(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 100))
		<-think
	})
	since := l.now()
	told := l.batch(wire.Batch{Wait: wait, Hold: patience, Attempts: 1, Targets: []wire.Target{
		{Flow: 4, Protocol: matrix.TCP, Address: address, PeerUID: "x"}, {Flow: 5, Protocol: matrix.TCP, Address: closer, PeerUID: "x"},
	}})
	for flow, r := range told {
		if r.Sample.Outcome != matrix.HandshakeOnly || !strings.HasPrefix(r.Sample.Detail, "nobody answered") {
			t.Errorf("flow %d: told %+v", flow, r)
		}
	}
	close(think)
	eventually(t, "the sockets are closed with the answers", func() bool {
		lines, _ := l.ask(wire.Request{Stats: &wire.Stats{}})
		return lines[0].Stats.SocketsNow == 0
	})
	if got := l.late(since, 0); len(got) != 1 || got[0].Flow != 4 || got[0].Sample.Outcome != matrix.Connected {
		t.Errorf("late %+v, want flow 4 connected", got)
	}
}

// TestLogsBeginWithTheAgent asks for what an earlier boot may have seen.
func TestLogsBeginWithTheAgent(t *testing.T) {
	t.Parallel()
	l := connect(t, start(t).Agent)
	early := l.now() - time.Hour
	for name, req := range map[string]wire.Request{
		"receipts": {Receipts: &wire.Receipts{Since: early}}, "late results": {Late: &wire.Late{Since: early}},
	} {
		if _, last := l.ask(req); last.Done == nil || !last.Done.Truncated {
			t.Errorf("%s: %+v, want truncated", name, last)
		}
	}
}
