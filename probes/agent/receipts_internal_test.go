package agent

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

func TestParseHalfOpen(t *testing.T) {
	t.Parallel()
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	const read = 100 * time.Second
	for _, row := range []struct {
		name, rows, want string
		at               time.Duration
	}{
		{"none", "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1\n", "", 0},
		{"IPv4", "   1: 0500F40A:1538 0702F40A:9CB0 03 00000000:00000000 01:00000063 00000000     0        0 0\n", "10.244.2.7:40112 5432", 99990 * time.Millisecond},
		{"answered twice", "   1: 0500F40A:1538 0702F40A:9CB0 03 00000000:00000000 01:00000064 00000001     0        0 0\n", "10.244.2.7:40112 5432", 98 * time.Second},
		{"answered six times", "   1: 0500F40A:1538 0702F40A:9CB0 03 00000000:00000000 01:00000000 00000005     0        0 0\n", "10.244.2.7:40112 5432", 37 * time.Second},
		{"a kernel that counts further", "   1: 0500F40A:1538 0702F40A:9CB0 03 00000000:00000000 01:00000000 00000007     0        0 0\n", "10.244.2.7:40112 5432", 0},
		{"a timer of another kind", "   1: 0500F40A:1538 0702F40A:9CB0 03 00000000:00000000 02:00000063 00000000     0        0 0\n", "10.244.2.7:40112 5432", 0},
		{"a timer in the future", "   1: 0500F40A:1538 0702F40A:9CB0 03 00000000:00000000 01:00001000 00000000     0        0 0\n", "10.244.2.7:40112 5432", read},
		{"mapped", "   1: 0000000000000000FFFF00000500F40A:0050 0000000000000000FFFF00000702F40A:9CB0 03 0\n", "10.244.2.7:40112 80", 0},
		{"IPv6", "   1: 0000010000000000000000000200000A:0050 000000FD000000000000000001000000:0051 03 0\n", "[fd00::1]:81 80", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseHalfOpen(strings.NewReader(head+row.rows), read)
			if err != nil {
				t.Fatal(err)
			}
			var words []string
			for _, r := range got {
				if !r.HalfOpen || r.At != row.at || r.Protocol != matrix.TCP {
					t.Errorf("receipt %+v", r)
				}
				words = append(words, r.Source+" "+wire.Port{Protocol: r.Protocol, Number: r.Port}.String()[len("TCP/"):])
			}
			if s := strings.Join(words, ","); s != row.want {
				t.Errorf("got %q, want %q", s, row.want)
			}
		})
	}
	if _, err := parseHalfOpen(strings.NewReader("1: 0:0 zz:1 03\n"), 0); err == nil {
		t.Error("a broken row was taken")
	}
}

func TestReceiptsSayWhenTheyForgot(t *testing.T) {
	t.Parallel()
	var r receipts
	start := now()
	for i := range keptReceipts + 10 {
		r.add(wire.Port{Protocol: matrix.UDP, Number: 53}, netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(i)))
	}
	kept, truncated := r.since(start)
	if len(kept) != keptReceipts || !truncated {
		t.Errorf("%d kept, truncated %t", len(kept), truncated)
	}
	if kept[0].Source != "0.0.0.0:10" || kept[0].At > kept[len(kept)-1].At {
		t.Errorf("the oldest kept is %+v", kept[0])
	}
	if _, truncated := r.since(now()); truncated {
		t.Error("nothing later was forgotten")
	}
}

// TestFrozenTryGetsItsTime stalls the loop while a probe waits: the wait must
// last its time of running, and the result must say what happened.
func TestFrozenTryGetsItsTime(t *testing.T) {
	t.Parallel()
	l, err := newLoop()
	if err != nil {
		t.Fatal(err)
	}
	fired := make(chan bool, 2)
	const wait = 20 * stallAfter
	l.after(wait, func() { fired <- true })
	l.at(now()+1, func() { // a frozen agent
		for end := now() + wait; now() < end; { //nolint:revive // the loop must not run
		}
	})
	var early bool
	l.at(now()+wait, func() { early = len(fired) > 0; fired <- false })
	go func() { <-fired; <-fired; l.post(func() { l.stopping = true }) }()
	start := now()
	if err := l.run(); err != nil {
		t.Fatal(err)
	}
	if early || now()-start < 2*wait-wait/4 {
		t.Errorf("the wait of %s ended after %s of which %s were frozen", wait, now()-start, l.stalled)
	}
}

func TestWhatGotFurtherWins(t *testing.T) {
	t.Parallel()
	order := []matrix.Outcome{
		matrix.Unknown, matrix.LocalError, matrix.TimedOut, matrix.Unreachable, matrix.Refused,
		matrix.HandshakeOnly, matrix.OneWay, matrix.WrongPeer, matrix.Connected,
	}
	for i := 1; i < len(order); i++ {
		if rank(order[i]) <= rank(order[i-1]) {
			t.Errorf("%s does not beat %s", order[i], order[i-1])
		}
	}
}
