package report

import (
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/plan"
)

// Shown is what the chart of a plan shows of a flow, false where it shows
// nothing, and how many rows it has.
func Shown(s plan.Sheet, folding Folding) (shown func(matrix.Flow) (string, bool), rows int) {
	c := newChart(s, folding, TextOptions{})
	return func(f matrix.Flow) (string, bool) {
		cell, ok := c.cells[c.rowOf[f.From]][column{c.colOf[f.To], f.Protocol, f.Port, f.Way, f.Family}]
		if !ok {
			return "", false
		}
		return cell.show(TextOptions{}), true
	}, len(c.rows)
}
