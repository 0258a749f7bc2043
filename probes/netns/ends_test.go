package netns_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
	"github.com/segtest/segtest/probes/wire"
)

// TestEnds does to sender and receiver what happens to pods.
func TestEnds(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name     string
		protocol matrix.Protocol
		port     uint16
		do       func(*lab)
		want     matrix.Outcome
		text     string // in the detail, or in the cause
	}{
		{"no listener TCP", tcp, 81, func(*lab) {}, matrix.Unknown, "refused, but the receiver lab/b does not answer itself"},
		{"no listener UDP", udp, 81, func(*lab) {}, matrix.Unknown, "refused, but the receiver lab/b does not answer itself"},
		{"canary TCP", tcp, canary, func(*lab) {}, matrix.Connected, ""},
		{"canary UDP", udp, canary, func(*lab) {}, matrix.Connected, ""},
		{"receiver killed TCP", tcp, port, func(l *lab) { l.kill(l.agents[receiver]) }, matrix.Unknown, "refused, but the receiver is not known to live"},
		{"receiver killed UDP", udp, port, func(l *lab) { l.kill(l.agents[receiver]) }, matrix.Unknown, "refused, but the receiver is not known to live"},
		{"receiver stopped TCP", tcp, port, stopped(receiver), matrix.HandshakeOnly, "nobody answered"},
		{"receiver stopped UDP", udp, port, stopped(receiver), matrix.Unknown, "timed-out, but the receiver is not known to live"},
		{"receiver stopped ICMP", icmp, port, stopped(receiver), matrix.Connected, ""}, // its kernel answers
		{"receiver out of descriptors TCP", tcp, port, func(l *lab) { l.descriptors(receiver) }, matrix.HandshakeOnly, "nobody answered"},
		{"receiver's accept queue full", tcp, port, fill, matrix.Unknown, "timed-out, but the receiver is not known to live"},
		{"receiver without sockets for ICMP", icmp, port, func(l *lab) { l.in(receiver, "sysctl", "-qw", "net.ipv4.ping_group_range=1 0"); reuse(l) }, matrix.Connected, ""},
		{"address reused TCP", tcp, port, reuse, matrix.WrongPeer, "lab/b (pod uid-other on b) answered"},
		{"address reused UDP", udp, port, reuse, matrix.WrongPeer, "lab/b (pod uid-other on b) answered"},
		{"address reused ICMP", icmp, port, reuse, matrix.Connected, ""}, // known by its address only
		{"another answers ICMP", icmp, port, forward("icmp type echo-reply ip saddr set 10.99.1.77"), matrix.WrongPeer, "10.99.1.77 answered"},
		{"answers reset", tcp, port, forward("tcp sport 80 reject with tcp reset"), matrix.Unknown, "timed-out, but the kernel of lab/b dropped"},
		{"answers rejected", tcp, port, forward("tcp sport 80 reject with icmp host-unreachable"), matrix.Unknown, "timed-out, but the kernel of lab/b dropped"},
		{"sender killed", tcp, port, func(l *lab) { l.kill(l.agents[sender]) }, matrix.Unknown, "asking the agent of lab/a"},
		{"sender stopped", tcp, port, stopped(sender), matrix.Unknown, "asking the agent of lab/a: no answer from the agent in time"},
		{"sender out of source ports TCP", tcp, port, noPorts, matrix.LocalError, "cannot assign requested address"},
		{"sender out of source ports UDP", udp, port, noDatagramPorts, matrix.LocalError, "choosing a source port: address already in use"},
		{"sender out of descriptors TCP", tcp, port, func(l *lab) {
			l.descriptors(sender)
			if out, err := l.agent(l.member(sender), "ready").CombinedOutput(); err == nil { // nor does it end there
				l.t.Errorf("it answered on a new stream: %s", out)
			}
		}, matrix.LocalError, "too many open files"},
		{"sender out of descriptors UDP", udp, port, func(l *lab) { l.descriptors(sender) }, matrix.LocalError, "too many open files"},
		{"sender out of descriptors ICMP", icmp, port, func(l *lab) { l.descriptors(sender) }, matrix.LocalError, "too many open files"},
		{"sender without sockets for ICMP", icmp, port, func(l *lab) { l.in(sender, "sysctl", "-qw", "net.ipv4.ping_group_range=1 0") }, matrix.LocalError, wire.NoEcho},
		{"sender filters its datagrams", udp, port, func(l *lab) { l.nft(sender, "output", "th dport 80 drop") }, matrix.LocalError, "operation not permitted"},
		{"SCTP", matrix.SCTP, port, func(*lab) {}, matrix.LocalError, wire.NoSCTP},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			f := l.fleet()
			for _, h := range f.Health(context.Background(), l.members) { // opens the streams
				if h.Err != nil {
					t.Fatal(h.Err)
				}
				if row.protocol == matrix.SCTP && slices.Contains(h.Hello.Speaks, matrix.SCTP) {
					t.Skip("this kernel has SCTP: see TestSCTP")
				}
			}
			row.do(l)
			for _, c := range l.pass(f, prober.Plan{Questions: l.questions(copies, matrix.IPv4, row.port, row.protocol)}) {
				if c.Sample.Outcome != row.want || !strings.Contains(c.Sample.Detail+c.Evidence.Cause, row.text) || c.Sample.Denial != matrix.DenialUnknown {
					t.Fatalf("flow %d: %+v, want %s %q", c.Flow, c, row.want, row.text)
				}
				if row.want == matrix.LocalError && (c.Evidence.Cause != c.Sample.Detail || c.Sample.Attempts != 0) {
					t.Fatalf("flow %d: %+v, and nothing was sent", c.Flow, c)
				}
			}
		})
	}
}

