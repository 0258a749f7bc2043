package netns_test

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
)

// copies is how often each flow is asked in one pass.
const copies = 50

// TestDataPlane does to the packets what data planes do, and expects every one
// of many flows in flight together to read the same.
func TestDataPlane(t *testing.T) {
	t.Parallel()
	tcp, udp := matrix.TCP, matrix.UDP
	forward := func(rules string) func(*lab) {
		return func(l *lab) { l.nft(router, "forward", rules) }
	}
	to := fmt.Sprintf("th dport %d ", port)
	from := fmt.Sprintf("th sport %d ", port)
	for _, row := range []struct {
		name      string
		family    matrix.Family
		protocols []matrix.Protocol
		do        func(*lab)
		want      matrix.Outcome
		detail    string
		few       bool // the kernel sends at most five errors of a route at once
	}{
		{name: "open", protocols: []matrix.Protocol{tcp, udp}, do: func(*lab) {}, want: matrix.Connected},
		{name: "open IPv6", family: matrix.IPv6, protocols: []matrix.Protocol{tcp, udp}, do: func(*lab) {}, want: matrix.Connected},
		{name: "drop at ingress", protocols: []matrix.Protocol{tcp, udp}, do: func(l *lab) { l.nft(receiver, "prerouting", "iif eth0 "+to+"drop") }, want: matrix.TimedOut},
		{name: "drop at the node", protocols: []matrix.Protocol{tcp, udp}, do: forward(to + "drop"), want: matrix.TimedOut},
		{name: "drop at the node IPv6", family: matrix.IPv6, protocols: []matrix.Protocol{tcp, udp}, do: forward(to + "drop"), want: matrix.TimedOut},
		{name: "reject with a reset", protocols: []matrix.Protocol{tcp}, do: forward("tcp dport 80 reject with tcp reset"), want: matrix.Refused, detail: "connection refused"},
		{name: "port-unreachable", protocols: []matrix.Protocol{tcp, udp}, do: forward(to + "reject with icmp port-unreachable"), want: matrix.Refused, detail: "ICMP port-unreachable from 10.99.0.1"},
		{name: "admin-prohibited", protocols: []matrix.Protocol{tcp, udp}, do: forward(to + "reject with icmp admin-prohibited"), want: matrix.Unreachable, detail: "ICMP admin-prohibited from 10.99.0.1"},
		{name: "host-unreachable", protocols: []matrix.Protocol{tcp, udp}, do: forward(to + "reject with icmp host-unreachable"), want: matrix.Unreachable, detail: "ICMP host-unreachable from 10.99.0.1"},
		{name: "net-unreachable", protocols: []matrix.Protocol{tcp, udp}, do: forward(to + "reject with icmp net-unreachable"), want: matrix.Unreachable, detail: "ICMP net-unreachable from 10.99.0.1"},
		{name: "host-prohibited", protocols: []matrix.Protocol{tcp, udp}, do: forward(to + "reject with icmp host-prohibited"), want: matrix.Unreachable, detail: "ICMP host-prohibited from 10.99.0.1"},
		{name: "prot-unreachable", protocols: []matrix.Protocol{tcp, udp}, do: forward(to + "reject with icmp prot-unreachable"), want: matrix.Unreachable, detail: "ICMP protocol-unreachable from 10.99.0.1"},
		{name: "port-unreachable IPv6", family: matrix.IPv6, protocols: []matrix.Protocol{tcp, udp}, do: forward(to + "reject with icmpv6 port-unreachable"), want: matrix.Refused, detail: "ICMPv6 port-unreachable from fd99::1"},
		{name: "admin-prohibited IPv6", family: matrix.IPv6, protocols: []matrix.Protocol{tcp, udp}, do: forward(to + "reject with icmpv6 admin-prohibited"), want: matrix.Unreachable, detail: "ICMPv6 admin-prohibited from fd99::1"},
		{name: "no-route IPv6", family: matrix.IPv6, protocols: []matrix.Protocol{tcp, udp}, do: forward(to + "reject with icmpv6 no-route"), want: matrix.Unreachable, detail: "ICMPv6 no-route from fd99::1"},
		{name: "blackhole at the node", protocols: []matrix.Protocol{tcp, udp}, do: func(l *lab) { l.in(router, "ip", "route", "add", "blackhole", "10.99.1.2") }, want: matrix.TimedOut},
		{name: "unreachable route at the node", protocols: []matrix.Protocol{tcp, udp}, do: func(l *lab) { l.in(router, "ip", "route", "add", "unreachable", "10.99.1.2") }, want: matrix.Unreachable, detail: "ICMP host-unreachable from 10.99.0.1", few: true},
		{name: "prohibit route at the node", protocols: []matrix.Protocol{tcp, udp}, do: func(l *lab) { l.in(router, "ip", "route", "add", "prohibit", "10.99.1.2") }, want: matrix.Unreachable, detail: "ICMP admin-prohibited from 10.99.0.1", few: true},
		{name: "unreachable route at the sender", protocols: []matrix.Protocol{tcp, udp}, do: func(l *lab) { l.in(sender, "ip", "route", "add", "unreachable", "10.99.1.2") }, want: matrix.Unreachable, detail: "no route to host"},
		{name: "blackhole at the sender", protocols: []matrix.Protocol{tcp, udp}, do: func(l *lab) { l.in(sender, "ip", "route", "add", "blackhole", "10.99.1.2") }, want: matrix.Unreachable, detail: "the sender's route is a blackhole"},
		{name: "no route at the sender", protocols: []matrix.Protocol{tcp, udp}, do: func(l *lab) { l.in(sender, "ip", "route", "del", "default") }, want: matrix.Unreachable, detail: "network is unreachable"},
		{name: "answers dropped", protocols: []matrix.Protocol{tcp, udp}, do: forward(from + "drop"), want: matrix.OneWay, detail: "arrived at lab/b from 10.99.0.2:"},
		{name: "answers dropped IPv6", family: matrix.IPv6, protocols: []matrix.Protocol{tcp, udp}, do: forward(from + "drop"), want: matrix.OneWay, detail: "arrived at lab/b from [fd99::2]:"},
		{name: "payload dropped", protocols: []matrix.Protocol{tcp}, do: forward("tcp dport 80 tcp flags & psh == psh drop"), want: matrix.HandshakeOnly, detail: "nobody answered"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			row.do(l)
			n := copies
			if row.few {
				n = 1
			}
			cells := l.pass(l.fleet(), prober.Plan{Questions: l.questions(n, row.family, port, row.protocols...)})
			for _, c := range cells {
				if c.Sample.Outcome != row.want || !strings.Contains(c.Sample.Detail, row.detail) {
					t.Fatalf("flow %d: %+v, want %s %q", c.Flow, c, row.want, row.detail)
				}
				if !c.Evidence.Receiver || c.Evidence.Arrived != (row.want == matrix.OneWay) || c.Evidence.Control != (row.want == matrix.Connected && n > 1) {
					t.Fatalf("flow %d: evidence %+v", c.Flow, c.Evidence)
				}
				if row.want.Blocked() && row.detail == "" && c.Sample.Attempts != 2 {
					t.Fatalf("flow %d: %d attempts", c.Flow, c.Sample.Attempts)
				}
			}
		})
	}
}

