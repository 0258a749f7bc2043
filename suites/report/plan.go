package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/plan"
	"github.com/segtest/segtest/suites/run/record"
)

// planLegend: nothing was observed yet.
func planLegend(s string) string {
	return strings.NewReplacer("allowed, open", "allowed", "denied, closed", "denied", "not judged", "undefined", "inconclusive", "undecided").Replace(s)
}

// planCell is one symbol where scenario and policies agree or only one speaks,
// and both with ≠ between them where they do not.
func planCell(of plan.Cell, o TextOptions) gridCell {
	c := gridCell{flow: of.Flow, canary: of.Canary, weight: of.Count, glyph: planGlyph(of.Computed), declared: of.Declared, computed: of.Computed}
	if of.Differs() {
		c.text = o.symbol(planGlyph(of.Declared)) + o.symbol(mistake) + o.symbol(c.glyph)
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

// differText explains disagreements, those of replicas together.
func differText(differ []plan.Difference, o TextOptions) []string {
	type key struct {
		from, to matrix.Endpoint
		column   column
		declared matrix.Intent
		kind     string
	}
	var order []key
	groups := map[key][]plan.Difference{}
	for _, d := range differ {
		f := d.Flow
		k := key{base(f.From), base(f.To), column{protocol: f.Protocol, port: f.Port, way: f.Way, family: f.Family}, f.Declared.Intent, differKind(f)}
		if !slices.Contains(order, k) {
			order = append(order, k)
		}
		groups[k] = append(groups[k], d)
	}
	var out []string
	for i, k := range order {
		if i >= maxFull+maxBrief {
			return append(out, o.paint(dim, o.ascii(fmt.Sprintf("  … and %d more", len(order)-i))))
		}
		f := groups[k][0].Flow
		head := "  " + o.paint(magenta, o.symbol(mistake)) + " " + o.paint(bold, printable(o, f.Flow.String())) + "  " + o.paint(red, k.kind)
		alike := -1
		for _, d := range groups[k] {
			alike += d.Count
		}
		if alike > 0 {
			head += o.paint(dim, fmt.Sprintf("  and %s like it", count(alike, "flow")))
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

// differKind says how the policies differ from what is declared.
func differKind(f record.Flow) string {
	switch {
	case judge.Undecidable(f):
		return "not decidable"
	case f.Declared.Intent == matrix.Undefined:
		return "undefined no more"
	case f.Declared.Intent == matrix.Allow:
		return string(judge.KindTooNarrow)
	}
	return string(judge.KindTooWide)
}

// maxDoubts are explained.
const maxDoubts = 8

// doubtsText says why flows are undefined.
func doubtsText(s plan.Sheet) []string {
	var out []string
	rest := 0
	for i, d := range s.Doubts {
		if i >= maxDoubts {
			rest += d.Count
			continue
		}
		text := "undefined: " + count(d.Count, "flow")
		if d.Count > 1 {
			text += fmt.Sprintf(", %s and others", d.Flow)
		} else {
			text += fmt.Sprintf(", %s", d.Flow)
		}
		text += ": " + d.Reason
		if p := place(d.By.Origin); p != "" {
			text += fmt.Sprintf(" (%s, %s)", d.By.Policy, p)
		}
		out = append(out, text)
	}
	if rest > 0 {
		out = append(out, fmt.Sprintf("undefined: %s for %d more reasons; json and csv give that of each", count(rest, "flow"), len(s.Doubts)-maxDoubts))
	}
	return out
}

// blocksText says what addresses outside of the cluster stand for.
func blocksText(s plan.Sheet) []string {
	var parts []string
	for i, b := range s.Blocks {
		if i == maxParts {
			parts = append(parts, fmt.Sprintf("and %d more", len(s.Blocks)-i))
			break
		}
		parts = append(parts, fmt.Sprintf("%s for %s", b.Endpoint(), b.CIDR))
	}
	if len(parts) == 0 {
		return nil
	}
	return []string{"addresses stand for what is in a block and in no narrower one: " + strings.Join(parts, ", ")}
}

// notes stand below a matrix.
func (c *chart) notes(s plan.Sheet) []string {
	return slices.Concat(c.bandsText(), blocksText(s), doubtsText(s), foreignText(s.Foreign))
}
