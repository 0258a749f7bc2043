package cli

import (
	"fmt"
	"io"
	"slices"

	"github.com/segtest/segtest/chaos/kinds"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/run"
)

// scenarioIs says what a SCENARIO argument may be.
const scenarioIs = "a file, or a folder with a scenario.yaml in it"

// load reads a scenario and checks all of it that needs no cluster. Warnings
// go to w.
func load(path string, w io.Writer) (*scenario.Scenario, error) {
	var faults []string
	for _, k := range kinds.All() {
		faults = append(faults, k.Name)
	}
	sc, err := scenario.Loader{Faults: faults}.Load(path)
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
