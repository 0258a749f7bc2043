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

// PlanText writes what scenario and policies say of every flow, before any
// cluster exists: first where they differ, with the rules that decide, then the
// whole matrix.
func PlanText(w io.Writer, flows []record.Flow, o TextOptions) error {
	var out []string
	var tally [4]int
	var differ []record.Flow
	cells := make([]gridCell, len(flows))
	for i, f := range flows {
		cells[i] = planCell(f, o)
		if in := f.Computed.Intent; int(in) < len(tally) {
			tally[in]++
		}
		if judge.Disagree(f) {
			differ = append(differ, f)
		}
	}
	head := fmt.Sprintf("%s: the policies allow %d and deny %d", count(len(flows), "flow"), tally[matrix.Allow], tally[matrix.Deny])
	for _, in := range []matrix.Intent{matrix.Undefined, matrix.Unstated} {
		if tally[in] > 0 {
			head += fmt.Sprintf(", %d %s", tally[in], in)
		}
	}
	if len(differ) == 0 {
		out = append(out, o.tick(matrix.Pass, false)+" "+head+"; the scenario agrees")
	} else {
		out = append(out, o.tick(matrix.Fail, false)+" "+head+"; "+o.paint(magenta, "the scenario disagrees on "+fmt.Sprint(len(differ))))
		out = append(out, differText(differ, o)...)
	}
	g := newGrid(cells)
	if lines := g.text(o); len(lines) > 0 {
		out = append(append(out, ""), lines...)
		var more []string
		if len(differ) > 0 {
			more = append(more, o.paint(magenta, o.symbol(mistake))+" declared left of it, computed right of it")
		}
		out = append(out, o.prose(dim, "  ", g.canaries())...)
		for _, line := range g.legend(o, more...) {
			out = append(out, planLegend(line))
		}
	}
	if _, err := io.WriteString(w, strings.Join(out, "\n")+"\n"); err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	return nil
}

// planLegend: nothing was observed yet.
func planLegend(s string) string {
	return strings.NewReplacer("allowed, open", "allowed", "denied, closed", "denied", "inconclusive", "undecided").Replace(s)
}

// planCell is one symbol where scenario and policies agree or only one speaks,
// and both with ≠ between them where they do not.
func planCell(f record.Flow, o TextOptions) gridCell {
	c := gridCell{flow: f.Flow, canary: f.Canary, glyph: planGlyph(f.Computed.Intent)}
	if judge.Disagree(f) {
		c.text = o.symbol(planGlyph(f.Declared.Intent)) + o.symbol(mistake) + o.symbol(c.glyph)
		c.glyph = mistake
	}
	return c
}

func planGlyph(i matrix.Intent) glyph {
	switch i {
	case matrix.Allow:
		return isOpen
	case matrix.Deny:
		return isClosed
	case matrix.Undefined:
		return leftOpen
	case matrix.Unstated:
	}
	return unproven
}

// differText explains disagreements, replicas together.
func differText(differ []record.Flow, o TextOptions) []string {
	type key struct {
		from, to matrix.Endpoint
		column   column
		declared matrix.Intent
	}
	var order []key
	groups := map[key][]record.Flow{}
	for _, f := range differ {
		k := key{base(f.From), base(f.To), column{protocol: f.Protocol, port: f.Port, way: f.Way, family: f.Family}, f.Declared.Intent}
		if !slices.Contains(order, k) {
			order = append(order, k)
		}
		groups[k] = append(groups[k], f)
	}
	var out []string
	for i, k := range order {
		if i >= maxFull+maxBrief {
			return append(out, o.paint(dim, o.ascii(fmt.Sprintf("  … and %d more", len(order)-i))))
		}
		f := groups[k][0]
		kind := judge.KindTooWide
		if f.Declared.Intent == matrix.Allow {
			kind = judge.KindTooNarrow
		}
		head := "  " + o.paint(magenta, o.symbol(mistake)) + " " + o.paint(bold, printable(o, f.Flow.String())) + "  " + o.paint(red, string(kind))
		if n := len(groups[k]) - 1; n > 0 {
			head += o.paint(dim, fmt.Sprintf("  and %s of replicas", count(n, "flow")))
		}
		out = append(out, head)
		if i >= maxFull {
			continue
		}
		for _, rule := range judge.Rules(f) {
			text := rule.Text
			if p := place(rule.Origin); p != "" && !strings.Contains(text, p) {
				text += " (" + p + ")"
			}
			label := pad(rule.Source, 10)
			for _, part := range wrap(printable(o, text), o.width()-17, true) {
				out = append(out, "      "+o.paint(dim, label)+" "+part)
				label = pad("", 10)
			}
		}
	}
	return out
}
