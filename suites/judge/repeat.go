package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/run/record"
)

// Repetition is one of several times that the whole matrix was asked.
type Repetition struct {
	Number   int           // 1 is the first
	Start    time.Duration // when the matrix had settled
	Duration time.Duration
	Counts   // of its cases
	// Bad are the flows that failed or are inconclusive in it, in their order.
	Bad []int
}

// Verdict of the repetition.
func (r Repetition) Verdict() matrix.Verdict {
	switch {
	case r.Fail > 0:
		return matrix.Fail
	case r.Inconclusive > 0 || r.Pass+r.KnownGap == 0:
		return matrix.Inconclusive
	case r.KnownGap > 0:
		return matrix.KnownGap
	}
	return matrix.Pass
}

// Repeated judges one repetition of the matrix alone, 1 for the first, while a
// run goes on. It takes no longer for the last repetition than for the first.
func Repeated(rec record.Record, n int) Repetition {
	j := &judgement{rec: only(rec, n)}
	j.flows()
	j.phase(record.PhaseBaseline, judgeBaseline)
	j.res.Cases = j.res.Cases[:0]
	j.phase(record.PhaseMatrix, judgeMatrix)
	return j.summary(n)
}

// repetitionOf a pass of the matrix, 1 for the first.
func repetitionOf(p record.Pass) int { return max(1, p.Repetition) }

