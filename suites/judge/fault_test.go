package judge_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/wire"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run/record"
)

var allowed = matrix.Flow{From: "shop/web-0", To: "shop/db-0", Protocol: matrix.TCP, Port: 5432}

// The fault of these tests is watched from 20 s to 30 s, at 20 Hz: 200 samples.
// It is injected at 22 s (sample 40) with its effect at 22.5 s (sample 50), and
// healed from 25 s (sample 100) with the proof at 26 s (sample 120).
const (
	watchFrom = 20 * sec
	before    = 40
	samples   = 200
)

// word is the samples of a flow: all of one letter, with others from a position on.
type word []byte

func all(letter string) word { return word(strings.Repeat(letter, samples)) }

func (w word) with(from int, letters string) word {
	out := append(word(nil), w...)
	copy(out[from:], letters)
	return out
}

// faulty is a good run with two flows, the denied one (0) and the allowed one
// (1), through one fault.
func faulty(deny, allow word, tweak func(*record.Fault)) record.Record {
	rec := good()
	rec.Flows = append(rec.Flows, flow(allowed, matrix.Allow, matrix.Allow))
	for i := range rec.Passes {
		open := cell(matrix.Connected, record.Evidence{})
		open.Flow = 1
		rec.Passes[i].Cells = append(rec.Passes[i].Cells, open)
	}
	f := record.Fault{
		ID: "1-pod-kill", Kind: "pod-kill", Target: "shop/db-0", Origin: oracle.Origin{File: "scenario.yaml", Line: 30},
		Injected: [2]time.Duration{22 * sec, 22*sec + 10*ms}, Effect: record.Proof{Seen: true, At: 22*sec + 500*ms, Detail: "pod gone"},
		HealStart: 25 * sec, Healed: record.Proof{Seen: true, At: 26 * sec, Detail: "pod ready"}, RecoverWithin: 2 * sec,
		SampleFrom: watchFrom, SampleTo: 30 * sec, Period: tick,
		Watched: []record.Watched{{Flow: 0, Series: sampled(0, deny), Heard: true}, {Flow: 1, Series: sampled(1, allow)}},
	}
	if tweak != nil {
		tweak(&f)
	}
	rec.Header.Faults = []string{f.ID}
	rec.Faults = []record.Fault{f}
	return rec
}

func sampled(flow int, w word) wire.Series {
	return wire.Series{Flow: flow, Scheduled: len(w), Taken: len(w), Runs: series(watchFrom, tick, string(w))}
}