// descriptors lets an agent open no further file.
func (l *lab) descriptors(ns string) {
	l.t.Helper()
	l.run("", "setpriv", "--reuid=65532", "--regid=65532", "--clear-groups",
		"prlimit", fmt.Sprintf("--pid=%d", l.agents[ns].Process.Pid), "--nofile=3:3")
}

// stop freezes an agent, and returns when none of its threads runs any more.
func (l *lab) stop(ns string) error {
	pid := l.agents[ns].Process.Pid
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		return err
	}
	var status unix.WaitStatus
	for {
		switch _, err := unix.Wait4(pid, &status, unix.WUNTRACED, nil); {
		case err == unix.EINTR:
		case err == nil && !status.Stopped():
			return fmt.Errorf("the agent of %s did not stop: %v", ns, status)
		default:
			return err
		}
	}
}

// noPorts leaves the sender's kernel no port to choose.
func noPorts(l *lab) {
	l.in(sender, "sysctl", "-qw", "net.ipv4.ip_local_port_range=60000 60001", "net.ipv4.ip_local_reserved_ports=60000-60001")
}

// noDatagramPorts takes all the ports that agents send datagrams from. One
// process may not have that many.
func noDatagramPorts(l *lab) {
	const first, last, each = 32768, 60999, 10000
	for from := first; from <= last; from += each {
		cmd := exec.Command("ip", "netns", "exec", l.name+sender, os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d-%d", envHold, from, min(from+each-1, last)))
		in, err := cmd.StdinPipe()
		if err != nil {
			l.t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			l.t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			l.t.Fatal(err)
		}
		l.t.Cleanup(func() {
			_ = in.Close()
			_ = cmd.Wait()
		})
		if said, err := bufio.NewReader(out).ReadString('\n'); err != nil || said != "held\n" {
			l.t.Fatalf("holding ports: %q, %v", said, err)
		}
	}
}

// envHold asks a process of this test to hold UDP ports until its input ends.
const envHold = "SEGTEST_NETNS_HOLD"

func holdPorts(ports string, in io.Reader, out io.Writer) error {
	var first, last int
	if _, err := fmt.Sscanf(ports, "%d-%d", &first, &last); err != nil {
		return err
	}
	for p := first; p <= last; p++ {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		if err := unix.Bind(fd, &unix.SockaddrInet4{Port: p}); err != nil {
			return fmt.Errorf("port %d: %w", p, err)
		}
	}
	_, err := io.WriteString(out, "held\n")
	_, _ = io.Copy(io.Discard, in)
	return err
}

func stopped(ns string) func(*lab) {
	return func(l *lab) {
		if err := l.stop(ns); err != nil {
			l.t.Fatal(err)
		}
	}
}

// fill stops a receiver whose accept queue has room for two, and fills it.
func fill(l *lab) {
	l.kill(l.agents[receiver])
	l.in(receiver, "sysctl", "-qw", "net.core.somaxconn=1")
	l.start(l.member(receiver))
	if err := errors.Join(l.stop(receiver), l.visit(2)); err != nil {
		l.t.Fatal(err)
	}
}

// visit connects with the receiver's port from its own namespace.
func (l *lab) visit(n int) error {
	at := unix.SockaddrInet4{Port: port, Addr: netip.MustParseAddr(l.member(receiver).IPs[0]).As4()}
	return l.inside(receiver, func() error {
		for range n {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			l.t.Cleanup(func() { _ = unix.Close(fd) })
			if err := unix.Connect(fd, &at); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestAcceptQueueFullForAWhile freezes a receiver from right after it has said
// that it lives until nobody answered its senders. Its accept queue is full
// meanwhile, and afterwards it answers itself and has logged none of them.
func TestAcceptQueueFullForAWhile(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.kill(l.agents[receiver])
	l.in(receiver, "sysctl", "-qw", "net.core.somaxconn=1")
	l.start(l.member(receiver))
	freeze := sync.OnceFunc(func() {
		if err := errors.Join(l.stop(receiver), l.visit(2)); err != nil {
			t.Errorf("freezing the receiver: %v", err)
		}
	})
	thaw := sync.OnceFunc(func() { _ = l.agents[receiver].Process.Signal(syscall.SIGCONT) })
	d := eavesdropper{l, map[string]func(){`"podUID":"uid-b"`: freeze, fmt.Sprintf(`"done":{"count":%d`, copies/100): thaw}}
	for _, c := range l.pass(l.fleetOver(d), prober.Plan{Questions: l.questions(copies, matrix.IPv4, port, tcp)}) {
		if c.Sample.Outcome != matrix.Unknown || !strings.Contains(c.Evidence.Cause, "timed-out, but the kernel of lab/b dropped") {
			t.Fatalf("flow %d: %+v", c.Flow, c)
		}
		if !c.Evidence.Receiver {
			t.Fatalf("flow %d: the receiver does not answer itself, so nothing is shown: %+v", c.Flow, c)
		}
	}
}

// TestLoss loses three packets in ten, each way. A closed flow that is asked often
// enough is closed and an open one connects; where they are asked twice only,
// silence proves nothing.
func TestLoss(t *testing.T) {
	t.Parallel()
	const often, always = 16, 24
	l := newLab(t)
	l.nft(router, "forward", fmt.Sprintf("th dport %d drop\nip daddr 10.99.0.0/16 numgen random mod 10 < 3 drop", canary))
	f := prober.NewFleet(l, prober.Limits{Reply: patience}) // thousands of sockets are slow
	defer func() { _ = f.Close(context.Background()) }()
	shut := l.questions(copies, matrix.IPv4, canary, ports...)
	with := func(open []prober.Question) []prober.Question {
		for i := range open {
			open[i].Flow += len(shut)
		}
		return append(slices.Clip(shut), open...)
	}
	// Datagrams say how many packets get lost. Connections that lose some leave
	// arrivals untold, which is a doubt of its own.
	p := prober.Plan{Questions: with(l.questions(copies, matrix.IPv4, port, udp)), Attempts: often, Wait: prober.SurpriseWait}
	for _, c := range l.pass(f, p)[:len(shut)] {
		if c.Sample.Outcome != matrix.TimedOut || c.Sample.Attempts < often/2 { // a starved agent makes fewer
			t.Fatalf("closed: %+v", c)
		}
	}
	silent := 0
	for i, c := range l.pass(f, prober.Plan{Questions: with(l.questions(copies, matrix.IPv4, port, ports...))}) {
		switch {
		case c.Sample.Outcome == matrix.Unknown && strings.Contains(c.Evidence.Cause, "timed-out, but the network loses packets"):
			silent++
		case i >= len(shut) && c.Sample.Outcome.Passed():
		default:
			t.Fatalf("asked twice: %+v", c)
		}
	}
	if silent <= len(shut) {
		t.Errorf("%d flows were silent, %d of them closed: nothing was lost", silent, len(shut))
	}
	p = prober.Plan{Questions: l.questions(copies, matrix.IPv4, port, all...), Attempts: always, Wait: prober.SurpriseWait}
	for _, c := range l.pass(f, p) {
		if c.Sample.Outcome != matrix.Connected {
			t.Fatalf("open: %+v", c)
		}
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
