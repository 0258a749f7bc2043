package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/segtest/segtest/chaos/kinds"
	"github.com/segtest/segtest/chaos/profiles"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/run"
)

// scenarioIs says what a SCENARIO argument may be.
const scenarioIs = "a file, or a folder with a scenario.yaml in it"

// load reads a scenario and checks all of it that needs no cluster. Warnings
// go to w.
func load(path string, w io.Writer) (*scenario.Scenario, error) {
	if file := runOf(path); file != "" {
		return nil, usageError(fmt.Errorf("%s: this is the record of a run, not a scenario; judge it with: segtest report %s", file, path))
	}
	loader := scenario.Loader{}
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
	sc, err := loader.Load(path)
	if err != nil {
		return nil, usageError(fmt.Errorf("the scenario has problems, nothing was created:\n%w", err))
	}
	if err := run.CheckFaults(sc); err != nil {
		return nil, usageError(fmt.Errorf("the scenario has problems, nothing was created:\n%w", err))
	}
	for _, warning := range sc.Warnings {
		fmt.Fprintf(w, "warning: %v\n", warning)
	}
	return sc, nil
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

// selection reads --select values: the flows to keep; nil keeps all.
func selection(texts []string) (func(matrix.Flow) bool, error) {
	if len(texts) == 0 {
		return nil, nil //nolint:nilnil // no filter is not an error
	}
	flows := make([]matrix.Flow, len(texts))
	for i, text := range texts {
		var err error
		if flows[i], err = matrix.ParseFlow(text); err != nil {
			return nil, misuse("--select: %w", err)
		}
	}
	return func(f matrix.Flow) bool { return slices.Contains(flows, f) }, nil
}
