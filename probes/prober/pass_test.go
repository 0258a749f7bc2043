package prober_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/agent"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
	"github.com/segtest/segtest/probes/wire"
)

func TestPassConnects(t *testing.T) {
	t.Parallel()
	w := newTown(t, "TCP/80,UDP/80", "shop/web-0", "shop/db-0")
	f := w.fleet(prober.Limits{})
	p := prober.Plan{Members: w.members, Baseline: map[int]bool{1: true}, Questions: []prober.Question{
		w.ask(0, "shop/web-0", "shop/db-0", matrix.TCP, 80),
		w.ask(1, "shop/web-0", "shop/db-0", matrix.UDP, 80),
		w.ask(2, "shop/db-0", "shop/web-0", matrix.TCP, 80),
		w.ask(3, "shop/db-0", "shop/db-0", matrix.UDP, 80),
	}}
	cells := pass(t, f, p)
	for flow, want := range []prober.Evidence{
		{Control: true, Receiver: true}, {Control: true, Receiver: true, Baseline: true}, {Receiver: true}, {Receiver: true},
	} {
		c := cells[flow]
		if c.Sample.Outcome != matrix.Connected || c.Evidence != want {
			t.Errorf("flow %d: %+v, want evidence %+v", flow, c, want)
		}
		if c.Peer.Endpoint != p.Questions[flow].To[0] {
			t.Errorf("flow %d: %s answered", flow, c.Peer.Endpoint)
		}
	}
	pass(t, f, p)
	if w.dials != 2 {
		t.Errorf("%d streams for two agents and two passes", w.dials)
	}
}

// TestBlockedNeedsALivingReceiver asks a port that nobody listens on: refused,
// but with nobody there a refusal proves nothing.
func TestBlockedNeedsALivingReceiver(t *testing.T) {
	t.Parallel()
	w := newTown(t, "TCP/80", "shop/web-0", "shop/db-0")
	cells := pass(t, w.fleet(prober.Limits{}), prober.Plan{Members: w.members, Questions: []prober.Question{
		w.ask(0, "shop/web-0", "shop/db-0", matrix.TCP, 80), w.ask(1, "shop/web-0", "shop/db-0", matrix.TCP, 81),
	}})
	c := cells[1]
	if c.Sample.Outcome != matrix.Unknown || !strings.Contains(c.Evidence.Cause, "refused, but the receiver shop/db-0 does not answer itself on TCP") {
		t.Errorf("cell = %+v", c)
	}
	if c.Evidence.Receiver || !c.Evidence.Control {
		t.Errorf("evidence = %+v", c.Evidence)
	}
}

func TestTargetWithoutAgentStaysBlocked(t *testing.T) {
	t.Parallel()
	w := newTown(t, "TCP/80", "shop/web-0")
	q := w.ask(0, "shop/web-0", "shop/web-0", matrix.TCP, 81)
	q.To, q.PeerUID = []matrix.Endpoint{"world/127.0.0.1"}, "none"
	c := pass(t, w.fleet(prober.Limits{}), prober.Plan{Members: w.members, Questions: []prober.Question{q}})[0]
	if c.Sample.Outcome != matrix.Refused || c.Evidence != (prober.Evidence{}) {
		t.Errorf("cell = %+v", c)
	}
}

// scripted is an agent that lies: it answers from a table.
type scripted struct {
	agent *agent.Agent // answers what the script leaves alone
	edit  func(*wire.Response)
}

// serve relays between the harness and a real agent, line by line, through edit.
func (s scripted) serve(t testing.TB) net.Conn {
	ours, harness := net.Pipe()
	near, far := net.Pipe()
	go func() { _ = s.agent.Handle(context.Background(), far) }()
	go func() { _, _ = io.Copy(near, ours); _ = near.Close() }()
	go func() {
		defer func() { _ = ours.Close() }()
		editLines(near, ours, s.edit)
	}()
	return harness
}

