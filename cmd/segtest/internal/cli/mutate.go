package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/mutate"
	"github.com/segtest/segtest/suites/report"
)

// mutateFlags are the flags of one invocation.
type mutateFlags struct {
	loading   loading
	output    choice
	minScore  percent
	operators []string
	list      bool
}

func newMutate(io stdio) *cobra.Command {
	flags := mutateFlags{output: output()}
	cmd := &cobra.Command{
		Use:   "mutate SCENARIO|FOLDER",
		Short: "make small mistakes in policies and see whether the expectation notices",
		Long: `Makes the small mistakes that people make in policies, one at a time: a rule is
dropped, a selector widened, a port changed, AND becomes OR. A mutant is killed
where a declared flow (the canary port included) that the policies satisfy flips.
One that survives is a mistake which the scenario would not notice: it is printed
with its place, the flows that it flips, and the rule of expect that would kill
it, ready to paste. Mutants that change no flow at all, on no port, are
equivalent and do not count, nor do those of which no scenario can state anything.
No cluster is needed.

The score is killed / (killed + survived), in percent. With --min-score it exits 1
where the score is below that, and 4 where there is no score because no mutant
could have been killed. Without it survivors are no failure.`,
		Example: `  segtest mutate shop.yaml
  segtest mutate shop.yaml --min-score 95
  segtest mutate shop.yaml --operators drop-rule,drop-ports -o json
  segtest mutate --list`,
		Args: func(cmd *cobra.Command, args []string) error {
			if flags.list {
				return none(cmd, args)
			}
			return one("SCENARIO", scenarioIs+" (--list lists the operators)")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if flags.list {
				return flags.listOperators(io)
			}
			return flags.run(cmd.Context(), io, args[0])
		},
	}
	f := cmd.Flags()
	f.VarP(&flags.output, "output", "o", "how to print it")
	f.Var(&flags.minScore, "min-score", "least score that passes, "+wantPercent+" (default: any)")
	f.StringSliceVar(&flags.operators, "operators", nil, "apply these operators only (default: all)")
	f.BoolVar(&flags.list, "list", false, "list the operators")
	flags.loading.flag(cmd)
	flags.loading.networks.flag(cmd, unknownNetworks)
	return cmd
}

// expectation is what a scenario declares.
type expectation struct{ *scenario.Questions }

// Intent that the scenario declares.
func (e expectation) Intent(f matrix.Flow) matrix.Intent { return e.Expect(f).Intent }

func (flags mutateFlags) run(ctx context.Context, io stdio, target string) error {
	operators, err := mutate.Select(flags.operators)
	if err != nil {
		return usageError(fmt.Errorf("--operators: %w", err))
	}
	sc, err := flags.loading.load(ctx, target, io.err)
	if err != nil {
		return err
	}
	if sc.Expect.Default == matrix.Unstated && len(sc.Expect.Rules) == 0 {
		fmt.Fprintf(io.err, "note: %s declares nothing, so that no mutant can be killed; segtest plan %s --write FILE makes an expectation of what its policies allow\n", sc.Name, target)
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
	if flags.output.value == "json" {
		err = report.MutateJSON(io.out, m)
	} else {
		err = report.MutateText(io.out, m, terminal(io.out))
	}
	if err != nil {
		return environmentError(err)
	}
	return flags.verdict(result)
}

// verdict holds the score against --min-score.
func (flags mutateFlags) verdict(r mutate.Result) error {
	score, ok := r.Score()
	switch {
	case flags.minScore == 0:
		return nil
	case !ok:
		return &exitError{code: exitInconclusive, err: fmt.Errorf("there is no score to hold against --min-score %v: of %d mutants none could have been killed", flags.minScore, len(r))}
	case score*100 < float64(flags.minScore):
		return &exitError{code: exitViolated, err: fmt.Errorf("the score is below --min-score %v", flags.minScore)}
	}
	return nil
}

func (flags mutateFlags) listOperators(io stdio) error {
	var err error
	if flags.output.value == "json" {
		err = report.MutateOperatorsJSON(io.out, mutate.Operators())
	} else {
		err = report.MutateOperators(io.out, mutate.Operators(), terminal(io.out))
	}
	if err != nil {
		return environmentError(err)
	}
	return nil
}

// percent is a flag from 1 to 100; 0 where nobody says. A share of 1, which some
// mean by 0.8, is refused. It implements pflag.Value.
type percent float64

const wantPercent = "a percentage from 1 to 100"

// Type is what the help shows behind the flag's name.
func (p *percent) Type() string { return "percent" }

func (p *percent) String() string {
	if *p == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(*p), 'g', -1, 64)
}

// Set implements pflag.Value.
func (p *percent) Set(text string) error {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= 1 && n <= 100) {
		return errors.New("want " + wantPercent)
	}
	*p = percent(n)
	return nil
}
