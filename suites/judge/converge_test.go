package judge_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run/record"
)

// changed is a run that makes one change at one node: the call lasts from 10.1 s
// to 10.105 s, the samples begin at 10 s, one each 10 ms.
func changed(what string, to matrix.Intent, word string) record.Record {
	rec := complete(flow(denied, matrix.Deny, matrix.Deny), tries(matrix.TimedOut))
	rec.Header.Changes = &record.Changes{Times: 1, Of: []string{what}}
	rec.Changes = []record.Change{{
		What: what, To: to, Round: 1, Node: "w1", Write: [2]time.Duration{10*sec + 100*ms, 10*sec + 105*ms}, Period: 10 * ms, Limit: 25 * sec,
		Proof: matrix.TimedOut, Series: wire.Series{Runs: series(10*sec, 10*ms, word), Scheduled: len(word), Taken: len(word)},
	}}
	return rec
}

// The first eleven samples are taken by 10.1 s.
const (
	opened = "ooooooooooo"
	shut   = "xxxxxxxxxxx"
)

func TestChanges(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, what string
		to         matrix.Intent
		word       string
		tweak      func(*record.Change, *record.Record)
		verdict    matrix.Verdict
		says       string // in the observation or a reason
	}{
		{"enforced", "apply", matrix.Deny, opened + "ooooxxxxxxxx", nil, matrix.Pass, "n 1, P50 35-50 ms, P95 35-50 ms, max 35-50 ms, resolution 10 ms"},
		{"opened", "delete", matrix.Allow, shut + "xxoooooooo", nil, matrix.Pass, "max 15-30 ms"},
		{"at once", "apply", matrix.Deny, opened + "xxxxxx", nil, matrix.Pass, "max 0-10 ms"},
		{"in between once", "apply", matrix.Deny, opened + "xxxxxooxxxxxx", nil, matrix.Pass, "max 65-80 ms"},
		{"a packet that arrived closes nothing", "apply", matrix.Deny, opened + "hhhxxxxxx", nil, matrix.Pass, "max 25-40 ms"},
		{"one lost packet closes nothing", "delete", matrix.Allow, shut + "oooooxooooo", nil, matrix.Pass, "max 0-10 ms"},
		{"two lost ones do", "delete", matrix.Allow, shut + "oooooxxooooo", nil, matrix.Pass, "max 65-80 ms"},
		{"holes widen the bounds", "apply", matrix.Deny, opened + "o???xxxxxx", nil, matrix.Pass, "max 5-50 ms, resolution 40 ms"},
		{"silence of a starved sampler is a hole", "apply", matrix.Deny, opened + "osssxxxxxx", nil, matrix.Pass, "max 5-50 ms"},
		{"in time", "apply", matrix.Deny, opened + "ooooxxxxxxxx", within(50 * ms), matrix.Pass, "max 35-50 ms"},
		{"late for certain", "apply", matrix.Deny, opened + "ooooxxxxxxxx", within(34 * ms), matrix.Fail, "w1, round 1: enforced after 35-50 ms"},
		{"late perhaps", "apply", matrix.Deny, opened + "ooooxxxxxxxx", within(40 * ms), matrix.Inconclusive, "do not tell whether that was in time"},
		{"never", "relabel", matrix.Deny, opened + strings.Repeat("o", 2500), nil, matrix.Fail, "w1, round 1: still connected 25.00 s after the change"},
		{"never, and given up too early", "relabel", matrix.Deny, opened + strings.Repeat("o", 2000), nil, matrix.Inconclusive, "had no effect yet"},
		{"never open", "relabel", matrix.Allow, shut + strings.Repeat("x", 2500), nil, matrix.Fail, "still timed-out"},
		{"never open, and nobody knows whether there is anybody", "delete", matrix.Allow, shut + strings.Repeat("x", 2500), proof(matrix.Unknown), matrix.Inconclusive, "nothing proves that its receiver was up"},
		{"silent, and nobody knows whether there is anybody", "apply", matrix.Deny, opened + "xxxxxxx", proof(matrix.Unknown), matrix.Inconclusive, "nothing proves that its receiver was up"},
		{"open again at the end", "apply", matrix.Deny, opened + "xxxxxxxoxx", nil, matrix.Inconclusive, "for the last 2 samples only"},
		{"closed before", "apply", matrix.Deny, "ooooooxxxxxxxxxxxxxxxxx", nil, matrix.Inconclusive, "it was enforced before the change"},
		{"nothing to close", "apply", matrix.Deny, shut + "xxxxxxx", nil, matrix.Inconclusive, "0 samples say how it was before"},
		{"no samples", "apply", matrix.Deny, "", func(c *record.Change, _ *record.Record) { c.Error = "the agent is gone" }, matrix.Inconclusive, "nothing was sampled: the agent is gone"},
		{"no call", "apply", matrix.Deny, opened + "xxxxxx", func(c *record.Change, _ *record.Record) { c.Write = [2]time.Duration{} }, matrix.Inconclusive, "the change was not made"},
		{"not asked often enough", "apply", matrix.Deny, opened + "xxxxxx", func(_ *record.Change, r *record.Record) { r.Header.Changes.Times = 3 }, matrix.Inconclusive, "2 of 3 measures are missing"},
		{"a node without a measure", "apply", matrix.Deny, opened + "xxxxxx", func(_ *record.Change, r *record.Record) {
			r.Convergence = []record.Convergence{{What: "policies enforced", Node: "w2"}}
		}, matrix.Inconclusive, "1 of 2 measures are missing"},
		{"not made at all", "apply", matrix.Deny, "", func(_ *record.Change, r *record.Record) { r.Changes = nil }, matrix.Inconclusive, "1 of 1 measures are missing"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			rec := changed(row.what, row.to, row.word)
			if row.what == "relabel" || row.tweak == nil { // relabel is asked both ways; the other is not under test
				rec.Header.Changes = nil
			}
			if row.tweak != nil {
				row.tweak(&rec.Changes[0], &rec)
			}
			res := judge.Judge(rec)
			said := ""
			for _, c := range res.Cases {
				if c.Phase == record.PhaseConvergence {
					said += c.Observed + "\n" + strings.Join(c.Reasons, "\n")
				}
			}
			if res.Verdict != row.verdict || !strings.Contains(said, row.says) {
				t.Errorf("%s, %q; want %s and %q", res.Verdict, said, row.verdict, row.says)
			}
		})
	}
}

