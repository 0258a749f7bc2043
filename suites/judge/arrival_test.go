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

// at is the receiver's log: packets so many samples after the watching began.
func at(samples ...float64) []record.Arrival {
	var out []record.Arrival
	for _, n := range samples {
		out = append(out, record.Arrival{At: watchFrom + time.Duration(n*float64(tick))})
	}
	return out
}

// repeated is so many packets at one time.
func repeated(sample float64, n int) []record.Arrival { return slices.Repeat(at(sample), n) }

func TestArrivals(t *testing.T) {
	t.Parallel()
	hidden := func(w *record.Watched) { w.Expect.Unobservable = true }
	gap := func(bound time.Duration) func(*record.Watched) {
		return func(w *record.Watched) { w.Expect.Gap, w.Expect.Bound = "agent-death-opens", bound }
	}
	for _, tc := range []struct {
		name     string
		samples  word
		arrivals []record.Arrival
		tweak    func(*record.Watched)
		want     matrix.Verdict
		reason   string
		observed string
	}{
		{"none", all("x"), nil, nil, matrix.Pass, "", "no leak longer than 50 ms"},
		{"one", all("x"), at(60.01), nil, matrix.Fail, "first by one-way, 1.00 s after the injection", "leak of 0 ms to 133 ms"},
		{"a little before its sample's time", all("x"), at(59.8), nil, matrix.Fail, "", "leak of 0 ms to 133 ms"},
		{"three in a row", all("x"), at(60.01, 61.01, 62.01), nil, matrix.Fail, "", "leak of 100 ms to 233 ms"},
		{"two apart", all("x"), at(60.01, 80.01), nil, matrix.Fail, "", "2 leaks, the longest of 0 ms to 133 ms"},
		{"the first and the last sample", all("x"), at(0, 199.01), nil, matrix.Fail, "before the fault", "2 leaks, the longest of at least 0 ms (watched for 117 ms)"},
		{"of a sample that was seen to get through", all("x").with(60, "o"), at(60.01), nil, matrix.Fail, "first by connected", "leak of 0 ms to 100 ms"},
		{"beside one that was seen to get through", all("x").with(60, "o"), at(60.01, 61), nil, matrix.Fail, "", "leak of 50 ms to 183 ms"},
		{"of a sample of which nothing is known", all("x").with(60, "?"), at(60.01), nil, matrix.Fail, "", "leak of 0 ms to 133 ms"},
		{"before the injection", all("x"), at(20), nil, matrix.Fail, "before the fault was injected", ""},
		{"in a known gap", all("x"), at(60.01, 61.01), gap(sec), matrix.KnownGap, "", "leak of 50 ms to 183 ms"},
		{"beyond a known gap", all("x"), at(60.01, 61.01, 62.01), gap(99 * ms), matrix.Fail, "open for at least 100 ms", ""},
		{"without a date", all("x"), []record.Arrival{{HalfOpen: true}}, nil, matrix.Inconclusive, "1 packets of it arrived at shop/db-0 and nothing tells when", ""},
		{"with and without a date", all("x"), append([]record.Arrival{{HalfOpen: true}}, at(60)...), nil, matrix.Fail, "", ""},
		{"while an end was frozen", all("x"), at(110), hidden, matrix.Fail, "open for 0 ms to 3.58 s, first by one-way, 3.50 s after the injection", "leak of 0 ms to 3.58 s"},
		{"several while an end was frozen", all("x"), at(110, 111, 112), hidden, matrix.Fail, "", "leak of 0 ms to 3.68 s"},
		{"while an end was frozen, as was seen", all("x").with(70, "h"), at(110), hidden, matrix.Fail, "", "leak of 0 ms to 100 ms"},
		{"while an end was frozen, in a known gap", all("x"), at(110), func(w *record.Watched) { hidden(w); gap(10 * sec)(w) }, matrix.KnownGap, "open for 0 ms to 3.58 s", ""},
		{"a hundred while an end was frozen, of which one was seen, in a known gap", all("x").with(70, "h"), repeated(110, 100), func(w *record.Watched) { hidden(w); gap(sec)(w) }, matrix.Inconclusive, "open for 0 ms or more", "2 leaks, the longest of 0 ms to 3.58 s"},
		{"as many while an end was frozen as were seen, in a known gap", all("x").with(70, "hhh"), repeated(110, 3), func(w *record.Watched) { hidden(w); gap(sec)(w) }, matrix.KnownGap, "open for 100 ms to 200 ms", "leak of 100 ms to 200 ms"},
		{"at a new pod, of which one was seen, in a known gap", all("x").with(70, "o"), at(70.01, 90.01, 110.01), func(w *record.Watched) { hidden(w); gap(sec)(w) }, matrix.Inconclusive, "", "2 leaks, the longest of 0 ms to 3.58 s"},
		{"while an end was frozen, and before, as was seen once", all("x").with(45, "o"), at(45.01, 110), func(w *record.Watched) { hidden(w); gap(sec)(w) }, matrix.Inconclusive, "", "2 leaks, the longest of 0 ms to 3.58 s"},
		{"after an end was thawed", all("x"), at(130.01), hidden, matrix.Fail, "", "leak of 0 ms to 133 ms"},
		{"from a sender that took its samples with it", all("_").with(125, strings.Repeat("x", 75)), at(41, 42), hidden, matrix.Fail, "open for 0 ms to 183 ms", "leak of 0 ms to 183 ms"},
		{"from such a sender, in a known gap", all("_").with(125, strings.Repeat("x", 75)), at(41, 42), func(w *record.Watched) { hidden(w); gap(sec)(w) }, matrix.KnownGap, "open for 0 ms to 183 ms", ""},
		{"from such a sender, before the fault", all("_").with(125, strings.Repeat("x", 75)), at(30), func(w *record.Watched) { hidden(w); gap(sec)(w) }, matrix.Fail, "before the fault was injected", "leak of 0 ms to 133 ms"},
		{"from such a sender, to a log with holes", all("_").with(125, strings.Repeat("x", 75)), at(41, 42), func(w *record.Watched) { hidden(w); gap(sec)(w); w.Heard = false }, matrix.Inconclusive, "the samples cannot tell", ""},
		{"from such a sender, right before the next was seen", all("_").with(50, "oo"+strings.Repeat("x", 148)), at(49), func(w *record.Watched) { hidden(w); gap(sec)(w) }, matrix.KnownGap, "", "leak of 50 ms to 233 ms"},
		{"from a sender without samples", nil, at(60), func(w *record.Watched) { w.Error = "the stream broke" }, matrix.Fail, "first by one-way", ""},
		{"nobody listened", all("x"), nil, func(w *record.Watched) { w.Heard = false }, matrix.Inconclusive, "what arrived at shop/db-0 meanwhile is not known", ""},
		{"nobody could listen", all("x"), nil, func(w *record.Watched) { w.Heard, w.Unheard = false, "its agent forgot" }, matrix.Inconclusive, "is not known: its agent forgot", ""},
		{"nobody listened, and it was seen", all("x").with(60, "o"), nil, func(w *record.Watched) { w.Heard = false }, matrix.Fail, "first by connected", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			res := judge.Judge(faulty(tc.samples, all("o"), func(f *record.Fault) {
				f.Watched[0].Arrivals = tc.arrivals
				if tc.tweak != nil {
					tc.tweak(&f.Watched[0])
				}
			}))
			c := find(res, "fault 1-pod-kill", denied.String())
			if c.Verdict != tc.want || !strings.Contains(strings.Join(c.Reasons, "\n"), tc.reason) {
				t.Errorf("%v %q, want %v %q", c.Verdict, c.Reasons, tc.want, tc.reason)
			}
			if tc.observed != "" && c.Observed != tc.observed {
				t.Errorf("observed %q, want %q", c.Observed, tc.observed)
			}
			counted(t, res)
		})
	}
}

