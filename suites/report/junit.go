package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/judge"
)

// maxText caps each text in bytes: CI systems refuse or cut larger files.
const maxText = 64 << 10

// The elements of JUnit XML, as its readers know them: one level of suites, one
// suite per phase.
type (
	junitSuites struct {
		XMLName   xml.Name     `xml:"testsuites"`
		Name      string       `xml:"name,attr"`
		Timestamp string       `xml:"timestamp,attr,omitempty"`
		Time      string       `xml:"time,attr"`
		Tests     int          `xml:"tests,attr"`
		Failures  int          `xml:"failures,attr"`
		Errors    int          `xml:"errors,attr"`
		Skipped   int          `xml:"skipped,attr"`
		Suites    []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Timestamp  string          `xml:"timestamp,attr,omitempty"`
		Time       string          `xml:"time,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Properties junitProperties `xml:"properties"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitCase struct {
		Name       string           `xml:"name,attr"`
		Class      string           `xml:"classname,attr"`
		Time       string           `xml:"time,attr"`
		File       string           `xml:"file,attr,omitempty"`
		Line       int              `xml:"line,attr,omitempty"`
		Properties *junitProperties `xml:"properties,omitempty"`
		Skipped    *junitMessage    `xml:"skipped,omitempty"`
		Failure    *junitMessage    `xml:"failure,omitempty"`
		Error      *junitMessage    `xml:"error,omitempty"`
		Flaky      *junitMessage    `xml:"flakyFailure,omitempty"`
		Out        *junitText       `xml:"system-out,omitempty"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",cdata"`
	}
	junitText struct {
		Text string `xml:",cdata"`
	}
	junitProperties struct {
		Properties []junitProperty `xml:"property"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
)

// JUnit writes JUnit XML: a suite per phase, a case per flow. Inconclusive is
// an error, a known gap passes with a property and its explanation in
// system-out, and an allowed flow that connected only when asked again is a
// flakyFailure.
func JUnit(w io.Writer, r judge.Result) error {
	out := junitSuites{Name: "segtest " + clean(r.Header.Scenario), Timestamp: stamp(r, r.Start), Time: seconds(r.Duration)}
	for _, p := range r.Phases {
		out.Suites = append(out.Suites, suite(r, p))
	}
	for _, s := range out.Suites {
		out.Tests += s.Tests
		out.Failures += s.Failures
		out.Errors += s.Errors
		out.Skipped += s.Skipped
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("writing JUnit: %w", err)
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(out); err != nil {
		return fmt.Errorf("writing JUnit: %w", err)
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return fmt.Errorf("writing JUnit: %w", err)
	}
	return nil
}

func suite(r judge.Result, p judge.Tally) junitSuite {
	s := junitSuite{
		Name: class(r, p.Phase), Tests: p.All(), Failures: p.Fail, Errors: p.Inconclusive, Skipped: p.Unjudged,
		Properties: junitProperties{suiteProperties(r)},
	}
	start, end := r.Start, r.Start
	for _, c := range r.Cases {
		if c.Phase != p.Phase {
			continue
		}
		if c.Start != 0 {
			if end == r.Start || c.Start < start {
				start = c.Start
			}
			end = max(end, c.Start+c.Duration) // cases run side by side
		}
		s.Cases = append(s.Cases, testCase(r, c))
	}
	s.Timestamp, s.Time = stamp(r, start), seconds(end-start)
	return s
}

// class is "segtest.SCENARIO.PHASE"; dots inside the parts would look like
// packages to Jenkins.
func class(r judge.Result, phase string) string {
	part := func(s string) string { return strings.NewReplacer(".", "-", " ", "-").Replace(clean(s)) }
	return "segtest." + part(r.Header.Scenario) + "." + part(phase)
}

func suiteProperties(r judge.Result) []junitProperty {
	out := []junitProperty{
		{"segtest.runID", clean(r.Header.RunID)},
		{"segtest.seed", fmt.Sprint(r.Header.Seed)},
		{"segtest.scenario", clean(r.Header.Scenario)},
		{"segtest.file", clean(r.Header.File)},
		{"segtest.verdict", r.Verdict.String()},
	}
	out = append(out, askedProperties(r)...)
	for _, k := range slices.Sorted(maps.Keys(r.Header.Facts)) {
		out = append(out, junitProperty{"segtest.fact." + clean(k), clean(r.Header.Facts[k])})
	}
	for _, k := range slices.Sorted(maps.Keys(r.Header.Labels)) {
		out = append(out, junitProperty{"segtest.label." + clean(k), clean(r.Header.Labels[k])})
	}
	return out
}

func testCase(r judge.Result, c judge.Case) junitCase {
	out := junitCase{
		Name: clean(strings.ReplaceAll(c.Name, "→", "->")), Class: class(r, c.Phase), Time: seconds(c.Duration),
		File: clean(c.Origin.File), Line: c.Origin.Line,
	}
	var props []junitProperty
	if c.Flow != judge.None && (c.Verdict != matrix.Pass || c.Flaky != "") {
		props = append(props, junitProperty{"segtest.flow", r.Flows[c.Flow].ID()})
	}
	if c.Evidence != "" {
		props = append(props, junitProperty{"segtest.evidence", c.Evidence})
	}
	if c.Identity != "" {
		props = append(props, junitProperty{"segtest.identity", clean(c.Identity)})
	}
	if c.Denial != matrix.DenialUnknown {
		props = append(props, junitProperty{"segtest.denial", c.Denial.String()})
	}
	if by := demanded(r, c); by != matrix.DenialUnknown {
		props = append(props, junitProperty{"segtest.denial.expected", by.String()})
	}
	for _, p := range c.Properties {
		props = append(props, junitProperty{clean(p.Name), clean(p.Value)})
	}
	if len(props) > 0 {
		out.Properties = &junitProperties{props}
	}
	message := &junitMessage{Message: clean(title(c)), Type: clean(string(c.Kind)), Text: caseText(r, c)}
	switch {
	case c.Unjudged != "":
		out.Skipped = &junitMessage{Message: clean(c.Unjudged)}
	case c.Verdict == matrix.Fail:
		out.Failure = message
	case c.Verdict == matrix.Inconclusive:
		message.Type = "inconclusive"
		out.Error = message
	case c.Verdict == matrix.KnownGap:
		out.Out = &junitText{message.Text}
	case c.Flaky != "":
		out.Flaky = &junitMessage{Message: clean(c.Flaky), Type: "flaky", Text: message.Text}
	}
	return out
}

// caseText begins with "file:line", which CI systems turn into an annotation.
func caseText(r judge.Result, c judge.Case) string {
	var b strings.Builder
	if p := place(c.Origin); p != "" {
		fmt.Fprintf(&b, "%s: ", p)
	}
	b.WriteString(c.Name + "\n")
	if c.Kind != "" {
		b.WriteString(string(c.Kind) + "\n")
	}
	if c.Flaky != "" {
		b.WriteString(c.Flaky + "\n")
	}
	for _, l := range explain(r, c) {
		label := l.label
		if label != "" {
			label += ":"
		}
		fmt.Fprintf(&b, "%-11s %s\n", label, l.text)
	}
	return clean(b.String())
}

// ansi matches terminal escapes: colours, cursor movements, titles.
var ansi = regexp.MustCompile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[@-Z\\\\-_])")

// clean takes out terminal escapes and what XML cannot hold, and caps the text.
func clean(s string) string {
	s = ansi.ReplaceAllString(s, "")
	s = strings.Map(func(c rune) rune {
		if c == '\n' || c == '\t' || c >= 0x20 && c != 0x7f && c != utf8.RuneError && c != 0xfffe && c != 0xffff {
			return c
		}
		return -1
	}, s)
	if len(s) <= maxText {
		return s
	}
	const more = "\n… cut, the record holds all of it\n"
	s = s[:maxText-len(more)]
	for len(s) > 0 && !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + more
}

// seconds is a duration as JUnit wants it.
func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", max(0, d).Seconds()) }

// stamp is RFC 3339 in UTC, "" where the record does not know the wall clock.
func stamp(r judge.Result, at time.Duration) string {
	if r.Header.Started.IsZero() {
		return ""
	}
	return r.Clock(at).Format(time.RFC3339)
}
