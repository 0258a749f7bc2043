package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run/record"
)

// Text writes a result for people: the verdict, the matrix, what needs a look,
// and the faults.
func Text(w io.Writer, r judge.Result, o TextOptions) error {
	out := headline(r, o)
	if r.Unenforced == "" && seen(r) {
		out = append(out, matrixText(r, o)...)
		out = append(out, repetitionsText(r, o)...)
		out = append(out, findingsText(r, o)...)
		out = append(out, faultsText(r, o)...)
	}
	for _, n := range r.Notes {
		out = append(out, o.prose(dim, "", "note: "+printable(o, n))...)
	}
	if _, err := io.WriteString(w, strings.Join(out, "\n")+"\n"); err != nil {
		return fmt.Errorf("writing text: %w", err)
	}
	return nil
}

// probed reports that a flow was asked at all. A run that failed before has
// nothing to show but why.
func probed(r judge.Result) bool {
	return r.Incomplete == "" || slices.ContainsFunc(r.Cases, func(c judge.Case) bool { return c.Flow != judge.None })
}

// seen reports that there is something to show of a flow.
func seen(r judge.Result) bool {
	return r.Incomplete == "" || slices.ContainsFunc(r.Cases, func(c judge.Case) bool {
		return c.Flow != judge.None && glyphOf(r, c) != notAsked
	})
}

// printable is foreign text without escapes, and without symbols where they
// cannot be shown.
func printable(o TextOptions, s string) string { return o.ascii(clean(s)) }

// verdicts are the words and colours of the first line.
func verdictWord(v matrix.Verdict) (word, colour string) {
	switch v {
	case matrix.Pass:
		return "PASS", "1;" + green
	case matrix.KnownGap:
		return "PASS with known gaps", "1;" + yellow
	case matrix.Fail:
		return "FAIL", red
	case matrix.Inconclusive:
	}
	return "INCONCLUSIVE", "1;" + yellow
}

// headline is the verdict and what it rests on.
func headline(r judge.Result, o TextOptions) []string {
	word, colour := verdictWord(r.Verdict)
	name := o.tick(r.Verdict, false) + " " + o.paint(colour, word) + "  " + printable(o, r.Header.Scenario)
	parts := []string{name}
	if r.Header.RunID != "" {
		parts = append(parts, "run "+printable(o, r.Header.RunID))
	}
	parts = append(parts, "seed "+fmt.Sprint(r.Header.Seed), judge.Short(r.Duration))
	out := o.flow("", o.ascii(" · "), parts)
	if f := facts(r, o); f != "" {
		out = append(out, o.paint(dim, "  "+f))
	}
	out = append(out, o.prose("1;"+yellow, "  ", printable(o, partText(r)))...)
	for _, bad := range []string{r.Unenforced, r.Incomplete} {
		out = append(out, o.prose(red, "  ", printable(o, bad))...)
	}
	if r.LeftBehind != "" {
		out = append(out, o.prose(plain, "  ", "left behind: "+printable(o, r.LeftBehind)+" (segtest clean removes it)")...)
	}
	if r.Unenforced != "" {
		return out
	}
	see := ", see below"
	if !seen(r) {
		see = ": segtest plan " + shell(printable(o, r.Header.File))
	}
	if n := len(r.Disagreements); n > 0 {
		out = append(out, "  "+o.paint(magenta, o.symbol(mistake)+" scenario and policies disagree on "+count(n, "flow"))+see)
	}
	if !probed(r) {
		return out
	}
	return append(out, phasesText(r, o)...)
}

// facts are what people ask for first, as far as the record knows them.
func facts(r judge.Result, o TextOptions) string {
	var parts []string
	for _, k := range []string{"kubernetes", "cni", "profile", "image"} {
		if v := r.Header.Facts[k]; v != "" {
			parts = append(parts, k+" "+printable(o, v))
		}
	}
	return o.cut(strings.Join(parts, o.ascii(" · ")), o.width()-2)
}

// phasesText is one line of counts per phase that is no fault, and the
// convergence.
func phasesText(r judge.Result, o TextOptions) []string {
	var parts []string
	for _, p := range r.Phases {
		if p.Phase == judge.PhaseRun || p.Phase == record.PhaseMutant || faultOf(r, p.Phase) {
			continue
		}
		parts = append(parts, p.Phase+" "+counts(p.Counts, o))
	}
	if by := denials(r); by != "" {
		parts = append(parts, by)
	}
	out := o.flow("  ", "   ", parts)
	for _, line := range slices.Concat(convergence(r, o), noticed(r, o), convergedText(r, o)) {
		out = append(out, o.prose(plain, "  ", line)...)
	}
	return out
}

