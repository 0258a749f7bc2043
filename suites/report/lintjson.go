package report

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/segtest/segtest/fixtures/lint"
	"github.com/segtest/segtest/probes/oracle"
)

// LintSchema is the version of the JSON form of findings. Fields are only ever
// added to it.
const LintSchema = "segtest.dev/lint/v1alpha1"

type (
	jsonLint struct {
		Schema   string         `json:"schema"`
		Counts   map[string]int `json:"counts"` // of findings that stand, by severity; and accepted ones
		Findings []jsonFinding  `json:"findings"`
	}
	jsonFinding struct {
		ID       string         `json:"id"`
		Name     string         `json:"name"`
		Severity string         `json:"severity"`
		Object   string         `json:"object"`
		Origin   *oracle.Origin `json:"origin,omitempty"`
		Message  string         `json:"message"`
		Fix      string         `json:"fix"`
		Related  []jsonRelated  `json:"related,omitempty"`
		Accepted *jsonAccepted  `json:"accepted,omitempty"`
	}
	jsonRelated struct {
		Origin  oracle.Origin `json:"origin"`
		Message string        `json:"message"`
	}
	jsonAccepted struct {
		Reason string `json:"reason"`
		Until  string `json:"until,omitempty"`
	}
	jsonLintRule struct {
		ID       string   `json:"id"`
		Name     string   `json:"name"`
		Severity string   `json:"severity"`
		What     string   `json:"what"`
		Why      string   `json:"why"`
		Fix      string   `json:"fix"`
		Also     []string `json:"also,omitempty"`
	}
)

// LintJSON writes all findings, accepted ones too.
func LintJSON(w io.Writer, r lint.Report) error {
	out := jsonLint{Schema: LintSchema, Counts: map[string]int{"accepted": len(r.Findings) - len(r.Standing())}, Findings: []jsonFinding{}}
	for _, s := range lint.Severities() {
		out.Counts[s.String()] = r.Count(s)
	}
	for _, f := range r.Findings {
		j := jsonFinding{
			ID: f.Rule.ID, Name: f.Rule.Name, Severity: f.Rule.Severity.String(), Object: f.Object,
			Origin: known(f.Origin), Message: clean(f.Message), Fix: clean(f.Fix),
		}
		for _, related := range f.Related {
			j.Related = append(j.Related, jsonRelated{related.Origin, clean(related.Message)})
		}
		if a := f.Accepted; a != nil {
			j.Accepted = &jsonAccepted{Reason: clean(a.Reason)}
			if !a.Until.IsZero() {
				j.Accepted.Until = a.Until.Format("2006-01-02")
			}
		}
		out.Findings = append(out.Findings, j)
	}
	return writeJSON(w, out)
}

// LintRulesJSON writes all rules with all their texts.
func LintRulesJSON(w io.Writer, rules []lint.Rule) error {
	var out []jsonLintRule
	for _, r := range rules {
		out = append(out, jsonLintRule{r.ID, r.Name, r.Severity.String(), r.What, r.Why, r.Fix, r.Also})
	}
	return writeJSON(w, out)
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	return nil
}
