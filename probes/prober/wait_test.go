package prober_test

import (
	"slices"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
	"github.com/segtest/segtest/probes/wire"
)

func TestDenyWait(t *testing.T) {
	t.Parallel()
	const ms, mine, other = time.Millisecond, "shop/web-0", "shop/db-0"
	cell := func(peer matrix.Endpoint, rtt time.Duration, o matrix.Outcome) prober.Cell {
		return prober.Cell{Sample: matrix.Sample{Outcome: o, RTT: rtt}, Peer: wire.Identity{Endpoint: peer}}
	}
	// An echo has no identity: it is known by whom it was asked of, here in the peer's place.
	echo := func(rtt time.Duration, to matrix.Endpoint) prober.Cell {
		c := cell(to, rtt, matrix.Connected)
		c.Evidence.Identity = prober.ByAddress
		return c
	}
	for _, row := range []struct {
		name      string
		wait, max time.Duration
		cells     []prober.Cell
		want      time.Duration
	}{
		{"nothing known", 200 * ms, 950 * ms, nil, 950 * ms},
		{"none connected", 200 * ms, 950 * ms, []prober.Cell{cell("", 200*ms, matrix.TimedOut), cell(other, 5*ms, matrix.Refused)}, 950 * ms},
		{"only itself", 200 * ms, 950 * ms, []prober.Cell{cell(mine, ms, matrix.Connected)}, 950 * ms},
		{"fast", 200 * ms, 950 * ms, []prober.Cell{cell(other, ms, matrix.Connected), cell("", 200*ms, matrix.TimedOut)}, 200 * ms},
		{"the slowest counts", 200 * ms, 950 * ms, []prober.Cell{cell(other, ms, matrix.Connected), cell(other, 150*ms, matrix.Connected), cell(other, 140*ms, matrix.Connected)}, 300 * ms},
		{"slow to itself", 200 * ms, 950 * ms, []prober.Cell{cell(mine, 300*ms, matrix.Connected), cell(other, ms, matrix.Connected)}, 200 * ms},
		{"an echo of its own", 200 * ms, 950 * ms, []prober.Cell{echo(300*ms, mine), cell(other, ms, matrix.Connected)}, 200 * ms},
		{"an echo", 200 * ms, 950 * ms, []prober.Cell{echo(300*ms, other)}, 600 * ms},
		{"very slow", 200 * ms, 950 * ms, []prober.Cell{cell(other, 800*ms, matrix.Connected)}, 950 * ms},
		{"fixed, nothing known", 200 * ms, 0, nil, 200 * ms},
		{"fixed", 200 * ms, 0, []prober.Cell{cell(other, 150*ms, matrix.Connected)}, 200 * ms},
		{"a surprise", 3000 * ms, 950 * ms, []prober.Cell{cell(other, 800*ms, matrix.Connected)}, 3000 * ms},
	} {
		p := prober.Plan{Wait: row.wait, MaxWait: row.max}
		for i, c := range row.cells {
			q := prober.Question{From: mine}
			if c.Evidence.Identity != "" {
				q.To, row.cells[i].Peer = []matrix.Endpoint{c.Peer.Endpoint}, wire.Identity{}
			}
			p.Questions = append(p.Questions, q)
		}
		if got := p.DenyWait(row.cells); got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
}

func TestSurprising(t *testing.T) {
	t.Parallel()
	outcomes := []matrix.Outcome{
		matrix.Unknown, matrix.Connected, matrix.WrongPeer, matrix.HandshakeOnly, matrix.Refused,
		matrix.Unreachable, matrix.TimedOut, matrix.OneWay, matrix.LocalError,
	}
	var cells []prober.Cell
	for i, o := range outcomes {
		cells = append(cells, prober.Cell{Flow: i, Sample: matrix.Sample{Outcome: o}})
	}
	for i, why := range []string{wire.NoSCTP, wire.NoEcho} { // to ask again is of no use
		cells = append(cells, prober.Cell{Flow: 100 + i, Sample: matrix.Sample{Outcome: matrix.LocalError, Detail: why}})
	}
	for intent, want := range map[matrix.Intent][]int{
		matrix.Allow: {0, 2, 3, 4, 5, 6, 7, 8}, matrix.Deny: {0, 1, 2, 3, 7, 8}, matrix.Unstated: nil, matrix.Undefined: nil,
	} {
		if got := prober.Surprising(cells, func(int) matrix.Intent { return intent }); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", intent, got, want)
		}
	}
}

func TestPeriod(t *testing.T) {
	t.Parallel()
	for flows, want := range map[int]time.Duration{0: 50, 1: 50, 25: 50, 26: 52, 100: 200} {
		if got := prober.Period(flows); got != want*time.Millisecond { //nolint:durationcheck // a count times a unit
			t.Errorf("%d flows: %s, want %dms", flows, got, want)
		}
	}
}