// noticed is the mistake that the run made on purpose and saw; one that it did
// not see is a finding.
func noticed(r judge.Result, o TextOptions) []string {
	for _, c := range r.Cases {
		if c.Phase == record.PhaseMutant && c.Verdict == matrix.Pass {
			return []string{"this run can fail: " + printable(o, c.Observed)}
		}
	}
	return nil
}

// denials is how many flows were blocked under the policies, and how that showed
// itself to their senders; "" where nobody knows.
func denials(r judge.Result) string {
	n := map[matrix.Denial]int{}
	for _, f := range r.Flows {
		n[f.Denial]++
	}
	var parts []string
	for d := matrix.Dropped; d <= matrix.LocalRoute; d++ {
		if n[d] > 0 {
			parts = append(parts, fmt.Sprintf("%d by %s", n[d], d))
		}
	}
	if parts == nil {
		return ""
	}
	return "blocked " + strings.Join(parts, ", ")
}

// faultOf reports that a phase is one of a fault, which the table of faults shows.
func faultOf(r judge.Result, phase string) bool {
	return slices.ContainsFunc(r.Faults, func(f judge.Fault) bool { return phase == record.PhaseFault(f.ID) })
}

func counts(c judge.Counts, o TextOptions) string {
	var parts []string
	for _, x := range []struct {
		n      int
		symbol string
	}{
		{c.Pass, o.tick(matrix.Pass, false)},
		{c.KnownGap, o.tick(matrix.KnownGap, false)},
		{c.Fail, o.tick(matrix.Fail, false)},
		{c.Inconclusive, o.tick(matrix.Inconclusive, false)},
		{c.Unjudged, o.tick(matrix.Pass, true)},
	} {
		if x.n > 0 {
			parts = append(parts, fmt.Sprintf("%d%s", x.n, x.symbol))
		}
	}
	s := strings.Join(parts, " ")
	if c.Flaky > 0 {
		s += fmt.Sprintf(" (%d flaky)", c.Flaky)
	}
	return s
}

// convergence is the slowest sentinel, and what is known of the whole matrix.
func convergence(r judge.Result, o TextOptions) []string {
	var out []string
	worst := -1
	for i, c := range r.Convergence {
		switch {
		case c.Node == "" && c.Error != "":
			out = append(out, printable(o, c.What+": "+c.Error))
		case c.Node == "":
			line := fmt.Sprintf("%s: after %s to %s", printable(o, c.What), judge.Short(c.Lower), judge.Short(c.Upper))
			if c.Resolution > 0 {
				line += ", looked at every " + judge.Short(c.Resolution)
			}
			out = append(out, line)
		case c.Error == "" && (worst < 0 || c.Upper > r.Convergence[worst].Upper):
			worst = i
		}
	}
	if worst < 0 {
		return out
	}
	c := r.Convergence[worst]
	slowest := fmt.Sprintf("%s: in force after %s to %s, slowest on %s", printable(o, c.What), judge.Short(c.Lower), judge.Short(c.Upper), printable(o, c.Node))
	return append([]string{slowest}, out...)
}

// matrixText is the three matrices as one grid: declared, computed and observed
// show as one symbol where they agree, and as what is wrong where they do not.
func matrixText(r judge.Result, o TextOptions) []string {
	cells := make([]gridCell, len(r.Flows))
	for i, f := range r.Flows {
		cells[i] = gridCell{flow: f.Flow.Flow, canary: f.Canary, glyph: notAsked}
	}
	for _, i := range r.Disagreements {
		cells[i].glyph = mistake
	}
	for _, c := range r.Cases {
		if c.Flow != judge.None {
			g := &cells[c.Flow].glyph
			*g = max(*g, glyphOf(r, c))
		}
	}
	var asked []gridCell
	for i, c := range cells {
		if c.glyph == notAsked {
			c.glyph = unproven
		}
		if !r.Flows[i].Control {
			asked = append(asked, c)
		}
	}
	g := newGrid(asked)
	if partText(r) != "" {
		g = flatGrid(asked)
	}
	lines := g.text(o)
	if len(lines) == 0 {
		return nil
	}
	out := append([]string{""}, lines...)
	out = append(out, o.prose(dim, "  ", g.canaries())...)
	return append(out, g.legend(o)...)
}