// TestNobodyLogsEchoes: a log that cannot exist proves nothing, even where a record
// says that it was read: samples speak alone, and where they do not nothing does.
func TestNobodyLogsEchoes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		flow    string
		samples word
		tweak   func(*record.Watched)
		want    matrix.Verdict
		reason  string
	}{
		{"an echo is silent", "shop/attacker-0 → shop/db-0 ICMP", all("x"), nil, matrix.Pass, "no receiver logs echo requests"},
		{"an echo is answered", "shop/attacker-0 → shop/db-0 ICMP", all("x").with(60, "o"), nil, matrix.Fail, "first by connected"},
		{"SCTP is silent", "shop/attacker-0 → shop/db-0 SCTP/132", all("x"), nil, matrix.Pass, "no receiver logs the first packets of SCTP"},
		{"SCTP arrived", "shop/attacker-0 → shop/db-0 SCTP/132", all("x"), func(w *record.Watched) { w.Arrivals = at(60.01) }, matrix.Fail, "first by one-way"},
		{"SCTP while an end was frozen", "shop/attacker-0 → shop/db-0 SCTP/132", all("x"), func(w *record.Watched) { w.Expect.Unobservable = true }, matrix.Inconclusive, "nothing tells what arrived at shop/db-0 while an end was frozen or gone: no receiver logs"},
	} {
		for _, heard := range []bool{false, true} {
			rec := faulty(tc.samples, all("o"), func(f *record.Fault) {
				if f.Watched[0].Heard = heard; tc.tweak != nil {
					tc.tweak(&f.Watched[0])
				}
			})
			f, err := matrix.ParseFlow(tc.flow)
			if err != nil {
				t.Fatal(err)
			}
			rec.Flows[0].Flow = f
			c := find(judge.Judge(rec), "fault 1-pod-kill", tc.flow)
			if c.Verdict != tc.want || !strings.Contains(strings.Join(c.Reasons, "\n"), tc.reason) {
				t.Errorf("%s, heard %v: %v %q, want %v %q", tc.name, heard, c.Verdict, c.Reasons, tc.want, tc.reason)
			}
		}
	}
}

