package report

import (
	"fmt"
	"strings"

	"github.com/segtest/segtest/suites/judge"
)

// chosen counts the flows that were asked for their own sake, and those that were
// asked as controls of them.
func chosen(r judge.Result) (flows, controls int) {
	for _, f := range r.Flows {
		if f.Control {
			controls++
		}
	}
	return len(r.Flows) - controls, controls
}

// partText says what was not asked, "" where everything was.
func partText(r judge.Result) string {
	flows, controls := chosen(r)
	part := r.Header.Asked.Part()
	if part == "" && r.Header.Flows <= flows {
		return ""
	}
	s := fmt.Sprintf("only %d", flows)
	if r.Header.Flows > 0 {
		s += fmt.Sprintf(" of %d", r.Header.Flows)
	}
	s += " flows were asked"
	if part != "" {
		s += ": " + part
	}
	if controls > 0 {
		s += fmt.Sprintf("; and %s as evidence for their denies", count(controls, "other"))
	}
	return s
}

// askedProperties are what a reader of a suite must know of what was asked.
func askedProperties(r judge.Result) []junitProperty {
	flows, controls := chosen(r)
	asked := r.Header.Asked
	out := []junitProperty{{"segtest.flows", fmt.Sprint(flows)}}
	if r.Header.Flows > 0 {
		out = append(out, junitProperty{"segtest.flows.of", fmt.Sprint(r.Header.Flows)})
	}
	for _, p := range []junitProperty{
		{"segtest.flows.part", asked.Part()},
		{"segtest.flows.controls", nonzero(controls)},
		{"segtest.shard", asked.Shard},
		{"segtest.rerun", asked.Rerun},
		{"segtest.repetitions", nonzero(len(r.Repetitions))},
	} {
		if p.Value != "" {
			out = append(out, junitProperty{p.Name, clean(p.Value)})
		}
	}
	return out
}

// nonzero is "" for 0.
func nonzero(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// maxUnstable is how many flows the page shows that repetitions do not agree on.
const maxUnstable = 20

// repetitionsText is how the repetitions of the matrix went, and the flows that
// were not the same in all of them.
func repetitionsText(r judge.Result, o TextOptions) []string {
	if r.Repetitions == nil {
		return nil
	}
	var all judge.Counts
	for _, one := range r.Repetitions {
		all.Count(one.Verdict())
	}
	var unstable []judge.Flow
	for _, f := range r.Flows {
		if f.Unstable() {
			unstable = append(unstable, f)
		}
	}
	rows := [][4]string{
		{"Repetitions of the matrix", "pass", "fail", "inconclusive"},
		countsRow(count(len(r.Repetitions), "repetition"), all),
	}
	for _, f := range unstable[:min(len(unstable), maxUnstable)] {
		rows = append(rows, countsRow(printable(o, f.Flow.Flow.String()), f.Repeated))
	}
	var widths [4]int
	for _, row := range rows {
		for k, cell := range row {
			widths[k] = max(widths[k], length(cell))
		}
	}
	out := []string{""}
	for i, row := range rows {
		line := "  " + pad(row[0], widths[0])
		for k, cell := range row[1:] {
			line += "  " + strings.Repeat(" ", widths[k+1]-length(cell)) + cell
		}
		switch i {
		case 0:
			line = o.paint(bold, line)
		case 1:
			out = append(out, line)
			line = "  every flow was the same in all of them"
			if n := len(unstable); n > 0 {
				line = fmt.Sprintf("  %s not the same in all of them (flaky)", count(n, "flow"))
			}
		}
		out = append(out, line)
	}
	if n := len(unstable) - maxUnstable; n > 0 {
		out = append(out, o.paint(dim, fmt.Sprintf("  and %d more: the json report has them", n)))
	}
	return out
}

func countsRow(name string, c judge.Counts) [4]string {
	return [4]string{name, fmt.Sprint(c.Pass + c.KnownGap), fmt.Sprint(c.Fail), fmt.Sprint(c.Inconclusive)}
}