// glyphOf is what a case makes of its cell; the worst of all cases is shown. A
// phase without policies says nothing of the cell where it passed.
func glyphOf(r judge.Result, c judge.Case) glyph {
	f := r.Flows[c.Flow]
	deny := f.Computed.Intent == matrix.Deny
	switch {
	case c.Unjudged != "" && f.Unjudged:
		return leftOpen
	case c.Unjudged != "":
		return notAsked
	case c.Verdict == matrix.Inconclusive:
		return unproven
	case c.Verdict == matrix.KnownGap:
		return inGap
	case c.Verdict == matrix.Pass && (c.Phase == record.PhaseBaseline || c.Phase == record.PhaseOpen):
		return notAsked
	case c.Verdict == matrix.Pass && f.Computed.Intent == matrix.Undefined:
		return leftOpen
	case c.Verdict == matrix.Pass && deny:
		return isClosed
	case c.Verdict == matrix.Pass:
		return isOpen
	}
	switch c.Kind {
	case judge.KindTooWide, judge.KindTooWideDiffers, judge.KindTooNarrow, judge.KindTooNarrowDiffers:
		return mistake
	case judge.KindLeak, judge.KindLeakFault:
		return leak
	case judge.KindEnforcement:
		if deny {
			return leak
		}
	case judge.KindOtherwise:
		return otherwise
	case judge.KindOutage, judge.KindOutageFault, judge.KindStillClosed, judge.KindNever, judge.KindSlow, judge.KindGap:
	}
	return outage
}

// faultsText is one line per fault, and the flow of a leak below it. What a
// fault hit is never cut: it stands below where the line has no room for it.
func faultsText(r judge.Result, o TextOptions) []string {
	if len(r.Faults) == 0 {
		return nil
	}
	rows := [][3]string{{"Faults", "longest leak", "longest outage"}}
	for _, f := range r.Faults {
		rows = append(rows, [3]string{printable(o, f.ID+"  "+f.Target), printable(o, leakText(f)), printable(o, outageText(f))})
	}
	widths := columnWidths(rows)
	below := make([]bool, len(rows))
	for i := range r.Faults {
		if room := o.width() - 6 - widths[1] - widths[2]; length(rows[i+1][0]) > room {
			rows[i+1][0], below[i+1] = printable(o, r.Faults[i].ID), true
		}
	}
	widths = columnWidths(rows)
	out := []string{""}
	for i, row := range rows {
		line := pad(row[0], widths[0]) + "  " + pad(row[1], widths[1]) + "  " + row[2]
		if i == 0 {
			out = append(out, o.paint(bold, "  "+line))
			continue
		}
		f := r.Faults[i-1]
		out = append(out, strings.TrimRight(o.tick(f.Verdict, f.Unjudged != "")+" "+line, " "))
		if below[i] {
			out = append(out, o.prose(plain, "    ", printable(o, f.Target))...)
		}
		if f.Leak != nil {
			out = append(out, o.prose(dim, "    ", "leak on "+printable(o, r.Flows[f.Leak.Flow].Flow.Flow.String())+gapOf(f, o))...)
		}
	}
	return append(out, o.prose(dim, "  ", watchedText(r))...)
}

func columnWidths(rows [][3]string) (widths [3]int) {
	for _, row := range rows {
		for k, cell := range row {
			widths[k] = max(widths[k], length(cell))
		}
	}
	return widths
}

func leakText(f judge.Fault) string {
	switch {
	case f.Unjudged != "":
		return f.Unjudged
	case f.Leak != nil:
		return judge.Span(f.Leak.Window)
	case f.Denied == 0:
		return "not watched"
	}
	return "none over " + judge.Short(f.Blind)
}

func outageText(f judge.Fault) string {
	switch {
	case f.Unjudged != "":
		return ""
	case f.Outage != nil && f.Explained:
		return judge.Span(f.Outage.Window) + ", as expected"
	case f.Outage != nil:
		return judge.Span(f.Outage.Window)
	case f.Allowed == 0:
		return "not watched"
	case f.Blips > 0:
		return "none, " + count(f.Blips, "lost sample")
	}
	return "none"
}

// gapOf names the known gap that the longest leak belongs to.
func gapOf(f judge.Fault, o TextOptions) string {
	for _, w := range f.Watched {
		if w.Flow == f.Leak.Flow && w.Expect.Gap != "" {
			return fmt.Sprintf(", known gap %s %s %s", printable(o, w.Expect.Gap), o.ascii("≤"), judge.Short(w.Expect.Bound))
		}
	}
	return ""
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
