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
	var differ []record.Flow
	cells := make([]gridCell, len(flows))
	for i, f := range flows {
		cells[i] = planCell(f, o)
		if judge.Disagree(f) {
			differ = append(differ, f)
		}
	}
	out := append(planHead(flows, len(differ), o), differText(differ, o)...)
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

// planHead counts what the policies compute to, and on how much of it the
// scenario agrees. A flow of which it states nothing is no agreement.
func planHead(flows []record.Flow, differ int, o TextOptions) []string {
	var tally [4]int
	agree, unstated := 0, 0
	for _, f := range flows {
		if in := f.Computed.Intent; int(in) < len(tally) {
			tally[in]++
		}
		switch f.Declared.Intent {
		case matrix.Allow, matrix.Deny:
			if f.Declared.Intent == f.Computed.Intent {
				agree++
			}
		case matrix.Unstated, matrix.Undefined:
			unstated++
		}
	}
	computed := fmt.Sprintf("%s: the policies allow %d and deny %d", count(len(flows), "flow"), tally[matrix.Allow], tally[matrix.Deny])
	for _, in := range []matrix.Intent{matrix.Undefined, matrix.Unstated} {
		if tally[in] > 0 {
			computed += fmt.Sprintf(", %d %s", tally[in], in)
		}
	}
	agrees := fmt.Sprintf("agrees on %d", agree)
	if agree == len(flows) {
		agrees = "agrees on all"
	}
	tick, says := o.tick(matrix.Pass, agree == 0), []string{"the scenario " + agrees}
	if differ > 0 {
		tick = o.tick(matrix.Fail, false)
		says = []string{o.paint(magenta, fmt.Sprintf("the scenario disagrees on %d", differ)), agrees}
	}
	if unstated > 0 {
		says = append(says, fmt.Sprintf("%d unstated", unstated))
	}
	return o.flow("", " ", []string{tick + " " + computed + ";", strings.Join(says, ", ")})
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
			for _, part := range Wrap(printable(o, text), o.width()-17) {
				out = append(out, "      "+o.paint(dim, label)+" "+part)
				label = pad("", 10)
			}
		}
	}
	return out
}