// repetitions of the matrix that a record holds or began, in order. There is
// always the first.
func repetitions(rec record.Record) []int {
	all := []int{1}
	for _, p := range rec.Passes {
		all = append(all, repetitionOf(p))
	}
	for _, p := range rec.Phases {
		all = append(all, max(1, record.RepetitionOf(p.Name)))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// only is a record with one repetition of the matrix, as if it were the matrix.
func only(rec record.Record, n int) record.Record {
	out := rec
	out.Passes = nil
	for _, p := range rec.Passes {
		if p.Phase != record.PhaseMatrix || repetitionOf(p) == n {
			out.Passes = append(out.Passes, p)
		}
	}
	if n > 1 {
		out.Phases = slices.Clone(rec.Phases)
		for i := range out.Phases {
			switch p := &out.Phases[i]; p.Name {
			case record.PhaseMatrix:
				p.Name = record.PhaseRepetition(1)
			case record.PhaseRepetition(n):
				p.Name = record.PhaseMatrix
			}
		}
	}
	return out
}

// summary counts the cases of a judgement of one repetition.
func (j *judgement) summary(n int) Repetition {
	r := Repetition{Number: n}
	end := time.Duration(0)
	for _, p := range j.rec.Passes {
		if p.Phase == record.PhaseMatrix && !p.Settling {
			if r.Start == 0 {
				r.Start = p.Start
			}
			end = max(end, p.End)
		}
	}
	r.Duration = max(0, end-r.Start)
	for _, c := range j.res.Cases {
		r.add(c)
		if c.Flow != None && c.Unjudged == "" && (c.Verdict == matrix.Fail || c.Verdict == matrix.Inconclusive) {
			r.Bad = append(r.Bad, c.Flow)
		}
	}
	return r
}

// matrix judges the flows under the policies. Where the matrix was asked several
// times, each of them is judged on its own and the worst is a flow's case, so that
// a flow that fails once has failed.
func (j *judgement) matrix() {
	all := repetitions(j.rec)
	if len(all) == 1 {
		j.phase(record.PhaseMatrix, judgeMatrix)
		return
	}
	worst := make([]Case, len(j.rec.Flows))
	numbers := make([]map[matrix.Verdict][]int, len(j.rec.Flows))
	var whole []Case // about no single flow
	for _, k := range all {
		one := &judgement{rec: only(j.rec, k), names: j.names, base: j.base}
		one.res.Flows = make([]Flow, len(j.rec.Flows))
		one.phase(record.PhaseMatrix, judgeMatrix)
		j.res.Repetitions = append(j.res.Repetitions, one.summary(k))
		for _, c := range one.res.Cases {
			if c.Flow == None {
				c.Name = fmt.Sprintf("%s of repetition %d", c.Name, k)
				whole = append(whole, c)
				continue
			}
			if c.Flaky != "" {
				c.Flaky = fmt.Sprintf("repetition %d: %s", k, c.Flaky)
			}
			f := &j.res.Flows[c.Flow]
			if f.Repeated.All() == 0 || severer(c, worst[c.Flow]) {
				seen := one.res.Flows[c.Flow]
				worst[c.Flow], f.Observed, f.Denial, f.Grade = c, seen.Observed, seen.Denial, c.Evidence
			}
			f.Repeated.add(c)
			if numbers[c.Flow] == nil {
				numbers[c.Flow] = map[matrix.Verdict][]int{}
			}
			numbers[c.Flow][c.Verdict] = append(numbers[c.Flow][c.Verdict], k)
		}
	}
	for _, c := range whole {
		j.add(c)
	}
	for i, c := range worst {
		f := &j.res.Flows[i]
		if f.Repeated.All() == 0 {
			continue
		}
		c.retell(f.Repeated, len(all), numbers[i])
		f.Matrix = len(j.res.Cases)
		j.add(c)
	}
}

// severer reports that a case is worse than another one.
func severer(c, than Case) bool {
	if c.Verdict == than.Verdict {
		return c.Flaky != "" && than.Flaky == ""
	}
	return matrix.Worst(than.Verdict, c.Verdict) == c.Verdict
}

// retell says in a case how the repetitions of its flow went.
func (c *Case) retell(counts Counts, n int, numbers map[matrix.Verdict][]int) {
	if counts.All() < n {
		missing := fmt.Sprintf("judged in %d of %d repetitions", counts.All(), n)
		c.Reasons = append([]string{missing}, c.Reasons...)
	}
	if c.Unjudged != "" || c.Verdict == matrix.Pass || c.Verdict == matrix.KnownGap {
		return
	}
	var parts []string
	for _, v := range []matrix.Verdict{matrix.Fail, matrix.Inconclusive} {
		if in := numbers[v]; len(in) > 0 {
			parts = append(parts, fmt.Sprintf("%s in %d of %d repetitions (%s)", v, len(in), n, list(in)))
			c.Properties = append(c.Properties, Property{"segtest.repetitions." + v.String(), list(in)})
		}
	}
	c.Reasons = append(parts, c.Reasons...)
}

// most is how many numbers a list shows.
const most = 10

func list(numbers []int) string {
	var words []string
	for i, n := range numbers {
		if i == most {
			words = append(words, "…")
			break
		}
		words = append(words, fmt.Sprint(n))
	}
	return strings.Join(words, ", ")
}

// repetitions says whether the matrix was asked as often as the user wanted.
func (j *judgement) repetitions() {
	asked := j.rec.Header.Asked
	if asked.Repeat == 0 && asked.UntilFailure == 0 {
		return
	}
	n := len(repetitions(j.rec))
	c := Case{
		Phase: PhaseRun, Name: "repetitions", Flow: None, Fault: None, Verdict: matrix.Pass,
		Expected: fmt.Sprintf("%d", asked.Repeat), Observed: fmt.Sprint(n),
	}
	switch {
	case asked.UntilFailure > 0 && asked.Repeat > 0:
		c.Expected = fmt.Sprintf("until a flow fails, at most %d and %s", asked.Repeat, Short(asked.UntilFailure))
	case asked.UntilFailure > 0:
		c.Expected = fmt.Sprintf("until a flow fails, at most %s", Short(asked.UntilFailure))
	case n < asked.Repeat:
		c.Verdict, c.Reasons = matrix.Inconclusive, []string{"the run ended before the matrix was asked as often as wanted"}
	}
	j.add(c)
}
