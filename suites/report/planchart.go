package report

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/plan"
)

// Folding says which endpoints of a plan share a row or a column.
type Folding uint8

// The foldings.
const (
	FoldReplicas Folding = iota // replicas of one workload, where all their cells are equal
	FoldNothing
	FoldGroups // all endpoints whose cells are equal; wants a folded Sheet
)

// chart is a plan as a grid.
type chart struct {
	grid
	snapshot bool   // it asks more than the canary port
	bands    []band // rows and columns that hold several workloads, in order of name
	rowOf    map[matrix.Endpoint]matrix.Endpoint
	colOf    map[matrix.Endpoint]matrix.Endpoint
}

// band is endpoints that share a row or a column, under one name.
type band struct {
	name    matrix.Endpoint
	members plan.Group
	parts   []matrix.Endpoint // members, as people name them
}

func newChart(s plan.Sheet, folding Folding, o TextOptions) chart {
	c := chart{snapshot: len(s.Blocks) > 0, rowOf: map[matrix.Endpoint]matrix.Endpoint{}, colOf: map[matrix.Endpoint]matrix.Endpoint{}}
	if folding == FoldGroups {
		c.fold(s, o)
		return c
	}
	cells := make([]gridCell, len(s.Cells))
	for i, cell := range s.Cells {
		cells[i] = planCell(cell, o)
	}
	if folding == FoldReplicas {
		c.grid = newGrid(cells)
	} else {
		c.grid.fill(c.grid.dropCanaries(cells))
	}
	for _, group := range s.From {
		for _, e := range group {
			c.rowOf[e], c.colOf[e] = fold(c.foldedRows, e), fold(c.foldedColumns, e)
		}
	}
	return c
}

// canaries says what became of the columns that are not shown.
func (c *chart) canaries() string {
	if !c.snapshot || c.canary == 0 {
		return c.grid.canaries()
	}
	return fmt.Sprintf("and %s to ports that nobody declares or outside of the cluster: %s", count(c.canary, "flow"), c.canaryText("allowed"))
}

// pairing is what the cells of a Sheet show, by positions of sender and
// receiver, as numbers that are the same for the same; 0 where a pair holds
// nothing but a pod that asks itself.
type pairing struct {
	shown [][]int
	cells [][][]plan.Cell // likewise
}

func pair(s plan.Sheet) pairing {
	p := pairing{shown: make([][]int, len(s.From)), cells: make([][][]plan.Cell, len(s.From))}
	for i := range s.From {
		p.shown[i], p.cells[i] = make([]int, len(s.To)), make([][]plan.Cell, len(s.To))
	}
	numbers := map[string]int{"": 0}
	var text []byte
	for rest := s.Cells; len(rest) > 0; {
		i, j, n := rest[0].From, rest[0].To, 0
		text = text[:0]
		for ; n < len(rest) && rest[n].From == i && rest[n].To == j; n++ {
			if c := rest[n]; c.Flow.From != c.Flow.To {
				text = binary.LittleEndian.AppendUint16(text, c.Flow.Port)
				if !c.Differs() {
					c.Declared = matrix.Unstated // it does not show
				}
				text = append(text, byte(c.Flow.Protocol), byte(c.Flow.Way), byte(c.Flow.Family), byte(c.Declared), byte(c.Computed))
			}
		}
		number, ok := numbers[string(text)]
		if !ok {
			number = len(numbers)
			numbers[string(text)] = number
		}
		p.shown[i][j], p.cells[i][j] = number, rest[:n]
		rest = rest[n:]
	}
	return p
}

// merge puts rows together that show the same wherever both show something. It
// gives the numbers of the rows of each, and what they show together.
func merge(rows [][]int) (merged [][]int, shown [][]int) {
	for i, row := range rows {
		at := slices.IndexFunc(shown, func(other []int) bool {
			for k := range row {
				if row[k] != 0 && other[k] != 0 && row[k] != other[k] {
					return false
				}
			}
			return true
		})
		if at < 0 {
			merged, shown = append(merged, []int{i}), append(shown, slices.Clone(row))
			continue
		}
		merged[at] = append(merged[at], i)
		for k, v := range row {
			shown[at][k] = max(shown[at][k], v)
		}
	}
	return merged, shown
}

