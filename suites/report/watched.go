package report

import (
	"fmt"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/judge"
)

// watchedText says which flows were watched through the faults, each counted
// once, and how closely.
func watchedText(r judge.Result) string {
	denied, allowed, hidden := map[int]bool{}, map[int]bool{}, map[int]bool{}
	var hot, cold time.Duration // the longest period of either
	hottest := 0                // the most flows that one fault watched at its shortest period
	judged := judgedIn(r)
	for i, f := range r.Faults {
		n := 0
		for _, w := range f.Watched {
			if !judged[[2]int{i, w.Flow}] || len(w.Series.Runs) == 0 && len(w.Arrivals) == 0 {
				continue
			}
			if r.Flows[w.Flow].Computed.Intent == matrix.Deny {
				denied[w.Flow] = true
			} else {
				allowed[w.Flow] = true
			}
			if w.Expect.Unobservable {
				hidden[w.Flow] = true
			}
			if w.Period <= f.Period { // 0 is the fault's
				hot = max(hot, f.Period)
				n++
			} else {
				cold = max(cold, w.Period)
			}
		}
		hottest = max(hottest, n)
	}
	if len(denied)+len(allowed) == 0 {
		return ""
	}
	often := "every " + judge.Short(hot)
	if cold > 0 {
		often = fmt.Sprintf("up to %d at a time %s, the others every %s", hottest, often, judge.Short(cold))
	}
	s := fmt.Sprintf("watched: %s that must stay closed, %d that must work; %s", count(len(denied), "flow"), len(allowed), often)
	if len(hidden) > 0 {
		s += fmt.Sprintf("; %d out of sight while a pod or node was gone", len(hidden))
	}
	return s
}

// judgedIn holds the pairs of a fault and a flow that were judged.
func judgedIn(r judge.Result) map[[2]int]bool {
	judged := map[[2]int]bool{}
	for _, c := range r.Cases {
		if c.Fault != judge.None && c.Flow != judge.None && c.Unjudged == "" {
			judged[[2]int{c.Fault, c.Flow}] = true
		}
	}
	return judged
}
