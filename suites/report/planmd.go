package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/plan"
)

// PlanMarkdown writes a plan as a page of Markdown, as pull requests show it:
// the disagreements with their rules, then the matrix.
func PlanMarkdown(w io.Writer, s plan.Sheet, folding Folding) error {
	computed, declared := tallyText(s)
	out := []string{"## " + markdown(s.Name), "", computed + "; " + declared + "."}
	if len(s.Differ) > 0 {
		out = append(out, "", "### Scenario and policies differ", "", "| flow | declared | computed | deciding rule | flows |", "|---|---|---|---|---|")
		for _, c := range s.Differ {
			rule := "none"
			if by, ok := judge.Deciding(c.Flow.Computed); ok {
				rule = by.String()
			}
			if judge.Undecidable(c.Flow) {
				rule += ": " + c.Flow.Computed.Reason
			}
			out = append(out, fmt.Sprintf("| %s | %s | %s | %s | %d |", markdown(c.Flow.Flow.String()), c.Flow.Declared.Intent, c.Flow.Computed.Intent, markdown(rule), c.Count))
		}
	}
	out = append(out, markdownMatrix(s, folding)...)
	if len(s.Foreign) > 0 {
		out = append(out, "", "### Not evaluated", "")
		for _, line := range foreignText(s.Foreign) {
			out = append(out, "- "+markdown(strings.TrimPrefix(line, "not evaluated: ")))
		}
	}
	for _, line := range droppedText(s.Dropped) {
		out = append(out, "", markdown(line))
	}
	if _, err := io.WriteString(w, strings.Join(out, "\n")+"\n"); err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	return nil
}

func markdownMatrix(s plan.Sheet, folding Folding) []string {
	var o TextOptions
	c := newChart(s, folding, o)
	if len(c.rows) == 0 {
		return nil
	}
	out := []string{"", "### Matrix", ""}
	head, rule := "| from ↓ to → |", "|---|"
	for _, to := range c.columns {
		head += fmt.Sprintf(" %s<br>%s |", markdown(label(c.foldedColumns, to.to)), markdown(to.head()))
		rule += ":-:|"
	}
	out = append(out, head, rule)
	for _, from := range c.rows {
		line := "| " + markdown(label(c.foldedRows, from)) + " |"
		for _, to := range c.columns {
			line += " " + c.cells[from][to].show(o) + " |"
		}
		out = append(out, line)
	}
	notes := []string{c.canaries()}
	for _, g := range c.used() {
		if g != notAsked {
			notes = append(notes, planLegend(o.symbol(g)+" "+glyphs[g].meaning))
		}
	}
	if s.Tally.Disagree > 0 {
		notes = append(notes, o.symbol(mistake)+" declared left of it, computed right of it")
	}
	notes = slices.DeleteFunc(notes, func(n string) bool { return n == "" })
	out = append(out, "", markdown(strings.Join(notes, "; "))+".")
	for _, line := range slices.Concat(c.bandsText(), blocksText(s), doubtsText(s)) {
		out = append(out, "", markdown(line))
	}
	return out
}

// show is the text of the cell.
func (c gridCell) show(o TextOptions) string {
	if c.text != "" {
		return c.text
	}
	return o.symbol(c.glyph)
}

// markdown is foreign text that Markdown takes for text.
func markdown(s string) string {
	var b strings.Builder
	for _, c := range clean(s) {
		switch {
		case c == '\n' || c == '\t':
			b.WriteByte(' ')
		case c == '&':
			b.WriteString("&amp;")
		case c == '<':
			b.WriteString("&lt;")
		case c == '>':
			b.WriteString("&gt;")
		case c == '@':
			b.WriteString("&#64;") // mentions nobody
		case strings.ContainsRune("\\`*_[]#|~$", c):
			b.WriteByte('\\')
			b.WriteRune(c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}
