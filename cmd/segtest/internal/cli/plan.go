package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/plan"
	"github.com/segtest/segtest/suites/report"
)

// planFlags are the flags of one invocation.
type planFlags struct {
	loading      loading
	output, fold choice
	write        string
	reach        bool
}

func newPlan(io stdio) *cobra.Command {
	flags := planFlags{output: choice{"table", planFormatNames()}, fold: choice{"auto", []string{"always", "auto", "never"}}}
	cmd := &cobra.Command{
		Use:   "plan SCENARIO|FOLDER [--reach [FROM]]",
		Short: "print the declared and the computed matrix; needs no cluster",
		Long: `Prints, for every flow of the scenario, what is declared and what the policies
compute to, disagreements first. Exits 1 when they disagree: then either the
expectation or a policy is wrong, and no cluster is needed to know it. Exits 4
when nothing worse is found than that the policies leave open what is declared.

A folder of manifests or a kustomization declares nothing: then the matrix is
what its policies compute to. --write makes a snapshot of it, a scenario that
states exactly that, to be committed: of all pods, of all addresses outside of the
cluster, and on all ports of TCP, UDP and SCTP. From then on planning the snapshot
exits 1 as soon as one of these flows is opened, closed or left open. Nodes,
Services (their pods are in it), and pods of namespaces that the manifests do not
hold are not part of it.

Where the pods of a cluster have their addresses, which decides rules with blocks,
only --pod-cidr and --service-cidr say: give the same ones when a snapshot is
written and when it is planned.

--reach tells how far somebody gets who takes over a pod: the pods that each one
may ask by itself, and from there on; with FROM, the shortest chain to each. FROM
is a workload, a pod, node/NAME or world/ADDRESS. Flows that the policies leave
undefined count as "perhaps".

The formats are:

` + planFormatList(),
		Example: `  segtest plan shop.yaml
  segtest plan deploy/ -o svg > matrix.svg
  segtest plan deploy/ --write segtest/shop.yaml
  segtest plan shop.yaml --reach shop/web`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil // FROM of --reach
			}
			return one("SCENARIO", scenarioIs)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error { return flags.run(cmd.Context(), io, args) },
	}
	f := cmd.Flags()
	f.VarP(&flags.output, "output", "o", "how to print it")
	f.Var(&flags.fold, "fold", "show equal pods as one row and one column; auto: when there are many")
	f.StringVar(&flags.write, "write", "", "write a snapshot to this file, a scenario that expects what the policies allow (- is the standard output)")
	f.BoolVar(&flags.reach, "reach", false, "print the blast radius: of FROM, or how large it is of every pod")
	flags.loading.flag(cmd)
	flags.loading.networks.flag(cmd, unknownNetworks)
	return cmd
}

func planFormatList() string {
	var b strings.Builder
	for _, f := range report.PlanFormats() {
		fmt.Fprintf(&b, "  %-6s %s\n", f.Name, f.Summary)
	}
	return strings.TrimRight(b.String(), "\n")
}

func planFormatNames() []string {
	var names []string
	for _, f := range report.PlanFormats() {
		names = append(names, f.Name)
	}
	return names
}

func (flags planFlags) run(ctx context.Context, io stdio, args []string) error {
	switch {
	case len(args) > 1 && !flags.reach:
		return misuse("plan takes one SCENARIO or FOLDER, not %d", len(args))
	case flags.reach && flags.write != "":
		return misuse("--reach and --write do not go together")
	case flags.reach && flags.output.value != "table" && flags.output.value != "json":
		return misuse("--output %q: want table or json with --reach", flags.output.value)
	}
	path, from := scenarioFirst(args)
	sc, err := flags.loading.load(ctx, path, io.err)
	if err != nil {
		return err
	}
	if len(sc.Workloads) == 0 {
		return usageError(fmt.Errorf("%s declares no workload, so there is no flow to plan: name the folder that holds the workloads too, or a scenario that lists both", sc.Source.File))
	}
	p, err := plan.Of(sc)
	if err != nil {
		return usageError(err)
	}
	switch {
	case flags.reach:
		return flags.blast(io, p, from)
	case flags.write != "":
		return flags.snapshot(ctx, io, p)
	}
	return flags.print(io, p)
}

// scenarioFirst tells the scenario from the other argument, which may come first
// because --reach takes it.
func scenarioFirst(args []string) (path, from string) {
	if len(args) == 1 {
		return args[0], ""
	}
	if _, err := os.Stat(args[0]); err != nil {
		if _, err := os.Stat(args[1]); err == nil {
			return args[1], args[0]
		}
	}
	return args[0], args[1]
}

// manyWorkloads do not fit a screen.
const manyWorkloads = 24

// print the plan.
func (flags planFlags) print(io stdio, p *plan.Plan) error {
	formats := report.PlanFormats()
	format := formats[slices.IndexFunc(formats, func(f report.PlanFormat) bool { return f.Name == flags.output.value })]
	folding := report.FoldReplicas
	switch {
	case flags.fold.value == "never":
		folding = report.FoldNothing
	case flags.fold.value == "always" || len(p.Scenario.Workloads) > manyWorkloads:
		folding = report.FoldGroups
	}
	sheet := p.Sheet(!format.Folds || folding == report.FoldGroups)
	if format.Name == "table" {
		fmt.Fprintf(io.out, "%s (%s)\n", sheet.Name, sheet.File)
	}
	if err := format.Write(io.out, sheet, folding, terminal(io.out)); err != nil {
		return environmentError(err)
	}
	return differs(sheet.Tally, p.Scenario.Expect.Snapshot)
}

// differs is the exit code of what scenario and policies do not agree on. A flow
// that is stated and that the policies leave open proves nothing, but in a
// snapshot: there it was decided once.
func differs(t plan.Tally, snapshot bool) error {
	switch {
	case t.Disagree == 0:
		return nil
	case t.Undecidable == t.Disagree && !snapshot:
		return &exitError{code: exitInconclusive}
	}
	return &exitError{code: exitViolated}
}

// blast prints the blast radius.
func (flags planFlags) blast(io stdio, p *plan.Plan, word string) error {
	var from []matrix.Endpoint
	if word != "" {
		var err error
		if from, err = speakers(p, word); err != nil {
			return err
		}
	}
	var err error
	if b := p.Blast(from...); flags.output.value == "json" {
		err = report.ReachJSON(io.out, b)
	} else {
		err = report.ReachTable(io.out, b, terminal(io.out))
	}
	if err != nil {
		return environmentError(err)
	}
	return nil
}
