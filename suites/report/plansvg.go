package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/segtest/segtest/suites/plan"
)

// Sizes of the picture, in pixels. A letter is assumed to be no wider than
// svgLetter.
const (
	svgCell   = 22
	svgLetter = 7
	svgMargin = 12
	svgLine   = 18
)

// svgColours are the backgrounds of cells. Each glyph has its symbol too, so that
// nobody needs the colours.
var svgColours = map[glyph]string{ //nolint:gochecknoglobals // constant table
	isOpen: "#c9e7cb", isClosed: "#eceff1", leftOpen: "#ffffff", unproven: "#ffe9b0", mistake: "#f3b6d8",
}

// PlanSVG writes a plan as a picture of its matrix. It holds no script and refers
// to nothing outside of itself.
func PlanSVG(w io.Writer, s plan.Sheet, folding Folding) error {
	var o TextOptions
	c := newChart(s, folding, o)
	computed, declared := tallyText(s)
	below := []string{computed + "; " + declared}
	if n := c.canaries(); n != "" {
		below = append(below, n)
	}
	below = append(below, c.notes(s)...)
	left, top := 0, 0
	for _, from := range c.rows {
		left = max(left, length(label(c.foldedRows, from)))
	}
	for _, to := range c.columns {
		top = max(top, length(c.title(to)))
	}
	left, top = svgMargin+left*svgLetter+svgMargin, svgMargin+svgLine+top*svgLetter+svgMargin
	width, height := left+len(c.columns)*svgCell+svgMargin, top+len(c.rows)*svgCell+svgMargin
	for _, line := range append(slices.Clone(below), s.Name) {
		width = max(width, 2*svgMargin+length(line)*svgLetter)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%[2]d\" viewBox=\"0 0 %[1]d %[2]d\" role=\"img\" font-family=\"sans-serif\" font-size=\"12\">\n",
		width, height+len(below)*svgLine+svgLine+svgMargin)
	fmt.Fprintf(&b, "<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n", markup(s.Name))
	fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\" font-weight=\"bold\">%s</text>\n", svgMargin, svgMargin+svgLine/2, markup(s.Name))
	c.svgMatrix(&b, left, top)
	y := height + svgLine
	fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\">%s</text>\n", svgMargin, y, markup(c.svgLegend(s)))
	for _, line := range below {
		y += svgLine
		fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\">%s</text>\n", svgMargin, y, markup(line))
	}
	b.WriteString("</svg>\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	return nil
}

// title of a column.
func (c *chart) title(to column) string { return label(c.foldedColumns, to.to) + " " + to.head() }

func (c *chart) svgMatrix(b *strings.Builder, left, top int) {
	var o TextOptions
	for k, to := range c.columns {
		x := left + k*svgCell + svgCell/2 + 4
		fmt.Fprintf(b, "<text transform=\"translate(%d %d) rotate(-90)\">%s</text>\n", x, top-4, markup(c.title(to)))
	}
	for i, from := range c.rows {
		y := top + i*svgCell
		fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", left-svgMargin/2, y+svgCell-7, markup(label(c.foldedRows, from)))
		for k, to := range c.columns {
			cell, ok := c.cells[from][to]
			if !ok {
				continue
			}
			x := left + k*svgCell
			fmt.Fprintf(b, "<g><title>%s → %s: %s</title><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%[6]d\" fill=\"%s\" stroke=\"#ffffff\"/>",
				markup(label(c.foldedRows, from)), markup(c.title(to)), markup(cell.words()), x, y, svgCell, svgColours[cell.glyph])
			fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" font-size=\"%d\">%s</text></g>\n",
				x+svgCell/2, y+svgCell-7, svgSize(cell), markup(cell.show(o)))
		}
	}
}

// svgSize of the letters of a cell.
func svgSize(c gridCell) int {
	if length(c.text) > 1 {
		return 8
	}
	return 12
}

// words are what the cell says.
func (c gridCell) words() string {
	if c.glyph == mistake {
		return fmt.Sprintf("declared %s, computed %s", c.declared, c.computed)
	}
	return c.computed.String()
}

func (c *chart) svgLegend(s plan.Sheet) string {
	var o TextOptions
	var parts []string
	for _, g := range c.used() {
		if g != notAsked {
			parts = append(parts, planLegend(o.symbol(g)+" "+glyphs[g].meaning))
		}
	}
	if s.Tally.Disagree > 0 {
		parts = append(parts, o.symbol(mistake)+" declared left of it, computed right of it")
	}
	return strings.Join(parts, "   ")
}

// markup is foreign text that XML takes for text.
func markup(s string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(clean(s))); err != nil {
		return "" // a Builder does not fail
	}
	return b.String()
}
