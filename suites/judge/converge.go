package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/run/record"
)

// Convergence is how soon one kind of change took effect, over all nodes and
// rounds.
type Convergence struct {
	What  string        // "apply", "delete", "relabel"
	To    matrix.Intent // Deny: it closes, Allow: it opens
	Asked int           // measures that there ought to be; 0 where nobody knows
	N     int           // and those that there are
	// P50, P95 and Max bound what they are called, of the N measures, by nearest rank.
	P50, P95, Max Bounds
	// Resolution is the longest time between the last sample before an effect and
	// the first after it, Period the mean time between samples.
	Resolution, Period time.Duration
	// Connections that are older than a change to Deny, by what became of them.
	Kept, Reset, Stalled, Unknown int
	Never                         int // changes that a node did not follow in time
	Case                          int // position in Result.Cases
}

// Bounds are around a time that is not known more exactly.
type Bounds struct{ Lower, Upper time.Duration }

// Name is the change and its effect, "apply → enforced".
func (c Convergence) Name() string { return c.What + " → " + c.Effect() }

// Effect is "enforced" or "open".
func (c Convergence) Effect() string { return effect(c.To) }

// Established is how many connections are older than the changes.
func (c Convergence) Established() int { return c.Kept + c.Reset + c.Stalled + c.Unknown }

func effect(to matrix.Intent) string {
	if to == matrix.Deny {
		return "enforced"
	}
	return "open"
}

// changeKinds are the kinds of change in the order of reports.
func changeKinds() []Convergence {
	return []Convergence{
		{What: "apply", To: matrix.Deny},
		{What: "delete", To: matrix.Allow},
		{What: "relabel", To: matrix.Deny},
		{What: "relabel", To: matrix.Allow},
	}
}

// changes judges how soon changes took effect: one case for each kind of them.
func (j *judgement) changes() {
	asked := j.rec.Header.Changes
	p := j.phaseRecord(record.PhaseConvergence)
	if p.Error != "" {
		j.add(Case{Phase: record.PhaseConvergence, Name: "phase", Flow: None, Fault: None, Expected: "to run to its end", Observed: "ended early", Reasons: []string{p.Error}, Start: p.Start, Duration: p.End - p.Start})
	}
	for _, k := range changeKinds() {
		var seen []record.Change
		for _, c := range j.rec.Changes {
			if c.What == k.What && c.To == k.To {
				seen = append(seen, c)
			}
		}
		if len(seen) > 0 || asked != nil && slices.Contains(asked.Of, k.What) {
			j.change(k, asked, seen)
		}
	}
}

// change judges one kind of change.
func (j *judgement) change(sum Convergence, asked *record.Changes, seen []record.Change) {
	c := Case{Phase: record.PhaseConvergence, Name: sum.Name(), Flow: None, Fault: None, Expected: "every node to follow"}
	found := findings{verdict: matrix.Pass}
	within := time.Duration(0)
	if asked != nil {
		c.Origin, within = asked.Origin, asked.Within
		sum.Asked = asked.Times * len(j.changedNodes())
	}
	if within > 0 {
		c.Expected += " within " + Short(within)
	}
	var lower, upper []time.Duration
	for i, r := range seen {
		if i == 0 {
			c.Start = r.Write[0]
		}
		c.Duration = max(0, r.Write[1]-c.Start)
		s := newStep(r)
		if sum.judge(&found, s, r, within); s.never || s.doubt != "" {
			continue
		}
		sum.fate(r)
		lower, upper = append(lower, s.Lower), append(upper, s.Upper)
		sum.Resolution, sum.Period = max(sum.Resolution, s.resolution), max(sum.Period, s.period)
	}
	if missing := sum.Asked - len(seen); missing > 0 || len(seen) == 0 {
		found.add(matrix.Inconclusive, "", fmt.Sprintf("%d of %d measures are missing: the run did not get that far", max(missing, 1), max(sum.Asked, 1)))
	}
	sum.rank(lower, upper)
	c.Verdict, c.Kind, c.Reasons = found.verdict, found.kind, found.reasons
	c.Observed, c.Properties = sum.String(), sum.properties()
	sum.Case = len(j.res.Cases)
	j.add(c)
	j.res.Changes = append(j.res.Changes, sum)
}

