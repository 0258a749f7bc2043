package judge_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run/record"
)

// again is a good run over one flow that the repetitions saw so: c connected,
// x silence, ? unknown, one letter for each pass.
func again(f record.Flow, seen ...string) record.Record {
	rec := complete(f, nil)
	rec.Header.Asked.Repeat = len(seen)
	all := []record.Pass{{Phase: record.PhaseMatrix, Settling: true, Start: 5 * sec, End: 6 * sec, Cells: tries(matrix.Unknown)}}
	for i, word := range seen {
		for _, letter := range word {
			o := map[rune]matrix.Outcome{'c': matrix.Connected, 'x': matrix.TimedOut, '?': matrix.Unknown}[letter]
			p := record.Pass{Phase: record.PhaseMatrix, Start: 10*sec + ms, End: 11 * sec, Cells: tries(o)}
			if i > 0 {
				p.Repetition = i + 1
			}
			all = append(all, p)
		}
	}
	rec.Passes = slices.Insert(rec.Passes, 1, all...)
	return rec
}

// What happens in one repetition decides, whatever the others saw.
func TestRepetitions(t *testing.T) {
	t.Parallel()
	denies, allows := flow(denied, deny, deny), flow(allowed, allow, allow)
	for _, tc := range []struct {
		name     string
		rec      record.Record
		verdict  matrix.Verdict
		each     string // of the repetitions: p pass, f fail, i inconclusive
		unstable bool
		reason   string // of the flow's case
		flaky    string
	}{
		{"all pass", again(denies, "x", "x", "x"), matrix.Pass, "ppp", false, "", ""},
		{"one leak", again(denies, "x", "c", "x"), matrix.Fail, "pfp", true, "fail in 1 of 3 repetitions (2)", ""},
		{"a leak in each", again(denies, "c", "cx"), matrix.Fail, "ff", false, "fail in 2 of 2 repetitions (1, 2)", ""},
		{"an outage that ends", again(allows, "c", "xx", "c"), matrix.Fail, "pfp", true, "fail in 1 of 3 repetitions (2)", ""},
		{"connected when asked again", again(allows, "c", "c", "xc"), matrix.Pass, "ppp", false, "", "repetition 3: 1 of 2 tries did not connect, the first ended as timed-out"},
		{"an unknown", again(denies, "?", "x"), matrix.Inconclusive, "ip", true, "inconclusive in 1 of 2 repetitions (1)", ""},
		{"an unknown and a leak", again(denies, "?", "x", "c"), matrix.Fail, "ipf", true, "inconclusive in 1 of 3 repetitions (1)", ""},
		{"many leaks", again(denies, strings.Split(strings.Repeat("c ", 11)+"x", " ")...), matrix.Fail, "fffffffffffp", true, "fail in 11 of 12 repetitions (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …)", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			res := judge.Judge(tc.rec)
			c := find(res, record.PhaseMatrix, res.Flows[0].Flow.Flow.String())
			if res.Verdict != tc.verdict || c.Verdict != tc.verdict || res.Flows[0].Worst != tc.verdict {
				t.Errorf("the run is %s, the case %s, want %s", res.Verdict, c.Verdict, tc.verdict)
			}
			each := ""
			for i, r := range res.Repetitions {
				each += r.Verdict().String()[:1]
				if one := judge.Repeated(tc.rec, i+1); !reflect.DeepEqual(one, r) {
					t.Errorf("repetition %d on its own is %+v, in the run %+v", i+1, one, r)
				}
				if bad := r.Verdict() != matrix.Pass; (len(r.Bad) == 1) != bad || r.All() != 1 || r.Duration != sec-ms {
					t.Errorf("repetition %d is %+v", i+1, r)
				}
			}
			if each != tc.each || res.Flows[0].Repeated.All() != len(each) || res.Flows[0].Unstable() != tc.unstable {
				t.Errorf("the repetitions are %s (%+v, unstable %t), want %s, %t", each, res.Flows[0].Repeated, res.Flows[0].Unstable(), tc.each, tc.unstable)
			}
			if tc.reason != "" && !slices.Contains(c.Reasons, tc.reason) || c.Flaky != tc.flaky {
				t.Errorf("the case says %q, flaky %q; want %q, %q", c.Reasons, c.Flaky, tc.reason, tc.flaky)
			}
			if at := res.Flows[0].Matrix; at == judge.None || res.Cases[at].Name != c.Name || res.Flows[0].Observed.String() != c.Observed {
				t.Errorf("the flow's matrix case is %d, observed %s; the case says %s", at, res.Flows[0].Observed, c.Observed)
			}
			if of := find(res, judge.PhaseRun, "repetitions"); of.Verdict != matrix.Pass {
				t.Errorf("as often as wanted: %+v", of)
			}
			counted(t, res)
		})
	}
}

