package judge

import (
	"fmt"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/run/record"
)

// denyAttempts is how often silence must be tried within one deny wait before
// it may read as denied: one packet can be lost on its own.
const denyAttempts = 2

// flowJudge judges one flow in one phase from the cells that may be believed.
type flowJudge func(j *judgement, c *Case, seen []*record.Cell)

// outcome is what a cell saw, with the receiver's own log taken into account:
// what arrived there got through, whatever the sender thinks.
func outcome(c *record.Cell) matrix.Outcome {
	if c.Evidence.Arrived && !c.Sample.Outcome.Passed() {
		return matrix.OneWay
	}
	return c.Sample.Outcome
}

// denial is how a cell showed that it was blocked, if it was.
func denial(c *record.Cell) matrix.Denial {
	if !outcome(c).Blocked() {
		return matrix.DenialUnknown
	}
	return c.Sample.Denial
}

// sighting is what one cell proves on a flow.
type sighting struct {
	sight sight
	grade string // of a proof of denied
	why   string // it is unproven
}

// look says what a cell proves. base reports that the flow connected in the
// baseline; the record's own claim of that is not taken for it. allowed says
// that the flow ought to connect: then only the baseline proves that a block is
// the network's doing on a flow that works otherwise.
func look(c *record.Cell, base, allowed bool) sighting {
	e := c.Evidence
	e.Baseline = base
	out := outcome(c)
	switch {
	case out == matrix.Connected:
		return sighting{sight: connected, grade: e.Grade()}
	case out.Passed():
		return sighting{sight: arrived, grade: e.Grade()}
	case !out.Blocked():
		cause := sentence(": ", e.Cause, c.Sample.Detail)
		if cause == "" {
			cause = "no cause was recorded"
		}
		return sighting{why: fmt.Sprintf("%s: %s", out, cause)}
	}
	switch {
	case allowed && !base:
		return sighting{why: fmt.Sprintf("%s, but the flow did not connect before the policies either, so nothing says that it could", out)}
	case e.Grade() == "":
		return sighting{why: fmt.Sprintf("%s without evidence: no control connected, the flow did not connect before the policies, and the receiver did not prove itself alive", out)}
	case !allowed && out == matrix.Refused && !e.Control && !e.Receiver:
		return sighting{why: "refused, and nothing proves that the listener was up: a dead listener refuses too"}
	case out == matrix.TimedOut && c.Sample.Attempts < denyAttempts:
		return sighting{why: fmt.Sprintf("timed out after %d attempts, silence counts after %d", c.Sample.Attempts, denyAttempts)}
	}
	return sighting{sight: denied, grade: e.Grade()}
}

// judgeBaseline: without policies everything must connect, the canary port
// included; a cell that does not makes the harness or the cluster doubtful, not
// the policies.
func judgeBaseline(j *judgement, c *Case, seen []*record.Cell) {
	c.Expected = "connected (no policies yet)"
	if len(seen) == 0 {
		c.Observed, c.Reasons = "nothing", []string{"no pass asked for this flow"}
		return
	}
	last := settle(c, seen)
	if outcome(last) == matrix.Connected {
		c.Verdict = matrix.Pass
		j.base[c.Flow] = true
		return
	}
	c.Since = last.Sample.Start
	c.Reasons = append(c.Reasons, "a flow that does not connect without policies proves no deny later"+because(last))
	j.leaveOpen(c)
}

// judgeOpen: with the policies removed everything must connect again. A block
// is a failure of the network only where both ends are proven alive; a fault
// may have left a dead pod.
func judgeOpen(j *judgement, c *Case, seen []*record.Cell) {
	c.Expected = "connected (policies removed)"
	if len(seen) == 0 {
		c.Observed, c.Reasons = "nothing", []string{"no pass asked for this flow"}
		return
	}
	last := settle(c, seen)
	s := look(last, j.base[c.Flow], true)
	alive := last.Evidence.Control || last.Evidence.Receiver
	switch {
	case s.sight == connected:
		c.Verdict = matrix.Pass
		return
	case s.sight == denied && !alive:
		c.Reasons = append(c.Reasons, last.Sample.Outcome.String()+", and nothing proves that the receiver was alive")
	case s.sight == unproven:
		c.Reasons = append(c.Reasons, s.why)
	default:
		c.Verdict, c.Kind, c.Evidence = matrix.Fail, KindStillClosed, s.grade
		c.Reasons = append(c.Reasons, "the policies are gone and the flow does not work as before them"+because(last))
	}
	c.Since = last.Sample.Start
	j.leaveOpen(c)
}

// leaveOpen turns the case of a flow that the specification leaves open into a
// mere report.
func (j *judgement) leaveOpen(c *Case) {
	f := j.rec.Flows[c.Flow]
	if r := decide(f.Declared.Intent, f.Computed.Intent, unproven); r.unjudged {
		c.Unjudged, c.Verdict, c.Kind = unjudged(f), matrix.Inconclusive, ""
	}
}

func unjudged(f record.Flow) string {
	if f.Computed.Intent == matrix.Undefined && f.Computed.Reason != "" {
		return "left open by the specification: " + f.Computed.Reason
	}
	return "left open by the specification"
}

func because(c *record.Cell) string {
	if s := sentence(": ", c.Evidence.Cause, c.Sample.Detail); s != "" {
		return " (" + s + ")"
	}
	return ""
}

