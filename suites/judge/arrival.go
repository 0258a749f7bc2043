package judge

import (
	"fmt"
	"slices"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/run/record"
)

// arrive takes over what the receiver of a denied flow logged: a packet that is
// there got through, whatever its sender saw.
//
// A packet that arrived while both ends were there belongs to the sample that
// began right before it, which is then no silence. Where there is none, as of a
// sender that took its samples with it, it speaks for its own instant. What was
// logged while an end was frozen or gone may have come at any time since the
// injection; it tells nothing new where the sender saw itself get through as
// often.
func (t *trace) arrive(arrivals []record.Arrival, heard bool) {
	var late time.Duration
	var alone []stretch
	var claimed []time.Duration // samples whose packet is known
	hidden := 0
	for _, a := range arrivals {
		switch {
		case a.At <= 0:
			t.undated++
		case t.hidden[0] < t.hidden[1] && a.At >= t.hidden[0] && a.At <= t.hidden[1]:
			late = max(late, a.At)
			hidden++
		default:
			if at, ok := t.through(a.At); ok {
				claimed = append(claimed, at)
			} else {
				alone = append(alone, instant(a.At, a.At))
			}
		}
	}
	if from := t.fault.Injected[0]; hidden > t.answered(from, late+t.slack()+1, claimed) {
		alone = append(alone, instant(min(from, late), late))
	}
	for _, a := range alone {
		t.insert(a)
	}
	if t.vouched && heard {
		t.enclose(alone)
	}
}

// answered counts the samples from one time up to another that got through,
// without those whose packet is known to be another's.
func (t *trace) answered(from, to time.Duration, claimed []time.Duration) int {
	n := 0
	for _, s := range t.samples {
		if s.mark == wrong && s.outcome != matrix.WrongPeer {
			n += s.within(from, to)
		}
	}
	for _, at := range claimed {
		if at >= from && at < to {
			n--
		}
	}
	return max(0, n)
}

// enclose bounds what a sender got through that took its samples with it. It
// asked once a period, and what arrived until right before the fault, where that
// took the receiver, and from then on is known: where nothing got through for
// longer, the flow was closed or nobody was left to use it.
func (t *trace) enclose(alone []stretch) {
	silent := func(from, to time.Duration) bool {
		return !slices.ContainsFunc(t.samples, func(s stretch) bool { return s.mark == wrong && s.within(from+1, to) > 0 })
	}
	closed := func(at time.Duration) {
		t.insert(stretch{mark: right, outcome: matrix.TimedOut, count: 1, first: at, last: at})
	}
	long := t.period + t.slack()
	for _, a := range alone {
		if silent(a.first-long, a.first) && a.first-long >= t.fault.SampleFrom {
			closed(a.first - t.period)
		}
		if silent(a.answer, a.answer+long) {
			closed(a.answer + t.period)
		}
	}
}

// insert puts an instant between the samples before it and those at its time or
// after it.
func (t *trace) insert(a stretch) {
	a.slack = t.slack()
	var out []stretch
	placed := false
	for _, s := range t.samples {
		i := s.before(a.first)
		if i > 0 {
			out = append(out, s.part(0, i))
		}
		if i < s.count && !placed {
			out, placed = append(out, a), true
		}
		if i < s.count {
			out = append(out, s.part(i, s.count))
		}
	}
	if !placed {
		out = append(out, a)
	}
	t.samples = out
}

// slack is how far the time of a sample inside a run may be off: samples begin
// up to a tenth of a period beside their time, and a run has the exact times of
// its first and last one only.
func (t *trace) slack() time.Duration { return t.period / 3 }

// instant is a packet that got through at some time between two, and that says
// nothing of how long the flow was open.
func instant(from, to time.Duration) stretch {
	return stretch{mark: wrong, outcome: matrix.OneWay, count: 1, first: from, last: from, answer: to}
}

// through marks the sample that a packet at a time belongs to, and says when
// that was taken, if there is one.
func (t *trace) through(at time.Duration) (time.Duration, bool) {
	slack := t.slack()
	for i := len(t.samples) - 1; i >= 0; i-- {
		s := t.samples[i]
		n := s.before(at + slack + 1)
		if n == 0 {
			continue // it begins later
		}
		if at-s.at(n-1) > t.period+slack {
			return 0, false // too long ago
		}
		if s.mark == wrong {
			return s.at(n - 1), true
		}
		t.samples = slices.Replace(t.samples, i, i+1, s.but(n-1, stretch{mark: wrong, outcome: matrix.OneWay, count: 1, first: at, last: at, slack: slack})...)
		return at, true
	}
	return 0, false
}

// but is a stretch with another one in the place of sample i.
func (s stretch) but(i int, other stretch) []stretch {
	var out []stretch
	if i > 0 {
		out = append(out, s.part(0, i))
	}
	out = append(out, other)
	if i+1 < s.count {
		out = append(out, s.part(i+1, s.count))
	}
	return out
}

// heard finds fault with what is not known of a denied flow's arrivals. unlogged
// says what no receiver can log: then its samples speak alone, and nothing does
// while an end was frozen or gone.
func (t *trace) heard(found *findings, w record.Watched, to matrix.Endpoint, unlogged string) {
	if t.undated > 0 {
		found.add(matrix.Inconclusive, "", fmt.Sprintf("%d packets of it arrived at %s and nothing tells when", t.undated, to))
	}
	switch {
	case w.Heard:
	case unlogged != "" && t.hidden[0] >= t.hidden[1]:
		found.reasons = append(found.reasons, unlogged)
	case unlogged != "":
		found.add(matrix.Inconclusive, "", "nothing tells what arrived at "+string(to)+" while an end was frozen or gone: "+unlogged)
	default:
		found.add(matrix.Inconclusive, "", sentence(": ", "what arrived at "+string(to)+" meanwhile is not known", w.Unheard))
	}
}
