package agent_test

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// stranger is a TCP server that is no agent.
func stranger(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", host().String()+":80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				serve(c)
			}()
		}
	}()
	return l.Addr().String()
}

// mute is a UDP socket that never answers.
func mute(t *testing.T) (net.PacketConn, string) {
	t.Helper()
	c, err := net.ListenPacket("udp", host().String()+":53")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, c.LocalAddr().String()
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	s, other := start(t, "TCP/80", "UDP/80"), start(t, "TCP/80", "UDP/80")
	impostor := func(flow int, p matrix.Protocol) wire.Target {
		w := other.target(flow, p, 80)
		w.PeerUID = "uid-of-a-pod-that-is-gone"
		return w
	}
	_, silent := mute(t)
	read := func(c net.Conn) { _, _ = c.Read(make([]byte, 100)) }
	at := func(address string) wire.Target {
		return wire.Target{Protocol: matrix.TCP, Address: address, PeerUID: "x"}
	}
	service := other.target(0, matrix.TCP, 80)
	service.PeerUID = "x," + other.id.PodUID
	rows := []struct {
		name   string
		target wire.Target
		want   matrix.Outcome
		detail string
	}{
		{"itself", s.target(0, matrix.TCP, 80), matrix.Connected, ""},
		{"another TCP", other.target(0, matrix.TCP, 80), matrix.Connected, ""},
		{"another UDP", other.target(0, matrix.UDP, 80), matrix.Connected, ""},
		{"one of several", service, matrix.Connected, ""},
		{"no listener TCP", other.target(0, matrix.TCP, 81), matrix.Refused, "connection refused"},
		{"no listener UDP", other.target(0, matrix.UDP, 81), matrix.Refused, "connection refused, ICMP port-unreachable from " + other.addr.String()},
		{"impostor TCP", impostor(0, matrix.TCP), matrix.WrongPeer, "shop/db-0 (pod uid-" + other.addr.String() + " on worker) answered"},
		{"impostor UDP", impostor(0, matrix.UDP), matrix.WrongPeer, "answered"},
		{"echo", at(stranger(t, func(c net.Conn) { _, _ = io.Copy(c, c) })), matrix.WrongPeer, "not an agent"},
		{"wrong nonce", at(stranger(t, func(c net.Conn) { _, _ = io.WriteString(c, `{"nonce":"x","podUID":"x"}`+"\n"); read(c); read(c) })), matrix.WrongPeer, "wrong nonce"},
		{"closes", at(stranger(t, read)), matrix.HandshakeOnly, "closed without an answer"},
		{"resets", at(stranger(t, func(c net.Conn) { read(c); _ = c.(*net.TCPConn).SetLinger(0) })), matrix.HandshakeOnly, "after the handshake: connection reset by peer"},
		{"says nothing", at(stranger(t, func(c net.Conn) { read(c); read(c) })), matrix.HandshakeOnly, "nobody answered"},
		{"silent", wire.Target{Protocol: matrix.UDP, Address: silent, PeerUID: "x"}, matrix.TimedOut, ""},
		{"no address", wire.Target{Protocol: matrix.TCP, Address: "db:80", PeerUID: "x"}, matrix.LocalError, "want IP:PORT"},
		{"no port", wire.Target{Protocol: matrix.TCP, Address: "127.0.0.1:0", PeerUID: "x"}, matrix.LocalError, "port 0"},
		{"nobody to expect", wire.Target{Protocol: matrix.TCP, Address: other.target(0, matrix.TCP, 80).Address}, matrix.LocalError, "no pod UID"},
		{"ICMP with a port", other.target(0, matrix.ICMP, 80), matrix.LocalError, "ICMP has no ports"},
		{"no protocol", wire.Target{Address: "127.0.0.1:80", PeerUID: "x"}, matrix.LocalError, "no protocol"},
	}
	denials := map[string]matrix.Denial{
		"no listener TCP": matrix.Reset, "no listener UDP": matrix.ICMPError, "silent": matrix.Dropped,
	}
	b := wire.Batch{Wait: 500 * time.Millisecond, Attempts: 2, Seed: 1}
	const copies = 10 // of every row, in flight together
	for i, row := range rows {
		for k := range copies {
			row.target.Flow = i*copies + k
			b.Targets = append(b.Targets, row.target)
		}
	}
	results := connect(t, s.Agent).batch(b)
	for flow := range len(rows) * copies {
		row, r := rows[flow/copies], results[flow]
		if r.Sample.Outcome != row.want || !strings.Contains(r.Sample.Detail, row.detail) {
			t.Errorf("%s: %s %q, want %s %q", row.name, r.Sample.Outcome, r.Sample.Detail, row.want, row.detail)
		}
		if row.want == matrix.LocalError {
			continue
		}
		if want := denials[row.name]; r.Sample.Denial != want {
			t.Errorf("%s: denied by %s, want %s", row.name, r.Sample.Denial, want)
		}
		if r.Sample.Start <= 0 || r.Sample.RTT <= 0 || r.Sample.Attempts < 1 || len(r.Sources) != r.Sample.Attempts {
			t.Errorf("%s: %+v from %v", row.name, r.Sample, r.Sources)
		}
		if blocked := r.Sample.Outcome.Blocked(); blocked && r.Sample.Attempts != 2 {
			t.Errorf("%s reads blocked after %d attempts", row.name, r.Sample.Attempts)
		}
		if r.Sample.Outcome == matrix.Connected && r.Peer.Boot == "" {
			t.Errorf("%s: peer %+v has no boot", row.name, r.Peer)
		}
	}
}