func TestFaultFlows(t *testing.T) {
	t.Parallel()
	gap := func(bound time.Duration) func(*record.Fault) {
		return func(f *record.Fault) {
			f.Watched[0].Expect = record.Expect{Gap: "agent-death-opens", Bound: bound, Link: "https://example.org/gap"}
		}
	}
	// late answers what got through only when the fault is healed: a frozen
	// sampler's kernel tries again by itself.
	late := func(bound time.Duration) func(*record.Fault) {
		return func(f *record.Fault) {
			gap(bound)(f)
			for i, r := range f.Watched[0].Series.Runs {
				if r.Outcome.Passed() {
					f.Watched[0].Series.Runs[i].End = 26 * sec
				}
			}
		}
	}
	outage := func(f *record.Fault) { f.Watched[1].Expect.Outage = true }
	hidden := func(f *record.Fault) {
		f.Watched[0].Expect.Unobservable, f.Watched[1].Expect.Unobservable, f.Watched[1].Expect.Outage = true, true, true
	}
	shut, open := all("x"), all("o")
	for _, tc := range []struct {
		name         string
		deny, allow  word
		tweak        func(*record.Fault)
		denied, ok   matrix.Verdict // of the denied and of the allowed flow
		reason       string         // of the one that did not pass
		denyObserved string
	}{
		{"nothing happens", shut, open, nil, matrix.Pass, matrix.Pass, "", "no leak longer than 50 ms"},
		{"a leak", shut.with(60, "ooo"), open, nil, matrix.Fail, matrix.Pass, "open for 100 ms to 200 ms, first by connected, 1.00 s after the injection", "leak of 100 ms to 200 ms"},
		{"a leak of one handshake", shut.with(60, "h"), open, nil, matrix.Fail, matrix.Pass, "handshake-only", "leak of 0 ms to 100 ms"},
		{"two leaks", shut.with(60, "oxoo"), open, nil, matrix.Fail, matrix.Pass, "", "2 leaks, the longest of 50 ms to 150 ms"},
		{"a leak in a known gap", shut.with(60, "ooo"), open, gap(sec), matrix.KnownGap, matrix.Pass, "the known gap agent-death-opens is at most 1.00 s", ""},
		{"a leak as long as the known gap", shut.with(60, "ooo"), open, gap(200 * ms), matrix.KnownGap, matrix.Pass, "", ""},
		{"a leak beyond the known gap", shut.with(60, "ooo"), open, gap(99 * ms), matrix.Fail, matrix.Pass, "open for at least 100 ms", ""},
		{"a leak perhaps beyond the known gap", shut.with(60, "ooo"), open, gap(199 * ms), matrix.Inconclusive, matrix.Pass, "the samples cannot tell", ""},
		{"several leaks beyond the known gap", shut.with(60, "oooxoooxooo"), open, gap(250 * ms), matrix.Fail, matrix.Pass, "open for at least 300 ms", ""},
		{"a known gap before the injection", shut.with(10, "o"), open, gap(sec), matrix.Fail, matrix.Pass, "before the fault was injected", ""},
		{"a known gap asked before the injection and answered long after it", shut.with(38, strings.Repeat("o", 10)+strings.Repeat("?", 72)), open, func(f *record.Fault) {
			late(10 * sec)(f)
			f.Watched[0].Expect.Unobservable = true
		}, matrix.KnownGap, matrix.Pass, "open for 0 ms to 4.15 s", ""},
		{"a known gap long after healing", shut.with(150, "o"), open, gap(sec), matrix.Fail, matrix.Pass, "long after the fault had healed", ""},
		{"a known gap that never closes", shut.with(60, strings.Repeat("o", 140)), open, gap(60 * sec), matrix.Inconclusive, matrix.Pass, "the samples cannot tell", ""},
		{"a known gap that was not seen", shut, open, gap(sec), matrix.Pass, matrix.Pass, "", ""},
		{"a sampler that began a little late", shut.with(0, strings.Repeat("_", 30)), open, nil, matrix.Pass, matrix.Pass, "", ""},
		{"a sampler that began after the injection", shut.with(0, strings.Repeat("_", 41)), open, nil, matrix.Inconclusive, matrix.Pass, "no sample says anything of the time before", ""},
		{"a sender that was replaced", shut.with(0, strings.Repeat("_", 125)), open.with(0, strings.Repeat("_", 125)), hidden, matrix.Pass, matrix.Pass, "the matrix speaks for that time", ""},
		{"a sender that was replaced and leaks", shut.with(0, strings.Repeat("_", 125)+"o"), open, hidden, matrix.Fail, matrix.Pass, "first by connected", ""},
		{"a sender that was replaced and not watched again", shut.with(0, strings.Repeat("_", 200)), open, hidden, matrix.Inconclusive, matrix.Pass, "", ""},
		{"a starved sampler", shut.with(60, strings.Repeat("?", 12)), open, nil, matrix.Inconclusive, matrix.Pass, "of 200 samples say something", ""},
		{"a sampler that died", shut[:150], open, nil, matrix.Inconclusive, matrix.Pass, "only 150 of 200 samples", ""},
		{"nothing before", shut.with(0, strings.Repeat("?", before)), open, nil, matrix.Inconclusive, matrix.Pass, "no sample says anything of the time before", ""},
		{"nothing after", shut.with(120, strings.Repeat("?", 80)), open, nil, matrix.Inconclusive, matrix.Pass, "no sample says anything of the time after", ""},
		{"refused is closed", all("r"), open, nil, matrix.Pass, matrix.Pass, "", ""},
		{"hidden by the fault", shut.with(50, strings.Repeat("?", 70)), open.with(50, strings.Repeat("?", 70)), hidden, matrix.Pass, matrix.Pass, "", ""},
		{"a pod that starts open for a moment", shut.with(70, "h"), open.with(50, strings.Repeat("x", 70)), func(f *record.Fault) {
			hidden(f)
			f.Watched[0].Expect.Gap, f.Watched[0].Expect.Bound = "pod-start-opens", 200*ms
		}, matrix.KnownGap, matrix.Pass, "open for 0 ms to 100 ms", ""},
		{"hidden, but it got through", shut.with(70, "h"), open.with(50, strings.Repeat("x", 70)), hidden, matrix.Fail, matrix.Pass, "handshake-only", ""},
		{"hidden, and somebody else has the address", shut.with(70, "w"), open, hidden, matrix.Pass, matrix.Pass, "", ""},
		{"somebody else has the address", shut.with(70, "w"), open, nil, matrix.Fail, matrix.Pass, "wrong-peer", ""},
		{"hidden, and nothing after", shut.with(50, strings.Repeat("?", 150)), open, hidden, matrix.Inconclusive, matrix.Pass, "after the fault", ""},

		{"an outage that nothing explains", shut, open.with(60, "xx"), nil, matrix.Pass, matrix.Fail, "the fault does not explain it", ""},
		{"one lost sample", shut, open.with(60, "x"), nil, matrix.Pass, matrix.Pass, "", ""},
		{"as many lost samples as chance explains", shut, open.with(60, "xox"), nil, matrix.Pass, matrix.Pass, "", ""},
		{"silence of a starved sampler closes nothing", shut, open.with(60, "ss"), nil, matrix.Pass, matrix.Pass, "", ""},
		{"nor does it open anything", shut.with(60, "ss"), open, nil, matrix.Pass, matrix.Pass, "", "no leak longer than 50 ms"},
		{"a sampler that is starved for long", shut, open.with(60, strings.Repeat("s", 30)), nil, matrix.Pass, matrix.Inconclusive, "of 200 samples say something", ""},
		{"more lost samples than chance explains", shut, open.with(60, "xoxox"), nil, matrix.Pass, matrix.Fail, "3 single samples were lost, at most 2", ""},
		{"one refused sample is not lost", shut, open.with(60, "r"), nil, matrix.Pass, matrix.Fail, "first by refused", ""},
		{"one wrong peer is not lost", shut, open.with(60, "w"), nil, matrix.Pass, matrix.Fail, "first by wrong-peer", ""},
		{"an explained outage", shut, open.with(45, strings.Repeat("x", 90)), outage, matrix.Pass, matrix.Pass, "", ""},
		{"an outage before the injection", shut, open.with(39, strings.Repeat("x", 20)), outage, matrix.Pass, matrix.Fail, "does not explain it", ""},
		{"recovered exactly at the bound", shut, open.with(45, strings.Repeat("x", 95)), outage, matrix.Pass, matrix.Pass, "", ""},
		{"recovered too late", shut, open.with(45, strings.Repeat("x", 97)), outage, matrix.Pass, matrix.Fail, "still closed 2.05 s after healing began, the bound is 2.00 s", ""},
		{"recovered unseen", shut, open.with(45, strings.Repeat("x", 94)+"??????"), outage, matrix.Pass, matrix.Inconclusive, "the samples cannot tell", ""},
		{"never recovered", shut, open.with(45, strings.Repeat("x", 155)), outage, matrix.Pass, matrix.Fail, "still closed", ""},
		{"watched too short to see it recover", shut, open.with(45, strings.Repeat("x", 155)), func(f *record.Fault) {
			outage(f)
			f.RecoverWithin = 60 * sec
		}, matrix.Pass, matrix.Inconclusive, "not seen to recover", ""},
		{"frozen, but back too late", shut, open.with(50, strings.Repeat("x", 100)), hidden, matrix.Pass, matrix.Fail, "still closed", ""},
		{"out of order", shut, open, func(f *record.Fault) {
			f.Watched[0].Series.Runs = append(series(watchFrom, tick, string(shut)), series(watchFrom, tick, "x")...)
		}, matrix.Inconclusive, matrix.Pass, "not in the order of time", ""},
		{"out of order, and open", shut, open, func(f *record.Fault) {
			f.Watched[0].Series.Runs = append(series(watchFrom, tick, string(shut)), series(watchFrom+3*sec, tick, "o")...)
		}, matrix.Fail, matrix.Pass, "first by connected", ""},
		{"broken off", shut, open, func(f *record.Fault) { f.Watched[0].Error = "the stream broke" }, matrix.Inconclusive, matrix.Pass, "the stream broke", ""},
		{"broken off, and open", shut.with(60, "o"), open, func(f *record.Fault) { f.Watched[0].Error = "the stream broke" }, matrix.Fail, matrix.Pass, "first by connected", ""},
		{"not sampled", shut, open, func(f *record.Fault) { f.Watched[0] = record.Watched{Error: "the stream broke"} }, matrix.Inconclusive, matrix.Pass, "the stream broke", ""},
		{"nobody knows the period", shut, open, func(f *record.Fault) { f.Period, f.Watched[1].Period = 0, tick }, matrix.Inconclusive, matrix.Pass, "how often", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			rec := faulty(tc.deny, tc.allow, tc.tweak)
			res := judge.Judge(rec)
			d, a := find(res, "fault 1-pod-kill", denied.String()), find(res, "fault 1-pod-kill", allowed.String())
			if d.Verdict != tc.denied || a.Verdict != tc.ok {
				t.Errorf("denied flow %v %q, allowed flow %v %q; want %v, %v", d.Verdict, d.Reasons, a.Verdict, a.Reasons, tc.denied, tc.ok)
			}
			if tc.reason != "" && !strings.Contains(strings.Join(append(d.Reasons, a.Reasons...), "\n"), tc.reason) {
				t.Errorf("reasons %q, %q; want %q", d.Reasons, a.Reasons, tc.reason)
			}
			if tc.denyObserved != "" && d.Observed != tc.denyObserved {
				t.Errorf("observed %q, want %q", d.Observed, tc.denyObserved)
			}
			if want := matrix.Worst(tc.denied, tc.ok); res.Faults[0].Verdict != want || res.Verdict != want {
				t.Errorf("the fault is %v, the run %v; want %v", res.Faults[0].Verdict, res.Verdict, want)
			}
			counted(t, res)
		})
	}
}

