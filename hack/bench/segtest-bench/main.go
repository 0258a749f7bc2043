// Segtest-bench times segtest's matrix and, on the same cluster, cyclonus's
// probe. It makes the cluster, deploys and probes through the packages that
// `segtest run` uses, and removes the cluster again. See ../README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/segtest/segtest/fixtures/cluster"
	"github.com/segtest/segtest/fixtures/cluster/kindcluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bench(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

// inputs are the arguments, all of them paths.
type inputs struct {
	scenario string // folder with scenario.yaml and policies.yaml
	out      string // folder for the results and the run's private files
	agnhost  string // program that cyclonus's pods run
	cyclonus string // program that times cyclonus
}

func bench(ctx context.Context, args []string, out, progress io.Writer) error {
	if len(args) != 4 {
		return errors.New("usage: segtest-bench SCENARIO OUT AGNHOST CYCLONUS (make bench gives them)")
	}
	in := inputs{args[0], args[1], args[2], args[3]}
	report, err := measure(ctx, in, func(format string, args ...any) {
		fmt.Fprintf(progress, "bench: "+format+"\n", args...)
	})
	if err != nil {
		return err
	}
	if err := report.write(in.out); err != nil {
		return err
	}
	if err := report.text(out); err != nil {
		return err
	}
	return report.err()
}

// measure times both on one cluster.
func measure(ctx context.Context, in inputs, progress cluster.Progress) (r report, err error) {
	folder := filepath.Join(in.out, "run")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return r, fmt.Errorf("making the folder of the run: %w", err)
	}
	place := &stage{Provider: &kindcluster.Provider{RunDir: folder}}
	defer func() { err = errors.Join(err, place.clear(ctx)) }()

	r.When, r.Machine = time.Now().UTC(), machineFacts()
	progress("segtest: %d passes", passes)
	if r.Segtest, err = timeSegtest(ctx, in, place, progress); err != nil {
		return r, fmt.Errorf("timing segtest: %w", err)
	}
	r.Cluster = place.made.Facts()
	progress("cyclonus %s: the same pods, policies and flows", peerVersion)
	if r.Cyclonus, err = timeCyclonus(ctx, in, place.made, progress); err != nil {
		return r, fmt.Errorf("timing cyclonus: %w", err)
	}
	return r, r.settle()
}

// stage is a Provider that remembers the cluster it made.
type stage struct {
	cluster.Provider
	made cluster.Cluster
}

// Create implements cluster.Provider.
func (s *stage) Create(ctx context.Context, spec cluster.Spec, progress cluster.Progress) (cluster.Cluster, error) {
	var err error
	s.made, err = s.Provider.Create(ctx, spec, progress)
	return s.made, err
}

// clear removes the cluster, also after an interrupt.
func (s *stage) clear(ctx context.Context) error {
	if s.made == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	return s.made.Delete(ctx)
}
