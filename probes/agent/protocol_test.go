package agent_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// TestProtocols holds what an agent can do with each protocol to what it says of
// it: where the kernel has SCTP, or lets the agent ping, an answer, and elsewhere
// an error of the sender that nobody takes for a deny.
func TestProtocols(t *testing.T) {
	t.Parallel()
	s, other := start(t), start(t, "TCP/80", "UDP/80", "SCTP/80")
	lines, _ := connect(t, other.Agent).ask(wire.Request{Hello: &wire.Hello{}})
	hello := lines[0].Hello
	for flow, row := range []struct {
		protocol matrix.Protocol
		port     int
		lacking  string // what is said where there is no socket
	}{
		{matrix.TCP, 80, ""}, {matrix.UDP, 80, ""}, {matrix.SCTP, 80, wire.NoSCTP}, {matrix.ICMP, 0, wire.NoEcho},
	} {
		speaks := slices.Contains(hello.Speaks, row.protocol)
		if listening := slices.Contains(hello.Listening, row.protocol.String()+"/80"); listening != (speaks && row.port > 0) {
			t.Errorf("speaks %s: %t, listens: %t", row.protocol, speaks, listening)
		}
		r := connect(t, s.Agent).batch(wire.Batch{Wait: wait, Attempts: 2, Targets: []wire.Target{other.target(flow, row.protocol, row.port)}})[flow]
		want := matrix.Sample{Outcome: matrix.Connected}
		if !speaks {
			want = matrix.Sample{Outcome: matrix.LocalError, Detail: row.lacking}
			if row.lacking == "" {
				t.Errorf("no socket for %s", row.protocol)
			}
			t.Logf("no %s here: %s", row.protocol, row.lacking)
		}
		if r.Sample.Outcome != want.Outcome || r.Sample.Detail != want.Detail || r.Sample.Denial != matrix.DenialUnknown {
			t.Errorf("%s: %+v, want %s %q", row.protocol, r.Sample, want.Outcome, want.Detail)
		}
		if speaks && (len(r.Sources) != 1 || !strings.HasPrefix(r.Sources[0], "127.") || (r.Peer.PodUID == other.id.PodUID) != (row.port > 0)) {
			t.Errorf("%s: from %v, answered by %+v", row.protocol, r.Sources, r.Peer)
		}
		receipts, _ := connect(t, other.Agent).ask(wire.Request{Receipts: &wire.Receipts{}})
		logged := slices.ContainsFunc(receipts, func(l wire.Response) bool {
			return l.Receipt != nil && l.Receipt.Protocol == row.protocol && l.Receipt.Source == r.Sources[0]
		})
		if logged != (speaks && row.port > 0) {
			t.Errorf("%s: logged: %t, of %v", row.protocol, logged, r.Sources)
		}
	}
}
