package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/mutate"
	"github.com/segtest/segtest/suites/report"
)

// mutateFlags are the flags of one invocation.
type mutateFlags struct {
	loading   loading
	output    string
	minScore  float64
	operators []string
	list      bool
}

func newMutate(io stdio) *cobra.Command {
	var flags mutateFlags
	cmd := &cobra.Command{
		Use:   "mutate SCENARIO|FOLDER",
		Short: "make small mistakes in policies and see whether the expectation notices",
		Long: `Makes the small mistakes that people make in policies, one at a time: a rule is
dropped, a selector widened, a port changed, AND becomes OR. A mutant is killed
where a declared flow (the canary port included) that the policies satisfy flips.
One that survives is a mistake which the scenario would not notice: it is printed
with its place, the flows that it flips, and the rule of expect that would kill
it, ready to paste. Mutants that change no flow at all, on no port, are
equivalent and do not count. No cluster is needed.

The score is killed / (all - equivalent), in percent. Exits 1 where it is below
--min-score, and 4 where there is no mutant that could have been killed.`,
		Example: `  segtest mutate shop.yaml
  segtest mutate shop.yaml --min-score 95
  segtest mutate shop.yaml --operators drop-rule,drop-ports -o json
  segtest mutate --list`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if flags.list {
				return flags.listOperators(io, args)
			}
			return flags.run(cmd.Context(), io, args)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&flags.output, "output", "o", "text", "text or json")
	f.Float64Var(&flags.minScore, "min-score", 0, "least score that passes, in percent from 0 to 100")
	f.StringSliceVar(&flags.operators, "operators", nil, "apply these operators only (default: all)")
	f.BoolVar(&flags.list, "list", false, "list the operators")
	flags.loading.flag(cmd)
	return cmd
}

// expectation is what a scenario declares.
type expectation struct{ *scenario.Questions }

// Intent that the scenario declares.
func (e expectation) Intent(f matrix.Flow) matrix.Intent { return e.Expect(f).Intent }

func (flags mutateFlags) run(ctx context.Context, io stdio, args []string) error {
	if len(args) == 0 {
		return usageError(errors.New("mutate: name a scenario or a folder, or write --list to list the operators"))
	}
	if err := flags.check(); err != nil {
		return err
	}
	operators, err := mutate.Select(flags.operators)
	if err != nil {
		return usageError(fmt.Errorf("--operators: %w", err))
	}
	sc, err := flags.loading.load(ctx, args[0], io.err)
	if err != nil {
		return err
	}
	w := sc.World()
	result, err := mutate.Score(ctx, w, expectation{sc.Questions()}, sc.Cluster.IPs, mutate.Mutants(w, operators))
	switch {
	case ctx.Err() != nil:
		return &exitError{code: exitInterrupted, err: err}
	case err != nil:
		return usageError(err)
	}
	m := report.Mutation{Name: sc.Name, File: sc.Source.File, Result: result, Foreign: w.Foreign}
	if flags.output == "json" {
		err = report.MutateJSON(io.out, m)
	} else {
		err = report.MutateText(io.out, m, terminal(io.out))
	}
	if err != nil {
		return environmentError(err)
	}
	return flags.verdict(result)
}

func (flags mutateFlags) check() error {
	switch {
	case flags.output != "text" && flags.output != "json":
		return usageError(fmt.Errorf("--output %q: want text or json", flags.output))
	case !(flags.minScore == 0 || flags.minScore >= 1 && flags.minScore <= 100):
		return usageError(fmt.Errorf("--min-score %v: want percent, a number from 1 to 100", flags.minScore))
	}
	return nil
}

// verdict holds the score against --min-score.
func (flags mutateFlags) verdict(r mutate.Result) error {
	score, ok := r.Score()
	switch {
	case flags.minScore == 0:
		return nil
	case !ok:
		return &exitError{code: exitInconclusive, err: errors.New("there is no mutant that could have been killed, and so no score")}
	case score*100 < flags.minScore:
		return &exitError{code: exitViolated, err: fmt.Errorf("the score is below --min-score %v", flags.minScore)}
	}
	return nil
}

func (flags mutateFlags) listOperators(io stdio, args []string) error {
	if len(args) > 0 {
		return usageError(errors.New("mutate --list lists the operators and takes no scenario"))
	}
	if err := flags.check(); err != nil {
		return err
	}
	var err error
	if flags.output == "json" {
		err = report.MutateOperatorsJSON(io.out, mutate.Operators())
	} else {
		err = report.MutateOperators(io.out, mutate.Operators(), terminal(io.out))
	}
	if err != nil {
		return environmentError(err)
	}
	return nil
}
