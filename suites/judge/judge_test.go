package judge_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run/record"
)

// good is a complete run that passes.
func good() record.Record {
	rec := complete(flow(denied, deny, deny), tries(matrix.TimedOut))
	rec.Header.Monotonic = 5 * sec
	rec.Phases = []record.Phase{{Name: record.PhaseBaseline, Start: 6 * sec, End: 7 * sec}, {Name: record.PhaseMatrix, Start: 8 * sec, End: 9 * sec}}
	rec.Convergence = []record.Convergence{{What: "policies applied", Node: "worker", Lower: 100 * ms, Upper: 150 * ms}}
	return rec
}

func TestRun(t *testing.T) {
	t.Parallel()
	leak := func(r *record.Record) { r.Passes[1].Cells[0].Sample.Outcome = matrix.Connected }
	for _, tc := range []struct {
		name    string
		tweak   func(*record.Record)
		verdict matrix.Verdict
		exit    int
		phase   string // of a case that says why
		reason  string
	}{
		{"good", func(*record.Record) {}, matrix.Pass, 0, "", ""},
		{"a leak", leak, matrix.Fail, 1, "", ""},
		{"no end", func(r *record.Record) { r.End = nil }, matrix.Inconclusive, 3, judge.PhaseRun, "the run died"},
		{"docker stopped", func(r *record.Record) { r.End.Error, r.End.Environment = "docker is gone", true }, matrix.Inconclusive, 3, judge.PhaseRun, "docker is gone"},
		{"an error of ours", func(r *record.Record) { r.End.Error = "lost count" }, matrix.Inconclusive, 4, judge.PhaseRun, "lost count"},
		{"docker stopped after a leak", func(r *record.Record) {
			leak(r)
			r.End.Error, r.End.Environment = "docker is gone", true
		}, matrix.Fail, 1, judge.PhaseRun, "docker is gone"},
		{"a cluster that could not be removed", func(r *record.Record) { r.End.LeftBehind = "cluster x" }, matrix.Pass, 3, "", ""},
		{"interrupted", func(r *record.Record) { r.End.Interrupted, r.End.LeftBehind = true, "cluster x" }, matrix.Inconclusive, 130, judge.PhaseRun, "left behind: cluster x"},
		{"interrupted after a leak", func(r *record.Record) {
			leak(r)
			r.End.Interrupted = true
		}, matrix.Fail, 130, judge.PhaseRun, "the run was interrupted"},
		{"nobody looked for enforcement", func(r *record.Record) { r.Enforcement = nil }, matrix.Inconclusive, 4, judge.PhaseRun, "nobody looked"},
		{"a sentinel that never flipped", func(r *record.Record) { r.Convergence[0].Error = "still open after 30s" }, matrix.Inconclusive, 4, judge.PhaseRun, "still open after 30s"},
		{"a matrix that did not settle", func(r *record.Record) {
			r.Convergence = append(r.Convergence, record.Convergence{What: "matrix settled", Error: "3 flows at the end"})
		}, matrix.Pass, 0, judge.PhaseRun, ""},
		{"no baseline pass", func(r *record.Record) { r.Passes = r.Passes[1:] }, matrix.Inconclusive, 4, record.PhaseBaseline, "no pass ran"},
		{"no matrix pass", func(r *record.Record) { r.Passes = append(r.Passes[:1], r.Passes[2]) }, matrix.Inconclusive, 4, record.PhaseMatrix, "no pass ran"},
		{"no open pass", func(r *record.Record) { r.Passes = r.Passes[:2] }, matrix.Inconclusive, 4, record.PhaseOpen, "no pass ran"},
		{"a phase that ended early", func(r *record.Record) { r.Phases[1].Error = "the API server hung" }, matrix.Inconclusive, 4, record.PhaseMatrix, "the API server hung"},
		{"a void matrix", func(r *record.Record) { r.Passes[1].Void = "the queue dropped packets" }, matrix.Inconclusive, 4, record.PhaseMatrix, "the queue dropped packets"},
		{"a leak in a void pass", func(r *record.Record) {
			leak(r)
			r.Passes[1].Void = "the queue dropped packets"
		}, matrix.Inconclusive, 4, record.PhaseMatrix, "no pass may be believed"},
		{"never settled", func(r *record.Record) { r.Passes[1].Settling = true }, matrix.Inconclusive, 4, record.PhaseMatrix, "never settled"},
		{"a record that ends while the matrix settles", func(r *record.Record) {
			r.Passes[1].Settling = true
			r.Passes, r.Phases, r.End = r.Passes[:2], r.Phases[:1], nil
		}, matrix.Inconclusive, 3, record.PhaseMatrix, "the record ends early, while the network still settled"},
		{"a record that ends before the matrix", func(r *record.Record) {
			r.Passes, r.Phases, r.End = r.Passes[:1], r.Phases[:1], nil
		}, matrix.Inconclusive, 3, record.PhaseMatrix, "the record ends early, before a pass of this phase"},
		{"a record that ends after a leak", func(r *record.Record) {
			leak(r)
			r.End = nil
		}, matrix.Fail, 1, judge.PhaseRun, "the run died"},
		{"a leak while settling", func(r *record.Record) {
			open := record.Pass{Phase: record.PhaseMatrix, Settling: true, Cells: tries(matrix.Connected)}
			r.Passes = append([]record.Pass{r.Passes[0], open}, r.Passes[1:]...)
		}, matrix.Pass, 0, "", ""},
		{"an arrival in a void pass beside a good one", func(r *record.Record) {
			open := record.Pass{Phase: record.PhaseMatrix, Void: "x", Cells: tries(matrix.Connected)}
			r.Passes = append([]record.Pass{r.Passes[0], open}, r.Passes[1:]...)
		}, matrix.Fail, 1, "", ""},
		{"what a full queue let through while the matrix settled", func(r *record.Record) {
			open := record.Pass{Phase: record.PhaseMatrix, Settling: true, Fenced: true, Void: "x", Unasked: 1, Cells: tries(matrix.Connected)}
			r.Passes = append([]record.Pass{r.Passes[0], open}, r.Passes[1:]...)
		}, matrix.Pass, 0, "", ""},
		{"more than a full queue let through", func(r *record.Record) {
			open := record.Pass{Phase: record.PhaseMatrix, Void: "x", Unasked: 1, Cells: append(tries(matrix.Connected), tries(matrix.OneWay)...)}
			r.Passes = append([]record.Pass{r.Passes[0], open}, r.Passes[1:]...)
		}, matrix.Fail, 1, "", ""},
		{"silence in a void pass", func(r *record.Record) {
			shut := record.Pass{Phase: record.PhaseMatrix, Void: "x", Cells: tries(matrix.TimedOut)}
			r.Passes = append([]record.Pass{r.Passes[0], shut}, r.Passes[1:]...)
		}, matrix.Pass, 0, "", ""},
		{"an arrival while the matrix settles, behind the fence", func(r *record.Record) {
			open := record.Pass{Phase: record.PhaseMatrix, Settling: true, Fenced: true, Cells: tries(matrix.Connected)}
			r.Passes = append([]record.Pass{r.Passes[0], open}, r.Passes[1:]...)
		}, matrix.Fail, 1, "", ""},
		{"no flows", func(r *record.Record) {
			r.Flows = nil
			for i := range r.Passes {
				r.Passes[i].Cells = nil
			}
		}, matrix.Inconclusive, 4, record.PhaseMatrix, "no flow of this phase could be judged"},
		{"nothing but undefined flows", func(r *record.Record) { r.Flows[0].Computed.Intent = undefined }, matrix.Inconclusive, 4, record.PhaseMatrix, "no flow of this phase could be judged"},
		{"a flow that no pass asked for", func(r *record.Record) {
			other := denied
			other.Port = 80
			r.Flows = append(r.Flows, flow(other, deny, deny))
		}, matrix.Inconclusive, 4, record.PhaseMatrix, "no pass asked for this flow"},
		{"still closed at the end", func(r *record.Record) { r.Passes[2].Cells[0] = cell(matrix.TimedOut, record.Evidence{Receiver: true}) }, matrix.Fail, 1, record.PhaseOpen, "does not work as before"},
		{"dead at the end", func(r *record.Record) { r.Passes[2].Cells[0] = cell(matrix.TimedOut, record.Evidence{}) }, matrix.Inconclusive, 4, record.PhaseOpen, "nothing proves that the receiver was alive"},
		{"unknown at the end", func(r *record.Record) { r.Passes[2].Cells[0] = cell(matrix.Unknown, record.Evidence{}) }, matrix.Inconclusive, 4, record.PhaseOpen, "unknown"},
		{"a cell of no flow", func(r *record.Record) { r.Passes[1].Cells[0].Flow = 7 }, matrix.Inconclusive, 4, record.PhaseMatrix, "no pass asked for this flow"},
		{"a planned fault that did not run", func(r *record.Record) { r.Header.Faults = []string{"1-pod-kill"} }, matrix.Inconclusive, 4, "fault 1-pod-kill", "did not run"},
		{"a leak in a pass of a phase of its own", func(r *record.Record) {
			r.Passes = append(r.Passes, record.Pass{Phase: "another", Cells: tries(matrix.Connected)})
		}, matrix.Fail, 1, "another", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			rec := good()
			tc.tweak(&rec)
			res := judge.Judge(rec)
			if res.Verdict != tc.verdict || res.ExitCode() != tc.exit {
				t.Errorf("%v, exit code %d; want %v, %d", res.Verdict, res.ExitCode(), tc.verdict, tc.exit)
			}
			if tc.phase != "" && !says(res, tc.phase, tc.reason) {
				t.Errorf("no case of phase %s says %q: %+v", tc.phase, tc.reason, res.Cases)
			}
			counted(t, res)
		})
	}
}

