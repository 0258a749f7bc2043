package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
)

const (
	maxRows   = 40 // of a grid; more do not fit a screen
	maxBlocks = 3  // of columns below each other
)

// text lays the grid out within a width. A grid that is too large is cut down
// to what needs a look.
func (g *grid) text(o TextOptions) []string {
	if len(g.rows) == 0 || len(g.columns) == 0 {
		return nil
	}
	var notes []string
	rows, columns := g.rows, g.columns
	if len(rows) > maxRows {
		rows = slices.DeleteFunc(slices.Clone(rows), func(e matrix.Endpoint) bool { return !g.look(e, columns) })
		rows = rows[:min(len(rows), maxRows)]
		notes = append(notes, fmt.Sprintf("%d of %d senders, those that need a look; the other formats have all", len(rows), len(g.rows)))
	}
	namespace := g.namespace()
	blocks := g.blocks(o, rows, columns, namespace)
	if len(blocks) > maxBlocks {
		bad := slices.DeleteFunc(slices.Clone(columns), func(c column) bool {
			return !slices.ContainsFunc(rows, func(e matrix.Endpoint) bool { return g.look(e, []column{c}) })
		})
		blocks = g.blocks(o, rows, bad, namespace)
		blocks = blocks[:min(len(blocks), maxBlocks)]
		shown := 0
		for _, b := range blocks {
			shown += len(b)
		}
		notes = append(notes, fmt.Sprintf("%d of %d ports, those that need a look; the other formats have all", shown, len(g.columns)))
	}
	var out []string
	for i, b := range blocks {
		if i > 0 {
			out = append(out, "")
		}
		out = append(out, g.block(o, rows, b, namespace)...)
	}
	for _, n := range notes {
		out = append(out, o.paint(dim, "  "+n))
	}
	return out
}

func (g *grid) look(e matrix.Endpoint, columns []column) bool {
	return slices.ContainsFunc(columns, func(c column) bool {
		cell, ok := g.cells[e][c]
		return ok && (!cell.glyph.good() || cell.text != "")
	})
}

// namespace is the one that all endpoints share, "" where they share none.
func (g *grid) namespace() string {
	all := g.rows
	for _, c := range g.columns {
		all = append(slices.Clone(all), c.to)
	}
	ns := all[0].Namespace()
	for _, e := range all {
		if e.Namespace() != ns {
			return ""
		}
	}
	return ns
}

// short is a label without the namespace that all share.
func short(folded map[matrix.Endpoint]int, e matrix.Endpoint, namespace string) string {
	if namespace == "" {
		return label(folded, e)
	}
	return strings.TrimPrefix(label(folded, e), namespace+"/")
}

// corner is the title above the rows.
func corner(namespace string) string {
	if namespace == "" {
		return "from ↓  to →"
	}
	return namespace + ": from ↓  to →"
}

func (g *grid) rowWidth(o TextOptions, rows []matrix.Endpoint, namespace string) int {
	width := length(o.ascii(corner(namespace)))
	for _, e := range rows {
		width = max(width, length(o.ascii(short(g.foldedRows, e, namespace))))
	}
	return width + 4 // two before, two after
}

// blocks splits the columns so that each block fits the width; the ports of one
// receiver stay together where they can.
func (g *grid) blocks(o TextOptions, rows []matrix.Endpoint, columns []column, namespace string) [][]column {
	var out [][]column
	room := o.width() - g.rowWidth(o, rows, namespace)
	var block []column
	used := 0
	for _, group := range groups(columns) {
		width := 0
		for _, w := range g.widths(o, group, namespace) {
			width += w
		}
		if used > 0 && used+width > room {
			out = append(out, block)
			block, used = nil, 0
		}
		block, used = append(block, group...), used+width
	}
	if len(block) > 0 {
		out = append(out, block)
	}
	return out
}

// groups are runs of columns of one receiver.
func groups(columns []column) [][]column {
	var out [][]column
	for _, c := range columns {
		if n := len(out); n > 0 && out[n-1][0].to == c.to {
			out[n-1] = append(out[n-1], c)
			continue
		}
		out = append(out, []column{c})
	}
	return out
}

// widths are those of the columns of one receiver, with the space after them;
// together they hold its name.
func (g *grid) widths(o TextOptions, group []column, namespace string) []int {
	var out []int
	total := 0
	for _, c := range group {
		w := max(length(c.head()), 3) + 2
		out, total = append(out, w), total+w
	}
	name := length(o.ascii(short(g.foldedColumns, group[0].to, namespace))) + 2
	out[len(out)-1] += max(0, name-total)
	return out
}

// block is one table: names, ports, rows.
func (g *grid) block(o TextOptions, rows []matrix.Endpoint, columns []column, namespace string) []string {
	left := g.rowWidth(o, rows, namespace)
	names := pad("  "+o.ascii(corner(namespace)), left)
	ports := strings.Repeat(" ", left)
	var widths []int
	for _, group := range groups(columns) {
		ws := g.widths(o, group, namespace)
		total := 0
		for i, c := range group {
			total += ws[i]
			ports += pad(c.head(), ws[i])
		}
		names += pad(o.ascii(short(g.foldedColumns, group[0].to, namespace)), total)
		widths = append(widths, ws...)
	}
	out := []string{o.paint(bold, strings.TrimRight(names, " ")), o.paint(dim, strings.TrimRight(ports, " "))}
	for _, e := range rows {
		line := pad("  "+o.ascii(short(g.foldedRows, e, namespace)), left)
		for i, c := range columns {
			cell := g.cells[e][c]
			text := cell.text
			if text == "" {
				text = o.symbol(cell.glyph)
			}
			text = o.ascii(text)
			gap := strings.Repeat(" ", max(1, widths[i]-length(text)))
			line += o.paint(glyphs[cell.glyph].colour, text) + gap
		}
		out = append(out, strings.TrimRight(line, " "))
	}
	return out
}

// legend explains the symbols that occur.
func (g *grid) legend(o TextOptions, more ...string) []string {
	var parts []string
	for _, s := range g.used() {
		if s != notAsked {
			parts = append(parts, o.paint(glyphs[s].colour, o.symbol(s))+" "+glyphs[s].meaning)
		}
	}
	return o.flow("  ", "   ", append(parts, more...))
}