func TestOneWayFromReceipts(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name     string
		protocol matrix.Protocol
		service  bool
		half     bool
		edit     func(r *wire.Receipt)
		want     matrix.Outcome
	}{
		{name: "UDP arrived", protocol: matrix.UDP, want: matrix.OneWay},
		{name: "half-open", protocol: matrix.TCP, half: true, want: matrix.OneWay},
		{name: "other port", protocol: matrix.UDP, edit: func(r *wire.Receipt) { r.Port++ }, want: matrix.TimedOut},
		{name: "service port", protocol: matrix.UDP, service: true, edit: func(r *wire.Receipt) { r.Port++ }, want: matrix.OneWay},
		{name: "other protocol", protocol: matrix.UDP, edit: func(r *wire.Receipt) { r.Protocol = matrix.TCP }, want: matrix.TimedOut},
		{name: "other source", protocol: matrix.UDP, edit: func(r *wire.Receipt) { r.Source = "127.0.0.9:1" }, want: matrix.TimedOut},
		{name: "mapped source", protocol: matrix.UDP, edit: func(r *wire.Receipt) { r.Source = "[::ffff:" + strings.Replace(r.Source, ":", "]:", 1) }, want: matrix.OneWay},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := newTown(t, "TCP/80,UDP/80", "shop/web-0", "shop/db-0")
			q := w.ask(0, "shop/web-0", "shop/db-0", row.protocol, 80)
			if row.service {
				w.members[1].IPs = []string{"127.0.0.1"} // the address is not the pod's own
			}
			var sent chan string = make(chan string, 1) //nolint:staticcheck // client-go itself still uses it
			w.dial = func(_ context.Context, ep matrix.Endpoint) (io.ReadWriteCloser, error) {
				s := scripted{agent: w.agents[ep], edit: func(r *wire.Response) {
					if r.Result != nil && r.Result.Flow == 0 { // the answer got lost
						r.Result.Sample.Outcome = matrix.TimedOut
						sent <- r.Result.Sources[0]
					}
					if r.Result != nil && r.Result.Flow < 0 && ep == "shop/db-0" {
						r.Result.Sample.Outcome = matrix.Connected
					}
					if r.Receipt != nil {
						r.Receipt.HalfOpen = row.half
						if row.edit != nil {
							row.edit(r.Receipt)
						}
					}
				}}
				return s.serve(t), nil
			}
			c := pass(t, w.fleet(prober.Limits{}), prober.Plan{Members: w.members, Questions: []prober.Question{q}})[0]
			if c.Sample.Outcome != row.want || c.Evidence.Arrived != (row.want == matrix.OneWay) {
				t.Fatalf("cell = %+v, want %s", c, row.want)
			}
			if c.Evidence.Arrived && (!strings.Contains(c.Sample.Detail, <-sent) || strings.Contains(c.Sample.Detail, "half-open") != row.half) {
				t.Errorf("detail = %q", c.Sample.Detail)
			}
		})
	}
}

func TestForgottenReceiptsProveNothing(t *testing.T) {
	t.Parallel()
	w := newTown(t, "UDP/80", "shop/web-0", "shop/db-0")
	w.dial = func(_ context.Context, ep matrix.Endpoint) (io.ReadWriteCloser, error) {
		lines := 0
		return scripted{agent: w.agents[ep], edit: func(r *wire.Response) {
			if r.Result != nil && r.Result.Flow == 0 {
				r.Result.Sample.Outcome = matrix.TimedOut
			}
			if r.Receipt != nil {
				r.Receipt.Source = "127.0.0.9:1"
				lines++
			}
			if r.Done != nil && lines > 0 {
				r.Done.Truncated = true
			}
		}}.serve(t), nil
	}
	c := pass(t, w.fleet(prober.Limits{}), prober.Plan{Members: w.members, Questions: []prober.Question{w.ask(0, "shop/web-0", "shop/db-0", matrix.UDP, 80)}})[0]
	if c.Sample.Outcome != matrix.Unknown || !strings.Contains(c.Evidence.Cause, "forgot some of what arrived") {
		t.Errorf("cell = %+v", c)
	}
}

