package prober_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
	"github.com/segtest/segtest/probes/wire"
)

// slow is a UDP peer that answers what came before open was called when it is
// called, and what comes after at once.
type slow struct {
	conn net.PacketConn
	mu   sync.Mutex
	open bool
	kept []func()
}

func newSlow(t *testing.T, address, uid string) *slow {
	t.Helper()
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	s := &slow{conn: conn}
	go func() {
		buf := make([]byte, 100)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			nonce := strings.TrimSpace(string(buf[:n]))
			s.answer(func() { _, _ = conn.WriteTo(fmt.Appendf(nil, `{"nonce":%q,"podUID":%q}`+"\n", nonce, uid), from) })
		}
	}()
	return s
}

func (s *slow) answer(send func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open {
		send()
		return
	}
	s.kept = append(s.kept, send)
}

// thaw answers everything.
func (s *slow) thaw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = true
	for _, send := range s.kept {
		send()
	}
	s.kept = nil
}

// TestSilenceOutlastsSlowAnswers has an answer that comes after the least wait
// is over. Only a pass that knows how slow its network is may wait for it.
func TestSilenceOutlastsSlowAnswers(t *testing.T) {
	t.Parallel()
	const (
		silent, control = 0, 1
		ms              = time.Millisecond
	)
	for _, row := range []struct {
		name    string
		control time.Duration // the round trip of a flow of the same pass; 0: there is none
		maxWait time.Duration
		late    error // of the question for what came late
		mute    bool  // no answer ever comes
		foreign bool  // what came late came for another source port
		want    matrix.Outcome
		cause   string
	}{
		{name: "slow control", control: time.Hour, maxWait: 1500 * ms, want: matrix.Connected},
		{name: "no control", maxWait: 1500 * ms, want: matrix.Connected},
		{name: "fast control", control: ms, maxWait: 1500 * ms, want: matrix.TimedOut},
		{name: "fixed wait", control: time.Hour, want: matrix.TimedOut},
		{name: "another try's answer", control: time.Hour, maxWait: 400 * ms, foreign: true, want: matrix.TimedOut},
		{name: "told in part", control: time.Hour, maxWait: 1500 * ms, late: errors.New("the log is gone"), want: matrix.Connected},
		{
			name: "not told", control: time.Hour, maxWait: 400 * ms, late: errors.New("the log is gone"), mute: true, want: matrix.Unknown,
			cause: "timed-out, but silence of 200ms is too short where 400ms is due, and later answers are not known: asking the agent of shop/web-0: the agent says: the log is gone",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := newTown(t, "UDP/80", "shop/web-0", "shop/db-0")
			peer := newSlow(t, w.member("shop/db-0").IPs[0]+":99", w.member("shop/db-0").PodUID)
			w.dial = func(_ context.Context, ep matrix.Endpoint) (io.ReadWriteCloser, error) {
				told := false
				return scripted{agent: w.agents[ep], edit: func(r *wire.Response) {
					switch {
					case ep != "shop/web-0":
					case r.Result != nil && r.Result.Flow == control:
						r.Result.Sample.RTT = row.control
					case r.Result != nil && r.Result.Flow == silent && r.Result.Sample.Outcome == matrix.TimedOut:
						told = true
						if !row.mute {
							peer.thaw() // after the wait, which the agent says is over
						}
					case r.Result != nil && r.Result.Flow == silent && row.foreign:
						r.Result.Sources = []string{"127.0.0.9:1"}
					case row.late != nil && told && r.Done != nil && r.Done.Count <= 1: // a batch has more lines
						*r = wire.Response{ID: r.ID, Error: row.late.Error()}
					}
				}}.serve(t), nil
			}
			q := w.ask(silent, "shop/web-0", "shop/db-0", matrix.UDP, 99)
			q.To, q.PeerUID = []matrix.Endpoint{"world/db"}, w.member("shop/db-0").PodUID
			p := prober.Plan{Members: w.members, Wait: 200 * ms, MaxWait: row.maxWait, Questions: []prober.Question{q}}
			if row.control > 0 {
				p.Questions = append(p.Questions, w.ask(control, "shop/web-0", "shop/db-0", matrix.UDP, 80))
			}
			c := pass(t, w.fleet(prober.Limits{}), p)[silent]
			if c.Sample.Outcome != row.want || c.Evidence.Cause != row.cause {
				t.Fatalf("cell = %+v, want %s %q", c, row.want, row.cause)
			}
			if row.want == matrix.Connected && c.Sample.RTT < p.Wait {
				t.Errorf("answered after %s: not late", c.Sample.RTT)
			}
		})
	}
}