// pass asks with the lab's members and returns the cells.
func (l *lab) pass(f *prober.Fleet, p prober.Plan) []prober.Cell {
	l.t.Helper()
	p.Members = l.members
	if p.Wait == 0 {
		p.Wait = 400 * time.Millisecond
	}
	cells, err := f.Pass(context.Background(), p)
	if err != nil {
		l.t.Fatal(err)
	}
	return cells
}

// TestReceiver does to the receiver what happens to pods.
func TestReceiver(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name     string
		protocol matrix.Protocol
		port     uint16
		do       func(*lab)
		want     matrix.Outcome
		text     string // in the detail, or in the cause
	}{
		{"no listener TCP", matrix.TCP, 81, func(*lab) {}, matrix.Unknown, "refused, but the receiver lab/b does not answer itself"},
		{"no listener UDP", matrix.UDP, 81, func(*lab) {}, matrix.Unknown, "refused, but the receiver lab/b does not answer itself"},
		{"canary TCP", matrix.TCP, canary, func(*lab) {}, matrix.Connected, ""},
		{"canary UDP", matrix.UDP, canary, func(*lab) {}, matrix.Connected, ""},
		{"killed", matrix.TCP, port, func(l *lab) { l.kill(l.agents[receiver]) }, matrix.Unknown, "refused, but the receiver is not known to live"},
		{"stopped TCP", matrix.TCP, port, func(l *lab) { l.signal(receiver, syscall.SIGSTOP) }, matrix.HandshakeOnly, "nobody answered"},
		{"stopped UDP", matrix.UDP, port, func(l *lab) { l.signal(receiver, syscall.SIGSTOP) }, matrix.Unknown, "timed-out, but the receiver is not known to live"},
		{"address reused", matrix.TCP, port, reuse, matrix.WrongPeer, "lab/b (pod uid-other on b) answered"},
		{"address reused UDP", matrix.UDP, port, reuse, matrix.WrongPeer, "lab/b (pod uid-other on b) answered"},
		{"sender killed", matrix.TCP, port, func(l *lab) { l.kill(l.agents[sender]) }, matrix.Unknown, "asking the agent of lab/a"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			row.do(l)
			for _, c := range l.pass(l.fleet(), prober.Plan{Questions: l.questions(copies, matrix.IPv4, row.port, row.protocol)}) {
				if c.Sample.Outcome != row.want || !strings.Contains(c.Sample.Detail+c.Evidence.Cause, row.text) {
					t.Fatalf("flow %d: %+v, want %s %q", c.Flow, c, row.want, row.text)
				}
			}
		})
	}
}