func transposed(rows [][]int) [][]int {
	if len(rows) == 0 {
		return nil
	}
	out := make([][]int, len(rows[0]))
	for _, row := range rows {
		for k, v := range row {
			out[k] = append(out[k], v)
		}
	}
	return out
}

// fold makes the chart of a folded Sheet. Its groups tell rules apart, which the
// chart does not show.
func (c *chart) fold(s plan.Sheet, o TextOptions) {
	p := pair(s)
	rows, shown := merge(p.shown)
	columns, _ := merge(transposed(shown))
	n := names(s)
	from, to := n.bands(s.From, rows), n.bands(s.To, columns)
	var cells []gridCell
	for i, row := range rows {
		for j, column := range columns {
			cells = append(cells, p.band(row, column, from[i].name, to[j].name, o)...)
		}
	}
	c.grid.fill(c.grid.dropCanaries(cells))
	for _, of := range []struct {
		bands []band
		names map[matrix.Endpoint]matrix.Endpoint
	}{{from, c.rowOf}, {to, c.colOf}} {
		for _, b := range of.bands {
			for _, e := range b.members {
				of.names[e] = b.name
			}
			if len(b.parts) > 1 && !slices.ContainsFunc(c.bands, func(k band) bool { return k.name == b.name && slices.Equal(k.members, b.members) }) {
				c.bands = append(c.bands, b)
			}
		}
	}
	slices.SortStableFunc(c.bands, func(a, b band) int { return strings.Compare(string(a.name), string(b.name)) })
}

// band is the cells between two bands. A pod that asks itself shows only where
// nothing else does.
func (p pairing) band(rows, columns []int, from, to matrix.Endpoint, o TextOptions) []gridCell {
	var cells, own []gridCell
	at := map[column]int{}
	for _, i := range rows {
		for _, j := range columns {
			for _, cell := range p.cells[i][j] {
				shown := planCell(cell, o)
				shown.flow.From, shown.flow.To = from, to
				if cell.Flow.From == cell.Flow.To {
					own = append(own, shown)
					continue
				}
				f := cell.Flow
				k := column{"", f.Protocol, f.Port, f.Way, f.Family}
				if n, ok := at[k]; ok {
					cells[n].weight += cell.Count
					continue
				}
				at[k] = len(cells)
				cells = append(cells, shown)
			}
		}
	}
	if len(cells) == 0 {
		return own
	}
	return cells
}

// naming gives names to sets of endpoints.
type naming struct{ replicas map[matrix.Endpoint]int }

func names(s plan.Sheet) naming {
	return namesOf(slices.Concat(s.From...))
}

func namesOf(all plan.Group) naming {
	n := naming{map[matrix.Endpoint]int{}}
	for _, e := range all {
		n.replicas[base(e)]++
	}
	return n
}

// parts are the workloads that are in a group with all their replicas, and the
// other endpoints one by one, in order.
func (n naming) parts(g plan.Group) []matrix.Endpoint {
	inside := map[matrix.Endpoint]int{}
	for _, e := range g {
		inside[base(e)]++
	}
	parts := map[matrix.Endpoint]bool{}
	for _, e := range g {
		b := base(e)
		switch {
		case n.replicas[b] == 1 || inside[b] < n.replicas[b]:
			parts[e] = true
		default:
			parts[matrix.Endpoint(fmt.Sprintf("%s ×%d", b, n.replicas[b]))] = true
		}
	}
	return slices.Sorted(maps.Keys(parts))
}

// name of a group: its only part, or the first one and how many more there are.
func (n naming) name(g plan.Group) matrix.Endpoint {
	parts := n.parts(g)
	if len(parts) == 1 {
		return parts[0]
	}
	return matrix.Endpoint(fmt.Sprintf("%s +%d", parts[0], len(parts)-1))
}

func (n naming) bands(groups []plan.Group, merged [][]int) []band {
	bands := make([]band, len(merged))
	for i, numbers := range merged {
		b := &bands[i]
		for _, k := range numbers {
			b.members = append(b.members, groups[k]...)
		}
		slices.Sort(b.members)
		b.name, b.parts = n.name(b.members), n.parts(b.members)
	}
	return bands
}