func TestFaultItself(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		tweak  func(*record.Fault)
		want   matrix.Verdict
		reason string
	}{
		{"no effect", func(f *record.Fault) { f.Effect = record.Proof{Detail: "pid 4 is still there"} }, matrix.Inconclusive, "pid 4 is still there"},
		{"no target", func(f *record.Fault) { f.Target = "" }, matrix.Inconclusive, "no target"},
		{"an error", func(f *record.Fault) { f.Error = "the runtime hung" }, matrix.Inconclusive, "the runtime hung"},
		{"not healed", func(f *record.Fault) { f.Healed = record.Proof{Detail: "node NotReady"} }, matrix.Inconclusive, "node NotReady"},
		{"nothing watched", func(f *record.Fault) { f.Watched = nil }, matrix.Inconclusive, "no flow was watched"},
		{"no sampling time", func(f *record.Fault) { f.SampleFrom, f.SampleTo = 0, 0 }, matrix.Inconclusive, "when the flows were sampled"},
		{"skipped", func(f *record.Fault) { f.Skipped, f.Watched = "no netem here", nil }, matrix.Inconclusive, "no netem here"},
		{"skipped and optional", func(f *record.Fault) { f.Skipped, f.Watched, f.Optional = "no netem here", nil, true }, matrix.Pass, ""},
		{"optional and without effect", func(f *record.Fault) { f.Effect, f.Optional = record.Proof{}, true }, matrix.Inconclusive, "took hold"},
		{"a full queue", func(f *record.Fault) { f.Void = "queue 100 dropped 3 packets" }, matrix.Inconclusive, "queue 100 dropped 3 packets"},
		{"a leak beside a full queue", func(f *record.Fault) {
			f.Void = "queue 100 dropped 3 packets"
			f.Watched[0].Series = sampled(0, all("x").with(60, "o"))
		}, matrix.Fail, "first by connected"},
		{"a known gap beside a full queue", func(f *record.Fault) {
			f.Void = "queue 100 dropped 3 packets"
			f.Watched[0].Series, f.Watched[0].Expect = sampled(0, all("x").with(60, "o")), record.Expect{Gap: "g", Bound: sec}
		}, matrix.Inconclusive, "queue 100 dropped 3 packets"},
		{"an outage beside a full queue", func(f *record.Fault) {
			f.Void = "queue 100 dropped 3 packets"
			f.Watched[1].Series = sampled(1, all("o").with(60, "xxx"))
		}, matrix.Inconclusive, "closed for 100 ms to 200 ms, first by timed-out"},
		{"a leak without effect", func(f *record.Fault) {
			f.Effect = record.Proof{}
			f.Watched[0].Series = sampled(0, all("x").with(60, "o"))
		}, matrix.Fail, "first by connected"},
		{"an explained outage without healing is not a failure", func(f *record.Fault) {
			f.Healed, f.HealStart = record.Proof{}, 0
			f.Watched[1].Series, f.Watched[1].Expect.Outage = sampled(1, all("o").with(60, strings.Repeat("x", 140))), true
		}, matrix.Inconclusive, "nothing proves that the cluster healed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			res := judge.Judge(faulty(all("x"), all("o"), tc.tweak))
			if res.Verdict != tc.want {
				t.Errorf("%v, want %v", res.Verdict, tc.want)
			}
			if tc.reason != "" && !says(res, "fault 1-pod-kill", tc.reason) {
				t.Errorf("nothing says %q: %+v", tc.reason, res.Cases)
			}
			if f := res.Faults[0]; f.Void != "" {
				if c := find(res, "fault 1-pod-kill", "effect and healing"); c.Verdict != matrix.Inconclusive || !slices.Contains(c.Reasons, f.Void) {
					t.Errorf("the fault itself is %v %q", c.Verdict, c.Reasons)
				}
			}
			counted(t, res)
		})
	}
}

