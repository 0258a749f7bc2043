package netns_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
)

// copies is how often each flow is asked in one pass, all in flight together.
const copies = 200

// The protocols of a row.
var (
	tcp, udp, icmp = matrix.TCP, matrix.UDP, matrix.ICMP
	ports          = []matrix.Protocol{tcp, udp}
	all            = []matrix.Protocol{tcp, udp, icmp}
)

// asked and answered are rules for the requests and the answers of all probes.
func asked(verdict string) string {
	return fmt.Sprintf("th dport %d %s\nicmp type echo-request %s\n", port, verdict, verdict)
}

func asked6(verdict string) string {
	return fmt.Sprintf("th dport %d %s\nicmpv6 type echo-request %s\n", port, verdict, verdict)
}

func answered(verdict string) string {
	return fmt.Sprintf("th sport %d %s\nicmp type echo-reply %s\nicmpv6 type echo-reply %s\n", port, verdict, verdict, verdict)
}

func forward(rules string) func(*lab) {
	return func(l *lab) { l.nft(router, "forward", rules) }
}

// forged answers the requests with an ICMP error and lets none of them through.
func forged(kind, code byte) func(*lab) {
	return func(l *lab) {
		l.forge(kind, code)
		if kind < 3 {
			l.nft(router, "forward", asked6("drop"))
			return
		}
		l.nft(router, "forward", asked("drop"))
	}
}

// route adds a route to the receiver in a namespace.
func route(ns, kind string, family matrix.Family) func(*lab) {
	return func(l *lab) {
		if family == matrix.IPv6 {
			l.in(ns, "ip", "-6", "route", "add", kind, "fd99:1::2")
			return
		}
		l.in(ns, "ip", "route", "add", kind, "10.99.1.2")
	}
}

// outcomeRow is one thing that is done to the packets, and what every flow must
// then read.
type outcomeRow struct {
	name      string
	family    matrix.Family
	protocols []matrix.Protocol
	do        func(*lab)
	want      matrix.Outcome
	denial    matrix.Denial
	detail    string
	copies    int           // 0 is copies
	wait      time.Duration // 0 is that of pass
}

// forgerWait leaves time to the forger, which is a process like any other.
const forgerWait = time.Second

// TestDataPlane does to the packets what data planes do, and expects every one
// of many flows in flight together to read the same.
func TestDataPlane(t *testing.T) {
	t.Parallel()
	rows := slices.Concat(passing(), dropping(), rejecting(), routing(), oneWay())
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			row.do(l)
			n := cmp.Or(row.copies, copies)
			cells := l.pass(l.fleet(), prober.Plan{Questions: l.questions(n, row.family, port, row.protocols...), Wait: row.wait})
			for i, c := range cells {
				if c.Sample.Outcome != row.want || c.Sample.Denial != row.denial || !strings.Contains(c.Sample.Detail, row.detail) {
					t.Fatalf("flow %d: %+v, want %s by %s %q", c.Flow, c, row.want, row.denial, row.detail)
				}
				if !c.Evidence.Receiver || c.Evidence.Arrived != (row.want == matrix.OneWay) || c.Evidence.Control != (row.want == matrix.Connected && n > 1) {
					t.Fatalf("flow %d: evidence %+v", c.Flow, c.Evidence)
				}
				echo := row.protocols[i/n] == icmp
				if echo != (c.Evidence.Identity == prober.ByAddress) || c.Sample.Outcome == matrix.Connected && echo != (c.Peer.PodUID == "") {
					t.Fatalf("flow %d: %+v, ICMP: %t", c.Flow, c, echo)
				}
				if row.denial == matrix.Dropped && c.Sample.Attempts != 2 {
					t.Fatalf("flow %d: %d attempts", c.Flow, c.Sample.Attempts)
				}
			}
		})
	}
}

func passing() []outcomeRow {
	none := func(*lab) {}
	return []outcomeRow{
		{name: "open", protocols: all, do: none, want: matrix.Connected},
		{name: "open IPv6", family: matrix.IPv6, protocols: all, do: none, want: matrix.Connected},
		{name: "fragmentation-needed is a hint", protocols: all, do: func(l *lab) { l.forge(3, 4) }, want: matrix.Connected},
		{name: "packet-too-big is a hint", family: matrix.IPv6, protocols: all, do: func(l *lab) { l.forge(2, 0) }, want: matrix.Connected},
	}
}

