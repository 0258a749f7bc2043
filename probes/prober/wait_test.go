package prober_test

import (
	"slices"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
)

func TestDenyWait(t *testing.T) {
	t.Parallel()
	cells := func(n int, rtt time.Duration, o matrix.Outcome) []prober.Cell {
		return slices.Repeat([]prober.Cell{{Sample: matrix.Sample{Outcome: o, RTT: rtt}}}, n)
	}
	for _, row := range []struct {
		name  string
		cells []prober.Cell
		want  time.Duration
	}{
		{"nothing known", nil, prober.MaxDenyWait},
		{"none connected", cells(5, time.Millisecond, matrix.TimedOut), prober.MaxDenyWait},
		{"fast", cells(5, time.Millisecond, matrix.Connected), prober.MinDenyWait},
		{"medium", cells(5, 50*time.Millisecond, matrix.Connected), 500 * time.Millisecond},
		{"slow", cells(5, time.Second, matrix.Connected), prober.MaxDenyWait},
		{"one slow of a hundred", append(cells(99, 50*time.Millisecond, matrix.Connected), cells(1, time.Second, matrix.Connected)...), 500 * time.Millisecond},
		{"two slow of a hundred", append(cells(98, 50*time.Millisecond, matrix.Connected), cells(2, time.Second, matrix.Connected)...), prober.MaxDenyWait},
	} {
		if got := prober.DenyWait(row.cells); got != row.want {
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
