package judge

import (
	"fmt"
	"time"

	"github.com/segtest/segtest/probes/matrix"
)

// findings gather what is to be said of one flow through one fault. The zero
// value would be Inconclusive; begin with pass.
type findings struct {
	verdict matrix.Verdict
	kind    Kind
	reasons []string
	blips   int
}

// add keeps the worst verdict, its kind, and every reason.
func (f *findings) add(v matrix.Verdict, k Kind, reason string) {
	if matrix.Worst(f.verdict, v) != f.verdict {
		f.verdict, f.kind = v, k
	}
	f.reasons = append(f.reasons, reason)
}

// void takes into account that silence can have another cause than the policies:
// a deny did not hold for certain, and an outage is not the network's for
// certain. What got through a deny got through.
func (f *findings) void(deny bool, cause string) {
	if !deny {
		f.verdict = matrix.Pass // what add makes worse
	}
	f.add(matrix.Inconclusive, "", cause)
}

// findings compares the windows with what the fault and the profile explain.
// doubtful says that the fault itself is in doubt, so that its explanation has
// no end.
func (t *trace) findings(doubtful bool) findings {
	found := findings{verdict: matrix.Pass}
	if t.deny {
		t.leaks(&found)
	} else {
		t.outages(&found, doubtful)
	}
	return found
}

// leaks: a denied flow must stay closed at every instant. Only a gap that the
// profile knows excuses an opening, from the injection on, and only up to its
// bound, over all windows of the flow together.
//
// The true length is between the lower and the upper bound. It is a known gap
// where the upper bound is within the gap's, and a Fail where the lower bound is
// beyond it. In between the record proves neither, so the flow is Inconclusive:
// a gap's bound is seconds and the two bounds are two samples apart, so that
// this means a starved sampler far more often than bad luck.
func (t *trace) leaks(found *findings) {
	var lower, upper time.Duration
	bounded, gaps := true, 0
	for _, w := range t.windows {
		switch {
		case w.Seen < t.fault.Injected[0]:
			found.add(matrix.Fail, KindLeakFault, fmt.Sprintf("open for %s before the fault was injected", Span(w)))
		case t.expect.Gap == "":
			found.add(matrix.Fail, KindLeakFault, fmt.Sprintf("open for %s, first by %s, %s after the injection", Span(w), w.Outcome, Short(w.Seen-t.fault.Injected[0])))
		case t.fault.Healed.Seen && w.First > t.fault.Healed.At+t.grace():
			found.add(matrix.Fail, KindLeakFault, fmt.Sprintf("open for %s long after the fault had healed, which the known gap %s does not explain", Span(w), t.expect.Gap))
		default:
			lower, upper, gaps = lower+w.Lower, upper+w.Upper, gaps+1
			bounded = bounded && w.Bounded()
		}
	}
	gap, bound := t.expect.Gap, t.bound()
	switch {
	case gaps == 0 && gap != "" && len(t.windows) == 0:
		found.reasons = append(found.reasons, "the known gap "+gap+" was not seen in this run")
	case gaps == 0:
	case lower > bound:
		found.add(matrix.Fail, KindLeakFault, fmt.Sprintf("open for at least %s, the known gap %s is at most %s", Short(lower), gap, Short(bound)))
	case bounded && upper <= bound:
		found.add(matrix.KnownGap, KindGap, fmt.Sprintf("open for %s to %s, the known gap %s is at most %s", Short(lower), Short(upper), gap, Short(bound)))
	default:
		found.add(matrix.Inconclusive, "", fmt.Sprintf("open for %s or more and perhaps longer than the %s of the known gap %s: the samples cannot tell", Short(lower), Short(bound), gap))
	}
}

// grace is how long after healing a known gap may still open.
func (t *trace) grace() time.Duration {
	if t.expect.Grace > 0 {
		return t.expect.Grace
	}
	return t.expect.Bound
}

// bound is how long a known gap may be in this fault: what the profile knows
// at most, and no longer than the fault really lasted, with the grace.
func (t *trace) bound() time.Duration {
	if !t.fault.Healed.Seen {
		return t.expect.Bound
	}
	return min(t.expect.Bound, t.fault.Healed.At-t.fault.Injected[0]+t.grace())
}

// outages: an allowed flow may close only where the fault explains it, from the
// injection on, and must be back within the bound after healing began.
func (t *trace) outages(found *findings, doubtful bool) {
	explains := t.expect.Outage || t.expect.Unobservable
	limit := until(t.fault)
	if doubtful || t.fault.HealStart == 0 {
		limit = 1<<63 - 1 // the fault is judged for that already
	}
	for _, w := range t.windows {
		explained := explains && w.First >= t.fault.Injected[0]
		switch {
		case explained && w.Last <= limit && w.OpenEnd:
			found.add(matrix.Inconclusive, "", fmt.Sprintf("closed for %s and not seen to recover before the watching ended", Span(w)))
		case explained && w.Before <= limit:
		case explained && w.Last <= limit && w.Before-w.Last <= 2*t.period:
			// Recovered at the bound, as exactly as samples can tell.
		case explained && w.Last <= limit:
			found.add(matrix.Inconclusive, "", fmt.Sprintf("recovered %s to %s after healing began, the bound is %s: the samples cannot tell", Short(w.Last-t.fault.HealStart), Short(w.Before-t.fault.HealStart), Short(t.fault.RecoverWithin)))
		case t.blip(w):
			found.blips++
		case explained:
			found.add(matrix.Fail, KindOutageFault, fmt.Sprintf("closed for %s: still closed %s after healing began, the bound is %s", Span(w), Short(w.Last-t.fault.HealStart), Short(t.fault.RecoverWithin)))
		default:
			found.add(matrix.Fail, KindOutageFault, fmt.Sprintf("closed for %s, first by %s: the fault does not explain it", Span(w), w.Outcome))
		}
	}
	if most := max(1, int(blipShare*float64(t.known))); found.blips > most {
		found.add(matrix.Fail, KindOutageFault, fmt.Sprintf("%d single samples were lost, at most %d are taken for chance", found.blips, most))
	}
}

// blip reports a single lost sample between two good ones.
func (t *trace) blip(w Window) bool {
	return w.Samples == 1 && w.Outcome == matrix.TimedOut && w.Bounded()
}
