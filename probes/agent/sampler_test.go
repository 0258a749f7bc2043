package agent_test

import (
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// arrivals counts what arrived at an agent, or at one of its ports.
func arrivals(l *line, port uint16) []wire.Receipt {
	l.t.Helper()
	lines, last := l.ask(wire.Request{Receipts: &wire.Receipts{}})
	if last.Error != "" {
		l.t.Fatal(last.Error)
	}
	var out []wire.Receipt
	for _, r := range lines {
		if r.Receipt != nil && r.Receipt.Port == port && !r.Receipt.HalfOpen {
			out = append(out, *r.Receipt)
		}
	}
	return out
}

func stop(l *line, name string) map[int]wire.Series {
	l.t.Helper()
	lines, last := l.ask(wire.Request{Stop: &wire.Stop{Name: name}})
	if last.Error != "" {
		l.t.Fatal(last.Error)
	}
	out := map[int]wire.Series{}
	for _, r := range lines {
		out[r.Series.Flow] = *r.Series
	}
	return out
}

// whole checks what every series must obey.
func whole(t *testing.T, s wire.Series) {
	t.Helper()
	count, last := 0, time.Duration(0)
	for i, r := range s.Runs {
		count += r.Count
		if r.First < last || r.Last < r.First || r.End < r.Last || r.Count < 1 {
			t.Errorf("run %d of flow %d is out of order: %+v", i, s.Flow, r)
		}
		last = r.Last
		if i > 0 && s.Runs[i-1].Outcome == r.Outcome && s.Runs[i-1].Detail == r.Detail && s.Runs[i-1].Starved == r.Starved {
			t.Errorf("runs %d and %d of flow %d are one: %+v", i-1, i, s.Flow, r)
		}
	}
	if count != s.Scheduled || s.Scheduled != s.Taken+s.Late {
		t.Errorf("flow %d: %d in runs, %d scheduled, %d taken, %d late", s.Flow, count, s.Scheduled, s.Taken, s.Late)
	}
}

func TestSamplerOutlivesItsStream(t *testing.T) {
	t.Parallel()
	s, other := start(t, "TCP/80"), start(t, "TCP/80", "UDP/80")
	_, silent := mute(t)
	const period = 20 * time.Millisecond
	first := connect(t, s.Agent)
	_, last := first.ask(wire.Request{Sample: &wire.Sampling{
		Name: "fault", Period: period, Until: time.Hour, Seed: 3,
		Targets: []wire.Target{
			other.target(0, matrix.TCP, 80), other.target(1, matrix.UDP, 80), other.target(2, matrix.TCP, 81),
			{Flow: 3, Protocol: matrix.UDP, Address: silent, PeerUID: "x"},
		},
	}})
	if last.Error != "" {
		t.Fatal(last.Error)
	}
	if _, last := first.ask(wire.Request{Sample: &wire.Sampling{Name: "fault", Period: period, Until: 1}}); !strings.Contains(last.Error, "one of this name runs") {
		t.Errorf("a second sampler of the name: %q", last.Error)
	}
	_ = first.conn.Close()
	receiver := connect(t, other.Agent)
	eventually(t, "50 samples after the stream is gone", func() bool { return len(arrivals(receiver, 80)) >= 100 })

	second := connect(t, s.Agent)
	got := stop(second, "fault")
	wants := []matrix.Outcome{matrix.Connected, matrix.Connected, matrix.Refused, matrix.TimedOut}
	if len(got) != len(wants) {
		t.Fatalf("%d series, want %d", len(got), len(wants))
	}
	for flow, want := range wants {
		series := got[flow]
		whole(t, series)
		for _, r := range series.Runs {
			if r.Outcome != want && r.Outcome != matrix.Unknown {
				t.Errorf("flow %d: %+v, want %s", flow, r, want)
			}
		}
		if series.Taken < 40 {
			t.Errorf("flow %d: %d samples taken, want 40 and more", flow, series.Taken)
		}
	}
	if silence := got[3].Runs[len(got[3].Runs)-1]; silence.Outcome == matrix.TimedOut && silence.End-silence.Last < 300*time.Millisecond {
		t.Errorf("the last silence lasted %s, want the UDP deadline of 300ms", silence.End-silence.Last)
	}
	if again := stop(connect(t, s.Agent), "fault"); len(again) != 4 || again[0].Scheduled != got[0].Scheduled {
		t.Errorf("stopping again gives %+v", again)
	}
	n := len(arrivals(receiver, 80))
	if want := got[0].Taken + got[1].Taken; n != want {
		t.Errorf("%d samples arrived, %d were taken", n, want)
	}
	if _, last := second.ask(wire.Request{Sample: &wire.Sampling{Name: "fault", Period: period, Until: 1}}); last.Error != "" {
		t.Errorf("the name is not free after a stop: %s", last.Error)
	}
}

func TestSamplerKeepsItsSchedule(t *testing.T) {
	t.Parallel()
	s := start(t)
	const period, ticks = 50 * time.Millisecond, 20
	conns := make([]net.PacketConn, 2)
	request := wire.Sampling{Name: "x", Period: period, Until: ticks * period, Seed: 9}
	for i := range conns { // silent targets: a loop that waits for its answers would fall behind
		var address string
		conns[i], address = mute(t)
		request.Targets = append(request.Targets, wire.Target{Flow: i, Protocol: matrix.UDP, Address: address, PeerUID: "x"})
	}
	l := connect(t, s.Agent)
	if _, last := l.ask(wire.Request{Sample: &request}); last.Error != "" {
		t.Fatal(last.Error)
	}
	for _, c := range conns {
		for err := error(nil); err == nil; { // until the sampler has ended by itself
			_ = c.SetReadDeadline(time.Now().Add(10 * period))
			_, _, err = c.ReadFrom(make([]byte, 100))
		}
	}
	got := stop(l, "x")
	for flow := range conns {
		series := got[flow]
		whole(t, series)
		if series.Scheduled < ticks-1 || series.Scheduled > ticks+1 {
			t.Errorf("flow %d: %d ticks in %s, want %d", flow, series.Scheduled, ticks*period, ticks)
		}
		span := series.Runs[len(series.Runs)-1].Last - series.Runs[0].First
		if want := time.Duration(series.Scheduled-1) * period; span < want-period || span > want+period {
			t.Errorf("flow %d: %d ticks took %s, want %s", flow, series.Scheduled, span, want)
		}
	}
}

func TestReceipts(t *testing.T) {
	t.Parallel()
	s, other := start(t), start(t, "TCP/80", "UDP/53")
	l := connect(t, other.Agent)
	lines, _ := l.ask(wire.Request{Hello: &wire.Hello{}})
	before := lines[0].Hello.Now
	results := connect(t, s.Agent).batch(wire.Batch{Wait: wait, Attempts: 2, Targets: []wire.Target{
		other.target(0, matrix.TCP, 80), other.target(1, matrix.UDP, 53), other.target(2, matrix.TCP, 81),
	}})
	lines, last := l.ask(wire.Request{Receipts: &wire.Receipts{Since: before}})
	if last.Done == nil || last.Done.Truncated {
		t.Errorf("last line = %+v", last)
	}
	if n := len(lines); n == 0 || lines[n-1].Untold == nil {
		t.Fatalf("the receipts do not end with what went untold: %+v", lines)
	}
	var got []string
	for _, r := range lines[:len(lines)-1] {
		if r.Receipt.At < before {
			t.Errorf("%+v is older than asked for", r.Receipt)
		}
		if !r.Receipt.HalfOpen { // the machine's own, in this test
			got = append(got, r.Receipt.Protocol.String()+" "+r.Receipt.Source)
		}
	}
	slices.Sort(got)
	if want := []string{"TCP " + results[0].Sources[0], "UDP " + results[1].Sources[0]}; !slices.Equal(got, want) {
		t.Errorf("arrived: %v, sent: %v", got, want)
	}
	lines, _ = l.ask(wire.Request{Hello: &wire.Hello{}})
	lines, _ = l.ask(wire.Request{Receipts: &wire.Receipts{Since: lines[0].Hello.Now}})
	for _, r := range lines {
		if r.Receipt != nil && !r.Receipt.HalfOpen {
			t.Errorf("%+v arrived after everything had ended", r.Receipt)
		}
	}
}

func TestServerBoundsItsVisitors(t *testing.T) {
	t.Parallel()
	s := start(t, "TCP/80", "UDP/80")
	for _, row := range []struct{ name, send string }{
		{"too long", strings.Repeat("x", 4096)},
		{"empty nonce", "\n" + strings.Repeat("x", wire.MaxNonce)},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", s.addr.String()+":80")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			_ = c.SetDeadline(time.Now().Add(4 * time.Second)) // silence alone would end it after 5 s
			_, _ = c.Write([]byte(row.send))
			if n, err := c.Read(make([]byte, 10)); err == nil || n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read %d bytes, %v; want the agent to hang up", n, err)
			}
		})
	}
}
