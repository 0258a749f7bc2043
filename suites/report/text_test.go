package report_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/segtest/segtest/hack/golden"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/report"
	"github.com/segtest/segtest/suites/run/record"
)

func text(t *testing.T, r judge.Result, o report.TextOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Text(&b, r, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func plan(t *testing.T, flows []record.Flow, o report.TextOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.PlanTable(&b, sheet(flows), report.FoldReplicas, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// wrong is the shop whose policy of the database admits a label that nobody
// has, and whose policy of the cache forgot its ports.
func wrong() []record.Flow {
	flows := shopFlows()
	for i, f := range flows {
		switch {
		case f.To == "shop/db-0" && workload(f.From) == "shop/api" && f.Port == 5432:
			f.Computed.Intent, f.Computed.Ingress.Intent = matrix.Deny, matrix.Deny
			f.Computed.Ingress.By = []oracle.RuleRef{{Policy: "shop/db", Rule: -1, Origin: oracle.Origin{File: "online-shop/policies/db.yaml", Line: 1}}}
			f.Computed.Ingress.Reason = "no rule admits " + string(f.From)
		case f.To == "shop/cache-0" && f.From == "guest/curl-0" && f.Port == 6379:
			f.Computed.Intent, f.Computed.Ingress.Intent, f.Computed.Ingress.Reason = matrix.Allow, matrix.Allow, ""
			f.Computed.Ingress.By[0].Rule = 1
		case f.To == "shop/web-0" && f.From == "shop/web-1" && f.Port == 8080:
			f.Computed = oracle.Decision{Intent: matrix.Undefined, Reason: "the specification does not say"}
		}
		flows[i] = f
	}
	return flows
}

func TestPlanGoldens(t *testing.T) {
	t.Parallel()
	golden.Check(t, "testdata/plan-agrees.txt", plan(t, shopFlows(), report.TextOptions{Width: 100}))
	golden.Check(t, "testdata/plan-differs.txt", plan(t, wrong(), report.TextOptions{Width: 100}))
	golden.Check(t, "testdata/plan-ascii.txt", plan(t, wrong(), report.TextOptions{ASCII: true}))
	golden.Check(t, "testdata/plan-colour.txt", plan(t, wrong(), report.TextOptions{Color: true, Width: 100}))
	golden.Check(t, "testdata/leak-ascii.txt", text(t, results()["leak"], report.TextOptions{ASCII: true}))
	golden.Check(t, "testdata/leak-colour.txt", text(t, results()["leak"], report.TextOptions{Color: true, Width: 120}))
}

var colour = regexp.MustCompile("\x1b\\[[0-9;]*m")

// TestTextOptions: colour is only colour, ASCII is ASCII, and nothing but a
// command to copy is wider than asked.
func TestTextOptions(t *testing.T) {
	t.Parallel()
	for name, r := range results() {
		bare := text(t, r, report.TextOptions{Width: 100})
		coloured := text(t, r, report.TextOptions{Width: 100, Color: true})
		if strings.Contains(bare, "\x1b") || !strings.Contains(coloured, "\x1b[") {
			t.Errorf("%s: colour does not follow the option", name)
		}
		if got := colour.ReplaceAllString(coloured, ""); got != bare {
			t.Errorf("%s: colour changes more than colour:\n%s\n%s", name, got, bare)
		}
		for _, c := range text(t, r, report.TextOptions{ASCII: true}) {
			if c >= utf8.RuneSelf {
				t.Errorf("%s: %q is not ASCII", name, c)
			}
		}
		for _, width := range []int{80, 100, 140} {
			for line := range strings.Lines(text(t, r, report.TextOptions{Width: width})) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width && !strings.Contains(line, "segtest run") {
					t.Errorf("%s: a line has %d of %d columns: %s", name, n, width, line)
				}
			}
		}
	}
}

// TestOneScreen: the shop that passes fits a terminal of 24 lines.
func TestOneScreen(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"pass", "gap"} {
		if n := strings.Count(text(t, results()[name], report.TextOptions{Width: 100}), "\n"); n > 24 {
			t.Errorf("%s takes %d lines", name, n)
		}
	}
}

// TestWatchedCountsFlowsOnce: a flow that three faults watch is one flow, and
// one that is watched less often is not said to be hot.
func TestWatchedCountsFlowsOnce(t *testing.T) {
	t.Parallel()
	rec := shop()
	for i := range rec.Faults {
		last := len(rec.Faults[i].Watched) - 1
		rec.Faults[i].Watched[last].Period = 770 * ms
		rec.Faults[i].Watched[last].Expect.Unobservable = true
	}
	const want = "watched: 5 flows that must stay closed, 2 that must work; up to 6 at a time every 50 ms, the others every 770 ms; 1 out of sight while a pod or node was gone"
	if got := text(t, judge.Judge(rec), report.TextOptions{Width: 200}); !strings.Contains(got, want) {
		t.Errorf("got\n%s, want in it\n%s", got, want)
	}
}

// TestTargetsAreWhole: what a fault hit stands beside its name where there is
// room, and below it where there is none.
func TestTargetsAreWhole(t *testing.T) {
	t.Parallel()
	rec := shop()
	const target = "policy agent of node segtest-a25399d8-worker2 (of shop/cache)"
	rec.Faults[1].Target = target
	r := judge.Judge(rec)
	for width, want := range map[int]string{
		80:  "\n✓ 2-policy-agent-kill                       none over 50 ms  none\n    " + target + "\n✓ 3-node-pause  node worker2 (of shop/web)  none over 50 ms  none\n",
		140: "\n✓ 2-policy-agent-kill  " + target + "  none over 50 ms  none\n",
	} {
		if got := text(t, r, report.TextOptions{Width: width}); !strings.Contains(got, want) {
			t.Errorf("%d columns:\n%s\nwant in it:%s", width, got, want)
		}
	}
	narrow := text(t, r, report.TextOptions{Width: 50})
	if !strings.Contains(narrow, "segtest-a25399d8-worker2") || !strings.Contains(narrow, "2-policy-agent-kill ") {
		t.Errorf("the target is cut:\n%s", narrow)
	}
}

// TestPlanCountsUnstated: a flow of which the scenario states nothing is no
// agreement.
func TestPlanCountsUnstated(t *testing.T) {
	t.Parallel()
	flow := func(declared, computed matrix.Intent) record.Flow {
		return record.Flow{Declared: record.Declared{Intent: declared}, Computed: oracle.Decision{Intent: computed}}
	}
	agree, differ, silent := flow(matrix.Deny, matrix.Deny), flow(matrix.Deny, matrix.Allow), flow(matrix.Unstated, matrix.Deny)
	for _, row := range []struct {
		name  string
		flows []record.Flow
		want  string
	}{
		{"all agree", []record.Flow{agree, agree}, "✓ 2 flows: the policies allow 0 and deny 2; the scenario agrees on all\n"},
		{"one unstated", []record.Flow{agree, silent}, "✓ 2 flows: the policies allow 0 and deny 2; the scenario agrees on 1, 1 unstated\n"},
		{"all unstated", []record.Flow{silent, silent}, "○ 2 flows: the policies allow 0 and deny 2; the scenario agrees on 0, 2 unstated\n"},
		{"one of each", []record.Flow{agree, differ, silent}, "✗ 3 flows: the policies allow 1 and deny 2; the scenario disagrees on 1, agrees on 1, 1 unstated\n"},
		{"undefined", []record.Flow{agree, flow(matrix.Deny, matrix.Undefined)}, "? 2 flows: the policies allow 0 and deny 1, 1 undefined;\n  the scenario is not decidable on 1, agrees on 1\n"},
		{"undefined and worse", []record.Flow{differ, flow(matrix.Deny, matrix.Undefined)}, "✗ 2 flows: the policies allow 1 and deny 0, 1 undefined;\n  the scenario disagrees on 1, is not decidable on 1, agrees on 0\n"},
		{"stated as undefined", []record.Flow{flow(matrix.Undefined, matrix.Undefined)}, "✓ 1 flow: the policies allow 0 and deny 0, 1 undefined; the scenario agrees on all\n"},
		{"undefined no more", []record.Flow{flow(matrix.Undefined, matrix.Allow)}, "✗ 1 flow: the policies allow 1 and deny 0; the scenario disagrees on 1, agrees on 0\n"},
		{"undefined, and nothing stated", []record.Flow{agree, flow(matrix.Unstated, matrix.Undefined)}, "✓ 2 flows: the policies allow 0 and deny 1, 1 undefined; the scenario agrees on 1, 1 unstated\n"},
	} {
		if got := plan(t, row.flows, report.TextOptions{Width: 100}); !strings.HasPrefix(got, row.want) {
			t.Errorf("%s: got\n%s, want\n%s", row.name, got, row.want)
		}
	}
	for line := range strings.Lines(plan(t, wrong(), report.TextOptions{Width: 60})) {
		if strings.Contains(line, "policies allow") && utf8.RuneCountInString(line) > 61 {
			t.Errorf("wider than 60 columns: %s", line)
		}
	}
}

func TestUnenforcedIsOneLine(t *testing.T) {
	t.Parallel()
	got := text(t, results()["unenforced"], report.TextOptions{})
	if n := strings.Count(got, "enforces no NetworkPolicy"); n != 1 || strings.Contains(got, "●") {
		t.Errorf("a page instead of a line:\n%s", got)
	}
}

// TestReplicasFold: one row and one column per workload while its cells are
// equal, and each replica on its own as soon as they are not.
func TestReplicasFold(t *testing.T) {
	t.Parallel()
	same := plan(t, shopFlows(), report.TextOptions{Width: 100})
	for _, want := range []string{"shop/web ×2", "shop/api ×2"} {
		if strings.Count(same, want) != 2 { // a row and a column
			t.Errorf("%s is not folded:\n%s", want, same)
		}
	}
	flows := shopFlows()
	for i, f := range flows {
		if f.From == "shop/web-1" && f.To == "shop/db-0" && f.Port == 5432 {
			flows[i].Declared.Intent, flows[i].Computed.Intent = matrix.Allow, matrix.Allow
		}
	}
	got := plan(t, flows, report.TextOptions{Width: 100})
	if !strings.Contains(got, "\n  shop/web-0 ") || !strings.Contains(got, "\n  shop/web-1 ") || strings.Count(got, "shop/web ×2") != 1 || strings.Count(got, "shop/api ×2") != 2 {
		t.Errorf("only the rows of shop/web should be unfolded:\n%s", got)
	}
	flows = shopFlows()
	for i, f := range flows {
		if f.From == "guest/curl-0" && f.To == "shop/web-1" && f.Port == 8080 {
			flows[i].Declared.Intent, flows[i].Computed.Intent = matrix.Deny, matrix.Deny
		}
	}
	got = plan(t, flows, report.TextOptions{Width: 140})
	if !strings.Contains(got, "shop/web-0  shop/web-1") || strings.Count(got, "\n  shop/web ×2") != 1 {
		t.Errorf("only the columns of shop/web should be unfolded:\n%s", got)
	}
}

// TestBadCanaryShows: the undeclared port has a column only where it is wrong.
func TestBadCanaryShows(t *testing.T) {
	t.Parallel()
	rec := shop()
	if got := text(t, judge.Judge(rec), report.TextOptions{Width: 100}); strings.Contains(got, "7999") {
		t.Errorf("a good canary shows:\n%s", got)
	}
	rec.Passes[1].Cells[position(rec, "shop/web-0", "shop/db-0", canary)].Sample.Outcome = matrix.Connected
	if got := text(t, judge.Judge(rec), report.TextOptions{Width: 100}); !strings.Contains(got, "7999") || !strings.Contains(got, "▲") {
		t.Errorf("a bad canary does not show:\n%s", got)
	}
}

// TestLargeMatrixShowsWhatNeedsALook: 60 senders and 60 receivers, one leak.
func TestLargeMatrixShowsWhatNeedsALook(t *testing.T) {
	t.Parallel()
	var flows []record.Flow
	for i := range 60 {
		for k := range 60 {
			f := matrix.Flow{From: matrix.Endpoint(fmt.Sprintf("a/s%02dx", i)), To: matrix.Endpoint(fmt.Sprintf("a/r%02dx", k)), Protocol: matrix.TCP, Port: 80}
			d := record.Flow{Flow: f, Declared: record.Declared{Intent: matrix.Deny}, Computed: oracle.Decision{Intent: matrix.Deny}}
			if i == 31 && k == 17 {
				d.Computed.Intent = matrix.Allow
			}
			flows = append(flows, d)
		}
	}
	got := plan(t, flows, report.TextOptions{})
	if n := strings.Count(got, "\n"); n > 30 || !strings.Contains(got, "s31x") || !strings.Contains(got, "1 of 60 senders") || !strings.Contains(got, "1 of 60 ports") {
		t.Errorf("%d lines:\n%s", n, got)
	}
}

// TestManyFindingsAreCut: a page of failures names how many it leaves out.
func TestManyFindingsAreCut(t *testing.T) {
	t.Parallel()
	rec := shop()
	for i, f := range rec.Flows {
		if f.Computed.Intent == matrix.Deny {
			rec.Passes[1].Cells[i].Sample.Outcome = matrix.Connected
		}
	}
	r := judge.Judge(rec)
	got := text(t, r, report.TextOptions{Width: 100})
	if !strings.Contains(got, "more: the junit and json reports have them") {
		t.Errorf("%d failures do not say that they are cut:\n%s", r.Total.Fail, got)
	}
}

// TestEndedEarly: a run that ended before the matrix says why and shows no
// matrix: what connected without policies is no cell of it.
func TestEndedEarly(t *testing.T) {
	t.Parallel()
	for passes, counted := range []string{"", "baseline 119✓"} {
		rec := shop()
		rec.Flows = wrong()
		rec.Passes, rec.Faults, rec.Enforcement, rec.Convergence = rec.Passes[:passes], nil, nil, nil
		rec.End = &record.End{At: 1035 * sec, Error: "cluster: docker daemon does not answer", Environment: true}
		got := text(t, judge.Judge(rec), report.TextOptions{Width: 100})
		if n := strings.Count(got, "\n"); n > 6 || strings.Contains(got, "from ↓") || strings.Contains(got, "baseline") != (passes == 1) {
			t.Errorf("after %d passes, %d lines where a few would do:\n%s", passes, n, got)
		}
		for _, want := range []string{"INCONCLUSIVE", "docker daemon does not answer", "segtest plan online-shop/scenario.yaml", counted} {
			if !strings.Contains(got, want) {
				t.Errorf("after %d passes, %q is missing:\n%s", passes, want, got)
			}
		}
	}
	rec := shop()
	rec.Passes, rec.Faults = rec.Passes[:1], nil
	rec.Passes[0].Cells[position(rec, "shop/web-0", "shop/api-0", 9090)].Sample.Outcome = matrix.TimedOut
	rec.End = &record.End{At: 1035 * sec, Error: "docker stopped", Environment: true}
	got := text(t, judge.Judge(rec), report.TextOptions{Width: 100})
	if !strings.Contains(got, "from ↓") || strings.Contains(got, "·  ") || strings.Contains(got, "●") {
		t.Errorf("the baseline is shown as the matrix:\n%s", got)
	}
}
