package judge

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
	"github.com/segtest/segtest/suites/run/record"
)

const (
	// coverageShare of the samples that a flow could have given must say
	// something. A starved sampler saw too little to speak for the whole time.
	coverageShare = 0.95
	// blindPeriods is how many periods in a row may say nothing. Coverage alone
	// would let a hole of seconds hide in a long fault, and the hole is likeliest
	// when the fault strikes.
	blindPeriods = 20
	// blipShare of an allowed flow's samples may be lost one by one: a single
	// lost SYN is common on a busy machine, two in a row are not. At least one
	// blip is always tolerated, and all are counted.
	blipShare = 0.01
)

// faultCase is the name of the case about a fault as a whole.
const faultCase = "effect and healing"

// faults judges every fault that the scenario asks for, then what other the
// record holds, each with the passes after it.
func (j *judgement) faults() {
	for _, id := range j.faultIDs() {
		name, ran := record.PhaseFault(id), false
		for i := range j.rec.Faults {
			if f := &j.rec.Faults[i]; f.ID == id {
				ran = true
				j.fault(f)
			}
		}
		if !ran {
			j.add(Case{
				Phase: name, Name: faultCase, Flow: None, Fault: None, Expected: "an injected fault", Observed: "none",
				Reasons: []string{"the scenario asks for this fault and it did not run"},
			})
		}
		if p := j.phaseRecord(name); p.Error != "" {
			j.add(Case{Phase: name, Name: "phase", Flow: None, Fault: None, Expected: "to run to its end", Observed: "ended early", Reasons: []string{p.Error}, Start: p.Start, Duration: p.End - p.Start})
		}
		if after := record.PhaseAfter(id); j.ran(after) {
			j.phase(after, judgeMatrix)
		}
	}
}

// faultIDs are those of all faults in the order of the run.
func (j *judgement) faultIDs() []string {
	ids := slices.Clone(j.rec.Header.Faults)
	for _, f := range j.rec.Faults {
		if !slices.Contains(ids, f.ID) {
			ids = append(ids, f.ID)
		}
	}
	return ids
}

// fault judges one fault: the case about itself, then one for each watched flow.
func (j *judgement) fault(f *record.Fault) {
	at := len(j.res.Faults)
	j.res.Faults = append(j.res.Faults, Fault{Fault: *f, Explained: true})
	sum := &j.res.Faults[at]
	doubt := doubts(f)
	first := len(j.res.Cases)
	head := Case{
		Phase: record.PhaseFault(f.ID), Name: faultCase, Flow: None, Fault: at, Expected: f.Kind + " of " + f.Target,
		Origin: f.Origin, Start: f.Injected[0], Duration: max(0, f.SampleTo-f.SampleFrom), Verdict: matrix.Pass,
		Observed: sentence("; ", f.Effect.Detail, f.Healed.Detail),
	}
	switch {
	case f.Skipped != "" && f.Optional:
		head.Unjudged, sum.Unjudged = "skipped, as the scenario allows: "+f.Skipped, "skipped: "+f.Skipped
	case f.Skipped != "":
		head.Verdict, head.Observed, head.Reasons = matrix.Inconclusive, "skipped", []string{"skipped: " + f.Skipped + " (optional: true in the scenario would allow that)"}
	case doubt != "" || f.Void != "":
		head.Verdict = matrix.Inconclusive
		head.Reasons = slices.DeleteFunc([]string{doubt, f.Void}, func(s string) bool { return s == "" })
	}
	if head.Observed == "" {
		head.Observed = "nothing"
	}
	j.add(head)
	if f.Skipped == "" {
		controls := upThroughout(j, f)
		for _, w := range f.Watched {
			if w.Flow >= 0 && w.Flow < len(j.rec.Flows) && !j.rec.Flows[w.Flow].Control {
				j.add(j.watched(sum, at, w, doubt, controls))
			}
		}
	}
	j.res.Cases[first].Properties = properties(sum)
	var verdicts []matrix.Verdict
	for _, c := range j.res.Cases[first:] {
		if c.Unjudged == "" {
			verdicts = append(verdicts, c.Verdict)
		}
	}
	sum.Verdict = matrix.Worst(verdicts...)
}

// doubts says why no flow can pass this fault, "" where one can.
func doubts(f *record.Fault) string {
	switch {
	case f.Error != "":
		return "the fault did not run to its end: " + f.Error
	case f.Target == "":
		return "the fault found no target"
	case !f.Effect.Seen:
		return sentence(": ", "nothing proves that the fault took hold", f.Effect.Detail)
	case !f.Healed.Seen:
		return sentence(": ", "nothing proves that the cluster healed, so what came after says nothing", f.Healed.Detail)
	case len(f.Watched) == 0:
		return "no flow was watched"
	case f.SampleTo <= f.SampleFrom:
		return "the record does not say when the flows were sampled"
	}
	return ""
}

// upThroughout lists the allowed flows that never failed during a fault: while
// they work, their receiver is proven alive.
func upThroughout(j *judgement, f *record.Fault) map[[2]matrix.Endpoint]bool {
	up := map[[2]matrix.Endpoint]bool{}
	for _, w := range f.Watched {
		if w.Flow < 0 || w.Flow >= len(j.rec.Flows) || j.rec.Flows[w.Flow].Computed.Intent != matrix.Allow {
			continue
		}
		connected, other := false, false
		for _, r := range w.Series.Runs {
			connected = connected || r.Outcome == matrix.Connected
			other = other || r.Outcome != matrix.Connected && r.Outcome != matrix.Unknown
		}
		if connected && !other {
			up[[2]matrix.Endpoint{j.rec.Flows[w.Flow].From, j.rec.Flows[w.Flow].To}] = true
		}
	}
	return up
}

