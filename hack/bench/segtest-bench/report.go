package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// report is one run of the benchmark.
type report struct {
	Schema   string            `json:"schema"`
	When     time.Time         `json:"when"`
	Machine  map[string]string `json:"machine"`
	Cluster  map[string]string `json:"cluster"`
	Segtest  segtestFigures    `json:"segtest"`
	Cyclonus cyclonusFigures   `json:"cyclonus"`
	// Ratio of the medians, and of cyclonus's fastest to segtest's slowest pass.
	Ratio      float64  `json:"ratio"`
	WorstRatio float64  `json:"worstRatio"`
	Targets    []target `json:"targets"`
}

// target is a bound of the project's and what was measured.
type target struct {
	Name     string  `json:"name"`
	Bound    float64 `json:"bound"`
	AtLeast  bool    `json:"atLeast"` // the bound is a lower one
	Measured float64 `json:"measured"`
	Unit     string  `json:"unit,omitempty"`
	Met      bool    `json:"met"`
	// Timing targets depend on what else the machine does: missing one is shown
	// and is no failure.
	Timing bool `json:"timing"`
}

const (
	schema = "segtest.dev/bench/v1"
	mib    = 1 << 20
)

// settle computes medians, ratios and targets from the passes. The error is
// for figures that cannot be compared.
func (r *report) settle() error {
	s, c := &r.Segtest, &r.Cyclonus
	if len(s.Passes) == 0 || len(c.Passes) == 0 || s.Flows != c.Flows || s.Denied != c.Denied {
		return fmt.Errorf("not the same matrix: segtest %d passes of %d flows, %d denied; cyclonus %d passes of %d flows, %d denied",
			len(s.Passes), s.Flows, s.Denied, len(c.Passes), c.Flows, c.Denied)
	}
	r.Schema = schema
	ours, theirs := seconds(s.Passes), seconds(c.Passes)
	s.Median, s.Slowest = median(ours), ours[len(ours)-1]
	c.Median, c.Fastest = median(theirs), theirs[0]
	r.Ratio, r.WorstRatio = c.Median/s.Median, c.Fastest/s.Slowest
	wrong, void := 0, 0
	for _, p := range s.Passes {
		wrong += len(p.Wrong)
		if p.Void != "" {
			void++
		}
	}
	r.Targets = nil
	r.bound("a pass, median", s.Median, 1, "s", true)
	r.bound("a pass, slowest", s.Slowest, 1, "s", true)
	r.Targets = append(r.Targets, target{Name: "faster than cyclonus, medians", Bound: 20, AtLeast: true, Measured: r.Ratio, Unit: "times", Met: r.Ratio >= 20, Timing: true})
	r.bound("cells not as computed", float64(wrong), 0, "", false)
	r.bound("passes void", float64(void), 0, "", true)
	r.bound("cases failed", float64(s.Failed), 0, "", false)
	r.bound("cases inconclusive", float64(s.Inconclusive), 0, "", false)
	r.bound("agent resident", float64(s.AgentBytes)/mib, 15, "MiB", false)
	r.bound("agent on disk", float64(s.AgentBinary)/1e6, 6, "MB", false)
	r.bound("segtest resident, peak", float64(s.PeakBytes)/mib, 200, "MiB", false)
	return nil
}

// bound adds a target that holds from above.
func (r *report) bound(name string, measured, most float64, unit string, timing bool) {
	r.Targets = append(r.Targets, target{Name: name, Bound: most, Measured: measured, Unit: unit, Met: measured <= most, Timing: timing})
}

// err names the targets that were missed and may not be, on any machine.
func (r report) err() error {
	var missed []error
	for _, t := range r.Targets {
		if !t.Met && !t.Timing {
			missed = append(missed, fmt.Errorf("missed: %s", t))
		}
	}
	return errors.Join(missed...)
}

func (t target) String() string {
	word := "at most"
	if t.AtLeast {
		word = "at least"
	}
	return fmt.Sprintf("%-30s %8s %-6s %s %s", t.Name, figure(t.Measured), t.Unit, word, figure(t.Bound))
}

func figure(f float64) string {
	if f == float64(int(f)) {
		return fmt.Sprint(int(f))
	}
	return fmt.Sprintf("%.2f", f)
}

// seconds are what the passes took, shortest first.
func seconds(list []pass) []float64 {
	var all []float64
	for _, p := range list {
		all = append(all, p.Seconds)
	}
	slices.Sort(all)
	return all
}

// median of a sorted list that is not empty.
func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// write puts the report into bench.json and bench.txt.
func (r report) write(folder string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	var text strings.Builder
	if err := r.text(&text); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(folder, "bench.json"), append(data, '\n'), 0o644),
		os.WriteFile(filepath.Join(folder, "bench.txt"), []byte(text.String()), 0o644),
	)
}

// text is the report for people.
func (r report) text(to io.Writer) error {
	var b strings.Builder
	s, c := r.Segtest, r.Cyclonus
	fmt.Fprintf(&b, "%d flows, %d of them denied, on one cluster, %s\n\n", s.Flows, s.Denied, r.When.Format(time.RFC3339))
	line := func(who string, passes []pass, detail string) {
		all := seconds(passes)
		first, last := passes[0].Load, passes[len(passes)-1].Load
		fmt.Fprintf(&b, "%-16s %7.3f s a pass   %.3f to %.3f s in %d passes, load %.1f to %.1f, %s\n",
			who, median(all), all[0], all[len(all)-1], len(passes), min(first, last), max(first, last), detail)
	}
	least, most := s.Passes[0].DenyWait, s.Passes[0].DenyWait
	for _, p := range s.Passes {
		least, most = min(least, p.DenyWait), max(most, p.DenyWait)
	}
	line("segtest", s.Passes, fmt.Sprintf("deny wait %.0f to %.0f ms", 1000*least, 1000*most))
	wrong := 0
	for _, p := range c.Passes {
		wrong += len(p.Wrong)
	}
	line("cyclonus "+c.Version, c.Passes, fmt.Sprintf("%d workers, timeout %d s, %d wrong", c.Workers, c.Timeout, wrong))
	fmt.Fprintf(&b, "ratio            %7.1f times    %.1f at worst (its fastest pass to our slowest)\n\n", r.Ratio, r.WorstRatio)
	for _, t := range r.Targets {
		mark := "ok    "
		if !t.Met {
			mark = "MISSED"
		}
		fmt.Fprintf(&b, "%s  %s\n", mark, t)
	}
	for i, p := range s.Passes {
		for _, w := range p.Wrong {
			fmt.Fprintf(&b, "segtest pass %d: %s\n", i+1, w)
		}
		if p.Void != "" {
			fmt.Fprintf(&b, "segtest pass %d is void: %s\n", i+1, p.Void)
		}
	}
	b.WriteString("\n")
	for _, facts := range []map[string]string{r.Machine, r.Cluster} {
		for _, key := range slices.Sorted(maps.Keys(facts)) {
			fmt.Fprintf(&b, "%-16s %s\n", key, facts[key])
		}
	}
	_, err := io.WriteString(to, b.String())
	return err
}