// says reports that a case that did not pass gives a reason.
func says(r judge.Result, phase, reason string) bool {
	for _, c := range r.Cases {
		if c.Phase == phase && (c.Verdict != matrix.Pass || c.Unjudged != "") && strings.Contains(strings.Join(c.Reasons, "\n"), reason) {
			return true
		}
	}
	return false
}

// counted checks that cases, tallies and totals agree and that names are unique.
func counted(t *testing.T, r judge.Result) {
	t.Helper()
	seen := map[string]bool{}
	for _, c := range r.Cases {
		key := c.Phase + "\x00" + c.Name
		if seen[key] {
			t.Errorf("two cases are named %q in phase %q", c.Name, c.Phase)
		}
		seen[key] = true
	}
	all := 0
	for _, p := range r.Phases {
		all += p.All()
	}
	if all != len(r.Cases) || r.Total.All() != len(r.Cases) {
		t.Errorf("%d cases, phases count %d, the total %d", len(r.Cases), all, r.Total.All())
	}
}

func TestUnenforced(t *testing.T) {
	t.Parallel()
	rec := good()
	rec.Enforcement = &record.Enforcement{Detail: "a deny-all policy left 3 of 3 sentinels open for 20s"}
	rec.Passes[1].Cells[0].Sample.Outcome = matrix.Connected
	rec.End.Error = "stopped, nothing to test"
	res := judge.Judge(rec)
	if res.ExitCode() != 4 || res.Verdict != matrix.Inconclusive || !strings.Contains(res.Unenforced, "3 of 3 sentinels") {
		t.Errorf("exit code %d, %v, %q", res.ExitCode(), res.Verdict, res.Unenforced)
	}
	for _, c := range res.Cases {
		if c.Flow != judge.None {
			t.Errorf("a page of failures: %+v", c)
		}
	}
}