// settle fills in what is common to all phases and returns the last cell. An
// earlier try that did not connect while the last did makes the case flaky.
func settle(c *Case, seen []*record.Cell) *record.Cell {
	last := seen[len(seen)-1]
	c.Start = seen[0].Sample.Start
	bad := 0
	for _, s := range seen {
		c.Duration += s.Sample.RTT
		if outcome(s) != matrix.Connected {
			bad++
		}
	}
	c.Observed, c.Denial, c.Identity = outcome(last).String(), denial(last), last.Evidence.Identity
	if outcome(last) == matrix.Connected && bad > 0 {
		c.Flaky = fmt.Sprintf("%d of %d tries did not connect, the first ended as %s", bad, len(seen), outcome(firstNot(seen)))
	}
	return last
}

func firstNot(seen []*record.Cell) *record.Cell {
	for _, s := range seen {
		if outcome(s) != matrix.Connected {
			return s
		}
	}
	return seen[0]
}

// judgeMatrix judges a flow under the policies. An allowed flow is what its
// last try says; on a denied one the first arrival decides.
func judgeMatrix(j *judgement, c *Case, seen []*record.Cell) {
	f := j.rec.Flows[c.Flow]
	declared, computed := f.Declared.Intent, f.Computed.Intent
	c.Expected = expected(f)
	if len(seen) == 0 {
		c.Observed, c.Reasons = "nothing", []string{"no pass asked for this flow"}
		j.leaveOpen(c)
		return
	}
	deny := declared == matrix.Deny || computed == matrix.Deny
	last := settle(c, seen)
	cell := last
	if deny {
		c.Flaky = ""
		cell = worstArrival(seen)
	}
	j.observe(c, cell)
	s := look(cell, j.base[c.Flow], !deny)
	r := decide(declared, computed, s.sight)
	c.Verdict, c.Kind = r.verdict, r.kind
	if s.sight == denied {
		c.Evidence = s.grade
	}
	if r.unjudged {
		c.Unjudged, c.Flaky = unjudged(f), ""
		return
	}
	if c.Verdict == matrix.Pass && s.sight == denied {
		c.otherwise(f.Declared.By)
	}
	if c.Verdict == matrix.Pass {
		return
	}
	c.Since = firstWrong(seen, s.sight).Sample.Start
	if s.why != "" {
		c.Reasons = append(c.Reasons, s.why)
	}
	if computed == matrix.Unstated {
		c.Reasons = append(c.Reasons, "the oracle decided nothing for this flow")
	}
	j.explainCell(c, seen, s)
}

// otherwise finds fault with a deny that showed itself in another way than the
// scenario says it must.
func (c *Case) otherwise(by matrix.Denial) {
	switch {
	case by == matrix.DenialUnknown || by == c.Denial:
	case c.Denial == matrix.DenialUnknown:
		c.Verdict = matrix.Inconclusive
		c.Reasons = append(c.Reasons, fmt.Sprintf("%s, and nothing tells by what, expected by %s", c.Observed, by))
	default:
		c.Verdict, c.Kind = matrix.Fail, KindOtherwise
		c.Reasons = append(c.Reasons, fmt.Sprintf("denied by %s, expected by %s", c.Denial, by))
	}
}

func (j *judgement) observe(c *Case, seen *record.Cell) {
	c.Observed, c.Denial = outcome(seen).String(), denial(seen)
	if c.Phase == record.PhaseMatrix {
		f := &j.res.Flows[c.Flow]
		f.Observed, f.Denial = outcome(seen), c.Denial
	}
}

// explainCell adds what people need to know of a cell that did not pass.
func (j *judgement) explainCell(c *Case, seen []*record.Cell, s sighting) {
	through := 0
	for _, x := range seen {
		if outcome(x).Passed() {
			through++
		}
	}
	if len(seen) > 1 && c.Verdict == matrix.Fail {
		c.Reasons = append(c.Reasons, fmt.Sprintf("got through in %d of %d tries", through, len(seen)))
	}
	if d := seen[len(seen)-1].Sample.Detail; d != "" && s.why == "" {
		c.Reasons = append(c.Reasons, d)
	}
}

// worstArrival is the cell that decides on a deny: the first that connected,
// else the first that got through at all, else the last.
func worstArrival(seen []*record.Cell) *record.Cell {
	best, found := seen[len(seen)-1], false
	for _, s := range seen {
		switch o := outcome(s); {
		case o == matrix.Connected:
			return s
		case o.Passed() && !found:
			best, found = s, true
		}
	}
	return best
}

// firstWrong is the first cell of the sort that decided.
func firstWrong(seen []*record.Cell, decided sight) *record.Cell {
	for _, s := range seen {
		passed := outcome(s).Passed()
		switch {
		case decided == connected && outcome(s) == matrix.Connected,
			decided == arrived && passed,
			decided == denied && outcome(s).Blocked(),
			decided == unproven && !passed:
			return s
		}
	}
	return seen[len(seen)-1]
}

func expected(f record.Flow) string {
	d, c := f.Declared.Intent, f.Computed.Intent
	switch {
	case d == c:
		return stated(f.Declared)
	case d == matrix.Unstated:
		return c.String() + " (by the policies, the scenario does not say)"
	}
	return fmt.Sprintf("%s (declared), %s (by the policies)", stated(f.Declared), c)
}
