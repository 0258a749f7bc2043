package judge

import (
	"fmt"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/run/record"
)

// mutant judges whether the run noticed the mistake that it made on purpose: a
// flow that the mistake changes must fail as it would in the matrix. A run that
// notices nothing proves nothing.
func (j *judgement) mutant() {
	m, phase := j.rec.Mutant, j.phaseRecord(record.PhaseMutant)
	if m == nil && phase.Error == "" {
		return
	}
	if m != nil && m.None != "" {
		j.res.Notes = append(j.res.Notes, "this run was not tried with a mistake: "+m.None)
		return
	}
	c := Case{
		Phase: record.PhaseMutant, Name: "a mistake is noticed", Flow: None, Fault: None, Expected: "a flow that fails",
		Observed: "unknown", Start: phase.Start, Duration: phase.End - phase.Start,
	}
	if phase.Error != "" {
		c.Reasons = append(c.Reasons, phase.Error)
	}
	if m == nil {
		j.add(c)
		return
	}
	c.Origin = m.At.Origin
	c.Properties = []Property{{"segtest.mutant.id", m.ID}, {"segtest.mutant.policy", m.At.Policy}, {"segtest.mutant.path", m.Path}, {"segtest.mutant.what", m.What}}
	mistake := fmt.Sprintf("the mistake in %s, made on purpose: %s", m.At.Policy, m.What)
	cells, why := j.usable(record.PhaseMutant)
	if cells == nil {
		c.Reasons = append(c.Reasons, mistake, why)
		j.add(c)
		return
	}
	for _, f := range m.Flips {
		seen := Case{Flow: f.Flow, Fault: None}
		if judgeMatrix(j, &seen, cells[f.Flow]); len(cells[f.Flow]) > 0 && seen.Verdict == matrix.Fail && seen.Kind != KindOtherwise {
			c.Verdict, c.Observed = matrix.Pass, fmt.Sprintf("%s, %s: expected %s, seen %s", mistake, j.names[f.Flow], seen.Expected, seen.Observed)
			j.add(c)
			return
		}
	}
	c.Observed = "nothing"
	c.Reasons = append(c.Reasons, mistake, fmt.Sprintf("no flow of %d that it changes, like %s, failed: this run would not notice such a mistake", len(m.Flips), j.names[m.Flips[0].Flow]))
	j.add(c)
}
