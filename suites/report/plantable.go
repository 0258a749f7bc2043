package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/plan"
	"github.com/segtest/segtest/suites/run/record"
)

// PlanTable writes for people what a scenario declares and what its policies
// compute to: first where they differ, with the rules that decide, then the
// whole matrix, and last the policies that nobody judged and a count of what a
// run does not deploy.
func PlanTable(w io.Writer, s plan.Sheet, folding Folding, o TextOptions) error {
	out := planHead(s, o)
	out = append(out, differText(s.Differ, o)...)
	c := newChart(s, folding, o)
	if lines := c.text(o); len(lines) > 0 {
		out = append(append(out, ""), lines...)
		var more []string
		if len(s.Differ) > 0 {
			more = append(more, o.paint(magenta, o.symbol(mistake))+" declared left of it, computed right of it")
		}
		out = append(out, o.prose(dim, "  ", c.canaries())...)
		for _, line := range c.legend(o, more...) {
			out = append(out, planLegend(line))
		}
	}
	for _, line := range append(c.notes(s), droppedText(s.Dropped)...) {
		out = append(out, o.prose(plain, "  ", printable(o, line))...)
	}
	if _, err := io.WriteString(w, strings.Join(out, "\n")+"\n"); err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	return nil
}

// planHead counts what the policies compute to, and on how much of it the
// scenario agrees. A flow of which it states nothing is no agreement.
func planHead(s plan.Sheet, o TextOptions) []string {
	t := s.Tally
	tick, colour := o.tick(matrix.Pass, t.Agree == 0 || s.Undeclared), plain
	switch {
	case t.Disagree > t.Undecidable:
		tick, colour = o.tick(matrix.Fail, false), magenta
	case t.Disagree > 0:
		tick, colour = o.tick(matrix.Inconclusive, false), magenta
	}
	computed, declared := tallyText(s)
	return o.flow("", " ", []string{tick + " " + computed + ";", o.paint(colour, declared)})
}

func tallyText(s plan.Sheet) (computed, declared string) {
	t := s.Tally
	computed = fmt.Sprintf("%s: the policies allow %d and deny %d", count(t.Flows, "flow"), t.Computed[matrix.Allow], t.Computed[matrix.Deny])
	for _, in := range []matrix.Intent{matrix.Undefined, matrix.Unstated} {
		if t.Computed[in] > 0 {
			computed += fmt.Sprintf(", %d %s", t.Computed[in], in)
		}
	}
	switch {
	case s.Undeclared:
		return computed, "nothing is declared"
	case t.Agree == t.Flows:
		return computed, "the scenario agrees on all"
	}
	declared = "the scenario "
	if n := t.Disagree - t.Undecidable; n > 0 {
		declared += fmt.Sprintf("disagrees on %d, ", n)
	}
	if t.Undecidable > 0 {
		declared += fmt.Sprintf("is not decidable on %d, ", t.Undecidable)
	}
	declared += fmt.Sprintf("agrees on %d", t.Agree)
	if t.Unstated > 0 {
		declared += fmt.Sprintf(", %d unstated", t.Unstated)
	}
	return computed, declared
}

// maxParts of a band are listed.
const maxParts = 12

// bandsText lists who shares a row or a column.
func (c *chart) bandsText() []string {
	var out []string
	for _, b := range c.bands {
		var parts []string
		for i, p := range b.parts {
			if i == maxParts {
				parts = append(parts, fmt.Sprintf("and %d more", len(b.parts)-i))
				break
			}
			parts = append(parts, label(nil, p))
		}
		out = append(out, fmt.Sprintf("%s: %s", label(nil, b.name), strings.Join(parts, ", ")))
	}
	return out
}

// foreignText names the policies that no answer takes into account.
func foreignText(all []oracle.Foreign) []string {
	var out []string
	for _, f := range all {
		line := fmt.Sprintf("not evaluated: %s %s of %s", f.Kind, f.Name, f.APIVersion)
		if p := place(f.Origin); p != "" {
			line += " (" + p + ")"
		}
		out = append(out, line)
	}
	return out
}

// droppedText counts what stand-ins do not have, the most frequent first; no
// line where they lack nothing.
func droppedText(all []record.Dropped) []string {
	type kind struct {
		what  string
		count int
	}
	var kinds []kind
	for _, d := range all {
		i := slices.IndexFunc(kinds, func(k kind) bool { return k.what == d.What })
		if i < 0 {
			i = len(kinds)
			kinds = append(kinds, kind{what: d.What})
		}
		kinds[i].count += d.Count
	}
	if len(kinds) == 0 {
		return nil
	}
	slices.SortFunc(kinds, func(a, b kind) int { return cmp.Or(b.count-a.count, strings.Compare(a.what, b.what)) })
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = fmt.Sprintf("%s (%d)", k.what, k.count)
	}
	return []string{"not deployed by a run: " + strings.Join(words, ", ") + "; -o json lists them"}
}