func TestDisagreementsComeWithoutPackets(t *testing.T) {
	t.Parallel()
	rec := record.Record{Flows: []record.Flow{
		flow(denied, deny, deny), flow(denied, deny, allow), flow(denied, allow, deny), flow(denied, unstated, deny), flow(denied, deny, undefined), flow(denied, undefined, allow),
	}}
	if got := fmt.Sprint(judge.Judge(rec).Disagreements); got != "[1 2]" {
		t.Errorf("disagreements are %s, want [1 2]", got)
	}
}

// TestDisagree: a flow that one side leaves open is not as the other one states it.
func TestDisagree(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                  string
		declared, computed    matrix.Intent
		disagree, undecidable bool
	}{
		{name: "the same", declared: deny, computed: deny},
		{name: "both leave it open", declared: undefined, computed: undefined},
		{name: "nothing is stated", declared: unstated, computed: undefined},
		{name: "nothing is decided", declared: deny, computed: unstated},
		{name: "too wide", declared: deny, computed: allow, disagree: true},
		{name: "too narrow", declared: allow, computed: deny, disagree: true},
		{name: "an allow that is open", declared: allow, computed: undefined, disagree: true, undecidable: true},
		{name: "a deny that is open", declared: deny, computed: undefined, disagree: true, undecidable: true},
		{name: "open no more", declared: undefined, computed: deny, disagree: true},
	} {
		f := flow(denied, c.declared, c.computed)
		if judge.Disagree(f) != c.disagree || judge.Undecidable(f) != c.undecidable {
			t.Errorf("%s: they disagree: %t, undecidable: %t", c.name, judge.Disagree(f), judge.Undecidable(f))
		}
	}
}