// judge one measure. Between the two bounds nobody knows: there it proves nothing.
func (c *Convergence) judge(found *findings, s step, r record.Change, within time.Duration) {
	where := fmt.Sprintf("%s, round %d", r.Node, r.Round)
	switch {
	case s.never:
		c.Never++
		found.add(matrix.Fail, KindNever, fmt.Sprintf("%s: still %s %s after the change", where, s.last, Short(s.watched)))
	case s.doubt != "":
		found.add(matrix.Inconclusive, "", where+": "+s.doubt)
	case within > 0 && s.Lower > within:
		found.add(matrix.Fail, KindSlow, fmt.Sprintf("%s: %s after %s", where, effect(c.To), s.Bounds))
	case within > 0 && s.Upper > within:
		found.add(matrix.Inconclusive, "", fmt.Sprintf("%s: %s after %s: the samples do not tell whether that was in time", where, effect(c.To), s.Bounds))
	}
}

// rank finds the percentiles. The k-th of the lower bounds and the k-th of the
// upper ones are around the k-th of the times that they bound.
func (c *Convergence) rank(lower, upper []time.Duration) {
	slices.Sort(lower)
	slices.Sort(upper)
	if c.N = len(lower); c.N == 0 {
		return
	}
	at := func(percent int) Bounds {
		i := (c.N*percent+99)/100 - 1
		return Bounds{lower[i], upper[i]}
	}
	c.P50, c.P95, c.Max = at(50), at(95), at(100)
}

// changedNodes are the nodes that every change was to be measured on.
func (j *judgement) changedNodes() map[string]bool {
	nodes := map[string]bool{}
	for _, c := range j.rec.Changes {
		nodes[c.Node] = true
	}
	for _, c := range j.rec.Convergence {
		if c.Node != "" {
			nodes[c.Node] = true
		}
	}
	return nodes
}

// fate counts what became of a connection that is older than the change.
func (c *Convergence) fate(r record.Change) {
	if c.To != matrix.Deny {
		return
	}
	last, stood := matrix.Unknown, false
	denial := matrix.DenialUnknown
	for _, run := range r.Held.Runs {
		stood = stood || run.Outcome == matrix.Connected && run.First < r.Write[0]
		if run.Outcome != matrix.Unknown && !run.Starved {
			last, denial = run.Outcome, run.Denial
		}
	}
	switch {
	case !stood:
		c.Unknown++
	case last == matrix.Connected:
		c.Kept++
	case last == matrix.TimedOut:
		c.Stalled++
	case last == matrix.Refused && denial == matrix.Reset, last == matrix.HandshakeOnly, last == matrix.Unreachable:
		c.Reset++
	default:
		c.Unknown++
	}
}

// String is the figures in one line.
func (c Convergence) String() string {
	if c.N == 0 {
		return "nothing measured"
	}
	line := fmt.Sprintf("n %d, P50 %s, P95 %s, max %s, resolution %s", c.N, c.P50, c.P95, c.Max, Short(c.Resolution))
	if old := c.Older(); old != "" {
		line += "; " + old
	}
	return line
}

// Older says what became of the connections that are older than the changes, ""
// where there were none.
func (c Convergence) Older() string {
	var parts []string
	for _, x := range []struct {
		n    int
		what string
	}{{c.Kept, "kept"}, {c.Reset, "reset"}, {c.Stalled, "stalled"}, {c.Unknown, "not known"}} {
		if x.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", x.n, x.what))
		}
	}
	if parts == nil {
		return ""
	}
	return "established " + strings.Join(parts, ", ")
}

// String is "85-97 ms" or "990 ms-1.01 s".
func (b Bounds) String() string {
	lower, upper := Short(b.Lower), Short(b.Upper)
	if n, unit, _ := strings.Cut(lower, " "); strings.HasSuffix(upper, " "+unit) {
		lower = n
	}
	return lower + "-" + upper
}

func (c Convergence) properties() []Property {
	out := []Property{{"segtest.convergence.n", fmt.Sprint(c.N)}}
	if c.N > 0 {
		for _, x := range []struct {
			name string
			b    Bounds
		}{{"p50", c.P50}, {"p95", c.P95}, {"max", c.Max}} {
			out = append(out, Property{"segtest.convergence." + x.name + ".lower", x.b.Lower.String()}, Property{"segtest.convergence." + x.name + ".upper", x.b.Upper.String()})
		}
		out = append(out, Property{"segtest.convergence.resolution", c.Resolution.String()}, Property{"segtest.convergence.period", c.Period.String()})
	}
	if c.To == matrix.Deny {
		out = append(out, Property{"segtest.convergence.established", fmt.Sprintf("%d kept, %d reset, %d stalled, %d not known", c.Kept, c.Reset, c.Stalled, c.Unknown)})
	}
	return out
}