func dropping() []outcomeRow {
	ingress := func(l *lab) {
		l.nft(receiver, "prerouting", "iif eth0 jump { "+strings.ReplaceAll(strings.TrimSpace(asked("drop")), "\n", "; ")+"; }")
	}
	unseen := "no receiver logs echo requests"
	return []outcomeRow{
		{name: "drop at ingress", protocols: ports, do: ingress, want: matrix.TimedOut, denial: matrix.Dropped},
		{name: "drop at the node", protocols: ports, do: forward(asked("drop")), want: matrix.TimedOut, denial: matrix.Dropped},
		{name: "drop at the node IPv6", family: matrix.IPv6, protocols: ports, do: forward(asked6("drop")), want: matrix.TimedOut, denial: matrix.Dropped},
		{name: "drop ICMP", protocols: []matrix.Protocol{icmp}, do: forward(asked("drop")), want: matrix.TimedOut, denial: matrix.Dropped, detail: unseen},
		{name: "drop ICMPv6", family: matrix.IPv6, protocols: []matrix.Protocol{icmp}, do: forward(asked6("drop")), want: matrix.TimedOut, denial: matrix.Dropped, detail: unseen},
		{name: "drop ICMP replies", protocols: []matrix.Protocol{icmp}, do: forward(answered("drop")), want: matrix.TimedOut, denial: matrix.Dropped, detail: unseen},
		{name: "fragmentation-needed and drop", protocols: []matrix.Protocol{udp, icmp}, do: forged(3, 4), want: matrix.TimedOut, denial: matrix.Dropped, detail: "ICMP fragmentation-needed from 10.99.0.1", wait: forgerWait},
	}
}

// rejecting has a row for each message that nftables sends, and for others.
func rejecting() []outcomeRow {
	rows := []outcomeRow{
		{
			name: "reject with a reset", protocols: []matrix.Protocol{tcp}, do: forward("tcp dport 80 reject with tcp reset"),
			want: matrix.Refused, denial: matrix.Reset, detail: "connection refused",
		},
		{
			name: "reject with a reset IPv6", family: matrix.IPv6, protocols: []matrix.Protocol{tcp}, do: forward("tcp dport 80 reject with tcp reset"),
			want: matrix.Refused, denial: matrix.Reset, detail: "connection refused",
		},
		{
			name: "time-exceeded", protocols: all, do: func(l *lab) { l.nft(router, "prerouting", "iif to-a "+"ip daddr 10.99.1.2 ip ttl set 1") },
			want: matrix.Unreachable, denial: matrix.ICMPError, detail: "ICMP time-exceeded from 10.99.0.1",
		},
		{
			name: "time-exceeded IPv6", family: matrix.IPv6, protocols: all, do: func(l *lab) { l.nft(router, "prerouting", "iif to-a ip6 daddr fd99:1::2 ip6 hoplimit set 1") },
			want: matrix.Unreachable, denial: matrix.ICMPError, detail: "ICMPv6 time-exceeded from fd99::1",
		},
	}
	for _, code := range []string{"net-unreachable", "host-unreachable", "prot-unreachable", "port-unreachable", "net-prohibited", "host-prohibited", "admin-prohibited"} {
		rows = append(rows, outcomeRow{
			name: code, protocols: all, do: forward(asked("reject with icmp " + code)), want: errorOf(code),
			denial: matrix.ICMPError, detail: "ICMP " + strings.Replace(code, "prot-", "protocol-", 1) + " from 10.99.0.1",
		})
	}
	for _, code := range []string{"no-route", "admin-prohibited", "addr-unreachable", "port-unreachable", "policy-fail", "reject-route"} {
		rows = append(rows, outcomeRow{
			name: code + " IPv6", family: matrix.IPv6, protocols: all, do: forward(asked6("reject with icmpv6 " + code)), want: errorOf(code),
			denial: matrix.ICMPError, detail: "ICMPv6 " + strings.Replace(code, "addr-", "address-", 1) + " from fd99::1",
		})
	}
	for name, code := range map[string]byte{"source-route-failed": 5, "net-unknown": 6, "host-unknown": 7, "host-isolated": 8, "precedence-cutoff": 15} {
		rows = append(rows, outcomeRow{name: name, protocols: all, do: forged(3, code), want: matrix.Unreachable, denial: matrix.ICMPError, detail: "ICMP " + name + " from 10.99.0.1", wait: forgerWait})
	}
	return append(rows, outcomeRow{name: "beyond-scope IPv6", family: matrix.IPv6, protocols: all, do: forged(1, 2), want: matrix.Unreachable, denial: matrix.ICMPError, detail: "ICMPv6 beyond-scope from fd99::1", wait: forgerWait})
}

// errorOf is what an ICMP error reads as.
func errorOf(code string) matrix.Outcome {
	if code == "port-unreachable" {
		return matrix.Refused
	}
	return matrix.Unreachable
}