// reuse gives the receiver's address to another pod, which the harness does
// not know of yet.
func reuse(l *lab) {
	l.kill(l.agents[receiver])
	other := l.member(receiver)
	other.PodUID = "uid-other"
	l.start(other)
}

// TestRelayCut kills the relay while flows are in flight, and asks again.
func TestRelayCut(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	f := l.fleet()
	questions := l.questions(copies, matrix.IPv4, port, matrix.UDP)
	l.pass(f, prober.Plan{Questions: questions}) // opens the streams
	l.in(router, "nft", "add table inet lab; add counter inet lab seen; add chain inet lab forward { type filter hook forward priority 0; }; "+
		"add rule inet lab forward udp dport 80 counter name seen drop")
	cut := make(chan struct{})
	go func() {
		defer close(cut)
		l.eventually("a packet of the pass is dropped", func() error {
			out, err := l.output(router, "nft", "list", "counters")
			if err == nil && strings.Contains(out, "packets 0") {
				return fmt.Errorf("none: %s", out)
			}
			return err
		})
		for _, r := range l.relays {
			_ = r.cmd.Process.Kill()
		}
	}()
	cells := l.pass(f, prober.Plan{Questions: questions, Wait: 10 * time.Second})
	<-cut
	for _, c := range cells {
		if c.Sample.Outcome != matrix.Unknown || !strings.Contains(c.Evidence.Cause, "asking the agent of lab/a: reading answers: the stream ended") {
			t.Fatalf("flow %d: %+v", c.Flow, c)
		}
	}
	l.in(router, "nft", "flush", "chain", "inet", "lab", "forward")
	for _, c := range l.pass(f, prober.Plan{Questions: questions}) {
		if c.Sample.Outcome != matrix.Connected {
			t.Fatalf("over new streams: %+v", c)
		}
	}
}
