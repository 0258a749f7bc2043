package judge

import (
	"fmt"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
	"github.com/segtest/segtest/suites/run/record"
)

// steadySamples are how many must show that a change had something to change,
// and how many, up to the last one, that it took effect.
const steadySamples = 5

// step is one change at one node: when the flow became what it was to become,
// for good.
type step struct {
	Bounds            // of the time from the change to its effect
	resolution        time.Duration
	period            time.Duration // between samples, in the mean
	never             bool          // it took no effect in all the time that it was given
	watched           time.Duration // after the change
	last              matrix.Outcome
	doubt             string // why the rest means nothing; "" where it does
	before, after     int    // samples that were not yet as wanted before the change, and those that were up to the end
	lastWrong, become time.Duration
}

// newStep reads a change. Its effect is between the last sample that was not yet
// as wanted and the first of the unbroken rest that were; samples that say
// nothing make that wider. A call of the API server changes something at some
// time while it lasts, so that the bounds count from its end and its beginning.
func newStep(r record.Change) step {
	var s step
	s.read(r)
	switch {
	case r.Write[0] <= 0 || r.Write[1] < r.Write[0]:
		s.doubt = sentence(": ", "the change was not made", r.Error)
	case len(r.Series.Runs) == 0:
		s.doubt = sentence(": ", "nothing was sampled", r.Error)
	case s.before < steadySamples:
		s.doubt = fmt.Sprintf("%d samples say how it was before the change, %d are needed", s.before, steadySamples)
	case s.after == 0 && s.watched+2*r.Period < r.Limit:
		s.doubt = fmt.Sprintf("it had no effect yet when the sampling ended, after %s", Short(s.watched))
	case s.after == 0 && r.To == matrix.Allow && !r.Proof.Blocked():
		s.doubt = fmt.Sprintf("it did not open, and nothing proves that its receiver was up (%s)", r.Proof)
	case s.after == 0:
		s.never = true
	case s.after < steadySamples:
		s.doubt = fmt.Sprintf("it was %s for the last %d samples only, %d are needed", effect(r.To), s.after, steadySamples)
	case s.lastWrong < r.Write[0] && s.become < r.Write[0]:
		s.doubt = fmt.Sprintf("it was %s before the change", effect(r.To))
	case r.To == matrix.Deny && !r.Proof.Blocked() && r.Proof != matrix.OneWay:
		s.doubt = fmt.Sprintf("it was silent, and nothing proves that its receiver was up (%s)", r.Proof)
	}
	s.Bounds = Bounds{max(0, s.lastWrong-r.Write[1]), s.become - r.Write[0]}
	s.resolution = s.become - s.lastWrong
	return s
}

// read the samples. One lost packet between two that came through is no closing.
func (s *step) read(r record.Change) {
	runs := r.Series.Runs
	known := func(i int) mark { return changed(runs[i], r.To) }
	for i, run := range runs {
		m := known(i)
		if m == blind {
			continue
		}
		s.watched, s.last = run.Last-r.Write[1], run.Outcome
		alone := r.To == matrix.Allow && run.Count == 1 && run.Outcome == matrix.TimedOut && s.after > 0 && i+1 < len(runs) && known(i+1) == right
		switch {
		case alone:
		case m == wrong:
			s.lastWrong, s.after = run.Last, 0
			s.before += stretch{count: run.Count, first: run.First, last: run.Last}.before(r.Write[0])
		default:
			if s.after == 0 {
				s.become = run.First
			}
			s.after += run.Count
		}
	}
	if n := r.Series.Scheduled; n > 1 {
		s.period = (runs[len(runs)-1].Last - runs[0].First) / time.Duration(n-1)
	}
}

// changed says whether a sample is as the change wants it. Silence of a starved
// sampler says nothing: no log of a receiver speaks for it.
func changed(r wire.Run, to matrix.Intent) mark {
	o := r.Outcome
	switch {
	case !o.Passed() && !o.Blocked(), r.Starved && (o == matrix.TimedOut || o == matrix.HandshakeOnly):
		return blind
	case to == matrix.Deny && o.Blocked(), to == matrix.Allow && o == matrix.Connected:
		return right
	}
	return wrong
}