func routing() []outcomeRow {
	v4, v6 := matrix.IPv4, matrix.IPv6
	const few = 1 // Linux sends one sender at most five errors of an IPv4 route at once
	return []outcomeRow{
		{name: "blackhole at the node", protocols: ports, do: route(router, "blackhole", v4), want: matrix.TimedOut, denial: matrix.Dropped},
		{name: "blackhole at the node IPv6", family: v6, protocols: ports, do: route(router, "blackhole", v6), want: matrix.TimedOut, denial: matrix.Dropped},
		{name: "unreachable route at the node", protocols: all, do: route(router, "unreachable", v4), want: matrix.Unreachable, denial: matrix.ICMPError, detail: "ICMP host-unreachable from 10.99.0.1", copies: few},
		{name: "unreachable route at the node IPv6", family: v6, protocols: all, do: route(router, "unreachable", v6), want: matrix.Unreachable, denial: matrix.ICMPError, detail: "ICMPv6 no-route from fd99::1"},
		{name: "prohibit route at the node", protocols: all, do: route(router, "prohibit", v4), want: matrix.Unreachable, denial: matrix.ICMPError, detail: "ICMP admin-prohibited from 10.99.0.1", copies: few},
		{name: "prohibit route at the node IPv6", family: v6, protocols: all, do: route(router, "prohibit", v6), want: matrix.Unreachable, denial: matrix.ICMPError, detail: "ICMPv6 admin-prohibited from fd99::1"},
		{name: "unreachable route at the sender", protocols: all, do: route(sender, "unreachable", v4), want: matrix.Unreachable, denial: matrix.LocalRoute, detail: "no route to host"},
		{name: "unreachable route at the sender IPv6", family: v6, protocols: all, do: route(sender, "unreachable", v6), want: matrix.Unreachable, denial: matrix.LocalRoute, detail: "no route to host"},
		{name: "prohibit route at the sender", protocols: all, do: route(sender, "prohibit", v4), want: matrix.Unreachable, denial: matrix.LocalRoute, detail: "permission denied"},
		{name: "prohibit route at the sender IPv6", family: v6, protocols: all, do: route(sender, "prohibit", v6), want: matrix.Unreachable, denial: matrix.LocalRoute, detail: "permission denied"},
		{name: "blackhole at the sender", protocols: all, do: route(sender, "blackhole", v4), want: matrix.Unreachable, denial: matrix.LocalRoute, detail: "the sender's route is a blackhole"},
		{name: "blackhole at the sender IPv6", family: v6, protocols: all, do: route(sender, "blackhole", v6), want: matrix.Unreachable, denial: matrix.LocalRoute, detail: "the sender's route is a blackhole"},
		{name: "no route at the sender", protocols: all, do: func(l *lab) { l.in(sender, "ip", "route", "del", "default") }, want: matrix.Unreachable, denial: matrix.LocalRoute, detail: "network is unreachable"},
	}
}

func oneWay() []outcomeRow {
	return []outcomeRow{
		{name: "answers dropped", protocols: ports, do: forward(answered("drop")), want: matrix.OneWay, detail: "arrived at lab/b from 10.99.0.2:"},
		{name: "answers dropped IPv6", family: matrix.IPv6, protocols: ports, do: forward(answered("drop")), want: matrix.OneWay, detail: "arrived at lab/b from [fd99::2]:"},
		{name: "answers dropped by the receiver", protocols: ports, do: func(l *lab) { l.nft(receiver, "output", "oif eth0 "+fmt.Sprintf("th sport %d drop", port)) }, want: matrix.OneWay, detail: "arrived at lab/b from 10.99.0.2:"},
		{name: "answers rejected UDP", protocols: []matrix.Protocol{udp}, do: forward(answered("reject")), want: matrix.OneWay, detail: "arrived at lab/b from 10.99.0.2:"},
		{name: "payload dropped", protocols: []matrix.Protocol{tcp}, do: forward("tcp dport 80 tcp flags & psh == psh drop"), want: matrix.HandshakeOnly, detail: "nobody answered"},
	}
}

// pass asks with the lab's members and returns the cells.
func (l *lab) pass(f *prober.Fleet, p prober.Plan) []prober.Cell {
	l.t.Helper()
	p.Members = l.members
	p.PerNode = cmp.Or(p.PerNode, 1000)
	p.Wait = cmp.Or(p.Wait, 400*time.Millisecond)
	cells, err := f.Pass(context.Background(), p)
	if err != nil {
		l.t.Fatal(err)
	}
	return cells
}
