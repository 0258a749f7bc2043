package judge

import (
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
	"github.com/segtest/segtest/suites/run/record"
)

// RowNames are the names of the verdict table's rows.
func RowNames() []string {
	var out []string
	for _, r := range table {
		out = append(out, r.name)
	}
	return out
}

// Rows counts the rows that decide each combination of the table, the four
// rows that look at a single column apart.
func Rows(declared, computed matrix.Intent, seen uint8) (n int) {
	for _, r := range table {
		if len(r.declared) > 0 && len(r.computed) > 0 && r.matches(declared, computed, sight(seen)) {
			n++
		}
	}
	return n
}

// WindowsOf finds the windows of a series.
func WindowsOf(runs []wire.Run, deny bool, from, to, period time.Duration) []Window {
	f := record.Fault{SampleFrom: from, SampleTo: to, Period: period}
	return newTrace(f, record.Watched{Series: wire.Series{Runs: runs}}, deny, false).windows
}

// ArrivalWindows finds the windows of a denied flow with what its receiver logged.
func ArrivalWindows(w record.Watched, from, to, period time.Duration) []Window {
	f := record.Fault{SampleFrom: from, SampleTo: to, Period: period}
	return newTrace(f, w, true, false).windows
}
