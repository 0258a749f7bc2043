package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/plan"
	"github.com/segtest/segtest/suites/run/record"
)

// PlanCSV writes every flow of a plan as a line for spreadsheets, those first on
// which scenario and policies differ. No field can begin a formula.
func PlanCSV(w io.Writer, s plan.Sheet) error {
	out := csv.NewWriter(w)
	fields := []string{"from", "to", "protocol", "port", "way", "family", "canary", "declared", "computed", "agree", "policy", "rule", "file", "line", "reason"}
	out.Write(fields) //nolint:errcheck // Error says it
	for f := range differentFirst(s) {
		if err := out.Write(planFields(f)); err != nil {
			return fmt.Errorf("writing the plan: %w", err)
		}
	}
	for _, f := range s.Foreign {
		line := make([]string, len(fields))
		line[8], line[10], line[12], line[13] = "not evaluated", harmless(f.Kind+" "+f.Name), harmless(f.Origin.File), number(f.Origin.Line)
		out.Write(line) //nolint:errcheck // Error says it
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	return nil
}

func planFields(f record.Flow) []string {
	agree := "no"
	switch d := f.Declared.Intent; {
	case d == f.Computed.Intent:
		agree = "yes"
	case !judge.Disagree(f):
		agree = "" // one of them says nothing
	}
	line := []string{
		harmless(string(f.From)), harmless(string(f.To)), f.Protocol.String(), strconv.Itoa(int(f.Port)), f.Way.String(), f.Family.String(),
		strconv.FormatBool(f.Canary), f.Declared.Intent.String(), f.Computed.Intent.String(), agree, "", "", "", "", harmless(planReason(f)),
	}
	if by, ok := judge.Deciding(f.Computed); ok {
		policy := by.Policy
		if by.Kind != "" {
			policy = by.Kind + " " + policy
		}
		line[10], line[12], line[13] = harmless(policy), harmless(by.Origin.File), number(by.Origin.Line)
		if by.Rule >= 0 {
			line[11] = strconv.Itoa(by.Rule)
		}
	}
	return line
}

// planReason is the reason of the decision, else that of the half that decided.
func planReason(f record.Flow) string {
	d := f.Computed
	if d.Reason != "" {
		return d.Reason
	}
	for _, h := range []oracle.Half{d.Ingress, d.Egress} {
		if h.Intent == d.Intent && h.Reason != "" {
			return h.Reason
		}
	}
	return ""
}

// number is a line, "" where it is unknown.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// harmless is foreign text that a spreadsheet takes for text: an apostrophe goes
// before whatever would begin a formula there.
func harmless(s string) string {
	s = clean(s)
	first, _ := utf8.DecodeRuneInString(strings.TrimLeft(s, " "))
	if strings.ContainsRune("=+-@|%\t\n＝＋－＠", first) {
		return "'" + s
	}
	return s
}