// TestAllowedFlowsIgnoreArrivals: a packet on a flow that ought to be open is none.
func TestAllowedFlowsIgnoreArrivals(t *testing.T) {
	t.Parallel()
	res := judge.Judge(faulty(all("x"), all("o"), func(f *record.Fault) { f.Watched[1].Arrivals = at(60, 80) }))
	if res.Verdict != matrix.Pass {
		t.Errorf("%v: %+v", res.Verdict, find(res, "fault 1-pod-kill", allowed.String()))
	}
}

// TestBoundsHoldTheTruthOfArrivals: the sender sees nothing but silence, written
// as one run; the receiver logs what got through while the flow was open. The
// windows must hold the truth, and every packet.
func TestBoundsHoldTheTruthOfArrivals(t *testing.T) {
	t.Parallel()
	const from, to = sec, 5 * sec
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var tr truth
		for at := from + time.Duration(rng.Int64N(int64(sec))); at < to-sec; at += 3*tick + time.Duration(rng.Int64N(int64(600*ms))) {
			tr = append(tr, at)
		}
		if len(tr)%2 != 0 {
			tr = append(tr, to-sec)
		}
		w := record.Watched{Heard: true}
		var run wire.Run
		for k := range int((to - from) / tick) {
			at := from + time.Duration(k)*tick + time.Duration((rng.Float64()*2-1)*0.1*float64(tick))
			if k == 0 {
				run = wire.Run{Outcome: matrix.TimedOut, First: at}
			}
			run.Count, run.Last = run.Count+1, at
			if at += 200 * time.Microsecond; tr.open(at) {
				w.Arrivals = append(w.Arrivals, record.Arrival{At: at})
			}
		}
		w.Series.Runs = []wire.Run{run}
		ws := judge.ArrivalWindows(w, from, to, tick)
		if len(w.Arrivals) > 0 != (len(ws) > 0) {
			t.Fatalf("seed %d: %d windows of %d packets", seed, len(ws), len(w.Arrivals))
		}
		for _, w := range ws {
			if longest, total := tr.within(w.After, w.Before); total > w.Upper || longest < w.Lower {
				t.Fatalf("seed %d: open for %v in all and %v on end: %+v", seed, total, longest, w)
			}
		}
		for i := 0; i < len(tr); i += 2 {
			for _, a := range w.Arrivals {
				in := 0
				for _, w := range ws {
					if w.After <= tr[i] && a.At <= w.Before && tr[i] <= a.At && w.First <= a.At && a.At <= w.Last {
						in++
					}
				}
				if tr[i] <= a.At && a.At < tr[i+1] && in != 1 {
					t.Fatalf("seed %d: the packet at %v of the opening at %v is in %d windows", seed, a.At, tr[i], in)
				}
			}
		}
	}
}
