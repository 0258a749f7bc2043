package report_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/report"
	"github.com/segtest/segtest/suites/run/record"
)

// TestDenialsAreExpected: a deny in another way than the scenario demands is shown
// with both ways in every form, and a kernel without SCTP once, with the cure.
func TestDenialsAreExpected(t *testing.T) {
	t.Parallel()
	rec := shop()
	i := slices.IndexFunc(rec.Flows, func(f record.Flow) bool { return f.Flow.String() == "guest/curl-0 → shop/db-0 TCP/5432" })
	rec.Flows[i].Declared.By = matrix.ICMPError
	sctp := 0
	for n := range rec.Flows {
		if f := &rec.Flows[n]; f.To == "shop/db-0" && f.Port == 9187 {
			f.Protocol, f.Declared.Intent = matrix.SCTP, f.Computed.Intent
			sctp++
			for p := range rec.Passes {
				for c := range rec.Passes[p].Cells {
					if cell := &rec.Passes[p].Cells[c]; cell.Flow == n {
						cell.Sample.Outcome, cell.Sample.Denial, cell.Sample.Detail = matrix.LocalError, matrix.DenialUnknown, wire.NoSCTP
					}
				}
			}
		}
	}
	rec.Faults, rec.Header.Faults = nil, nil
	res := judge.Judge(rec)
	for _, row := range []struct {
		format string
		want   []string
	}{
		{"text", []string{
			"guest/curl-0 → shop/db-0 TCP/5432  denied in another way", "expected   deny by icmp", "observed   timed-out, by drop", "denied by drop, expected by icmp",
			"◇ denied in another way than expected", "note: SCTP cannot be asked on this kernel: ", "modprobe sctp", "--select '* -> * TCP'",
		}},
		{"json", []string{`"by": "icmp"`, `"expected": "deny by icmp"`, `"denied by drop, expected by icmp"`, `"kind": "denied in another way"`, `"SCTP cannot be asked on this kernel: `}},
		{"junit", []string{`<property name="segtest.denial.expected" value="icmp">`, `message="denied in another way: expected deny by icmp, observed timed-out"`, "denied by drop, expected by icmp"}},
	} {
		var got string
		if row.format == "text" {
			got = text(t, res, report.TextOptions{Width: 400})
		} else {
			got = string(render(t, must(t, row.format), res))
		}
		for _, want := range row.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s without %q:\n%s", row.format, want, got)
			}
		}
	}
	if res.Total.Fail != 1 || res.Total.Inconclusive != 3*sctp || sctp == 0 || len(res.Notes) != 1 {
		t.Errorf("%+v, %d flows of SCTP, notes %q", res.Total, sctp, res.Notes)
	}
}
