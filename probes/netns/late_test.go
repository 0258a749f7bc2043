package netns_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
)

// eavesdropper does something, once, when it has heard an agent say a word, and
// before the harness has.
type eavesdropper struct {
	*lab
	words map[string]func()
}

func (e eavesdropper) Dial(ctx context.Context, ep matrix.Endpoint) (io.ReadWriteCloser, error) {
	rwc, err := e.lab.Dial(ctx, ep)
	if r, ok := rwc.(*relay); ok {
		r.Reader = io.TeeReader(r.Reader, &ear{words: e.words})
	}
	return rwc, err
}

// ear listens to one stream.
type ear struct {
	words map[string]func()
	last  []byte // the end of what it heard, in which a word may have begun
}

func (e *ear) Write(b []byte) (int, error) {
	heard := append(e.last, b...)
	for word, do := range e.words {
		if bytes.Contains(heard, []byte(word)) {
			do()
		}
	}
	e.last = bytes.Clone(heard[max(0, len(heard)-40):])
	return len(b), nil
}

// TestDelayedDelivery lets the router hold every packet for the receiver, as it
// does while it does not know its hardware address, until the sender has said
// that nobody answered. What is delivered then has got through.
func TestDelayedDelivery(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, rules string
		protocol    matrix.Protocol
		want        matrix.Outcome
	}{
		{"TCP", "", matrix.TCP, matrix.Connected},
		{"UDP", "", matrix.UDP, matrix.Connected},
		{"TCP answers dropped", fmt.Sprintf("th sport %d drop", port), matrix.TCP, matrix.OneWay},
		{"UDP answers dropped", fmt.Sprintf("th sport %d drop", port), matrix.UDP, matrix.OneWay},
		{"TCP dropped", fmt.Sprintf("th dport %d drop", port), matrix.TCP, matrix.TimedOut},
		{"UDP dropped", fmt.Sprintf("th dport %d drop", port), matrix.UDP, matrix.TimedOut},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.nft(router, "forward", row.rules)
			hardware, err := l.output(receiver, "cat", "/sys/class/net/eth0/address")
			if err != nil {
				t.Fatal(err, hardware)
			}
			l.in(receiver, "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=8") // answers nobody
			l.in(router, "ip", "neigh", "replace", "10.99.1.2", "dev", "to-"+receiver, "lladdr", "02:00:00:00:00:01", "nud", "failed")
			deliver := sync.OnceFunc(func() {
				out, err := exec.Command("ip", "-netns", l.name+router, "neigh", "replace", "10.99.1.2", "dev", "to-"+receiver,
					"lladdr", strings.TrimSpace(hardware), "nud", "permanent").CombinedOutput()
				if err != nil {
					t.Errorf("delivering: %v: %s", err, out)
				}
			})
			f := l.fleetOver(eavesdropper{l, map[string]func(){matrix.TimedOut.String(): deliver}})
			p := prober.Plan{Questions: l.questions(20, matrix.IPv4, port, row.protocol), Wait: prober.MinDenyWait, MaxWait: prober.MaxDenyWait}
			for _, c := range l.pass(f, p) {
				if c.Sample.Outcome != row.want || c.Evidence.Arrived != (row.want == matrix.OneWay) {
					t.Fatalf("flow %d: %+v, want %s", c.Flow, c, row.want)
				}
				// The second try begins half a wait before the end, and not to the
				// millisecond.
				if row.want == matrix.Connected && c.Sample.RTT < prober.MinDenyWait/4 {
					t.Fatalf("flow %d was answered after %s: not late", c.Flow, c.Sample.RTT)
				}
			}
		})
	}
}
