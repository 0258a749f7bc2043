package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/diff"
)

// The limits of a comment on a pull request: GitHub takes 65536 characters.
const (
	maxComment = 60_000 // bytes
	maxCell    = 800    // bytes
)

// DiffMark is the first line of the Markdown form: whoever posts comments finds
// the one to replace by it.
const DiffMark = "<!-- segtest diff -->"

// DiffMarkdown writes which flows flip as a comment for a pull request: a table
// of bounded length, in which nothing that the files say is taken for markup.
func DiffMarkdown(w io.Writer, d diff.Diff) error {
	c := comment{}
	head := strings.ToUpper(diffCounts(d)[:1]) + diffCounts(d)[1:]
	c.add(DiffMark, "### "+head, "")
	if n := d.Against(); n > 0 {
		c.add("**"+againstText(n)+".**", "")
	}
	c.add(fmt.Sprintf("Before: %s. After: %s.", markdown(versionText(d.Before)), markdown(versionText(d.After))))
	if len(d.Flips) > 0 {
		c.add("", "| | flows | decided before by | decided after by |", "|---|---|---|---|")
	}
	for i, f := range d.Flips {
		if !c.add(flipRow(d, f)) {
			c.more(len(d.Flips)-i, "row")
			break
		}
	}
	c.workloads("New pods, and so in no flip", d.Added)
	c.workloads("Pods that are gone", d.Removed)
	if lines := foreignText(d.Foreign); len(lines) > 0 {
		c.add("", "Not evaluated, whatever they do:", "")
		for i, line := range lines {
			if !c.add("- " + cell(strings.TrimPrefix(line, "not evaluated: "))) {
				c.more(len(lines)-i, "object")
				break
			}
		}
	}
	if d.Compared > 0 {
		c.add("", "<sub>"+markdown(countedText(d))+"</sub>")
	}
	if _, err := io.WriteString(w, strings.Join(c.lines, "\n")+"\n"); err != nil {
		return fmt.Errorf("writing the difference: %w", err)
	}
	return nil
}

// comment is lines as long as there is room for them.
type comment struct {
	lines []string
	used  int
	full  bool
}

// add lines; false where there is no room.
func (c *comment) add(lines ...string) bool {
	for _, line := range lines {
		if c.full || c.used+len(line)+1 > maxComment {
			c.full = true
			return false
		}
		c.lines, c.used = append(c.lines, line), c.used+len(line)+1
	}
	return true
}

// more says what is left out, for which there is always room.
func (c *comment) more(n int, noun string) {
	c.lines = append(c.lines, "", fmt.Sprintf("… and %s more, for which a comment has no room: `segtest diff -o text` has all.", count(n, noun)))
}

func (c *comment) workloads(title string, all []diff.Workload) {
	if len(all) == 0 {
		return
	}
	c.add("", title+":", "")
	for i, w := range all {
		if !c.add("- " + cell(workloadText(w))) {
			c.more(len(all)-i, "workload")
			return
		}
	}
}

// cell is foreign text of bounded length on one line.
func cell(s string) string {
	if s = clean(s); len(s) > maxCell {
		cut := maxCell
		for s[cut]&0xc0 == 0x80 { // do not cut a character in two
			cut--
		}
		s = s[:cut] + "…"
	}
	return markdown(s)
}

func flipRow(d diff.Diff, f diff.Flip) string {
	what := "**" + kindText(f) + "**"
	switch {
	case f.Against():
		what += "<br>against the scenario: " + cell(declaredText(f))
	case f.Declared.Intent == f.After:
		what += "<br>as the scenario declares"
	case f.Declared.Intent != matrix.Unstated:
		what += "<br>the scenario declares: " + cell(declaredText(f))
	}
	flows := fmt.Sprintf("%s<br>%s<br>%s", cell(flowsText(d, f, mostNames)), cell(portsText(f.Ports)), count(f.Count, "flow"))
	var before, after []string
	for _, c := range f.Changes {
		before, after = append(before, halfCell(c.Direction, c.Before)), append(after, halfCell(c.Direction, c.After))
	}
	if len(f.Changes) == 0 {
		after = []string{cell(f.Reason)}
	}
	return fmt.Sprintf("| %s | %s | %s | %s |", what, flows, strings.Join(before, "<br>"), strings.Join(after, "<br>"))
}

// halfCell is the rules that decide one direction, with place and author.
func halfCell(direction string, h diff.Half) string {
	out := []string{direction + ": " + h.Intent.String()}
	if len(h.By) == 0 {
		out[0] += ", " + cell(h.Reason)
	}
	for i, c := range h.By {
		if i == mostCauses {
			out = append(out, fmt.Sprintf("and %d more", len(h.By)-mostCauses))
			break
		}
		text := ruleText(c) + " (" + placeText(c) + ")"
		if who := creditText(c.Credit); who != "" {
			text += ", " + who
		}
		out = append(out, cell(text))
	}
	return strings.Join(out, "<br>")
}