// A repetition that saw nothing, or that did not take place, leaves the run in doubt.
func TestRepetitionsThatAreMissing(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, phase, reason string
		tweak               func(*record.Record)
	}{
		{"a void one", record.PhaseMatrix, "the queue dropped packets", func(r *record.Record) { r.Passes[3].Void = "the queue dropped packets" }},
		{"one without a pass", record.PhaseMatrix, "no pass ran in this phase: the API server hung", func(r *record.Record) {
			r.Phases = append(r.Phases, record.Phase{Name: record.PhaseRepetition(4), Error: "the API server hung"})
		}},
		{"fewer than wanted", judge.PhaseRun, "the run ended before the matrix was asked as often as wanted", func(r *record.Record) { r.Header.Asked.Repeat = 4 }},
		{"a number that is far off", record.PhaseMatrix, "", func(r *record.Record) { r.Passes[4].Repetition, r.Passes[4].Void = 1<<62, "x" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			rec := again(flow(denied, deny, deny), "x", "x", "x")
			tc.tweak(&rec)
			if res := judge.Judge(rec); res.Verdict != matrix.Inconclusive || res.ExitCode() != 4 || !says(res, tc.phase, tc.reason) {
				t.Errorf("%s, exit %d; cases %+v", res.Verdict, res.ExitCode(), res.Cases)
			}
		})
	}
	rec := again(flow(denied, deny, deny), "x", "x")
	rec.Header.Asked = record.Asked{Repeat: 9, UntilFailure: 90 * sec}
	if c := find(judge.Judge(rec), judge.PhaseRun, "repetitions"); c.Verdict != matrix.Pass || c.Expected != "until a flow fails, at most 9 and 1 min 30 s" || c.Observed != "2" {
		t.Errorf("until a failure: %+v", c)
	}
}

// A control is asked for the sake of others: it has no case in any phase, and
// proves what it proves all the same.
func TestControlsAreNotJudged(t *testing.T) {
	t.Parallel()
	rec := faulty(all("x"), all("o"), nil)
	other := allowed
	other.Port = 80
	rec.Flows[0].Flow = other
	rec.Passes[0].Cells[0].Sample.Outcome = matrix.TimedOut // no baseline: only the control is evidence
	rec.Passes[1].Cells[0].Evidence.Control = true
	rec.Flows[1].Declared.Intent = deny // a mistake that is another run's to find
	whole := judge.Judge(rec)
	rec.Flows[1].Control = true
	part := judge.Judge(rec)
	if len(whole.Disagreements) != 1 || len(part.Disagreements) != 0 {
		t.Errorf("disagreements: %v, with a control %v", whole.Disagreements, part.Disagreements)
	}
	for _, c := range part.Cases {
		if c.Flow == 1 {
			t.Errorf("the control has a case: %+v", c)
		}
	}
	if f := part.Flows[1]; !f.Unjudged || f.Matrix != judge.None {
		t.Errorf("the control is judged: %+v", f)
	}
	for _, phase := range []string{record.PhaseMatrix, record.PhaseFault("1-pod-kill")} {
		if c := find(part, phase, other.String()); c.Verdict != matrix.Pass || c.Evidence != "a" {
			t.Errorf("%s: the deny is %s by evidence %q (%q)", phase, c.Verdict, c.Evidence, c.Reasons)
		}
	}
	counted(t, part)
}

func TestAgain(t *testing.T) {
	t.Parallel()
	third := denied
	third.Port = 80
	leak := func(r *record.Record) { r.Passes[1].Cells[0].Sample.Outcome = matrix.Connected }
	for _, tc := range []struct {
		name  string
		tweak func(*record.Record)
		want  []int
	}{
		{"all passed", func(*record.Record) {}, nil},
		{"a leak", leak, []int{0}},
		{"an unknown", func(r *record.Record) { r.Passes[1].Cells[1].Sample.Outcome = matrix.Unknown }, []int{1}},
		{"undefined", func(r *record.Record) { leak(r); r.Flows[0].Computed.Intent = undefined }, nil},
		{"still closed at the end", func(r *record.Record) { r.Passes[2].Cells[1] = record.Cell{Flow: 1, Sample: sample(matrix.TimedOut)} }, []int{1}},
		{"a leak in a fault", func(r *record.Record) { r.Faults[0].Watched[0].Series = sampled(0, all("o")) }, []int{0}},
		{"a known gap in a fault", func(r *record.Record) {
			r.Faults[0].Watched[0].Series = sampled(0, all("x").with(60, "oo"))
			r.Faults[0].Watched[0].Expect = record.Expect{Gap: "g", Bound: sec}
		}, nil},
		{"a fault without effect", func(r *record.Record) { r.Faults[0].Effect.Seen = false }, []int{0, 1}},
		{"a fault that watched nothing", func(r *record.Record) { r.Faults[0].Watched = nil }, []int{0, 1, 2}},
		{"a fault that did not run", func(r *record.Record) { r.Faults = nil }, []int{0, 1, 2}},
		{"a void matrix", func(r *record.Record) { r.Passes[1].Void = "x" }, []int{0, 1, 2}},
		{"interrupted", func(r *record.Record) { r.End.Interrupted = true }, []int{0, 1, 2}},
		{"interrupted, and a control", func(r *record.Record) { r.End.Interrupted, r.Flows[1].Control = true, true }, []int{0, 2}},
		{"no enforcement", func(r *record.Record) { r.Enforcement.Enforced = false }, []int{0, 1, 2}},
		{"a node that may not enforce", func(r *record.Record) { r.Convergence[0].Error = "open" }, []int{0, 1, 2}},
		{"something left behind", func(r *record.Record) { r.End.LeftBehind = "cluster" }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			rec := faulty(all("x"), all("o"), nil)
			rec.Flows = append(rec.Flows, flow(third, deny, deny))
			for i := range rec.Passes {
				c := rec.Passes[i].Cells[0]
				c.Flow = 2
				rec.Passes[i].Cells = append(rec.Passes[i].Cells, c)
			}
			tc.tweak(&rec)
			if got := judge.Judge(rec).Again(); !slices.Equal(got, tc.want) {
				t.Errorf("asks %v again, want %v", got, tc.want)
			}
		})
	}
}
