package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/plan"
	"github.com/segtest/segtest/suites/run/record"
)

// PlanSchema is the version of the JSON form of a plan. Fields are only ever
// added to it.
const PlanSchema = "segtest.dev/plan/v1alpha1"

type (
	jsonPlanHead struct {
		Schema       string        `json:"schema"`
		Scenario     string        `json:"scenario"`
		File         string        `json:"file"`
		Counts       jsonTally     `json:"counts"`
		NotEvaluated []jsonForeign `json:"notEvaluated"`
		NotDeployed  []jsonDropped `json:"notDeployed"`
	}
	// jsonDropped is a part of an object for which a run has no stand-in.
	jsonDropped struct {
		Kind  string `json:"kind"`
		Name  string `json:"name,omitempty"` // absent for several objects of a kind
		What  string `json:"what"`
		Field string `json:"field"`
		Count int    `json:"count"`
		jsonPlace
	}
	jsonTally struct {
		Flows     int `json:"flows"`
		Allow     int `json:"allow"`
		Deny      int `json:"deny"`
		Undefined int `json:"undefined"`
		Agree     int `json:"agree"`
		Disagree  int `json:"disagree"`
		Unstated  int `json:"unstated"`
		// Undecidable are those of disagree that the policies leave undefined.
		Undecidable int `json:"undecidable"`
	}
	jsonForeign struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Name       string `json:"name"`
		jsonPlace
	}
	jsonPlanFlow struct {
		matrix.Flow
		Canary   bool          `json:"canary,omitempty"`
		Declared matrix.Intent `json:"declared"`
		Computed matrix.Intent `json:"computed"`
		Disagree bool          `json:"disagree,omitempty"`
		// Rule is what decided, absent where no policy did: on a deny the rule or
		// policy that denies, else the one that admits, else the one that lets out.
		Rule       *jsonRuleRef `json:"rule,omitempty"`
		Reason     string       `json:"reason,omitempty"`
		Egress     *jsonHalf    `json:"egress,omitempty"`
		Ingress    *jsonHalf    `json:"ingress,omitempty"`
		DeclaredAt *jsonPlace   `json:"declaredAt,omitempty"`
		DeclaredAs string       `json:"declaredAs,omitempty"` // the reason that the scenario gives
	}
	jsonHalf struct {
		Intent   matrix.Intent `json:"intent"`
		Isolated bool          `json:"isolated"`
		Rules    []jsonRuleRef `json:"rules,omitempty"`
		Reason   string        `json:"reason,omitempty"`
	}
	// jsonRuleRef is a rule of a policy, or the policy as a whole where it has no
	// number.
	jsonRuleRef struct {
		Kind   string `json:"kind"`
		Tier   string `json:"tier,omitempty"` // "" is that of NetworkPolicies
		Policy string `json:"policy"`
		Rule   *int   `json:"rule,omitempty"`
		jsonPlace
	}
	jsonPlace struct {
		File   string `json:"file,omitempty"`
		Line   int    `json:"line,omitempty"`
		Column int    `json:"column,omitempty"`
		Via    string `json:"via,omitempty"` // "patched" or "rendered": the place is the document's
	}
)

// PlanJSON writes every flow of a plan on a line of its own, those on which
// scenario and policies differ first.
func PlanJSON(w io.Writer, s plan.Sheet) error {
	head, err := json.Marshal(planHeadJSON(s))
	if err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	out := bufio.NewWriter(w)
	out.Write(bytes.TrimSuffix(head, []byte("}"))) //nolint:errcheck // Flush says it
	out.WriteString(`,"flows":[`)                  //nolint:errcheck // likewise
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	gap := "\n"
	for f := range differentFirst(s) {
		line.Reset()
		if err := enc.Encode(planFlowJSON(f)); err != nil {
			return fmt.Errorf("writing the plan: %w", err)
		}
		if _, err := out.WriteString(gap); err != nil {
			return fmt.Errorf("writing the plan: %w", err)
		}
		out.Write(bytes.TrimSuffix(line.Bytes(), []byte("\n"))) //nolint:errcheck // Flush says it
		gap = ",\n"
	}
	out.WriteString("\n]}\n") //nolint:errcheck // Flush says it
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	return nil
}

// differentFirst yields all flows, those first on which scenario and policies
// differ.
func differentFirst(s plan.Sheet) func(yield func(record.Flow) bool) {
	return func(yield func(record.Flow) bool) {
		for _, want := range []bool{true, false} {
			if want && s.Tally.Disagree == 0 {
				continue
			}
			for f := range s.Flows {
				if judge.Disagree(f) == want && !yield(f) {
					return
				}
			}
		}
	}
}

func planHeadJSON(s plan.Sheet) jsonPlanHead {
	t := s.Tally
	head := jsonPlanHead{
		Schema: PlanSchema, Scenario: s.Name, File: s.File, NotEvaluated: []jsonForeign{}, NotDeployed: []jsonDropped{},
		Counts: jsonTally{
			Flows: t.Flows, Allow: t.Computed[matrix.Allow], Deny: t.Computed[matrix.Deny], Undefined: t.Computed[matrix.Undefined],
			Agree: t.Agree, Disagree: t.Disagree, Unstated: t.Unstated, Undecidable: t.Undecidable,
		},
	}
	for _, f := range s.Foreign {
		head.NotEvaluated = append(head.NotEvaluated, jsonForeign{f.APIVersion, f.Kind, f.Name, jsonPlace(f.Origin)})
	}
	for _, d := range s.Dropped {
		head.NotDeployed = append(head.NotDeployed, jsonDropped{d.Kind, d.Name, d.What, d.Field, d.Count, jsonPlace(d.Origin)})
	}
	return head
}

func planFlowJSON(f record.Flow) jsonPlanFlow {
	d := f.Computed
	out := jsonPlanFlow{
		Flow: f.Flow, Canary: f.Canary, Declared: f.Declared.Intent, Computed: d.Intent, Disagree: judge.Disagree(f),
		Reason: d.Reason, Egress: halfJSON(d.Egress), Ingress: halfJSON(d.Ingress), DeclaredAs: f.Declared.Reason,
	}
	if at := f.Declared.Origin; !at.IsZero() {
		place := jsonPlace(at)
		out.DeclaredAt = &place
	}
	if by, ok := judge.Deciding(d); ok {
		rule := ruleJSON(by)
		out.Rule = &rule
	}
	return out
}

// halfJSON is nil for a half of which nothing is known.
func halfJSON(h oracle.Half) *jsonHalf {
	if h.Intent == matrix.Unstated {
		return nil
	}
	out := jsonHalf{Intent: h.Intent, Isolated: h.Isolated, Reason: h.Reason}
	for _, by := range h.By {
		out.Rules = append(out.Rules, ruleJSON(by))
	}
	return &out
}

func ruleJSON(r oracle.RuleRef) jsonRuleRef {
	out := jsonRuleRef{Kind: r.Kind, Tier: r.Tier, Policy: r.Policy, jsonPlace: jsonPlace(r.Origin)}
	if out.Kind == "" {
		out.Kind = "NetworkPolicy"
	}
	if r.Rule >= 0 {
		out.Rule = &r.Rule
	}
	return out
}
