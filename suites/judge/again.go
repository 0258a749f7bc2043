package judge

import "github.com/segtest/segtest/probes/matrix"

// Again lists the flows that a run leaves to be asked again, in the order of the
// record: those that failed or are inconclusive in some phase, all that were
// watched through a fault that did, and all flows where the run as a whole or a
// phase of it did.
func (r Result) Again() []int {
	again := make([]bool, len(r.Flows))
	everything := func() {
		for i := range again {
			again[i] = true
		}
	}
	for _, c := range r.Cases {
		switch {
		case c.Unjudged != "", c.Verdict == matrix.Pass, c.Verdict == matrix.KnownGap:
		case c.Flow != None:
			again[c.Flow] = true
		case c.Fault != None && len(r.Faults[c.Fault].Watched) > 0:
			for _, w := range r.Faults[c.Fault].Watched {
				if w.Flow >= 0 && w.Flow < len(again) {
					again[w.Flow] = true
				}
			}
		default:
			everything()
		}
	}
	var flows []int
	for i, f := range r.Flows {
		if again[i] && !f.Control {
			flows = append(flows, i)
		}
	}
	return flows
}
