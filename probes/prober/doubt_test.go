package prober_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
	"github.com/segtest/segtest/probes/wire"
)

// TestSilenceInDoubt has an agent tell of silence on flow 0, and lets one thing
// that it says beside it be different.
func TestSilenceInDoubt(t *testing.T) {
	t.Parallel()
	const none = ""
	lost := func(flows int) func(*wire.Response) {
		return func(r *wire.Response) {
			if r.Result != nil && r.Result.Flow > 0 && r.Result.Flow <= flows {
				r.Result.Sample.Lost = 1
			}
		}
	}
	for _, row := range []struct {
		name     string
		protocol matrix.Protocol
		edit     func(r *wire.Response)
		cause    string // of an Unknown
		detail   string // of a TimedOut
	}{
		{"nothing else", matrix.TCP, func(*wire.Response) {}, none, none},
		{"a SYN went untold", matrix.TCP, func(r *wire.Response) { untold(r, 1, 0) }, "the kernel of shop/db-0 dropped 1 TCP arrivals meanwhile", none},
		{"a datagram went untold", matrix.UDP, func(r *wire.Response) { untold(r, 0, 2) }, "the kernel of shop/db-0 dropped 2 UDP arrivals meanwhile", none},
		{"a datagram, and TCP was asked", matrix.TCP, func(r *wire.Response) { untold(r, 0, 2) }, none, none},
		{"what went untold is not told", matrix.TCP, func(r *wire.Response) { r.Untold = nil }, "what arrived at shop/db-0 is not known: its agent does not say what its kernel dropped", none},
		{"one flow lost a packet", matrix.TCP, lost(1), none, none},
		{"many flows lost packets", matrix.TCP, lost(4), "the network loses packets: 4 of the 9 flows that connected needed another attempt, and this one had 2", none},
		{"the receiver has no TCP", matrix.TCP, func(r *wire.Response) {
			if r.Hello != nil && r.Hello.Identity.Endpoint == "shop/db-0" {
				r.Hello.Speaks = []matrix.Protocol{matrix.UDP}
			}
		}, "the receiver shop/db-0 does not speak TCP", none},
		{"ICMP", matrix.ICMP, func(*wire.Response) {}, none, "no receiver logs echo requests"},
		{"SCTP", matrix.SCTP, func(*wire.Response) {}, none, "no receiver logs the first packets of SCTP"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := newTown(t, "TCP/80,UDP/80", "shop/web-0", "shop/db-0")
			port := 80
			if !row.protocol.HasPorts() {
				port = 0
			}
			p := prober.Plan{Members: w.members, Questions: []prober.Question{w.ask(0, "shop/web-0", "shop/db-0", row.protocol, port)}}
			for flow := 1; flow < 10; flow++ {
				p.Questions = append(p.Questions, w.ask(flow, "shop/web-0", "shop/db-0", matrix.UDP, 80))
			}
			w.dial = func(_ context.Context, ep matrix.Endpoint) (io.ReadWriteCloser, error) {
				return scripted{agent: w.agents[ep], edit: func(r *wire.Response) {
					silence(r, row.protocol)
					row.edit(r)
				}}.serve(t), nil
			}
			c := pass(t, w.fleet(prober.Limits{}), p)[0]
			want, denial := matrix.TimedOut, matrix.Dropped
			if row.cause != none {
				want, denial = matrix.Unknown, matrix.DenialUnknown
			}
			if c.Sample.Outcome != want || c.Sample.Denial != denial || !strings.Contains(c.Evidence.Cause, row.cause) || !strings.Contains(c.Sample.Detail, row.detail) {
				t.Errorf("cell = %+v, want %s because %q, detail %q", c, want, row.cause, row.detail)
			}
			if identity := c.Evidence.Identity; (identity == prober.ByAddress) != (row.protocol == matrix.ICMP) {
				t.Errorf("identity %q", identity)
			}
		})
	}
}

// silence lets flow 0 be silent, every kernel have every protocol, and the log
// not have it.
func silence(r *wire.Response, p matrix.Protocol) {
	switch {
	case r.Hello != nil:
		r.Hello.Speaks = []matrix.Protocol{matrix.TCP, matrix.UDP, matrix.SCTP, matrix.ICMP}
		r.Hello.Untold = wire.Untold{TCP: 70, UDP: 80}
		if p == matrix.SCTP {
			r.Hello.Listening = append(r.Hello.Listening, "SCTP/80")
		}
	case r.Result != nil && r.Result.Flow == 0:
		r.Result.Sample.Outcome, r.Result.Sample.Denial, r.Result.Sample.Detail, r.Result.Sample.Attempts = matrix.TimedOut, matrix.Dropped, "", 2
	case r.Result != nil && r.Result.Flow < 0: // of a protocol that this kernel may lack
		r.Result.Sample.Outcome = matrix.Connected
	case r.Receipt != nil:
		r.Receipt.Source = "127.0.0.9:1"
	}
	untold(r, 0, 0)
}

// untold says how much more was dropped than silence's Hello says.
func untold(r *wire.Response, tcp, udp uint64) {
	if r.Untold != nil {
		r.Untold = &wire.Untold{TCP: 70 + tcp, UDP: 80 + udp}
	}
}