func TestUnreachableAgentsMakeCellsUnknown(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		dial func(w *town) func(context.Context, matrix.Endpoint) (io.ReadWriteCloser, error)
		want string
	}{
		{"dial fails", func(*town) func(context.Context, matrix.Endpoint) (io.ReadWriteCloser, error) {
			return func(context.Context, matrix.Endpoint) (io.ReadWriteCloser, error) {
				return nil, fmt.Errorf("no node")
			}
		}, "asking the agent of shop/db-0: connecting: no node"},
		{"dial hangs", func(*town) func(context.Context, matrix.Endpoint) (io.ReadWriteCloser, error) {
			return func(ctx context.Context, _ matrix.Endpoint) (io.ReadWriteCloser, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		}, "no connection to the agent in time"},
		{"stream hangs", func(*town) func(context.Context, matrix.Endpoint) (io.ReadWriteCloser, error) {
			return func(context.Context, matrix.Endpoint) (io.ReadWriteCloser, error) {
				ours, _ := net.Pipe()
				return ours, nil
			}
		}, "no answer from the agent in time"},
		{"stream ends", func(*town) func(context.Context, matrix.Endpoint) (io.ReadWriteCloser, error) {
			return func(context.Context, matrix.Endpoint) (io.ReadWriteCloser, error) {
				ours, theirs := net.Pipe()
				go func() { _, _ = theirs.Read(make([]byte, 1000)); _ = theirs.Close() }()
				return ours, nil
			}
		}, "the stream ended"},
		{"another pod", func(w *town) func(context.Context, matrix.Endpoint) (io.ReadWriteCloser, error) {
			return func(context.Context, matrix.Endpoint) (io.ReadWriteCloser, error) { return w.open("shop/web-0") }
		}, "pod uid-shop/web-0 answers, and pod uid-shop/db-0 is expected"},
		{"another version", func(w *town) func(context.Context, matrix.Endpoint) (io.ReadWriteCloser, error) {
			return func(_ context.Context, ep matrix.Endpoint) (io.ReadWriteCloser, error) {
				return scripted{agent: w.agents[ep], edit: func(r *wire.Response) {
					if r.Hello != nil {
						r.Hello.Version++
					}
				}}.serve(w.t), nil
			}
		}, "rebuild the probe image"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := newTown(t, "TCP/80,UDP/80", "shop/web-0", "shop/db-0")
			bad := row.dial(w)
			w.dial = func(ctx context.Context, ep matrix.Endpoint) (io.ReadWriteCloser, error) {
				if ep == "shop/db-0" {
					w.mu.Unlock() // a dial that hangs must not hang the others
					defer w.mu.Lock()
					return bad(ctx, ep)
				}
				return w.open(ep)
			}
			cells := pass(t, w.fleet(prober.Limits{Dial: 300 * time.Millisecond, Reply: time.Second}), prober.Plan{
				Members: w.members, Questions: []prober.Question{
					w.ask(0, "shop/db-0", "shop/web-0", matrix.TCP, 80), // the sender is lost
					w.ask(1, "shop/web-0", "shop/db-0", matrix.TCP, 81), // refused by a receiver that is lost
					w.ask(2, "shop/web-0", "shop/db-0", matrix.TCP, 80), // an answer is an answer
				},
			})
			for flow := range 2 {
				if c := cells[flow]; c.Sample.Outcome != matrix.Unknown || !strings.Contains(c.Evidence.Cause, row.want) {
					t.Errorf("flow %d: %s, cause %q, want %q", flow, c.Sample.Outcome, c.Evidence.Cause, row.want)
				}
			}
			if c := cells[2]; c.Sample.Outcome != matrix.Connected || c.Evidence.Receiver {
				t.Errorf("flow 2: %+v", c)
			}
		})
	}
}

func TestStreamCutDuringABatch(t *testing.T) {
	t.Parallel()
	w := newTown(t, "TCP/80,UDP/80", "shop/web-0", "shop/db-0")
	silent, err := net.ListenPacket("udp", w.member("shop/db-0").IPs[0]+":99")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	go func() { // cut when the silent flow is under way
		if _, _, err := silent.ReadFrom(make([]byte, 100)); err == nil {
			w.cut("shop/web-0")
		}
	}()
	f := w.fleet(prober.Limits{})
	p := prober.Plan{Members: w.members, Wait: patience, Questions: []prober.Question{w.ask(5, "shop/web-0", "shop/db-0", matrix.UDP, 99)}}
	c := pass(t, f, p)[5]
	if c.Sample.Outcome != matrix.Unknown || !strings.Contains(c.Evidence.Cause, "asking the agent of shop/web-0: reading answers") {
		t.Errorf("cell = %+v", c)
	}
	p.Questions = []prober.Question{w.ask(5, "shop/web-0", "shop/db-0", matrix.UDP, 80)}
	if c := pass(t, f, p)[5]; c.Sample.Outcome != matrix.Connected {
		t.Errorf("after the cut: %+v", c)
	}
}

