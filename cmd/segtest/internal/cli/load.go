package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/segtest/segtest/chaos/kinds"
	"github.com/segtest/segtest/chaos/profiles"
	"github.com/segtest/segtest/fixtures/manifest"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/suites/run"
)

// loading is how a verb reads scenarios. The zero value runs no command, and
// knows no network.
type loading struct {
	allowExec bool
	networks  networks
	creates   bool // the verb makes something, and says where it did not
}

// flag adds --allow-exec to a verb.
func (l *loading) flag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&l.allowExec, "allow-exec", false, "run the commands that a scenario names under render; they may do anything")
}

// scenarioIs says what a SCENARIO argument may be.
const scenarioIs = "a scenario file or folder, or the file or folder of manifests"

// load reads a scenario and checks all of it that needs no cluster. Warnings
// go to w.
func (l loading) load(ctx context.Context, path string, w io.Writer) (*scenario.Scenario, error) {
	all, err := l.loadAll(ctx, path)
	if err != nil {
		return nil, err
	}
	warn(w, all[0].Warnings)
	return all[0], nil
}

// maxWarnings are printed; one for every policy of a large folder would hide the
// others.
const maxWarnings = 20

// warn of what does not stop a verb.
func warn(w io.Writer, all manifest.Problems) {
	for _, warning := range all[:min(len(all), maxWarnings)] {
		fmt.Fprintf(w, "warning: %v\n", warning)
	}
	if n := len(all) - maxWarnings; n > 0 {
		fmt.Fprintf(w, "warning: %d more are not shown\n", n)
	}
}

// loadAll reads scenarios, folders and files of manifests; those of manifests
// together.
func (l loading) loadAll(ctx context.Context, paths ...string) ([]*scenario.Scenario, error) {
	for _, path := range paths {
		if file := runOf(path); file != "" {
			return nil, usageError(fmt.Errorf("%s: this is the record of a run, not a scenario; judge it with: segtest report %s", file, path))
		}
	}
	loader := scenario.Loader{AllowExec: l.allowExec, PodCIDRs: l.networks.pods, ServiceCIDRs: l.networks.services}
	for _, k := range kinds.All() {
		loader.Faults = append(loader.Faults, k.Name)
	}
	known, err := profiles.All()
	if err != nil {
		return nil, environmentError(err)
	}
	for _, p := range known {
		loader.Profiles = append(loader.Profiles, p.Name)
	}
	all, err := loader.LoadAll(ctx, paths...)
	for _, sc := range all {
		err = errors.Join(err, run.CheckFaults(sc))
	}
	switch {
	case ctx.Err() != nil:
		return nil, &exitError{code: exitInterrupted, err: context.Cause(ctx)}
	case err != nil && l.creates:
		return nil, usageError(problems(strings.Join(paths, ", "), "nothing was created", err))
	case err != nil:
		return nil, usageError(problems(strings.Join(paths, ", "), "", err))
	}
	return all, nil
}

// problems of what was named, one to a line, with a note where it is not empty.
func problems(name, note string, err error) error {
	switch n := strings.Count(err.Error(), "\n") + 1; {
	case n > 1 && note != "":
		return fmt.Errorf("%s has %d problems, %s:\n%w", name, n, note, err)
	case n > 1:
		return fmt.Errorf("%s has %d problems:\n%w", name, n, err)
	case note != "":
		return fmt.Errorf("%s: %w", note, err)
	}
	return err
}

// runOf is the record that a path leads to, as a file or in the output folder
// of a run; "" for anything else.
func runOf(path string) string {
	for _, file := range []string{path, recordFile(path)} {
		if f, err := os.Open(file); err == nil {
			first, _ := bufio.NewReader(io.LimitReader(f, 64)).ReadString(',') // what cannot be read is no record
			if f.Close() == nil && strings.HasPrefix(first, `{"header":{"schema":"segtest.dev/record/`) {
				return file
			}
		}
	}
	return ""
}
