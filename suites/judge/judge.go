package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/run/record"
)

// PhaseRun holds the cases about the run as a whole.
const PhaseRun = "run"

// Judge says what a record means.
func Judge(rec record.Record) Result {
	j := &judgement{rec: rec, res: Result{
		Header: rec.Header, Notes: slices.Concat(rec.Notes, voidPasses(rec.Passes), unspoken(rec)), Convergence: rec.Convergence,
	}}
	j.res.Start, j.res.Duration = span(rec)
	j.end()
	j.flows()
	j.whole()
	if j.res.Unenforced == "" {
		j.phase(record.PhaseBaseline, judgeBaseline)
		j.matrix()
		j.mutant()
		j.changes()
		j.faults()
		j.phase(record.PhaseOpen, judgeOpen)
		j.otherPhases()
	}
	j.sum()
	return j.res
}

// judgement is the state of one Judge.
type judgement struct {
	rec   record.Record
	res   Result
	names []string // of flows
	base  []bool   // flow connected in the baseline
}

// span is the beginning and the length of a run.
func span(rec record.Record) (start, length time.Duration) {
	start, end := rec.Header.Monotonic, time.Duration(0)
	if start == 0 && len(rec.Phases) > 0 {
		start = rec.Phases[0].Start
	}
	for _, p := range rec.Phases {
		end = max(end, p.End)
	}
	for _, p := range rec.Passes {
		end = max(end, p.End)
	}
	for _, f := range rec.Faults {
		end = max(end, f.SampleTo)
	}
	if rec.End != nil {
		end = max(end, rec.End.At)
	}
	return start, max(0, end-start)
}

// end says whether the record is of a whole run.
func (j *judgement) end() {
	end := j.rec.End
	switch {
	case end == nil:
		j.res.Incomplete = "the record has no end: the run died, what follows is what it had seen by then"
		j.res.Environment = true
		return
	case end.Interrupted:
		j.res.Interrupted = true
		j.res.Incomplete = "the run was interrupted"
		if end.Error != "" {
			j.res.Incomplete += ": " + end.Error
		}
	case end.Error != "":
		j.res.Incomplete = end.Error
		j.res.Environment = end.Environment
	}
	j.res.LeftBehind = end.LeftBehind
}

// flows prepares what every phase needs to know of the flows.
func (j *judgement) flows() {
	j.res.Flows = make([]Flow, len(j.rec.Flows))
	j.res.Cases = make([]Case, 0, 3*len(j.rec.Flows)+16) // baseline, matrix, open
	j.names = make([]string, len(j.rec.Flows))
	j.base = make([]bool, len(j.rec.Flows))
	for i, f := range j.rec.Flows {
		j.res.Flows[i] = Flow{Flow: f, Matrix: None, Unjudged: true}
		j.names[i] = f.Flow.String()
		if Disagree(f) && !f.Control && !decide(f.Declared.Intent, f.Computed.Intent, unproven).unjudged {
			j.res.Disagreements = append(j.res.Disagreements, i)
		}
	}
}

// Disagree reports that the scenario states something of a flow and that the
// policies do not come to it. One of the two may be that the flow is left open;
// such a flow is no finding of a run, which cannot judge it.
func Disagree(f record.Flow) bool {
	d, c := f.Declared.Intent, f.Computed.Intent
	return d != matrix.Unstated && c != matrix.Unstated && d != c
}

// Undecidable reports a disagreement that proves no mistake: what the scenario
// allows or denies is left open by the policies.
func Undecidable(f record.Flow) bool {
	return f.Computed.Intent == matrix.Undefined && Disagree(f)
}

// whole judges the run itself: complete, and on a cluster that enforces.
func (j *judgement) whole() {
	c := Case{Phase: PhaseRun, Name: "complete", Flow: None, Fault: None, Expected: "a run to its end", Start: j.res.Start, Duration: j.res.Duration}
	if j.res.Incomplete == "" {
		c.Verdict, c.Observed = matrix.Pass, "a run to its end"
	} else {
		c.Observed, c.Reasons = "a run that stopped early", []string{j.res.Incomplete}
	}
	if j.res.LeftBehind != "" {
		c.Reasons = append(c.Reasons, "left behind: "+j.res.LeftBehind+" (segtest clean removes it)")
	}
	j.add(c)

	e := Case{Phase: PhaseRun, Name: "enforcement", Flow: None, Fault: None, Expected: "a cluster that enforces policies"}
	switch enforced := j.rec.Enforcement; {
	case enforced == nil:
		e.Observed, e.Reasons = "unknown", []string{"nobody looked whether the cluster enforces anything"}
	case !enforced.Enforced:
		j.res.Unenforced = "this cluster enforces no NetworkPolicy: " + enforced.Detail
		e.Observed, e.Reasons = "no enforcement", []string{j.res.Unenforced}
	default:
		e.Verdict, e.Observed = matrix.Pass, enforced.Detail
	}
	j.add(e)

	for _, v := range j.rec.Convergence {
		j.add(convergence(v))
	}
	j.repetitions()
}