// TestLateAnswerDemandsMore: what came late tells how slow the network is too.
func TestLateAnswerDemandsMore(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	w := newTown(t, "UDP/80", "shop/web-0", "shop/db-0")
	db := w.member("shop/db-0")
	first, second := newSlow(t, db.IPs[0]+":98", db.PodUID), newSlow(t, db.IPs[0]+":99", db.PodUID)
	w.dial = func(_ context.Context, ep matrix.Endpoint) (io.ReadWriteCloser, error) {
		return scripted{agent: w.agents[ep], edit: func(r *wire.Response) {
			switch {
			case r.Result == nil:
			case r.Result.Flow == 0:
				r.Result.Sample.RTT = 300 * ms // 600 ms are due
			case r.Result.Flow == 1 && r.Result.Sample.Outcome == matrix.TimedOut:
				first.thaw()
			case r.Result.Flow == 1:
				r.Result.Sample.RTT = time.Second // all that is possible is due
				second.thaw()
			}
		}}.serve(t), nil
	}
	p := prober.Plan{Members: w.members, Wait: 200 * ms, MaxWait: 1500 * ms, Questions: []prober.Question{w.ask(0, "shop/web-0", "shop/db-0", matrix.UDP, 80)}}
	for flow, port := range []int{98, 99} {
		q := w.ask(1+flow, "shop/web-0", "shop/db-0", matrix.UDP, port)
		q.To, q.PeerUID = []matrix.Endpoint{"world/db"}, db.PodUID
		p.Questions = append(p.Questions, q)
	}
	for flow, c := range pass(t, w.fleet(prober.Limits{}), p) {
		if c.Sample.Outcome != matrix.Connected {
			t.Errorf("flow %d: %+v", flow, c)
		}
	}
}

// TestLaterAnswerMakesGood: what came late can be asked for again. A good answer
// tells everything, also what one before it did not.
func TestLaterAnswerMakesGood(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	w := newTown(t, "UDP/80", "shop/web-0", "shop/db-0")
	db := w.member("shop/db-0")
	first := newSlow(t, db.IPs[0]+":98", db.PodUID)
	newSlow(t, db.IPs[0]+":99", db.PodUID) // never answers
	w.dial = func(_ context.Context, ep matrix.Endpoint) (io.ReadWriteCloser, error) {
		told, broken := false, false
		return scripted{agent: w.agents[ep], edit: func(r *wire.Response) {
			switch {
			case ep != "shop/web-0":
			case r.Result != nil && r.Result.Flow == 0:
				r.Result.Sample.RTT = 300 * ms // 600 ms are due
			case r.Result != nil && r.Result.Flow == 1 && r.Result.Sample.Outcome == matrix.TimedOut:
				told = true
				first.thaw()
			case r.Result != nil && r.Result.Flow == 1:
				r.Result.Sample.RTT = time.Second // all that is possible is due
			case told && !broken && r.Done != nil && r.Done.Count == 1: // a batch has more lines
				broken = true
				*r = wire.Response{ID: r.ID, Error: "the log is gone"}
			}
		}}.serve(t), nil
	}
	p := prober.Plan{Members: w.members, Wait: 200 * ms, MaxWait: 1200 * ms, Questions: []prober.Question{w.ask(0, "shop/web-0", "shop/db-0", matrix.UDP, 80)}}
	for flow, port := range []int{98, 99} {
		q := w.ask(1+flow, "shop/web-0", "shop/db-0", matrix.UDP, port)
		q.To, q.PeerUID = []matrix.Endpoint{"world/db"}, db.PodUID
		p.Questions = append(p.Questions, q)
	}
	if c := pass(t, w.fleet(prober.Limits{}), p)[2]; c.Sample.Outcome != matrix.TimedOut || c.Evidence.Cause != "" {
		t.Errorf("%+v, want silence that counts", c)
	}
}

// TestInterruptedWaitProvesNothing ends a pass while its silence is too short.
func TestInterruptedWaitProvesNothing(t *testing.T) {
	t.Parallel()
	w := newTown(t, "UDP/80", "shop/web-0", "shop/db-0")
	newSlow(t, w.member("shop/db-0").IPs[0]+":99", "nobody")
	ctx, cancel := context.WithCancelCause(context.Background())
	w.dial = func(_ context.Context, ep matrix.Endpoint) (io.ReadWriteCloser, error) {
		return scripted{agent: w.agents[ep], edit: func(r *wire.Response) {
			if r.Done != nil && r.Done.Count == 2 { // the batch, a self-probe included
				time.AfterFunc(100*time.Millisecond, func() { cancel(errors.New("interrupted by the user")) })
			}
		}}.serve(t), nil
	}
	q := w.ask(0, "shop/web-0", "shop/db-0", matrix.UDP, 99)
	q.To, q.PeerUID = []matrix.Endpoint{"world/db"}, "uid"
	start := time.Now()
	cells, err := w.fleet(prober.Limits{}).Pass(ctx, prober.Plan{
		Members: w.members, Wait: 200 * time.Millisecond, MaxWait: patience, Questions: []prober.Question{q},
	})
	if err != nil || cells[0].Sample.Outcome != matrix.Unknown || !strings.Contains(cells[0].Evidence.Cause, "interrupted by the user") {
		t.Errorf("cells = %+v, %v", cells, err)
	}
	if took := time.Since(start); took > patience/2 {
		t.Errorf("cancelling took %s", took)
	}
}
