package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/segtest/segtest/fixtures/lint"
)

// LintText writes the findings of a severity and graver ones, one after the
// other as compilers do, and then how many there are of all.
func LintText(w io.Writer, r lint.Report, least lint.Severity, o TextOptions) error {
	var out []string
	for _, f := range r.Standing() {
		if f.Rule.Severity >= least {
			out = append(out, findingText(f, o)...)
		}
	}
	for _, line := range []string{lintHead(r, o), hiddenText(r, least), acceptedText(r)} {
		if line != "" {
			out = append(out, o.ascii(line))
		}
	}
	if _, err := io.WriteString(w, strings.Join(out, "\n")+"\n"); err != nil {
		return fmt.Errorf("writing the findings: %w", err)
	}
	return nil
}

// findingText is "place: severity ID name: message", and below it what to do.
func findingText(f lint.Finding, o TextOptions) []string {
	s := f.Rule.Severity
	head := fmt.Sprintf("%s %s %s %s", o.paint(bold, printable(o, f.Origin.String()+":")), o.paint(severityColour(s), s.String()), f.Rule.ID, f.Rule.Name)
	out := []string{head}
	for _, part := range Wrap(printable(o, f.Message), o.width()-4) {
		out = append(out, "    "+part)
	}
	label := "fix: "
	for _, part := range Wrap(printable(o, f.Fix), o.width()-4-length(label)) {
		out = append(out, "    "+o.paint(green, label)+part)
		label = pad("", length(label))
	}
	for _, related := range f.Related {
		out = append(out, "    "+o.paint(dim, printable(o, "see: "+related.Origin.String()+": "+related.Message)))
	}
	return append(out, "")
}

// via says that a place is not exact, and why.
func via(how string) string {
	if how == "" {
		return ""
	}
	return " (" + how + ")"
}

func severityColour(s lint.Severity) string {
	switch s {
	case lint.Error:
		return red
	case lint.Warning:
		return yellow
	case lint.Info:
		return cyan
	}
	return plain
}

func lintHead(r lint.Report, o TextOptions) string {
	var parts []string
	for _, s := range lint.Severities() {
		if n := r.Count(s); n > 0 {
			parts = append(parts, o.paint(severityColour(s), count(n, s.String())))
		}
	}
	if len(parts) == 0 {
		return o.paint(green, "✓") + " nothing was found"
	}
	return strings.Join(parts, ", ")
}

func hiddenText(r lint.Report, least lint.Severity) string {
	n := 0
	for _, f := range r.Standing() {
		if f.Rule.Severity < least {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s below %s not shown: --show info", count(n, "finding"), least)
}

// acceptedText lists what annotations accept, so that it is not forgotten.
func acceptedText(r lint.Report) string {
	accepted := slices.DeleteFunc(slices.Clone(r.Findings), func(f lint.Finding) bool { return f.Accepted == nil })
	if len(accepted) == 0 {
		return ""
	}
	lines := []string{count(len(accepted), "finding") + " accepted by annotation:"}
	for _, f := range accepted {
		lines = append(lines, clean(fmt.Sprintf("  %s: %s of %s%s: %s", place(f.Origin), f.Rule.ID, f.Object, untilText(f.Accepted), f.Accepted.Reason)))
	}
	return strings.Join(lines, "\n")
}

func untilText(s *lint.Suppression) string {
	if s.Until.IsZero() {
		return ""
	}
	return " until " + s.Until.Format("2006-01-02")
}

// LintRules lists all rules, one a line.
func LintRules(w io.Writer, rules []lint.Rule, o TextOptions) error {
	var b strings.Builder
	for _, r := range rules {
		fmt.Fprintf(&b, "%s %s %s %s\n", r.ID, o.paint(severityColour(r.Severity), pad(r.Severity.String(), 7)), pad(r.Name, 30), o.ascii(r.What))
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("writing the rules: %w", err)
	}
	return nil
}