func TestSilenceIsAskedTwice(t *testing.T) {
	t.Parallel()
	c, address := mute(t)
	_ = c.SetReadDeadline(time.Now().Add(patience))
	type datagram struct {
		at          time.Time
		from, nonce string
	}
	came := make(chan datagram, 2)
	go func() {
		defer close(came)
		for range 2 {
			buf := make([]byte, 100)
			n, addr, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			came <- datagram{time.Now(), addr.String(), string(buf[:n])}
		}
	}()
	r := connect(t, start(t).Agent).batch(wire.Batch{
		Targets: []wire.Target{{Protocol: matrix.UDP, Address: address, PeerUID: "x"}}, Wait: wait, Attempts: 2,
	})[0]
	if r.Sample.RTT < wait {
		t.Errorf("gave up after %s, the wait is %s", r.Sample.RTT, wait)
	}
	one, two := <-came, <-came
	if !slices.Equal([]string{one.from, two.from}, r.Sources) {
		t.Errorf("arrived from %s and %s, the result says %v", one.from, two.from, r.Sources)
	}
	if one.from == two.from || one.nonce == two.nonce {
		t.Errorf("the second attempt repeats the first: %v %v", one, two)
	}
	if apart := two.at.Sub(one.at); apart < wait/3 { // wait/2 where they were sent
		t.Errorf("the attempts came %s apart", apart)
	}
}

func TestSecondAttemptWins(t *testing.T) {
	t.Parallel()
	const long = 2 * time.Second
	c, address := mute(t)
	answered := make(chan struct{})
	go func() { // answers the second datagram only
		defer close(answered)
		buf := make([]byte, 100)
		for i := range 2 {
			n, addr, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if i == 1 {
				_, _ = fmt.Fprintf(struct{ io.Writer }{writerTo{c, addr}}, `{"nonce":%q,"podUID":"x"}`+"\n", strings.TrimSpace(string(buf[:n])))
			}
		}
	}()
	r := connect(t, start(t).Agent).batch(wire.Batch{
		Targets: []wire.Target{{Protocol: matrix.UDP, Address: address, PeerUID: "x"}}, Wait: long, Attempts: 2,
	})[0]
	_ = c.Close()
	<-answered
	if r.Sample.Outcome != matrix.Connected || r.Sample.Attempts != 2 || r.Sample.Lost != 1 || r.Sample.RTT > long/2 {
		t.Errorf("got %+v, want the second of two attempts to connect, and the first lost", r.Sample)
	}
}

type writerTo struct {
	net.PacketConn
	addr net.Addr
}

func (w writerTo) Write(b []byte) (int, error) { return w.WriteTo(b, w.addr) }

func TestInFlightIsKept(t *testing.T) {
	t.Parallel()
	_, address := mute(t)
	b := wire.Batch{Wait: 100 * time.Millisecond, Attempts: 1, InFlight: 3, Seed: 5}
	for i := range 12 {
		b.Targets = append(b.Targets, wire.Target{Flow: i, Protocol: matrix.UDP, Address: address, PeerUID: "x"})
	}
	var spans [][2]time.Duration
	for _, r := range connect(t, start(t).Agent).batch(b) {
		spans = append(spans, [2]time.Duration{r.Sample.Start, r.Sample.Start + r.Sample.RTT})
	}
	for _, s := range spans {
		at := 0
		for _, o := range spans {
			if o[0] <= s[0] && s[0] < o[1] {
				at++
			}
		}
		if at > 3 {
			t.Fatalf("%d targets in flight, the limit is 3", at)
		}
	}
}

func TestOrderFollowsTheSeed(t *testing.T) {
	t.Parallel()
	s := start(t)
	_, address := mute(t)
	order := func(seed uint64) []int {
		b := wire.Batch{Wait: 60 * time.Millisecond, Attempts: 1, Seed: seed}
		for i := range 20 {
			b.Targets = append(b.Targets, wire.Target{Flow: i, Protocol: matrix.UDP, Address: address, PeerUID: "x"})
		}
		results := connect(t, s.Agent).batch(b)
		flows := make([]int, 0, len(results))
		for flow := range results {
			flows = append(flows, flow)
		}
		slices.SortFunc(flows, func(a, b int) int { return int(results[a].Sample.Start - results[b].Sample.Start) })
		return flows
	}
	if one, two := order(1), order(1); !slices.Equal(one, two) {
		t.Errorf("seed 1 gives %v and %v", one, two)
	}
	if one, two := order(1), order(2); slices.Equal(one, two) || slices.IsSorted(one) {
		t.Errorf("seeds 1 and 2 give %v and %v", one, two)
	}
}

// TestNothingLeaks tries everything that opens sockets, then counts them.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	s, other := start(t, "TCP/80", "UDP/80"), start(t, "TCP/80", "UDP/80")
	l := connect(t, s.Agent)
	sockets := func(a subject) int {
		lines, _ := connect(t, a.Agent).ask(wire.Request{Stats: &wire.Stats{}})
		return lines[0].Stats.SocketsNow
	}
	b := wire.Batch{Wait: wait, Attempts: 2}
	_, silent := mute(t)
	for i := range 100 {
		b.Targets = append(b.Targets, other.target(4*i, matrix.TCP, 80), other.target(4*i+1, matrix.UDP, 80),
			other.target(4*i+2, matrix.TCP, 81), wire.Target{Flow: 4*i + 3, Protocol: matrix.UDP, Address: silent, PeerUID: "x"})
	}
	l.batch(b)
	start := time.Now()
	eventually(t, "two sockets at each agent", func() bool { return sockets(s) == 2 && sockets(other) == 2 })
	if took := time.Since(start); took > 4*time.Second { // an agent drops a silent visitor after 5 s
		t.Errorf("sockets were closed only after %s", took)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("after %s still not: %s", patience, what)
		}
	}
}
