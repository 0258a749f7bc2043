package report

import (
	"io"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/edit"
)

// ExplainSchema is the version of the JSON form of an explanation. Fields are
// only ever added to it.
const ExplainSchema = "segtest.dev/explain/v1alpha1"

type (
	jsonExplained struct {
		Schema   string       `json:"schema"`
		Scenario string       `json:"scenario"`
		File     string       `json:"file"`
		Answers  []jsonAnswer `json:"answers"`
		Search   *jsonSearch  `json:"search,omitempty"`
	}
	// jsonAnswer is a flow as a plan has it, and every rule that was asked.
	jsonAnswer struct {
		jsonPlanFlow
		Alike        int        `json:"alike,omitempty"`
		EgressSteps  []jsonStep `json:"egressSteps"`
		IngressSteps []jsonStep `json:"ingressSteps"`
	}
	jsonStep struct {
		Tier    string       `json:"tier"`
		Rule    *jsonRuleRef `json:"rule,omitempty"` // absent for the default
		Fits    bool         `json:"fits"`
		Decides bool         `json:"decides"`
		Action  string       `json:"action"`
		Why     string       `json:"why"`
	}
	jsonSearch struct {
		Want    matrix.Intent  `json:"want"`
		Tried   int            `json:"tried"`
		Found   bool           `json:"found"`
		Size    int            `json:"size,omitempty"`
		Edits   []jsonEdit     `json:"edits,omitempty"`
		Side    []jsonSideFlow `json:"side,omitempty"`
		Wrong   []jsonSideFlow `json:"wrong,omitempty"` // not as declared before nor after
		Mends   int            `json:"mends,omitempty"` // other flows that become as declared
		Opens   []jsonSideFlow `json:"opens,omitempty"` // to and from what the scenario does not hold
		Nearest string         `json:"nearest,omitempty"`
	}
	jsonEdit struct {
		What   string     `json:"what"`
		Kind   string     `json:"kind"`
		Policy string     `json:"policy"`
		New    bool       `json:"new,omitempty"`
		At     *jsonPlace `json:"at,omitempty"`
		Diff   []string   `json:"diff"` // lines, each with "+", "-" or " " before it
		Caveat string     `json:"caveat,omitempty"`
	}
	jsonSideFlow struct {
		matrix.Flow
		Before matrix.Intent `json:"before"`
		After  matrix.Intent `json:"after"`
	}
)

// ExplainJSON writes an answer for programs.
func ExplainJSON(w io.Writer, e Explained) error {
	out := jsonExplained{Schema: ExplainSchema, Scenario: e.Name, File: e.File, Answers: []jsonAnswer{}}
	for _, a := range e.Answers {
		out.Answers = append(out.Answers, jsonAnswer{
			jsonPlanFlow: planFlowJSON(a.Flow), Alike: a.Alike,
			EgressSteps: stepsJSON(a.Explanation.Egress), IngressSteps: stepsJSON(a.Explanation.Ingress),
		})
	}
	if e.Search != nil {
		search := searchJSON(e.Want, *e.Search)
		out.Search = &search
	}
	return writeJSON(w, out)
}

func stepsJSON(steps []oracle.Step) []jsonStep {
	out := []jsonStep{}
	for _, s := range steps {
		step := jsonStep{Tier: s.Tier, Fits: s.Fits, Decides: s.Decides, Action: s.Action, Why: s.Why}
		if s.Rule.Policy != "" {
			rule := ruleJSON(s.Rule)
			step.Rule = &rule
		}
		out = append(out, step)
	}
	return out
}

func searchJSON(want matrix.Intent, r edit.Result) jsonSearch {
	out := jsonSearch{Want: want, Tried: r.Tried, Nearest: r.Nearest}
	if r.Remedy == nil {
		return out
	}
	out.Found, out.Size = true, r.Remedy.Size
	for _, e := range r.Remedy.Edits {
		j := jsonEdit{What: e.What, Kind: e.Kind, Policy: e.Policy, New: e.New, Caveat: e.Caveat}
		if !e.Origin.IsZero() {
			at := jsonPlace(e.Origin)
			j.At = &at
		}
		for _, l := range e.Diff {
			j.Diff = append(j.Diff, string(l.Op)+l.Text)
		}
		out.Edits = append(out.Edits, j)
	}
	for _, c := range r.Remedy.Side {
		out.Side = append(out.Side, jsonSideFlow{c.Flow, c.Before, c.After})
	}
	out.Mends = r.Remedy.Mends
	for _, c := range r.Remedy.Wrong {
		out.Wrong = append(out.Wrong, jsonSideFlow{c.Flow, c.Before, c.After})
	}
	for _, c := range r.Remedy.Opens {
		out.Opens = append(out.Opens, jsonSideFlow{c.Flow, c.Before, c.After})
	}
	return out
}