// convergence is the case of one figure. A node of which nobody knows that it
// enforces is in doubt; whether a matrix settled in time is for the matrix phase
// to judge, flow by flow.
func convergence(v record.Convergence) Case {
	c := Case{
		Phase: PhaseRun, Name: v.What, Flow: None, Fault: None,
		Verdict: matrix.Pass, Expected: "to take hold", Duration: v.Upper,
		Observed:   fmt.Sprintf("after %s to %s", Short(v.Lower), Short(v.Upper)),
		Properties: []Property{{"segtest.convergence.lower", v.Lower.String()}, {"segtest.convergence.upper", v.Upper.String()}},
	}
	if v.Node != "" {
		c.Name += " on " + v.Node
	} else {
		c.Expected = "every flow as the policies say"
	}
	if v.Resolution > 0 {
		c.Properties = append(c.Properties, Property{"segtest.convergence.resolution", v.Resolution.String()})
	}
	switch {
	case v.Error != "" && v.Node == "":
		c.Verdict, c.Observed, c.Unjudged = matrix.Inconclusive, "did not take hold", v.Error+"; the matrix phase judges what is left"
	case v.Error != "":
		c.Verdict, c.Observed, c.Reasons = matrix.Inconclusive, "did not take hold", []string{v.Error}
	}
	return c
}

// phase judges the passes of a phase, one case per flow. Without a usable pass
// there is one case that says so, not one per flow.
func (j *judgement) phase(name string, judgeFlow flowJudge) {
	p := j.phaseRecord(name)
	cells, why := j.usable(name)
	if cells == nil {
		if p.Error != "" {
			why += ": " + p.Error
		}
		j.add(Case{Phase: name, Name: "phase", Flow: None, Fault: None, Expected: "a pass over every flow", Observed: "none", Reasons: []string{why}, Start: p.Start})
		return
	}
	if p.Error != "" {
		j.add(Case{Phase: name, Name: "phase", Flow: None, Fault: None, Expected: "to run to its end", Observed: "ended early", Reasons: []string{p.Error}, Start: p.Start, Duration: p.End - p.Start})
	}
	whole := name == record.PhaseBaseline || name == record.PhaseMatrix || name == record.PhaseOpen || j.afterFault(name) != nil
	judged := 0
	for i, seen := range cells {
		if len(seen) == 0 && !whole {
			continue // such a phase asks again for some flows only
		}
		if j.rec.Flows[i].Control {
			continue
		}
		c := Case{Phase: name, Name: j.names[i], Flow: i, Fault: None}
		judgeFlow(j, &c, seen)
		c.unspoken(j.rec.Flows[i].Protocol, seen)
		if c.Verdict != matrix.Pass || c.Unjudged != "" {
			c.Rules = Rules(j.rec.Flows[i])
			c.Origin = origin(j.rec.Flows[i], c.Kind)
		}
		if name == record.PhaseMatrix {
			j.res.Flows[i].Matrix = len(j.res.Cases)
			j.res.Flows[i].Grade = c.Evidence
		}
		if c.Unjudged == "" {
			judged++
		}
		j.add(c)
	}
	if whole && judged == 0 {
		j.add(Case{Phase: name, Name: "phase", Flow: None, Fault: None, Expected: "a flow to judge", Observed: "none", Reasons: []string{"no flow of this phase could be judged"}, Start: p.Start})
	}
}

func (j *judgement) phaseRecord(name string) record.Phase {
	for _, p := range j.rec.Phases {
		if p.Name == name {
			return p
		}
	}
	return record.Phase{}
}

// arrival reports that a cell counts though its pass is void or settling: what
// got through a deny got through, whatever else is in doubt. It does not while
// policies are still being applied, nor where a fault's known gap explains it,
// whose size the samples tell.
func (j *judgement) arrival(p *record.Pass, c *record.Cell) bool {
	if p.Settling && !p.Fenced || !j.gotThrough(c) {
		return false
	}
	f := j.afterFault(p.Phase)
	return f == nil || !slices.ContainsFunc(f.Watched, func(w record.Watched) bool {
		return w.Flow == c.Flow && w.Expect.Gap != ""
	})
}

// gotThrough reports packets of a flow that the policies deny.
func (j *judgement) gotThrough(c *record.Cell) bool {
	return c.Flow >= 0 && c.Flow < len(j.rec.Flows) && outcome(c).Passed() && j.rec.Flows[c.Flow].Computed.Intent == matrix.Deny
}

// unasked reports that no more got through a deny in a pass than the queue of an
// engine that fails open let through without asking it.
func (j *judgement) unasked(p *record.Pass) bool {
	n := 0
	for i := range p.Cells {
		if j.gotThrough(&p.Cells[i]) {
			n++
		}
	}
	return n <= p.Unasked
}