func TestFaultSummary(t *testing.T) {
	t.Parallel()
	rec := faulty(all("x").with(60, "oox").with(80, "oooo"), all("o").with(45, strings.Repeat("x", 30)).with(150, "x"), func(f *record.Fault) { f.Watched[1].Expect.Outage = true })
	f := judge.Judge(rec).Faults[0]
	if f.Leak == nil || f.Leak.Flow != 0 || f.Leak.Lower != 150*ms || f.Leak.Upper != 250*ms {
		t.Errorf("longest leak %+v", f.Leak)
	}
	if f.Outage == nil || f.Outage.Flow != 1 || f.Outage.Lower != 1450*ms || !f.Explained {
		t.Errorf("longest outage %+v, explained %v", f.Outage, f.Explained)
	}
	if f.Denied != 1 || f.Allowed != 1 || f.Blips != 1 || f.Blind != tick {
		t.Errorf("%d denied, %d allowed, %d blips, blind %v", f.Denied, f.Allowed, f.Blips, f.Blind)
	}
}

// TestFaultEvidence: a deny through a fault needs the baseline or a control.
func TestFaultEvidence(t *testing.T) {
	t.Parallel()
	rec := faulty(all("x"), all("o"), nil)
	name := denied.String()
	if c := find(judge.Judge(rec), "fault 1-pod-kill", name); c.Evidence != "b" {
		t.Errorf("evidence %q, want the baseline", c.Evidence)
	}
	rec.Passes[0].Cells[0].Sample.Outcome = matrix.TimedOut
	if c := find(judge.Judge(rec), "fault 1-pod-kill", name); c.Verdict != matrix.Inconclusive {
		t.Errorf("without evidence it is %v", c.Verdict)
	}
	control := denied
	control.Port = 80
	rec.Flows[1].Flow = control
	if c := find(judge.Judge(rec), "fault 1-pod-kill", name); c.Verdict != matrix.Pass || c.Evidence != "a" {
		t.Errorf("with a control it is %v %q", c.Verdict, c.Evidence)
	}
	// A control that was never seen to work is none.
	rec.Faults[0].Watched[1].Series = sampled(1, all("?"))
	if c := find(judge.Judge(rec), "fault 1-pod-kill", name); c.Verdict != matrix.Inconclusive || c.Evidence != "" {
		t.Errorf("with a control of which nothing is known it is %v %q", c.Verdict, c.Evidence)
	}
}

