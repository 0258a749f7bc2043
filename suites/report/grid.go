package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
)

// gridCell is one flow and what the grid shows for it.
type gridCell struct {
	flow   matrix.Flow
	glyph  glyph
	text   string // instead of the glyph's symbol, where it is not ""
	canary bool
	weight int // flows that the cell stands for; 0 is 1
	// Of a plan, which has no glyph of its own for each way to differ.
	declared, computed matrix.Intent
}

// column is one listening port: all that a flow says but its sender.
type column struct {
	to       matrix.Endpoint
	protocol matrix.Protocol
	port     uint16
	way      matrix.Way
	family   matrix.Family
}

func (c column) compare(d column) int {
	return cmp.Or(cmp.Compare(c.to, d.to), cmp.Compare(c.port, d.port), cmp.Compare(c.protocol, d.protocol), cmp.Compare(c.way, d.way), cmp.Compare(c.family, d.family))
}

// head is the column's title: "5432", "53/UDP", "ICMP", "80 service".
func (c column) head() string {
	s := fmt.Sprint(c.port)
	switch c.protocol {
	case matrix.TCP:
	case matrix.ICMP:
		s = c.protocol.String()
	case matrix.UDP, matrix.SCTP:
		s += "/" + c.protocol.String()
	}
	if c.way != matrix.PodIP {
		s += " " + c.way.String()
	}
	if c.family != matrix.IPv4 {
		s += " " + c.family.String()
	}
	return s
}

// grid is senders by listening ports. Replicas of one workload are one row or
// column where all their cells are equal.
type grid struct {
	rows    []matrix.Endpoint
	columns []column
	cells   map[matrix.Endpoint]map[column]gridCell
	// Base names of folded workloads with the number of their replicas; a
	// workload can be one row and several columns.
	foldedRows    map[matrix.Endpoint]int
	foldedColumns map[matrix.Endpoint]int
	canary        int // flows of canary columns that are not shown
	ajar          int // those of them that are open
	unsure        int // those of them that are left open
}

// base is the workload's name: "shop/web" for "shop/web-0". A name without a
// number at its end is its own base.
func base(e matrix.Endpoint) matrix.Endpoint {
	s := strings.TrimRight(string(e), "0123456789")
	if s == string(e) || !strings.HasSuffix(s, "-") || len(s) < 2 {
		return e
	}
	return matrix.Endpoint(strings.TrimSuffix(s, "-"))
}

func newGrid(cells []gridCell) grid {
	g := grid{foldedRows: replicas(cells), foldedColumns: replicas(cells)}
	cells = g.dropCanaries(cells)
	for g.unfold(cells) {
	}
	g.fill(cells)
	return g
}

// flatGrid folds nothing: where only some flows were asked, a folded row would
// speak for replicas that nobody asked.
func flatGrid(cells []gridCell) grid {
	var g grid
	g.fill(g.dropCanaries(cells))
	return g
}

// replicas counts the endpoints of each workload that has several.
func replicas(cells []gridCell) map[matrix.Endpoint]int {
	seen := map[matrix.Endpoint]bool{}
	count := map[matrix.Endpoint]int{}
	for _, c := range cells {
		for _, e := range []matrix.Endpoint{c.flow.From, c.flow.To} {
			if !seen[e] {
				seen[e] = true
				count[base(e)]++
			}
		}
	}
	maps.DeleteFunc(count, func(_ matrix.Endpoint, n int) bool { return n < 2 })
	return count
}

// dropCanaries leaves out the canary ports of workloads on which all is well.
func (g *grid) dropCanaries(cells []gridCell) []gridCell {
	bad := map[matrix.Endpoint]bool{}
	for _, c := range cells {
		if c.canary && !c.glyph.good() {
			bad[base(c.flow.To)] = true
		}
	}
	var kept []gridCell
	for _, c := range cells {
		if c.canary && !bad[base(c.flow.To)] {
			flows := max(c.weight, 1)
			g.canary += flows
			switch c.glyph { //nolint:exhaustive // the others are closed
			case isOpen:
				g.ajar += flows
			case leftOpen:
				g.unsure += flows
			}
			continue
		}
		kept = append(kept, c)
	}
	return kept
}

