package judge_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/segtest/segtest/suites/judge"
)

const tick = 50 * ms

func TestWindows(t *testing.T) {
	t.Parallel()
	// Sample k is at 1 s + k · 50 ms; what was watched is 1 s to 2 s.
	for _, tc := range []struct {
		name, word   string
		n            int
		lower, upper time.Duration
		openStart    bool
		openEnd      bool
		atResolution bool
	}{
		{"none", strings.Repeat("x", 20), 0, 0, 0, false, false, false},
		{"one sample", "xxxoxxx", 1, 0, 100 * ms, false, false, false},
		{"three samples", "xxxoooxxx", 1, 100 * ms, 200 * ms, false, false, false},
		{"half open and wrong peer are open too", "xxohwxx", 1, 100 * ms, 200 * ms, false, false, false},
		{"refused is closed", "rrorr", 1, 0, 100 * ms, false, false, false},
		{"unknown before", "xx??oxx", 1, 0, 200 * ms, false, false, false},
		{"unknown after", "xxo??xx", 1, 0, 200 * ms, false, false, false},
		{"unknown inside does not join", "xxoo??oooxx", 1, 100 * ms, 400 * ms, false, false, false},
		{"open from the beginning", "ooxxx", 1, 50 * ms, 100 * ms, true, false, false},
		{"unknown from the beginning", "??oxx", 1, 0, 150 * ms, true, false, false},
		{"open to the end", strings.Repeat("x", 18) + "oo", 1, 50 * ms, 150 * ms, false, true, false},
		{"unknown to the end", strings.Repeat("x", 10) + "oo" + strings.Repeat("?", 8), 1, 50 * ms, 550 * ms, false, true, false},
		{"always open", strings.Repeat("o", 20), 1, 950 * ms, sec, true, true, false},
		{"only unknown", strings.Repeat("?", 20), 0, 0, 0, false, false, false},
		{"two", "xxoxxooxx", 2, 0, 100 * ms, false, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			ws := judge.WindowsOf(series(sec, tick, tc.word), true, sec, 2*sec, tick)
			if len(ws) != tc.n {
				t.Fatalf("%d windows, want %d: %+v", len(ws), tc.n, ws)
			}
			if tc.n == 0 {
				return
			}
			w := ws[0]
			if w.Lower != tc.lower || w.Upper != tc.upper || w.OpenStart != tc.openStart || w.OpenEnd != tc.openEnd || w.AtResolution != tc.atResolution {
				t.Errorf("%+v, want %v to %v, open %v %v", w, tc.lower, tc.upper, tc.openStart, tc.openEnd)
			}
		})
	}
	near := judge.WindowsOf(series(sec, 40*ms, "xox"), true, sec, 2*sec, tick)
	if len(near) != 1 || !near[0].AtResolution {
		t.Errorf("a window below two periods is not marked: %+v", near)
	}
}

// TestOutagesMirrorLeaks: on an allowed flow everything but an answer is wrong.
func TestOutagesMirrorLeaks(t *testing.T) {
	t.Parallel()
	ws := judge.WindowsOf(series(sec, tick, "ooxrhwoo"), false, sec, 2*sec, tick)
	if len(ws) != 1 || ws[0].Samples != 4 || ws[0].Lower != 150*ms || ws[0].Upper != 250*ms {
		t.Errorf("%+v", ws)
	}
}

// truth is a flow that opens and closes: open in [toggles[0], toggles[1]), and so on.
type truth []time.Duration

func (tr truth) open(at time.Duration) bool {
	open := false
	for _, t := range tr {
		if at < t {
			break
		}
		open = !open
	}
	return open
}

// within is the longest open stretch and the whole open time between two instants.
func (tr truth) within(from, to time.Duration) (longest, total time.Duration) {
	for i := 0; i < len(tr); i += 2 {
		end := to
		if i+1 < len(tr) {
			end = min(to, tr[i+1])
		}
		if d := end - max(from, tr[i]); d > 0 {
			longest, total = max(longest, d), total+d
		}
	}
	return longest, total
}

// TestBoundsHoldTheTruth samples random timelines on random schedules with
// holes: the bounds of each window must contain the true length, and no opening
// that outlasts the longest hole may be missed.
func TestBoundsHoldTheTruth(t *testing.T) {
	t.Parallel()
	const from, to = sec, 5 * sec
	leaks := 0
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		// Changes are slower than two neighbouring samples, or they could hide.
		var tr truth
		slow := seed%2 == 0
		for at := from + time.Duration(rng.Int64N(int64(sec))); at < to; {
			tr = append(tr, at)
			least := time.Duration(0)
			if slow {
				least = 2 * tick
			}
			at += least + time.Duration(rng.Int64N(int64(600*ms)))
		}
		word := []byte{}
		var times []time.Duration
		for k := 0; ; k++ {
			at := from + time.Duration(k)*tick + time.Duration((rng.Float64()*2-1)*0.1*float64(tick))
			at = max(at, from)
			if at >= to {
				break
			}
			letter := byte('x')
			if tr.open(at) {
				letter = 'o'
			}
			if rng.IntN(10) == 0 {
				letter = '?'
			}
			word, times = append(word, letter), append(times, at)
		}
		runs := series(0, 1, string(word)) // the sample's number stands for its time
		for i := range runs {
			runs[i].First, runs[i].Last = times[runs[i].First], times[runs[i].Last]
		}
		ws := judge.WindowsOf(runs, true, from, to, tick)
		leaks += len(ws)
		for _, w := range ws {
			longest, total := tr.within(w.After, w.Before)
			if total > w.Upper {
				t.Fatalf("seed %d: open for %v in all, upper bound %v: %+v", seed, total, w.Upper, w)
			}
			if slow && longest < w.Lower {
				t.Fatalf("seed %d: open for %v at most, lower bound %v: %+v", seed, longest, w.Lower, w)
			}
		}
		for i, at := range times {
			in := 0
			for _, w := range ws {
				if w.First <= at && at <= w.Last {
					in++
				}
			}
			if word[i] == 'o' && in != 1 || word[i] == 'x' && in != 0 {
				t.Fatalf("seed %d: sample %c at %v is in %d windows", seed, word[i], at, in)
			}
		}
	}
	if leaks < 1000 {
		t.Fatalf("only %d windows in all timelines, which tests little", leaks)
	}
}
