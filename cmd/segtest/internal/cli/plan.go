package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/report"
	"github.com/segtest/segtest/suites/run"
)

func newPlan(io stdio) *cobra.Command {
	return &cobra.Command{
		Use:   "plan SCENARIO",
		Short: "print the declared and the computed matrix; needs no cluster",
		Long: `Prints, for every flow of the scenario, what is declared and what the policies
compute to, disagreements first. Exits 1 when they disagree: then either the
expectation or a policy is wrong, and no cluster is needed to know it.`,
		Args: one("SCENARIO", scenarioIs),
		RunE: func(_ *cobra.Command, args []string) error {
			sc, err := load(args[0], io.err)
			if err != nil {
				return err
			}
			flows, err := run.Flows(sc, nil)
			if err != nil {
				return usageError(err)
			}
			fmt.Fprintf(io.out, "%s (%s)\n", sc.Name, sc.Source.File)
			if err := report.PlanText(io.out, flows, terminal(io.out)); err != nil {
				return environmentError(err)
			}
			if slices.ContainsFunc(flows, judge.Disagree) {
				return &exitError{code: exitViolated}
			}
			return nil
		},
	}
}