// fold is the workload's name where that is folded, else the endpoint's own.
func fold(folded map[matrix.Endpoint]int, e matrix.Endpoint) matrix.Endpoint {
	if b := base(e); folded[b] > 0 {
		return b
	}
	return e
}

func (g *grid) place(f matrix.Flow) (matrix.Endpoint, column) {
	return fold(g.foldedRows, f.From), column{fold(g.foldedColumns, f.To), f.Protocol, f.Port, f.Way, f.Family}
}

// self reports a pod that asks itself within a folded workload: the workload's
// own cell is about its replicas among each other.
func (g *grid) self(c gridCell) bool {
	b := base(c.flow.From)
	return c.flow.From == c.flow.To && g.foldedRows[b]+g.foldedColumns[b] > 0 && c.glyph.good()
}

// unfold looks for a cell whose flows differ and unfolds the workload that
// makes the difference. It reports whether it found one.
func (g *grid) unfold(cells []gridCell) bool {
	type spot struct {
		from matrix.Endpoint
		to   column
	}
	first := map[spot]gridCell{}
	for _, c := range cells {
		if g.self(c) {
			continue
		}
		from, to := g.place(c.flow)
		seen, ok := first[spot{from, to}]
		if !ok {
			first[spot{from, to}] = c
			continue
		}
		if seen.glyph == c.glyph && seen.text == c.text {
			continue
		}
		var inside []gridCell
		for _, d := range cells {
			if f, t := g.place(d.flow); f == from && t == to && !g.self(d) {
				inside = append(inside, d)
			}
		}
		rows := differ(inside, func(f matrix.Flow) (matrix.Endpoint, matrix.Endpoint) { return f.To, f.From })
		columns := differ(inside, func(f matrix.Flow) (matrix.Endpoint, matrix.Endpoint) { return f.From, f.To })
		before := len(g.foldedRows) + len(g.foldedColumns)
		if rows || !columns {
			delete(g.foldedRows, from)
		}
		if columns || !rows {
			delete(g.foldedColumns, to.to)
		}
		if len(g.foldedRows)+len(g.foldedColumns) < before {
			return true
		}
	}
	return false
}

// differ reports that cells with one endpoint in common are not all equal.
func differ(cells []gridCell, split func(matrix.Flow) (common, other matrix.Endpoint)) bool {
	first := map[matrix.Endpoint]gridCell{}
	for _, c := range cells {
		common, _ := split(c.flow)
		if seen, ok := first[common]; ok && (seen.glyph != c.glyph || seen.text != c.text) {
			return true
		}
		first[common] = c
	}
	return false
}

func (g *grid) fill(cells []gridCell) {
	g.cells = map[matrix.Endpoint]map[column]gridCell{}
	columns := map[column]bool{}
	for _, c := range cells {
		from, to := g.place(c.flow)
		if g.cells[from] == nil {
			g.cells[from] = map[column]gridCell{}
		}
		columns[to] = true
		if g.self(c) {
			continue
		}
		g.cells[from][to] = c
	}
	g.rows = slices.Sorted(maps.Keys(g.cells))
	g.columns = slices.SortedFunc(maps.Keys(columns), column.compare)
}

// canaries says what became of the columns that are not shown.
func (g *grid) canaries() string {
	if g.canary == 0 {
		return ""
	}
	return fmt.Sprintf("and %s to the undeclared port: %s", count(g.canary, "flow"), g.canaryText("to pods that nothing isolates"))
}

// canaryText counts the flows that are not shown.
func (g *grid) canaryText(open string) string {
	text := fmt.Sprintf("%d denied, %d %s", g.canary-g.ajar-g.unsure, g.ajar, open)
	if g.unsure > 0 {
		text += fmt.Sprintf(", %d undefined", g.unsure)
	}
	return text
}

// label is a row's or column's name on one line, with the number of replicas.
func label(folded map[matrix.Endpoint]int, e matrix.Endpoint) string {
	name := strings.Join(strings.Fields(clean(string(e))), " ")
	if n := folded[e]; n > 0 {
		return fmt.Sprintf("%s ×%d", name, n)
	}
	return name
}

// used lists the glyphs that occur, in their order.
func (g *grid) used() []glyph {
	seen := map[glyph]bool{}
	for _, row := range g.cells {
		for _, c := range row {
			if c.text == "" {
				seen[c.glyph] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}