func TestFaultDoesNotJudgeDisagreements(t *testing.T) {
	t.Parallel()
	rec := faulty(all("o"), all("o"), nil)
	rec.Flows[0].Computed.Intent = matrix.Allow
	if c := find(judge.Judge(rec), "fault 1-pod-kill", denied.String()); c.Unjudged == "" {
		t.Errorf("%+v", c)
	}
}

func TestPassesAfterAFault(t *testing.T) {
	t.Parallel()
	const after = "fault 1-pod-kill after"
	rec := faulty(all("x"), all("o"), func(f *record.Fault) {
		f.Watched[0].Expect = record.Expect{Gap: "g", Bound: sec}
		f.Watched[1].Expect.Outage = true
	})
	down := cell(matrix.TimedOut, record.Evidence{})
	down.Flow = 1
	rec.Passes = append(rec.Passes, record.Pass{Phase: after, Cells: []record.Cell{cell(matrix.Connected, record.Evidence{}), down}})
	res := judge.Judge(rec)
	if res.Verdict != matrix.Fail {
		t.Errorf("a leak in a pass after the fault: %v", res.Verdict)
	}
	counted(t, res)
	// A pass after a fault that leaves flows out says nothing of them.
	rec = faulty(all("x"), all("o"), nil)
	rec.Passes = append(rec.Passes, record.Pass{Phase: after, Cells: []record.Cell{cell(matrix.TimedOut, record.Evidence{})}})
	if res := judge.Judge(rec); res.Verdict != matrix.Inconclusive {
		t.Errorf("a pass after a fault without one of the flows is %v", res.Verdict)
	}
	rec = faulty(all("x"), all("o"), nil)
	rec.Phases = append(rec.Phases, record.Phase{Name: "fault 1-pod-kill", Error: "cut short"})
	if res := judge.Judge(rec); res.Verdict != matrix.Inconclusive || !says(res, "fault 1-pod-kill", "cut short") {
		t.Errorf("a fault cut short is %v", res.Verdict)
	}
}