// TestDeciding: the rule that is named is the one of which the reason speaks.
func TestDeciding(t *testing.T) {
	t.Parallel()
	half := func(i matrix.Intent, policy string) oracle.Half {
		return oracle.Half{Intent: i, By: []oracle.RuleRef{{Policy: policy}}}
	}
	for _, c := range []struct {
		intent, egress, ingress matrix.Intent
		want                    string
	}{
		{allow, allow, allow, "in"},
		{deny, deny, allow, "out"},
		{deny, deny, deny, "in"},
		{undefined, undefined, undefined, "out"},
		{undefined, undefined, allow, "out"},
		{undefined, allow, undefined, "in"},
	} {
		by, ok := judge.Deciding(oracle.Decision{Intent: c.intent, Egress: half(c.egress, "out"), Ingress: half(c.ingress, "in")})
		if !ok || by.Policy != c.want {
			t.Errorf("out %s, in %s: %s decides, want %s", c.egress, c.ingress, by.Policy, c.want)
		}
	}
}

// TestRulesSayAReasonOnce: the reason is that of all policies that isolate an end.
func TestRulesSayAReasonOnce(t *testing.T) {
	t.Parallel()
	f := flow(denied, allow, deny)
	f.Computed.Ingress.Reason = "no rule admits it"
	f.Computed.Ingress.By = append(f.Computed.Ingress.By, oracle.RuleRef{Policy: "shop/all", Rule: -1, Origin: oracle.Origin{File: "all.yaml", Line: 1}})
	var got []string
	for _, r := range judge.Rules(f) {
		if r.Source == "ingress" {
			got = append(got, r.Text)
		}
	}
	if want := []string{"deny by shop/db (db.yaml:12): no rule admits it", "deny by shop/all (all.yaml:1)"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestConvergence: how long the policies took is a figure of the run.
func TestConvergence(t *testing.T) {
	t.Parallel()
	rec := good()
	rec.Convergence = append(rec.Convergence, record.Convergence{What: "matrix settled", Lower: 200 * ms, Upper: 900 * ms, Resolution: 400 * ms})
	res := judge.Judge(rec)
	c := find(res, judge.PhaseRun, "matrix settled")
	if c.Verdict != matrix.Pass || c.Observed != "after 200 ms to 900 ms" || len(c.Properties) != 3 || c.Properties[2].Value != "400ms" {
		t.Errorf("%+v", c)
	}
	if len(res.Convergence) != 2 || res.Convergence[1] != rec.Convergence[1] {
		t.Errorf("%+v", res.Convergence)
	}
}

func TestDoubledFlowsKeepUniqueNames(t *testing.T) {
	t.Parallel()
	rec := good()
	rec.Flows = append(rec.Flows, rec.Flows[0], rec.Flows[0])
	counted(t, judge.Judge(rec))
}

func TestClock(t *testing.T) {
	t.Parallel()
	rec := good()
	rec.Header.Started = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	res := judge.Judge(rec)
	if got := res.Clock(7 * sec); !got.Equal(rec.Header.Started.Add(2 * sec)) {
		t.Errorf("7 s after boot is %v", got)
	}
	if res.Duration != 55*sec {
		t.Errorf("the run took %v", res.Duration)
	}
}

// TestZeroRecord: what holds nothing proves nothing.
func TestZeroRecord(t *testing.T) {
	t.Parallel()
	res := judge.Judge(record.Record{})
	if res.Verdict != matrix.Inconclusive || res.ExitCode() == 0 {
		t.Errorf("%v, exit code %d", res.Verdict, res.ExitCode())
	}
	if (judge.Result{}).ExitCode() == 0 {
		t.Error("the zero Result passes")
	}
}

// BenchmarkJudge is a matrix of 200 by 200 through baseline, two passes and open.
func BenchmarkJudge(b *testing.B) {
	const n = 200
	rec := good()
	rec.Flows, rec.Passes = nil, nil
	for i := range n {
		for k := range n {
			f := matrix.Flow{From: matrix.Endpoint(fmt.Sprintf("shop/a-%d", i)), To: matrix.Endpoint(fmt.Sprintf("shop/b-%d", k)), Protocol: matrix.TCP, Port: 80}
			rec.Flows = append(rec.Flows, flow(f, deny, deny))
		}
	}
	for _, p := range []string{record.PhaseBaseline, record.PhaseMatrix, record.PhaseMatrix, record.PhaseOpen} {
		pass := record.Pass{Phase: p}
		for i := range rec.Flows {
			c := cell(matrix.Connected, record.Evidence{})
			if p == record.PhaseMatrix {
				c.Sample.Outcome = matrix.TimedOut
			}
			c.Flow = i
			pass.Cells = append(pass.Cells, c)
		}
		rec.Passes = append(rec.Passes, pass)
	}
	b.ReportAllocs()
	for b.Loop() {
		if v := judge.Judge(rec).Verdict; v != matrix.Pass {
			b.Fatal(v)
		}
	}
}
