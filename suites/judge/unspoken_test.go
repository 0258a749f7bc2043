package judge_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run/record"
)

// TestUnspoken: flows of a protocol that senders cannot speak are inconclusive,
// all with one cause, and one note says so for all of them, and what to do.
func TestUnspoken(t *testing.T) {
	t.Parallel()
	rec := good()
	rec.Flows = nil
	for i, text := range []string{
		"shop/attacker-0 → shop/db-0 TCP/5432", "shop/a-0 → shop/db-0 SCTP/132", "shop/b-0 → shop/db-0 SCTP/132",
		"shop/c-0 → shop/db-0 SCTP/132", "shop/d-0 → shop/db-0 SCTP/132", "shop/e-0 → shop/db-0 SCTP/132",
		"shop/a-0 → shop/db-0 ICMP",
	} {
		f, err := matrix.ParseFlow(text)
		if err != nil {
			t.Fatal(err)
		}
		intent := []matrix.Intent{deny, allow}[i%2]
		rec.Flows = append(rec.Flows, flow(f, intent, intent))
	}
	rec.Flows[5].Control = true
	rec.Flows[6] = flow(rec.Flows[6].Flow, allow, undefined)
	for i := range rec.Passes {
		for n := 1; n < len(rec.Flows); n++ {
			c := cell(matrix.LocalError, record.Evidence{Control: true, Cause: wire.NoSCTP})
			c.Flow, c.Sample.Detail = n, wire.NoSCTP
			if n == 6 {
				c.Sample.Detail = wire.NoEcho
			}
			rec.Passes[i].Cells = append(rec.Passes[i].Cells, c)
		}
	}
	res := judge.Judge(rec)
	want := []string{
		"SCTP cannot be asked on this kernel: sctp not supported by this kernel; nothing is proven of 4 flows from shop/a-0, shop/b-0, shop/c-0, 1 more; " +
			"load the kernel module sctp on the hosts of the nodes (modprobe sctp), or leave these flows out: --select '* -> * TCP' --select '* -> * ICMP'",
		"ICMP cannot be asked: " + wire.NoEcho + "; nothing is proven of 1 flows from shop/a-0; " +
			"widen net.ipv4.ping_group_range on the nodes, or leave these flows out: --select '* -> * TCP' --select '* -> * SCTP'",
	}
	if !slices.Equal(res.Notes, want) {
		t.Errorf("notes\n%q, want\n%q", res.Notes, want)
	}
	if res.Verdict != matrix.Inconclusive || res.ExitCode() != judge.ExitInconclusive {
		t.Errorf("%s, exit %d", res.Verdict, res.ExitCode())
	}
	const cause = "[SCTP cannot be asked on this kernel: sctp not supported by this kernel]"
	n := 0
	for _, c := range res.Cases {
		if c.Flow < 1 || c.Flow > 4 {
			continue
		}
		if n++; c.Verdict != matrix.Inconclusive || fmt.Sprint(c.Reasons) != cause || c.Denial != matrix.DenialUnknown {
			t.Errorf("%s of %s: %s %q", c.Name, c.Phase, c.Verdict, c.Reasons)
		}
	}
	if n != 4*3 {
		t.Errorf("%d cases of four flows in three phases", n)
	}
	if c := find(res, record.PhaseMatrix, "shop/a-0 → shop/db-0 ICMP"); c.Unjudged == "" {
		t.Errorf("an echo that the policies leave open is judged: %+v", c)
	}
}
