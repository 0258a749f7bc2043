// Oracle-bench times the oracle and, on the same input in the same run, the
// simulated engine of cyclonus: 1,000 pods, 300 policies, 3 ports, 3 million
// flows. See ../README.md.
//
// usage: oracle-bench OUT
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/segtest/segtest/probes/oracle"
)

const (
	maxSeconds = 1.0
	maxMiB     = 300.0
	// runs of the oracle, each in a process of its own.
	runs = 5
)

var errNoRule = errors.New("a denied flow without a deciding rule")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "oracle-bench:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	switch {
	case len(args) == 1:
		return bench(ctx, args[0], out)
	case len(args) == 3 && args[0] == "measure":
		return measure(args[1], args[2], out)
	}
	return errors.New("usage: oracle-bench OUT")
}

// measure is the work of the processes that bench starts.
func measure(engine, workloads string, out io.Writer) error {
	n, err := strconv.Atoi(workloads)
	if err != nil {
		return err
	}
	w, err := town(n)
	if err != nil {
		return err
	}
	f, err := map[string]func(oracle.World) (figures, error){"oracle": timeOracle, "cyclonus": timeCyclonus}[engine](w)
	if err != nil {
		return err
	}
	if f.PeakMiB, err = peakMiB(); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(f)
}

// peakMiB is the most memory that this process ever held.
func peakMiB() (float64, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kib / 1024, err
		}
	}
	return 0, errors.New("/proc/self/status has no VmHWM")
}

// result is one line of the table.
type result struct {
	Workloads int       `json:"workloads"` // different ones in the whole cluster
	Oracle    []figures `json:"oracle"`    // by time
	Cyclonus  figures   `json:"cyclonus"`
}

func (r result) median() figures { return r.Oracle[len(r.Oracle)/2] }

func (r result) peakMiB() float64 {
	peak := 0.0
	for _, f := range r.Oracle {
		peak = max(peak, f.PeakMiB)
	}
	return peak
}

func (r result) ratio() float64 { return r.Cyclonus.Seconds / r.median().Seconds }

func bench(ctx context.Context, folder string, out io.Writer) error {
	var all []result
	for _, workloads := range []int{5, podsPerNamespace} {
		r := result{Workloads: namespaces * workloads}
		for range runs {
			f, err := inProcess(ctx, "oracle", workloads)
			if err != nil {
				return err
			}
			r.Oracle = append(r.Oracle, f)
		}
		slices.SortFunc(r.Oracle, func(a, b figures) int { return int(1e6 * (a.Seconds - b.Seconds)) })
		var err error
		if r.Cyclonus, err = inProcess(ctx, "cyclonus", workloads); err != nil {
			return err
		}
		all = append(all, r)
	}
	text := table(all)
	if _, err := io.WriteString(out, text); err != nil {
		return err
	}
	if err := write(folder, all, text); err != nil {
		return err
	}
	return check(all)
}

func inProcess(ctx context.Context, engine string, workloads int) (figures, error) {
	self, err := os.Executable()
	if err != nil {
		return figures{}, err
	}
	command := exec.CommandContext(ctx, self, "measure", engine, strconv.Itoa(workloads))
	command.Stderr = os.Stderr
	answer, err := command.Output()
	if err != nil {
		return figures{}, fmt.Errorf("measuring %s: %w", engine, err)
	}
	var f figures
	return f, json.Unmarshal(answer, &f)
}

func table(all []result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d pods in %d namespaces, 300 policies, %d flows; bounds of the oracle: %.1f s, %.0f MiB\n\n",
		namespaces*podsPerNamespace, namespaces, all[0].Cyclonus.Flows, maxSeconds, maxMiB)
	fmt.Fprintf(&b, "%-10s %-9s %9s %9s\n", "workloads", "engine", "seconds", "peak MiB")
	for _, r := range all {
		fmt.Fprintf(&b, "%-10d %-9s %9.3f %9.0f   median of %d, %.3f to %.3f s\n", r.Workloads, "oracle", r.median().Seconds, r.peakMiB(),
			runs, r.Oracle[0].Seconds, r.Oracle[runs-1].Seconds)
		fmt.Fprintf(&b, "%-10d %-9s %9.3f %9.0f   %.0f times the oracle's\n", r.Workloads, "cyclonus", r.Cyclonus.Seconds, r.Cyclonus.PeakMiB, r.ratio())
	}
	return b.String()
}

func write(folder string, all []result, text string) error {
	data, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "oracle.json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "oracle.txt"), []byte(text), 0o644)
}

// check holds the figures against the bounds, and the answers against each other.
func check(all []result) error {
	var found []error
	for _, r := range all {
		if s := r.median().Seconds; s > maxSeconds {
			found = append(found, fmt.Errorf("%d workloads: %.3f s, at most %.1f s are allowed", r.Workloads, s, maxSeconds))
		}
		if peak := r.peakMiB(); peak > maxMiB {
			found = append(found, fmt.Errorf("%d workloads: %.0f MiB, at most %.0f MiB are allowed", r.Workloads, peak, maxMiB))
		}
		if r.median().Digest != r.Cyclonus.Digest {
			found = append(found, fmt.Errorf("%d workloads: the oracle and cyclonus answer differently", r.Workloads))
		}
		if m := r.median(); m.Allowed == 0 || m.Allowed == m.Flows {
			found = append(found, fmt.Errorf("%d workloads: %d of %d flows are allowed: this measures nothing", r.Workloads, m.Allowed, m.Flows))
		}
	}
	return errors.Join(found...)
}