func TestPassHonoursItsContext(t *testing.T) {
	t.Parallel()
	w := newTown(t, "TCP/80", "shop/web-0", "shop/db-0")
	silent, err := net.ListenPacket("udp", w.member("shop/db-0").IPs[0]+":99")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() {
		_, _, _ = silent.ReadFrom(make([]byte, 100))
		cancel(fmt.Errorf("interrupted by the user"))
	}()
	start := time.Now()
	cells, err := w.fleet(prober.Limits{}).Pass(ctx, prober.Plan{
		Members: w.members, Wait: patience, Questions: []prober.Question{w.ask(0, "shop/web-0", "shop/db-0", matrix.UDP, 99)},
	})
	if err != nil || cells[0].Sample.Outcome != matrix.Unknown || !strings.Contains(cells[0].Evidence.Cause, "interrupted by the user") {
		t.Errorf("cells = %+v, %v", cells, err)
	}
	if took := time.Since(start); took > patience/2 {
		t.Errorf("cancelling took %s", took)
	}
}

func TestPassRefusesNonsense(t *testing.T) {
	t.Parallel()
	w := newTown(t, "TCP/80", "shop/web-0")
	q := w.ask(0, "shop/web-0", "shop/web-0", matrix.TCP, 80)
	stranger := q
	stranger.Flow, stranger.From, stranger.To = 1, "shop/nobody", nil
	_, err := w.fleet(prober.Limits{}).Pass(context.Background(), prober.Plan{
		Members: append(w.members, w.members[0], prober.Member{Endpoint: "x"}), Questions: []prober.Question{q, q, stranger, {Flow: -1}},
	})
	for _, want := range []string{
		"wait is not positive", "shop/web-0 is a member twice", "x has no pod UID", "flow 0 is asked twice",
		"flow 1 starts at shop/nobody", "flow 1 to [] has no pod UID", "flow -1 is no position",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("err = %v, want %q", err, want)
		}
	}
}

// TestDeadSenderProvesNothing lets a sender fail to reach itself.
func TestDeadSenderProvesNothing(t *testing.T) {
	t.Parallel()
	w := newTown(t, "TCP/80", "shop/web-0")
	w.dial = func(_ context.Context, ep matrix.Endpoint) (io.ReadWriteCloser, error) {
		return scripted{agent: w.agents[ep], edit: func(r *wire.Response) {
			if r.Result != nil && r.Result.Flow < 0 {
				r.Result.Sample.Outcome = matrix.TimedOut
			}
		}}.serve(t), nil
	}
	q := w.ask(0, "shop/web-0", "shop/web-0", matrix.TCP, 81)
	q.To, q.PeerUID = []matrix.Endpoint{"world/127.0.0.1"}, "none"
	c := pass(t, w.fleet(prober.Limits{}), prober.Plan{Members: w.members, Questions: []prober.Question{q}})[0]
	if c.Sample.Outcome != matrix.Unknown || !strings.Contains(c.Evidence.Cause, "refused, but the sender shop/web-0 does not reach itself") {
		t.Errorf("cell = %+v", c)
	}
}

// BenchmarkPass is 324 flows between nine agents of this process, all open.
func BenchmarkPass(b *testing.B) {
	var endpoints []matrix.Endpoint
	for i := range 9 {
		endpoints = append(endpoints, matrix.Endpoint(fmt.Sprintf("shop/pod-%d", i)))
	}
	w := newTown(b, "TCP/80,TCP/81,UDP/80,UDP/81", endpoints...)
	f := w.fleet(prober.Limits{})
	p := prober.Plan{Members: w.members, Wait: prober.MinDenyWait}
	for _, from := range endpoints {
		for _, to := range endpoints {
			for _, protocol := range []matrix.Protocol{matrix.TCP, matrix.UDP} {
				for _, port := range []int{80, 81} {
					p.Questions = append(p.Questions, w.ask(len(p.Questions), from, to, protocol, port))
				}
			}
		}
	}
	for b.Loop() {
		cells, err := f.Pass(context.Background(), p)
		if err != nil {
			b.Fatal(err)
		}
		for _, c := range cells {
			if c.Sample.Outcome != matrix.Connected {
				b.Fatalf("%+v", c)
			}
		}
	}
	b.ReportMetric(float64(len(p.Questions)), "flows")
}
