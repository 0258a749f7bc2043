package report

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/segtest/segtest/fixtures/lint"
	"github.com/segtest/segtest/probes/oracle"
)

// Where people read more.
const (
	homeURI  = "https://github.com/segtest/segtest"
	rulesURI = homeURI + "/blob/main/docs/lint.md#"
)

// SARIF writes findings in the Static Analysis Results Interchange Format
// 2.1.0, which code scanning reads: one run, all rules, accepted findings as
// suppressed. version is that of segtest.
func SARIF(w io.Writer, r lint.Report, rules []lint.Rule, version string) error {
	if err := sarifReport(r, rules, version).PrettyWrite(w); err != nil {
		return fmt.Errorf("writing SARIF: %w", err)
	}
	return nil
}

func sarifReport(r lint.Report, rules []lint.Rule, version string) *sarif.Report {
	run := sarif.NewRunWithInformationURI("segtest", homeURI)
	run.Tool.Driver.WithVersion(version)
	run.WithAutomationDetails(sarif.NewRunAutomationDetails().WithID("segtest/lint/"))
	index := map[string]int{}
	for i, rule := range rules {
		index[rule.ID] = i
		run.Tool.Driver.AddRule(sarifRule(rule))
	}
	for _, f := range r.Findings {
		run.AddResult(sarifResult(f, index[f.Rule.ID]))
	}
	return sarif.NewReport().AddRun(run)
}

func sarifRule(r lint.Rule) *sarif.ReportingDescriptor {
	properties := sarif.NewPropertyBag().WithTags([]string{"kubernetes", "network-policy", "security"})
	properties.Add("security-severity", securitySeverity(r.Severity))
	properties.Add("precision", "high")
	text := func(s string) *sarif.MultiformatMessageString { return sarif.NewMultiformatMessageString().WithText(s) }
	return sarif.NewReportingDescriptor().WithID(r.ID).WithName(r.Name).
		WithShortDescription(text(r.What)).WithFullDescription(text(r.What + " " + r.Why)).
		WithHelp(text(r.Why + " " + r.Fix).WithMarkdown(fmt.Sprintf("%s\n\n**Fix:** %s", r.Why, r.Fix))).
		WithHelpURI(rulesURI + strings.ToLower(r.ID)).
		WithDefaultConfiguration(sarif.NewReportingConfiguration().WithLevel(sarifLevel(r.Severity))).
		WithProperties(properties)
}

// securitySeverity is the number by which code scanning ranks alerts, from 0 to
// 10, as a string.
func securitySeverity(s lint.Severity) string {
	switch s {
	case lint.Error:
		return "7.0"
	case lint.Warning:
		return "5.0"
	case lint.Info:
		return "2.0"
	}
	return "10.0"
}

func sarifLevel(s lint.Severity) string {
	switch s {
	case lint.Warning:
		return "warning"
	case lint.Info:
		return "note"
	case lint.Error:
	}
	return "error"
}

func sarifResult(f lint.Finding, rule int) *sarif.Result {
	result := sarif.NewRuleResult(f.Rule.ID).WithRuleIndex(rule).WithLevel(sarifLevel(f.Rule.Severity)).
		WithMessage(sarif.NewTextMessage(clean(f.Message + "; " + f.Fix))).
		WithPartialFingerprints(map[string]string{"segtest/v1": fingerprint(f)})
	if location := sarifLocation(f.Origin); location != nil {
		location.AddLogicalLocation(sarif.NewLogicalLocation().WithFullyQualifiedName(f.Object))
		result.AddLocation(location)
	}
	for i, related := range f.Related {
		if location := sarifLocation(related.Origin); location != nil {
			result.AddRelatedLocation(location.WithID(i + 1).WithMessage(sarif.NewTextMessage(clean(related.Message))))
		}
	}
	if a := f.Accepted; a != nil {
		result.AddSuppression(sarif.NewSuppression().WithKind("inSource").WithStatus("accepted").WithJustification(clean(a.Reason + untilText(a))))
	}
	return result
}

// fingerprint tells a finding from all others wherever its lines move to.
func fingerprint(f lint.Finding) string {
	sum := sha256.Sum256([]byte(f.Rule.ID + "\x00" + f.Object + "\x00" + f.Message))
	return hex.EncodeToString(sum[:16])
}

// sarifLocation of a place; nil for an unknown one.
func sarifLocation(o oracle.Origin) *sarif.Location {
	if o.File == "" {
		return nil
	}
	at := sarif.NewPhysicalLocation().WithArtifactLocation(sarif.NewArtifactLocation().WithURI(fileURI(o.File)))
	if o.Line > 0 {
		region := sarif.NewRegion().WithStartLine(o.Line)
		if o.Column > 0 {
			region.WithStartColumn(o.Column)
		}
		at.WithRegion(region)
	}
	return sarif.NewLocationWithPhysicalLocation(at)
}

// fileURI is relative to where segtest ran, which is the top of the repository
// in a pipeline, or absolute.
func fileURI(file string) string {
	if path.IsAbs(file) {
		return (&url.URL{Scheme: "file", Path: file}).String()
	}
	return (&url.URL{Path: file}).String()
}