func within(d time.Duration) func(*record.Change, *record.Record) {
	return func(_ *record.Change, r *record.Record) { r.Header.Changes.Within = d }
}

func proof(o matrix.Outcome) func(*record.Change, *record.Record) {
	return func(c *record.Change, _ *record.Record) { c.Proof = o }
}

// TestConvergenceBoundsPercentiles: whatever the true times are, and wherever the
// samples fall, each figure is between its bounds.
func TestChangesBoundPercentiles(t *testing.T) {
	t.Parallel()
	chance := rand.New(rand.NewPCG(7, 0))
	for n := range 60 {
		rec := changed("apply", matrix.Deny, "")
		rec.Changes, rec.Header.Changes.Times = nil, n+1
		var truth []time.Duration
		for range n + 1 {
			takes := time.Duration(chance.Int64N(int64(2 * sec)))
			c := changed("apply", matrix.Deny, "").Changes[0]
			done := c.Write[0] + 3*ms + takes // the API server stored it while the call lasted
			for at := 10*sec + time.Duration(chance.Int64N(int64(10*ms))); at < done+sec; at += 8*ms + time.Duration(chance.Int64N(int64(4*ms))) {
				o := matrix.Connected
				if at >= done {
					o = matrix.TimedOut
				}
				c.Series.Runs = append(c.Series.Runs, wire.Run{Outcome: o, Count: 1, First: at, Last: at, End: at})
				c.Series.Scheduled++
			}
			truth = append(truth, takes)
			rec.Changes = append(rec.Changes, c)
		}
		got := judge.Judge(rec).Changes[0]
		if got.N != n+1 || got.Resolution > 12*ms || got.Period > 12*ms {
			t.Fatalf("%+v of %d", got, n+1)
		}
		slices.Sort(truth)
		for percent, b := range map[int]judge.Bounds{50: got.P50, 95: got.P95, 100: got.Max} {
			is := truth[(len(truth)*percent+99)/100-1]
			if is < b.Lower || is > b.Upper || b.Upper-b.Lower > 12*ms+5*ms {
				t.Errorf("of %d, P%d is %s, not within %s", n+1, percent, is, b)
			}
		}
	}
}

// TestEstablished: what became of connections that are older than a change is
// counted apart, and where nobody knows it is not called kept.
func TestEstablished(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, word, want string }{
		{"kept", opened + "oooooooo", "established 1 kept"},
		{"stalled", opened + "ooxxxxxx", "established 1 stalled"},
		{"reset", opened + "ooxrrrr", "established 1 reset"},
		{"closed", opened + "oohhhh", "established 1 reset"},
		{"never stood", shut + "xxxxx", "established 1 not known"},
		{"stood too late", "xxxxxxxxxxxxoooo", "established 1 not known"},
		{"not seen at the end", opened + "ww", "established 1 not known"},
		{"not asked", "", "established 1 not known"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			rec := changed("apply", matrix.Deny, opened+"ooooxxxxxxxx")
			rec.Changes[0].Held.Runs = series(10*sec, 10*ms, row.word)
			for i, r := range rec.Changes[0].Held.Runs {
				if r.Outcome == matrix.Refused {
					rec.Changes[0].Held.Runs[i].Denial = matrix.Reset
				}
			}
			res := judge.Judge(rec)
			if c := find(res, record.PhaseConvergence, "apply → enforced"); !strings.HasSuffix(c.Observed, row.want) || c.Verdict != matrix.Pass {
				t.Errorf("%s, %q, want %q", c.Verdict, c.Observed, row.want)
			}
		})
	}
}
