package agent_test

import (
	"bufio"
	"encoding/json"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// TestHeldConnection: what becomes of a flow that is established is told apart.
func TestHeldConnection(t *testing.T) {
	t.Parallel()
	const answers = 5
	for _, row := range []struct {
		name   string
		then   func(*net.TCPConn) // what the peer does after so many answers; nil for nothing: it is silent
		last   matrix.Outcome
		denial matrix.Denial
	}{
		{"stalled", nil, matrix.TimedOut, matrix.Dropped},
		{"reset", func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() }, matrix.Refused, matrix.Reset},
		{"closed", func(c *net.TCPConn) { _ = c.CloseWrite() }, matrix.HandshakeOnly, matrix.DenialUnknown},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			address, dials := peer(t, answers, row.then)
			l, other := connect(t, start(t).Agent), start(t, "TCP/80")
			request := wire.Sampling{Name: "x", Period: 10 * time.Millisecond, Deadline: 100 * time.Millisecond, Until: time.Hour, Targets: []wire.Target{
				{Flow: 4, Protocol: matrix.TCP, Address: address, PeerUID: "me", Held: true},
				other.target(5, matrix.TCP, 80),
			}}
			if _, last := l.ask(wire.Request{Sample: &request}); last.Error != "" {
				t.Fatal(last.Error)
			}
			select {
			case <-dials:
			case <-time.After(patience):
				t.Fatal("the peer was never asked so often")
			}
			beside := connect(t, other.Agent)
			n := len(arrivals(beside, 80))
			eventually(t, "10 more samples", func() bool { return len(arrivals(beside, 80)) > n+10 })
			s := stop(l, "x")[4]
			whole(t, s)
			s.Runs = slices.DeleteFunc(s.Runs, func(r wire.Run) bool { return r.Outcome == matrix.Unknown }) // of a busy machine
			if first := s.Runs[0]; first.Outcome != matrix.Connected {
				t.Errorf("the first run is %+v", first)
			}
			if last := s.Runs[len(s.Runs)-1]; last.Outcome != row.last || last.Denial != row.denial {
				t.Errorf("the last run is %+v, want %s by %s", last, row.last, row.denial)
			}
			if n := len(dials); n != 0 {
				t.Errorf("the connection was made anew %d times", n)
			}
		})
	}
}

// peer answers so many questions over one connection, and then does as it is
// told. The channel has an entry when it has done so, and for every connection after the first.
func peer(t *testing.T, answers int, then func(*net.TCPConn)) (string, chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", host().String()+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	done := make(chan struct{}, 100)
	go func() {
		for first := true; ; first = false {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			if !first {
				done <- struct{}{}
				continue
			}
			go func() {
				lines := bufio.NewScanner(c)
				for n := 0; lines.Scan(); n++ {
					if n < answers {
						b, _ := json.Marshal(wire.Answer{Nonce: lines.Text(), Identity: wire.Identity{PodUID: "me"}})
						_, _ = c.Write(append(b, '\n'))
						continue
					}
					if n == answers && then != nil {
						then(c.(*net.TCPConn))
					}
					if n == answers+3 || then != nil {
						done <- struct{}{}
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String(), done
}

// TestHeldConnectionIsKept: an agent answers as long as it is asked, longer than
// a visit may be silent, and what cannot be held is refused.
func TestHeldConnectionIsKept(t *testing.T) {
	t.Parallel()
	s, other := start(t), start(t, "TCP/80")
	l := connect(t, s.Agent)
	kept, closed, stranger := other.target(0, matrix.TCP, 80), other.target(1, matrix.TCP, 81), other.target(3, matrix.TCP, 80)
	kept.Held, closed.Held, stranger.Held, stranger.PeerUID = true, true, true, "somebody else"
	request := wire.Sampling{Name: "x", Period: 5 * time.Millisecond, Until: time.Hour, Targets: []wire.Target{kept, closed, other.target(2, matrix.TCP, 80), stranger}}
	if _, last := l.ask(wire.Request{Sample: &request}); last.Error != "" {
		t.Fatal(last.Error)
	}
	receiver := connect(t, other.Agent)
	eventually(t, "40 fresh connections beside it", func() bool { return len(arrivals(receiver, 80)) > 40 })
	got := stop(l, "x")
	for flow, want := range []matrix.Outcome{matrix.Connected, matrix.Refused, matrix.Connected, matrix.WrongPeer} {
		whole(t, got[flow])
		for _, r := range got[flow].Runs {
			if r.Outcome != want && r.Outcome != matrix.Unknown {
				t.Errorf("flow %d: %+v, want %s", flow, r, want)
			}
		}
	}
	if n, want := len(arrivals(receiver, 80)), 2+got[2].Taken; n != want {
		t.Errorf("%d connections arrived, want %d: two are held", n, want)
	}
	udp := other.target(3, matrix.UDP, 80)
	udp.Held = true
	request.Targets = []wire.Target{udp}
	if _, last := l.ask(wire.Request{Sample: &request}); !strings.Contains(last.Error, "UDP has no connection to hold") {
		t.Errorf("a held datagram: %q", last.Error)
	}
}