// TestPhasesAreInOrder: a run that died in a fault leaves passes after it whose
// fault nobody wrote down; they stand where they were.
func TestPhasesAreInOrder(t *testing.T) {
	t.Parallel()
	rec := faulty(all("x"), all("o"), nil)
	rec.Header.Faults = append(rec.Header.Faults, "2-node-pause", "3-pod-kill")
	rec.Passes = append(rec.Passes[:2], record.Pass{Phase: "fault 2-node-pause after", Settling: true, Cells: tries(matrix.TimedOut)})
	rec.End = nil
	var got []string
	res := judge.Judge(rec)
	for _, p := range res.Phases {
		got = append(got, p.Phase)
	}
	want := "run, baseline, matrix, fault 1-pod-kill, fault 2-node-pause, fault 2-node-pause after, fault 3-pod-kill, open"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("phases are %s, want %s", s, want)
	}
	counted(t, res)
}

// TestTheMatrixVouchesOnlyIfItPassed: samples that went with their sender are
// replaced by nothing where the matrix had not passed.
func TestTheMatrixVouchesOnlyIfItPassed(t *testing.T) {
	t.Parallel()
	rec := faulty(all("x").with(0, strings.Repeat("_", 125)), all("o"), func(f *record.Fault) { f.Watched[0].Expect.Unobservable = true })
	if c := find(judge.Judge(rec), "fault 1-pod-kill", denied.String()); c.Verdict != matrix.Pass {
		t.Fatalf("%v %q", c.Verdict, c.Reasons)
	}
	rec.Passes[1].Cells[0].Sample.Outcome = matrix.Unknown
	if c := find(judge.Judge(rec), "fault 1-pod-kill", denied.String()); c.Verdict != matrix.Inconclusive {
		t.Errorf("%v %q", c.Verdict, c.Reasons)
	}
}

// TestHolesInLongFaults: in a minute of samples a second without any is within
// the coverage and still too long to speak of every instant.
func TestHolesInLongFaults(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		hole int
		want matrix.Verdict
	}{{18, matrix.Pass}, {25, matrix.Inconclusive}} {
		rec := faulty(all("x"), all("o"), func(f *record.Fault) {
			long := word(strings.Repeat("x", 1200)).with(300, strings.Repeat("?", tc.hole))
			f.SampleTo = watchFrom + 60*sec
			f.Watched = f.Watched[:1]
			f.Watched[0].Series = sampled(0, long)
		})
		if c := find(judge.Judge(rec), "fault 1-pod-kill", denied.String()); c.Verdict != tc.want {
			t.Errorf("a hole of %d samples: %v %q", tc.hole, c.Verdict, c.Reasons)
		}
	}
}
