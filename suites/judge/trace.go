package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
	"github.com/segtest/segtest/suites/run/record"
)

// retransmission is the initial timeout after which Linux sends a SYN again
// (RFC 6298 section 2): an answer that came later may be to another packet.
const retransmission = time.Second

// trace is what was seen on one flow through one fault.
type trace struct {
	fault    record.Fault
	expect   record.Expect
	deny     bool
	period   time.Duration
	samples  []stretch
	windows  []Window
	hidden   [2]time.Duration // in which samples prove nothing; empty where the two are equal
	blind    time.Duration    // the longest hole outside hidden
	known    int              // samples that say something, outside hidden
	expected int              // samples that there ought to be, outside hidden
	from     time.Duration    // when the watching of this flow began
	vouched  bool             // the matrix speaks for the time before the fault
	disorder bool             // the series is not in the order of time
	undated  int              // arrivals of which nothing tells the time
}

// newTrace reads a series. passed says that the flow passed in the matrix phase:
// where the fault removed the sender, and with it the samples that it had not
// handed over, that speaks for the time before.
func newTrace(f record.Fault, w record.Watched, deny, passed bool) trace {
	t := trace{fault: f, expect: w.Expect, deny: deny, period: f.Period, from: f.SampleFrom}
	if w.Period > 0 {
		t.period = w.Period
	}
	t.read(w)
	if w.Expect.Unobservable && f.Effect.Seen {
		t.hidden = [2]time.Duration{f.Effect.At, f.SampleTo}
		if f.Healed.Seen {
			t.hidden[1] = max(f.Effect.At, f.Healed.At)
		}
	}
	t.begin(passed)
	if deny {
		t.arrive(w.Arrivals, w.Heard)
		// Who answers at the address of an absent pod is not the pod. What else gets
		// through does so in spite of the policies, also then.
		t.samples = cut(t.samples, t.hidden[0], t.hidden[1], func(s stretch) bool { return s.outcome == matrix.WrongPeer })
	}
	t.windows = windows(t.samples, f.SampleFrom, f.SampleTo, t.period)
	if deny {
		// Silence of a frozen or absent end bounds what got through, because nothing
		// did at that moment; it proves no deny.
		t.samples = cut(t.samples, t.hidden[0], t.hidden[1], func(s stretch) bool { return s.mark == right })
	}
	t.measure()
	return t
}

// read takes the samples over. A series in disorder can prove no deny, but what
// got through in it got through.
func (t *trace) read(w record.Watched) {
	last := time.Duration(math.MinInt64)
	for _, r := range w.Series.Runs {
		t.disorder = t.disorder || r.Count < 1 || r.Last < r.First || r.First < last
		if r.Count < 1 {
			continue
		}
		last = max(r.First, r.Last)
		next := stretch{mark: markOf(r, t.deny), outcome: r.Outcome, count: r.Count, first: min(r.First, r.Last), last: last}
		if t.deny && r.Outcome.Passed() && r.End-last >= retransmission {
			next.answer = r.End
		}
		t.samples = append(t.samples, next)
	}
	if t.disorder {
		slices.SortStableFunc(t.samples, func(a, b stretch) int { return cmp.Compare(a.first, b.first) })
	}
}

// begin finds out when the watching began: a sampler starts a little after it is
// told to. One that starts after the injection has no sample before it, which
// coverage finds.
func (t *trace) begin(passed bool) {
	if len(t.samples) == 0 {
		return
	}
	first := t.samples[0].first
	t.vouched = passed && t.expect.Unobservable && t.fault.Effect.Seen && first >= t.fault.Effect.At
	t.from = max(t.from, first)
}

// markOf a sample. Where a flow must work, silence during which its own sampler
// was starved closed nothing; where it must not, the receiver's log speaks too.
func markOf(r wire.Run, deny bool) mark {
	o := r.Outcome
	switch {
	case !o.Passed() && !o.Blocked(), !deny && r.Starved && (o == matrix.TimedOut || o == matrix.HandshakeOnly):
		return blind
	case deny && o.Blocked(), !deny && o == matrix.Connected:
		return right
	}
	return wrong
}

// measure counts what was seen outside the hidden time.
func (t *trace) measure() {
	for _, part := range t.observable() {
		from, to := part[0], part[1]
		var inside []stretch
		for _, s := range t.samples {
			if i, j := s.before(from), s.before(to); i < j {
				inside = append(inside, s.part(i, j))
			}
		}
		for _, s := range inside {
			if s.mark != blind {
				t.known += s.count
			}
		}
		t.blind = max(t.blind, hole(inside, from, to))
		if t.period > 0 {
			t.expected += int((to - from) / t.period)
		}
	}
}

