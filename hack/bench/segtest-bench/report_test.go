package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// measured is a report of a good run; tweak spoils it.
func measured(t *testing.T, tweak func(*report)) report {
	t.Helper()
	r := report{
		Segtest: segtestFigures{
			Flows: 324, Denied: 142, PeakBytes: 79 * mib, AgentBytes: 6 * mib, AgentBinary: 3e6,
			Passes: []pass{{Seconds: 0.5, DenyWait: 0.25}, {Seconds: 0.4, DenyWait: 0.2}, {Seconds: 0.8, DenyWait: 0.3}, {Seconds: 0.6, DenyWait: 0.2}},
		},
		Cyclonus: cyclonusFigures{Flows: 324, Denied: 142, Passes: []pass{{Seconds: 20}, {Seconds: 32}, {Seconds: 22}}},
	}
	tweak(&r)
	if err := r.settle(); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFigures(t *testing.T) {
	t.Parallel()
	r := measured(t, func(*report) {})
	if r.Segtest.Median != 0.55 || r.Segtest.Slowest != 0.8 || r.Cyclonus.Median != 22 || r.Cyclonus.Fastest != 20 {
		t.Errorf("segtest %v, slowest %v; cyclonus %v, fastest %v", r.Segtest.Median, r.Segtest.Slowest, r.Cyclonus.Median, r.Cyclonus.Fastest)
	}
	if r.Ratio != 40 || r.WorstRatio != 25 {
		t.Errorf("ratio %v, at worst %v, want 40 and 25", r.Ratio, r.WorstRatio)
	}
	for _, target := range r.Targets {
		if !target.Met {
			t.Errorf("%s is missed", target)
		}
	}
}

// TestTargets misses one target at a time.
func TestTargets(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		missed string
		fails  bool // what no machine excuses
		tweak  func(*report)
	}{
		{"a pass, slowest", false, func(r *report) { r.Segtest.Passes[1].Seconds = 1.01 }},
		{"faster than cyclonus, medians", false, func(r *report) { r.Cyclonus.Passes[2].Seconds, r.Cyclonus.Passes[0].Seconds = 10.9, 9 }},
		{"cells not as computed", true, func(r *report) { r.Segtest.Passes[3].Wrong = []string{"x/a-0 → y/b-0 TCP/80: deny"} }},
		{"passes void", false, func(r *report) { r.Segtest.Passes[0].Void = "the queue was full" }},
		{"cases failed", true, func(r *report) { r.Segtest.Failed = 1 }},
		{"cases inconclusive", true, func(r *report) { r.Segtest.Inconclusive = 1 }},
		{"agent resident", true, func(r *report) { r.Segtest.AgentBytes = 15*mib + 1 }},
		{"agent on disk", true, func(r *report) { r.Segtest.AgentBinary = 6e6 + 1 }},
		{"segtest resident, peak", true, func(r *report) { r.Segtest.PeakBytes = 200*mib + 1 }},
	} {
		t.Run(row.missed, func(t *testing.T) {
			t.Parallel()
			r := measured(t, row.tweak)
			for _, target := range r.Targets {
				if target.Met == (target.Name == row.missed) {
					t.Errorf("%s: met %t", target, target.Met)
				}
			}
			if err := r.err(); (err != nil) != row.fails {
				t.Errorf("error %v, want one: %t", err, row.fails)
			}
		})
	}
}

func TestDifferentMatricesAreNotCompared(t *testing.T) {
	t.Parallel()
	for name, tweak := range map[string]func(*report){
		"flows":     func(r *report) { r.Cyclonus.Flows = 81 },
		"denied":    func(r *report) { r.Cyclonus.Denied = 0 },
		"no passes": func(r *report) { r.Cyclonus.Passes = nil },
	} {
		r := report{
			Segtest:  segtestFigures{Flows: 324, Denied: 142, Passes: []pass{{Seconds: 1}}},
			Cyclonus: cyclonusFigures{Flows: 324, Denied: 142, Passes: []pass{{Seconds: 1}}},
		}
		if tweak(&r); r.settle() == nil {
			t.Errorf("%s: compared", name)
		}
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := measured(t, func(r *report) { r.Segtest.Passes[3].Wrong = []string{"x/a-0 → y/b-0 TCP/80: deny"} })
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "bench.txt"))
	for _, want := range []string{"324 flows, 142 of them denied", "MISSED  cells not as computed", "segtest pass 4: x/a-0 → y/b-0", "40.0 times", "deny wait 200 to 300 ms"} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("bench.txt (%v) lacks %q:\n%s", err, want, text)
		}
	}
	var back report
	data, err := os.ReadFile(filepath.Join(dir, "bench.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &back); err != nil || back.Ratio != 40 || back.Schema != schema || len(back.Targets) != len(r.Targets) {
		t.Errorf("bench.json: %v, %+v", err, back)
	}
}
