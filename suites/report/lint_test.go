package report_test

import (
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/segtest/segtest/fixtures/lint"
	"github.com/segtest/segtest/hack/golden"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/report"
)

func ruleOf(t *testing.T, id string) lint.Rule {
	t.Helper()
	i := slices.IndexFunc(lint.Rules(), func(r lint.Rule) bool { return r.ID == id })
	if i < 0 {
		t.Fatalf("there is no rule %s", id)
	}
	return lint.Rules()[i]
}

// found is one finding of each severity, one that is accepted, and one whose
// place is not exact.
func found(t *testing.T) lint.Report {
	t.Helper()
	at := func(line int) oracle.Origin {
		return oracle.Origin{File: "policies/the shop.yaml", Line: line, Column: 7}
	}
	return lint.Report{Findings: []lint.Finding{
		{Rule: ruleOf(t, "SEG020"), Object: "NetworkPolicy shop/db", Origin: at(1), Message: "shop/db selects no pod of namespace shop (podSelector app=dbb)", Fix: `in podSelector, no pod of shop has the label app=dbb: did you mean "db"?`},
		{
			Rule: ruleOf(t, "SEG020"), Object: "NetworkPolicy shop/api", Origin: at(20), Message: "shop/api selects no pod \x1b[31mof namespace shop", Fix: "mend the selector",
			Accepted: &lint.Suppression{Rules: []string{"SEG020"}, Reason: "comes with the next release", Until: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)},
		},
		{
			Rule: ruleOf(t, "SEG070"), Object: "NetworkPolicy shop/web", Origin: oracle.Origin{File: "base/web.yaml", Line: 3, Column: 1, Via: "patched"},
			Message: "shop/web ingress rule 0 allows nothing that shop/all ingress rule 0 would not allow anyway", Fix: "remove it, or narrow shop/all ingress rule 0",
			Related: []lint.Related{{Origin: at(40), Message: "shop/all ingress rule 0 allows as much"}},
		},
		{Rule: ruleOf(t, "SEG040"), Object: "NetworkPolicy shop/web", Origin: oracle.Origin{File: "/srv/web.yaml"}, Message: "ports entry 0 does not say its protocol: it means TCP/80", Fix: "write protocol: TCP"},
	}}
}

func TestLintForms(t *testing.T) {
	t.Parallel()
	r := found(t)
	rules := []lint.Rule{ruleOf(t, "SEG020"), ruleOf(t, "SEG040"), ruleOf(t, "SEG070")}
	for name, write := range map[string]func(io.Writer) error{
		"text.txt": func(w io.Writer) error { return report.LintText(w, r, lint.Warning, report.TextOptions{Width: 80}) },
		"all.txt": func(w io.Writer) error {
			return report.LintText(w, r, lint.Info, report.TextOptions{Width: 80, ASCII: true})
		},
		"nothing.txt":  func(w io.Writer) error { return report.LintText(w, lint.Report{}, lint.Info, report.TextOptions{}) },
		"lint.json":    func(w io.Writer) error { return report.LintJSON(w, r) },
		"nothing.json": func(w io.Writer) error { return report.LintJSON(w, lint.Report{}) },
		"lint.sarif":   func(w io.Writer) error { return report.SARIF(w, r, rules, "v1.2.3") },
		"rules.txt":    func(w io.Writer) error { return report.LintRules(w, rules, report.TextOptions{}) },
		"rules.json":   func(w io.Writer) error { return report.LintRulesJSON(w, rules) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(b.String(), "\x1b") || strings.Contains(b.String(), `\u001b`) {
				t.Error("a terminal escape got through")
			}
			golden.Check(t, filepath.Join("testdata", "lint", name), b.String())
		})
	}
}

// TestSARIFIsValid: what is written with all rules satisfies the published
// schema of SARIF 2.1.0, which go-sarif carries, and what GitHub needs on top.
func TestSARIFIsValid(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]lint.Report{"findings": found(t), "none": {}} {
		var b bytes.Buffer
		if err := report.SARIF(&b, r, lint.Rules(), "(devel)"); err != nil {
			t.Fatal(err)
		}
		read, err := sarif.FromBytes(b.Bytes(), sarif.WithStrictValidation())
		if err != nil {
			t.Fatal(err)
		}
		if err := read.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var raw struct {
			Schema  string `json:"$schema"`
			Version string
			Runs    []struct {
				Results []struct {
					RuleID              string
					RuleIndex           int
					PartialFingerprints map[string]string
					Locations           []struct {
						PhysicalLocation struct{ ArtifactLocation struct{ URI string } }
					}
				}
				Tool struct {
					Driver struct{ Rules []struct{ ID string } }
				}
			}
		}
		if err := json.Unmarshal(b.Bytes(), &raw); err != nil {
			t.Fatal(err)
		}
		if raw.Schema == "" || raw.Version != "2.1.0" || len(raw.Runs) != 1 || raw.Runs[0].Results == nil {
			t.Errorf("%s: schema %q, version %q, %d runs, results %v", name, raw.Schema, raw.Version, len(raw.Runs), raw.Runs)
		}
		prints := map[string]bool{}
		for _, result := range raw.Runs[0].Results {
			if id := raw.Runs[0].Tool.Driver.Rules[result.RuleIndex].ID; id != result.RuleID {
				t.Errorf("%s: the index of %s leads to %s", name, result.RuleID, id)
			}
			if len(result.Locations) != 1 || strings.Contains(result.Locations[0].PhysicalLocation.ArtifactLocation.URI, " ") {
				t.Errorf("%s: the places of %s are %v", name, result.RuleID, result.Locations)
			}
			print := result.PartialFingerprints["segtest/v1"]
			if print == "" || prints[print] {
				t.Errorf("%s: fingerprint %q is empty or another's", name, print)
			}
			prints[print] = true
		}
	}
}
