package judge

import (
	"sort"
	"time"

	"github.com/segtest/segtest/probes/matrix"
)

// Window is a stretch in which a flow was not as it must be: a leak of a denied
// flow, an outage of an allowed one. A sample is a point in time, that of its
// first packet; its deadline is below the time of a retransmission, so no
// sample speaks for another instant. The exception is an answer that came only
// after the kernel of a frozen sampler had tried again: it speaks for some
// instant between its first packet and the answer, and for no length of time.
// Between two samples that agree nothing is
// taken to have changed, which holds for changes slower than the period.
type Window struct {
	First time.Duration // first sample that was wrong
	// Seen is when the flow was wrong at the latest for the first time: First,
	// or the answer where that came late.
	Seen time.Duration
	Last time.Duration // last sample that was wrong
	// After and Before are the last right sample before the window and the first
	// one after it: the window is within them. Where there is none they are the
	// limits of what was watched, and OpenStart or OpenEnd is set: the window may
	// be longer than Upper.
	After, Before      time.Duration
	OpenStart, OpenEnd bool
	// Lower is the longest stretch of wrong samples without a hole between them,
	// Upper is Before − After: the window lasted at least Lower and, where neither
	// end is open, at most Upper.
	Lower, Upper time.Duration
	Samples      int            // wrong ones
	Outcome      matrix.Outcome // of the first wrong sample
	answer       time.Duration  // the last late one; the window may reach up to it
	slack        time.Duration  // how far After and Before may be off
	// AtResolution says that Upper is below two periods: the window is there, its
	// length says more about the sampling than about the network.
	AtResolution bool
}

// Bounded reports that Upper is an upper bound.
func (w Window) Bounded() bool { return !w.OpenStart && !w.OpenEnd }

// mark is what a stretch of samples says about a flow. The zero value says nothing.
type mark uint8

const (
	blind mark = iota
	right
	wrong
)

// stretch is consecutive samples with one outcome, evenly spread from first to last.
type stretch struct {
	mark        mark
	outcome     matrix.Outcome
	count       int
	first, last time.Duration
	// answer is when the last answer came, where that was so late that another
	// packet than the first may have got through; 0 where it was not.
	answer time.Duration
	// slack is how far the times of its neighbours may be off, where they are not
	// those of a sample but worked out from the samples around.
	slack time.Duration
}

// at is the time of sample i; exact for the first and the last.
func (s stretch) at(i int) time.Duration {
	switch {
	case i <= 0:
		return s.first
	case i >= s.count-1:
		return s.last
	}
	return s.first + time.Duration(float64(s.last-s.first)*float64(i)/float64(s.count-1))
}

// before is how many of the samples were taken before t.
func (s stretch) before(t time.Duration) int {
	return sort.Search(s.count, func(i int) bool { return s.at(i) >= t })
}

// part is samples i up to, not including, j.
func (s stretch) part(i, j int) stretch {
	p := s
	p.count, p.first, p.last = j-i, s.at(i), s.at(j-1)
	return p
}

// within counts the samples from one time up to, not including, another.
func (s stretch) within(from, to time.Duration) int {
	return max(0, s.before(to)-s.before(from))
}

// cut hides what the samples from one time up to another say, where drop wants it.
func cut(in []stretch, from, to time.Duration, drop func(stretch) bool) []stretch {
	var out []stretch
	for _, s := range in {
		i, j := s.before(from), s.before(to)
		if i >= j || !drop(s) {
			out = append(out, s)
			continue
		}
		if i > 0 {
			out = append(out, s.part(0, i))
		}
		hidden := s.part(i, j)
		hidden.mark = blind
		out = append(out, hidden)
		if j < s.count {
			out = append(out, s.part(j, s.count))
		}
	}
	return out
}

// windows finds every maximal run of wrong samples. Blind samples neither begin
// nor end a window; they only make its bounds wider. from and to limit what was
// watched.
func windows(in []stretch, from, to, period time.Duration) []Window {
	var out []Window
	after, seen := from, false // the last right sample so far
	var w *Window
	run := time.Duration(0) // first sample of the present stretch without a hole
	holed := false
	for _, s := range in {
		switch s.mark {
		case blind:
			holed = true
		case right:
			if w != nil {
				w.Before, w.OpenEnd = s.first, false
				w = nil
			}
			after, seen = s.last, true
		case wrong:
			if w == nil {
				out = append(out, Window{First: s.first, Seen: max(s.first, s.answer), After: after, OpenStart: !seen, Before: to, OpenEnd: true, Outcome: s.outcome})
				w = &out[len(out)-1]
				run = s.first
			} else if holed {
				run = s.first
			}
			holed = s.answer > 0 // it says nothing of how long
			w.Last = s.last
			w.answer, w.slack = max(w.answer, s.answer), max(w.slack, s.slack)
			w.Samples += s.count
			if !holed {
				w.Lower = max(w.Lower, s.last-run)
			}
		}
	}
	for i := range out {
		finish(&out[i], period)
	}
	return out
}

func finish(w *Window, period time.Duration) {
	w.After = min(w.After, w.First) // what was watched begins with the first sample at the latest
	w.Before = max(w.Before, w.Last, w.answer)
	if !w.OpenStart {
		w.After -= w.slack
	}
	if !w.OpenEnd {
		w.Before += w.slack
	}
	w.Upper = w.Before - w.After
	w.AtResolution = w.Bounded() && w.Upper < 2*period
}

// hole is the longest time between two neighbouring samples that say something,
// and between those and the limits of what was watched.
func hole(in []stretch, from, to time.Duration) time.Duration {
	longest, last := time.Duration(0), from
	for _, s := range in {
		if s.mark == blind {
			continue
		}
		longest = max(longest, s.first-last)
		if s.count > 1 {
			longest = max(longest, (s.last-s.first)/time.Duration(s.count-1))
		}
		last = max(last, s.last)
	}
	return max(longest, to-last)
}