// voidPasses says which passes were not judged, once per phase and cause.
func voidPasses(passes []record.Pass) []string {
	var notes []string
	for _, p := range passes {
		note := fmt.Sprintf("a pass of the phase %s is not judged: %s", p.Phase, p.Void)
		if p.Void != "" && !slices.Contains(notes, note) {
			notes = append(notes, note)
		}
	}
	return notes
}

// afterFault is the fault that a phase follows, nil for none.
func (j *judgement) afterFault(phase string) *record.Fault {
	for i := range j.rec.Faults {
		if record.PhaseAfter(j.rec.Faults[i].ID) == phase {
			return &j.rec.Faults[i]
		}
	}
	return nil
}

// usable collects the cells of a phase by flow, in the order of time. Without a
// pass that may be believed it returns nil and the reason.
func (j *judgement) usable(phase string) (cells [][]*record.Cell, why string) {
	var void []string
	good, settling := 0, 0
	cells = make([][]*record.Cell, len(j.rec.Flows))
	for i := range j.rec.Passes {
		p := &j.rec.Passes[i]
		if p.Phase != phase {
			continue
		}
		believed, unasked := p.Void == "" && !p.Settling, j.unasked(p)
		switch {
		case believed:
			good++
		case p.Void != "":
			void = append(void, p.Void)
		default:
			settling++
		}
		for k := range p.Cells {
			if c := &p.Cells[k]; c.Flow >= 0 && c.Flow < len(cells) && (believed || !unasked && j.arrival(p, c)) {
				cells[c.Flow] = append(cells[c.Flow], c)
			}
		}
	}
	switch {
	case good > 0:
		return cells, ""
	case len(void) > 0:
		return nil, fmt.Sprintf("no pass may be believed: %s", void[len(void)-1])
	case j.rec.End == nil && j.phaseRecord(phase).Name == "" && settling > 0:
		return nil, "the record ends early, while the network still settled"
	case j.rec.End == nil && j.phaseRecord(phase).Name == "":
		return nil, "the record ends early, before a pass of this phase"
	case settling > 0:
		return nil, "the network never settled: every pass ran before the policies were known to be enforced"
	}
	return nil, "no pass ran in this phase"
}

// otherPhases judges passes that belong to no phase that Judge knows, as the
// matrix: what got through a deny there got through.
func (j *judgement) otherPhases() {
	known := []string{record.PhaseBaseline, record.PhaseMatrix, record.PhaseMutant, record.PhaseOpen}
	for _, id := range j.faultIDs() {
		known = append(known, record.PhaseAfter(id))
	}
	for _, p := range j.rec.Passes {
		if !slices.Contains(known, p.Phase) {
			known = append(known, p.Phase)
			j.phase(p.Phase, judgeMatrix)
		}
	}
}

// ran reports that a phase has a pass.
func (j *judgement) ran(phase string) bool {
	return slices.ContainsFunc(j.rec.Passes, func(p record.Pass) bool { return p.Phase == phase })
}

func (j *judgement) add(c Case) { j.res.Cases = append(j.res.Cases, c) }

// sum counts the cases, makes their names unique, and judges the whole.
func (j *judgement) sum() {
	j.unique()
	r := &j.res
	var verdicts []matrix.Verdict
	for i := range r.Cases {
		c := r.Cases[i]
		if len(r.Phases) == 0 || r.Phases[len(r.Phases)-1].Phase != c.Phase {
			r.Phases = append(r.Phases, Tally{Phase: c.Phase})
		}
		r.Phases[len(r.Phases)-1].add(c)
		r.Total.add(c)
		if c.Unjudged != "" {
			continue
		}
		verdicts = append(verdicts, c.Verdict)
		if c.Flow != None {
			f := &r.Flows[c.Flow]
			if f.Unjudged {
				f.Worst, f.Unjudged = c.Verdict, false
			}
			f.Worst = matrix.Worst(f.Worst, c.Verdict)
		}
	}
	r.Verdict = matrix.Worst(verdicts...)
}

// unique adds a number to a name that a phase has already, because readers of
// JUnit drop doubles.
func (j *judgement) unique() {
	type key struct{ phase, name string }
	seen := make(map[key]int, len(j.res.Cases))
	for i := range j.res.Cases {
		c := &j.res.Cases[i]
		k := key{c.Phase, c.Name}
		seen[k]++
		for n := seen[k]; n > 1; n++ {
			name := fmt.Sprintf("%s (%d)", k.name, n)
			if other := (key{c.Phase, name}); seen[other] == 0 {
				c.Name = name
				seen[other]++
				break
			}
		}
	}
}

// sentence joins the parts that are not empty, one that repeats the part before
// it left out.
func sentence(sep string, parts ...string) string {
	return strings.Join(slices.Compact(slices.DeleteFunc(parts, func(s string) bool { return s == "" })), sep)
}