// watched judges one flow through one fault.
func (j *judgement) watched(sum *Fault, at int, w record.Watched, doubt string, controls map[[2]matrix.Endpoint]bool) Case {
	f := &j.rec.Flows[w.Flow]
	bare := *f
	bare.Declared.By = matrix.DenialUnknown // passes are judged for that, samples are not
	c := Case{
		Phase: record.PhaseFault(sum.ID), Name: j.names[w.Flow], Flow: w.Flow, Fault: at,
		Start: sum.SampleFrom, Duration: max(0, sum.SampleTo-sum.SampleFrom), Expected: expected(bare),
	}
	deny := f.Computed.Intent == matrix.Deny
	switch r := decide(f.Declared.Intent, f.Computed.Intent, unproven); {
	case r.unjudged:
		c.Unjudged = unjudged(*f)
	case Disagree(*f):
		c.Unjudged = "scenario and policies differ on this flow, so nothing says what the fault should have left alone; the matrix phase judges the difference"
	case f.Computed.Intent == matrix.Unstated:
		c.Reasons = []string{"the oracle decided nothing for this flow"}
	case w.Error != "" && len(w.Series.Runs) == 0 && len(w.Arrivals) == 0:
		c.Reasons = []string{"nothing was sampled: " + w.Error}
	default:
		unlogged := wire.Unlogged(f.Protocol)
		w.Heard = w.Heard && unlogged == ""
		t := newTrace(sum.Fault, w, deny, j.passed(w.Flow))
		findings := t.findings(doubt != "")
		if sum.Void != "" {
			findings.void(deny, sum.Void)
		}
		if doubt != "" {
			findings.add(matrix.Inconclusive, "", doubt)
		}
		if w.Error != "" {
			findings.add(matrix.Inconclusive, "", "the sampling broke off: "+w.Error)
		}
		t.coverage(&findings)
		if deny {
			t.heard(&findings, w, f.To, unlogged)
		}
		evidence := grade(deny && controls[[2]matrix.Endpoint{f.From, f.To}], j.base[w.Flow])
		if deny {
			if evidence == "" {
				findings.add(matrix.Inconclusive, "", "nothing proves that the flow could have got through: it did not connect before the policies, and no allowed flow between the two was watched")
			}
		}
		t.fill(&c, findings)
		// A deny that held and an outage need evidence; what got through is its own.
		if deny == (c.Verdict == matrix.Pass) {
			c.Evidence = evidence
		}
		sum.take(w.Flow, t, findings)
	}
	if c.Verdict != matrix.Pass || c.Unjudged != "" {
		c.Rules, c.Origin = Rules(*f), origin(*f, c.Kind)
	}
	return c
}

// passed reports that a flow passed in the matrix phase.
func (j *judgement) passed(flow int) bool {
	m := j.res.Flows[flow].Matrix
	return m != None && j.res.Cases[m].Verdict == matrix.Pass && j.res.Cases[m].Unjudged == ""
}

func grade(control, base bool) string {
	return record.Evidence{Control: control, Baseline: base}.Grade()
}

// take adds what a flow showed to the summary of its fault.
func (f *Fault) take(flow int, t trace, found findings) {
	f.Blips += found.blips
	if t.expect.Unobservable {
		f.Unobservable++
	}
	longest := &f.Outage
	if t.deny {
		f.Denied++
		f.Blind = max(f.Blind, t.blind)
		longest = &f.Leak
	} else {
		f.Allowed++
		f.Explained = f.Explained && found.verdict != matrix.Fail
	}
	for _, w := range t.windows {
		if !t.deny && t.blip(w) {
			continue
		}
		if l := *longest; l == nil || cmp.Or(cmp.Compare(w.Lower, l.Lower), cmp.Compare(w.Upper, l.Upper)) > 0 {
			*longest = &Extreme{Flow: flow, Window: w}
		}
	}
}

// properties are the figures of a fault.
func properties(f *Fault) []Property {
	out := []Property{
		{"segtest.fault", f.ID}, {"segtest.fault.kind", f.Kind}, {"segtest.fault.target", f.Target},
	}
	if f.Effect.Seen {
		out = append(out, Property{"segtest.fault.effectAfter", (f.Effect.At - f.Injected[0]).String()})
	}
	if f.Healed.Seen {
		out = append(out, Property{"segtest.fault.healedAfter", (f.Healed.At - f.HealStart).String()})
	}
	for _, x := range []struct {
		name string
		e    *Extreme
	}{{"segtest.leak", f.Leak}, {"segtest.outage", f.Outage}} {
		if x.e != nil {
			out = append(out, Property{x.name + ".lower", x.e.Lower.String()}, Property{x.name + ".upper", upper(x.e.Window)})
		}
	}
	return append(out, Property{"segtest.watched", fmt.Sprintf("%d denied, %d allowed", f.Denied, f.Allowed)}, Property{"segtest.period", f.Period.String()})
}

// upper is a window's upper bound in words.
func upper(w Window) string {
	if !w.Bounded() {
		return "unbounded, watched for " + w.Upper.String()
	}
	return w.Upper.String()
}

// until is the instant at which a fault's explanation of outages ends.
func until(f record.Fault) time.Duration { return f.HealStart + f.RecoverWithin }