// observable is what was watched without the hidden time.
func (t *trace) observable() [][2]time.Duration {
	from, to := t.from, t.fault.SampleTo
	parts := [][2]time.Duration{{from, to}}
	if t.hidden[0] < t.hidden[1] {
		parts = [][2]time.Duration{{from, min(to, t.hidden[0])}, {max(from, t.hidden[1]), to}}
	}
	return slices.DeleteFunc(parts, func(p [2]time.Duration) bool { return p[0] >= p[1] })
}

// knownWithin counts samples that say something from one time up to another.
func (t *trace) knownWithin(from, to time.Duration) int {
	n := 0
	for _, s := range t.samples {
		if s.mark != blind {
			n += s.within(from, to)
		}
	}
	return n
}

// coverage finds fault with what was not seen.
func (t *trace) coverage(found *findings) {
	f := t.fault
	if t.vouched {
		found.reasons = append(found.reasons, "its samples before the fault went with the sender: the matrix speaks for that time")
	}
	switch {
	case t.disorder:
		found.add(matrix.Inconclusive, "", "the series of samples is not in the order of time")
	case t.period <= 0:
		found.add(matrix.Inconclusive, "", "the record does not say how often the flow was sampled")
	case float64(t.known+len(t.observable())) < coverageShare*float64(t.expected): // one sample can fall outside each part
		found.add(matrix.Inconclusive, "", fmt.Sprintf("only %d of %d samples say something, %.0f %% are needed", t.known, t.expected, 100*coverageShare))
	case t.blind > blindPeriods*t.period:
		found.add(matrix.Inconclusive, "", fmt.Sprintf("nothing was seen for %s on end, at most %s may go unseen", Short(t.blind), Short(blindPeriods*t.period)))
	}
	healed := f.SampleTo
	if f.Healed.Seen {
		healed = f.Healed.At
	}
	for _, stage := range []struct {
		name     string
		from, to time.Duration
		needed   bool
	}{
		{"before", f.SampleFrom, f.Injected[0], !t.vouched},
		{"during", f.Injected[0], healed, !t.expect.Unobservable},
		{"after", healed, f.SampleTo + 1, f.Healed.Seen},
	} {
		if stage.needed && t.knownWithin(stage.from, stage.to) == 0 {
			found.add(matrix.Inconclusive, "", "no sample says anything of the time "+stage.name+" the fault")
		}
	}
}

// fill writes what was found into a case.
func (t *trace) fill(c *Case, found findings) {
	c.Verdict, c.Kind, c.Reasons, c.Windows = found.verdict, found.kind, found.reasons, t.windows
	c.Observed = t.words(found)
	for _, w := range t.windows {
		if c.Since == 0 && c.Verdict != matrix.Pass {
			c.Since = w.First
		}
	}
	share := "0"
	if t.expected > 0 {
		share = fmt.Sprintf("%.1f %%", min(100, 100*float64(t.known)/float64(t.expected)))
	}
	c.Properties = []Property{{"segtest.coverage", share}, {"segtest.samples", fmt.Sprint(t.known)}, {"segtest.blind", t.blind.String()}}
	if found.blips > 0 {
		c.Properties = append(c.Properties, Property{"segtest.blips", fmt.Sprint(found.blips)})
	}
	if t.expect.Unobservable {
		c.Properties = append(c.Properties, Property{"segtest.unobservable", (t.hidden[1] - t.hidden[0]).String()})
	}
	if c.Kind == KindGap {
		c.Properties = append(c.Properties,
			Property{"segtest.knownGap", t.expect.Gap}, Property{"segtest.knownGap.bound", t.expect.Bound.String()}, Property{"segtest.knownGap.link", t.expect.Link})
	}
}

// words is what was observed in one line.
func (t *trace) words(found findings) string {
	what := "outage"
	if t.deny {
		what = "leak"
	}
	var longest *Window
	n := 0
	for i := range t.windows {
		w := &t.windows[i]
		if !t.deny && t.blip(*w) {
			continue
		}
		n++
		if longest == nil || w.Lower > longest.Lower || w.Lower == longest.Lower && w.Upper > longest.Upper {
			longest = w
		}
	}
	switch {
	case t.known == 0:
		return "nothing"
	case n == 0 && found.blips > 0:
		return fmt.Sprintf("no outage, %d single lost samples", found.blips)
	case n == 0:
		return fmt.Sprintf("no %s longer than %s", what, Short(t.blind))
	case n == 1:
		return fmt.Sprintf("%s of %s", what, Span(*longest))
	}
	return fmt.Sprintf("%d %ss, the longest of %s", n, what, Span(*longest))
}

// Span is a window's length in words: "1.2 s to 1.3 s".
func Span(w Window) string {
	if !w.Bounded() {
		return fmt.Sprintf("at least %s (watched for %s)", Short(w.Lower), Short(w.Upper))
	}
	return fmt.Sprintf("%s to %s", Short(w.Lower), Short(w.Upper))
}

// Short is a duration as people read it: "85 ms", "2.31 s", "1 min 4 s".
func Short(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Short(-d)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	d = d.Round(time.Second)
	return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
}
