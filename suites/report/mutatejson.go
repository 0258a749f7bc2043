package report

import (
	"io"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/mutate"
	"github.com/segtest/segtest/probes/oracle"
)

// MutateSchema is the version of the JSON form of mutants. Fields are only ever
// added to it.
const MutateSchema = "segtest.dev/mutate/v1alpha1"

type (
	jsonMutation struct {
		Schema       string        `json:"schema"`
		Scenario     string        `json:"scenario"`
		File         string        `json:"file"`
		Score        *float64      `json:"score"` // killed / (killed + survived); null where nothing could be killed
		Total        int           `json:"total"`
		Killed       int           `json:"killed"`
		Survived     int           `json:"survived"`
		Equivalent   int           `json:"equivalent"`
		Beyond       int           `json:"beyond"`    // only flows change of which no rule but a snapshot's can state anything
		Undecided    int           `json:"undecided"` // only flows may change that are undefined before or after
		NotEvaluated []jsonForeign `json:"notEvaluated"`
		Mutants      []jsonMutant  `json:"mutants"`
	}
	jsonMutant struct {
		ID       string         `json:"id"`
		Operator string         `json:"operator"`
		Rule     oracle.RuleRef `json:"rule"`
		Path     string         `json:"path,omitempty"`
		What     string         `json:"what"`
		Fate     string         `json:"fate"`
		Flows    int            `json:"flows,omitempty"` // that change, of a survivor
		Flips    []jsonFlip     `json:"flips,omitempty"` // the one that kills, or examples
		Remedy   *jsonRemedy    `json:"remedy,omitempty"`
	}
	jsonFlip struct {
		Flow     matrix.Flow   `json:"flow"`
		Declared matrix.Intent `json:"declared"`
		Before   matrix.Intent `json:"before"`
		After    matrix.Intent `json:"after"`
	}
	jsonRemedy struct {
		Paste      string `json:"paste,omitempty"`
		Under      string `json:"under,omitempty"`
		Namespaces string `json:"namespaces,omitempty"` // lines to add there first
		Workloads  string `json:"workloads,omitempty"`  // likewise
		Hint       string `json:"hint,omitempty"`
	}
	jsonOperator struct {
		ID      string `json:"id"`
		What    string `json:"what"`
		Example string `json:"example"`
	}
)

// MutateJSON writes all mutants, in order.
func MutateJSON(w io.Writer, m Mutation) error {
	r := m.Result
	out := jsonMutation{
		Schema: MutateSchema, Scenario: m.Name, File: m.File, Total: len(r),
		Killed: r.Count(mutate.Killed), Survived: r.Count(mutate.Survived), Equivalent: r.Count(mutate.Equivalent),
		Beyond: r.Count(mutate.Beyond), Undecided: r.Count(mutate.Undecided),
		NotEvaluated: []jsonForeign{}, Mutants: []jsonMutant{},
	}
	if score, ok := r.Score(); ok {
		out.Score = &score
	}
	for _, f := range m.Foreign {
		out.NotEvaluated = append(out.NotEvaluated, jsonForeign{f.APIVersion, f.Kind, f.Name, jsonPlace(f.Origin)})
	}
	for _, j := range r {
		mutant := jsonMutant{ID: clean(j.ID()), Operator: j.Operator, Rule: j.At, Path: clean(j.Path), What: clean(j.What), Fate: j.Fate.String(), Flows: j.Flows}
		for _, f := range j.Flips {
			mutant.Flips = append(mutant.Flips, jsonFlip(f))
		}
		if j.Fate == mutate.Survived {
			remedy := jsonRemedy(j.Remedy)
			mutant.Remedy = &remedy
		}
		out.Mutants = append(out.Mutants, mutant)
	}
	return writeJSON(w, out)
}

// MutateOperatorsJSON writes all operators.
func MutateOperatorsJSON(w io.Writer, operators []mutate.Operator) error {
	out := []jsonOperator{}
	for _, o := range operators {
		out = append(out, jsonOperator{o.ID, o.What, o.Example})
	}
	return writeJSON(w, out)
}
