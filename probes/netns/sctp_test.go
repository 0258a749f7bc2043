package netns_test

import (
	"context"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
)

// TestSCTP needs a kernel with SCTP. TestEnds has what agents say on another.
func TestSCTP(t *testing.T) {
	t.Parallel()
	first := newLab(t)
	first.needSCTP(first.fleet())
	const unseen = "no receiver logs the first packets of SCTP"
	v6, none := matrix.IPv6, matrix.DenialUnknown
	for _, row := range []struct {
		name   string
		family matrix.Family
		port   uint16
		do     func(*lab)
		want   matrix.Outcome
		denial matrix.Denial
		text   string // in the detail, or in the cause
	}{
		{"open", 0, port, func(*lab) {}, matrix.Connected, none, ""},
		{"open IPv6", v6, port, func(*lab) {}, matrix.Connected, none, ""},
		{"no listener", 0, 81, func(*lab) {}, matrix.Unknown, none, "refused, but the receiver lab/b does not answer itself"},
		{"drop", 0, port, forward(asked("drop")), matrix.TimedOut, matrix.Dropped, unseen},
		{"drop IPv6", v6, port, forward(asked6("drop")), matrix.TimedOut, matrix.Dropped, unseen},
		{"answers dropped", 0, port, forward(answered("drop")), matrix.TimedOut, matrix.Dropped, unseen},
		{"port-unreachable", 0, port, forged(3, 3), matrix.Refused, none, "connection refused"},
		{"admin-prohibited", 0, port, forged(3, 13), matrix.Unreachable, matrix.ICMPError, "no route to host"},
		{"protocol-unreachable", 0, port, forged(3, 2), matrix.Unreachable, matrix.ICMPError, "protocol not available"},
		{"policy-fail IPv6", v6, port, forged(1, 5), matrix.Unreachable, matrix.ICMPError, "permission denied"},
		{"blackhole at the sender", 0, port, route(sender, "blackhole", matrix.IPv4), matrix.Unreachable, matrix.LocalRoute, "the sender's route is a blackhole"},
		{"data dropped", 0, port, forward("sctp dport 80 sctp chunk data exists drop"), matrix.HandshakeOnly, none, "nobody answered"},
		{"receiver stopped", 0, port, stopped(receiver), matrix.HandshakeOnly, none, "nobody answered"},
		{"receiver killed", 0, port, func(l *lab) { l.kill(l.agents[receiver]) }, matrix.Unknown, none, "the receiver is not known to live"},
		{"address reused", 0, port, reuse, matrix.WrongPeer, none, "lab/b (pod uid-other on b) answered"},
		{"sender out of descriptors", 0, port, func(l *lab) { l.descriptors(sender) }, matrix.LocalError, none, "too many open files"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			f := l.fleet()
			for _, h := range f.Health(context.Background(), l.members) { // opens the streams
				if h.Err != nil {
					t.Fatal(h.Err)
				}
			}
			row.do(l)
			for _, c := range l.pass(f, prober.Plan{Questions: l.questions(copies, row.family, row.port, matrix.SCTP)}) {
				if c.Sample.Outcome != row.want || c.Sample.Denial != row.denial || !strings.Contains(c.Sample.Detail+c.Evidence.Cause, row.text) {
					t.Fatalf("flow %d: %+v, want %s by %s %q", c.Flow, c, row.want, row.denial, row.text)
				}
				if row.want == matrix.Connected && (c.Peer.PodUID != "uid-b" || !c.Evidence.Receiver || !c.Evidence.Control) {
					t.Fatalf("flow %d: %+v", c.Flow, c)
				}
			}
		})
	}
}

// TestSCTPReceipts: a complete handshake is logged with the address that it came
// from.
func TestSCTPReceipts(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	f := l.fleet()
	l.needSCTP(f)
	before := monotonic(t)
	w, err := f.Watch(context.Background(), prober.WatchPlan{
		Name: "w", Members: l.members, Questions: l.questions(1, matrix.IPv4, port, matrix.SCTP), Period: period, Until: patience,
	})
	if err != nil {
		t.Fatal(err)
	}
	l.eventually("some samples arrived", func() error {
		got, err := f.Receipts(context.Background(), l.member(receiver), before)
		if err == nil && len(got.All) < 5 {
			return syscall.EAGAIN
		}
		for _, r := range got.All {
			if r.Protocol != matrix.SCTP || r.Port != port || !strings.HasPrefix(r.Source, l.member(sender).IPs[0]+":") {
				t.Fatalf("%+v arrived", r)
			}
		}
		return err
	})
	for _, s := range w.Stop(context.Background()) {
		for _, r := range s.Series.Runs {
			if r.Outcome != matrix.Connected && r.Outcome != matrix.Unknown { // a late agent sends nothing
				t.Errorf("%+v", s)
			}
		}
		if s.Error != "" || s.Series.Taken < 5 {
			t.Errorf("%+v", s)
		}
	}
}

func (l *lab) needSCTP(f *prober.Fleet) {
	l.t.Helper()
	for _, h := range f.Health(context.Background(), l.members) {
		if h.Err != nil {
			l.t.Fatal(h.Err)
		}
		if !slices.Contains(h.Hello.Speaks, matrix.SCTP) {
			l.t.Skip("this kernel has no SCTP")
		}
	}
}
