package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/segtest/segtest/fixtures/lint"
	"github.com/segtest/segtest/fixtures/manifest"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/suites/report"
)

// lintFlags are the flags of one invocation.
type lintFlags struct {
	output, failOn, show choice
	rules                bool
	loading              loading
}

func newLint(io stdio) *cobra.Command {
	flags := lintFlags{
		output: choice{"text", []string{"text", "json", "sarif"}},
		failOn: choice{"error", append(severities(), "never")}, show: choice{"warning", severities()},
	}
	cmd := &cobra.Command{
		Use:   "lint SCENARIO|FOLDER...",
		Short: "find what is wrong, in vain or risky in policies; needs no cluster",
		Long: `Applies every rule to scenarios and folders of manifests: policies that select
nothing, rules that are ignored, ports that nobody serves, allows that the other
end denies, rules that nobody would miss, and much more. Each finding has its
place and what to write instead. docs/lint.md describes the rules. Folders and
files of manifests are read together, each scenario for itself.

Exits 5 when a finding of the severity of --fail-on or a graver one stands.
Informational findings are counted and not shown unless --show info is given;
-o json and -o sarif hold all of them.

An annotation on the object accepts a finding, with a reason and, if you like, a
last day; it is then reported as accepted and does not count:

  segtest.dev/ignore: "SEG020 reason=comes with the next release until=2027-01-31"`,
		Example: `  segtest lint deploy/ policies/
  segtest lint shop.yaml --fail-on warning
  segtest lint shop.yaml -o sarif > lint.sarif
  segtest lint --rules`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case flags.rules && flags.output.value == "sarif":
				return misuse("--output sarif is for findings; want text or json with --rules")
			case flags.rules:
				return none(cmd, args)
			case len(args) == 0:
				return misuse("lint needs a SCENARIO or FOLDER: %s (--rules lists the rules)", scenarioIs)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if flags.rules {
				return flags.listRules(io)
			}
			return flags.run(cmd.Context(), io, args)
		},
	}
	f := cmd.Flags()
	f.VarP(&flags.output, "output", "o", "how to print it")
	f.Var(&flags.failOn, "fail-on", "least severity that exits 5")
	f.Var(&flags.show, "show", "least severity that text shows")
	f.BoolVar(&flags.rules, "rules", false, "list the rules")
	flags.loading.flag(cmd)
	flags.loading.networks.flag(cmd, "those of kind")
	return cmd
}

// severities are their words, the gravest first.
func severities() []string {
	var words []string
	for _, s := range lint.Severities() {
		words = append(words, s.String())
	}
	return words
}

// severityOf a flag; 0 is never.
func severityOf(c choice) lint.Severity {
	for _, s := range lint.Severities() {
		if s.String() == c.value {
			return s
		}
	}
	return 0
}

func (flags lintFlags) run(ctx context.Context, io stdio, args []string) error {
	options := lint.Options{Today: time.Now(), PodCIDRs: flags.loading.networks.pods, ServiceCIDRs: flags.loading.networks.services}
	scenarios, err := flags.loading.loadAll(ctx, args...)
	if err != nil {
		return err
	}
	var reports []lint.Report
	for _, sc := range scenarios {
		r, err := lintOne(sc, options, io.err)
		if err != nil {
			return err
		}
		reports = append(reports, r)
	}
	all := lint.Join(reports...)
	if err := flags.write(io, all); err != nil {
		return environmentError(err)
	}
	if failOn := severityOf(flags.failOn); failOn != 0 && all.Fails(failOn) {
		return &exitError{code: exitFindings}
	}
	return nil
}

// lintOne checks one scenario. Of what loading warns, that is passed on to w
// which no finding speaks of.
func lintOne(sc *scenario.Scenario, options lint.Options, w io.Writer) (lint.Report, error) {
	if m := sc.Manifests; len(sc.Workloads)+len(sc.Policies)+len(m.ClusterPolicies)+len(m.Foreign)+len(m.Services) == 0 {
		return lint.Report{}, usageError(fmt.Errorf("%s declares no workload and no policy, so there is nothing to check: name the folder that holds them too, or a scenario that lists both", sc.Source.File))
	}
	r, err := lint.Check(sc, options)
	if err != nil {
		return lint.Report{}, usageError(err)
	}
	warn(w, slices.DeleteFunc(slices.Clone(sc.Warnings), func(warning manifest.Problem) bool {
		return slices.ContainsFunc(r.Findings, func(f lint.Finding) bool { return f.Origin == warning.Origin })
	}))
	return r, nil
}

func (flags lintFlags) write(io stdio, r lint.Report) error {
	switch flags.output.value {
	case "json":
		return report.LintJSON(io.out, r)
	case "sarif":
		return report.SARIF(io.out, r, lint.Rules(), buildVersion().Version)
	}
	return report.LintText(io.out, r, severityOf(flags.show), terminal(io.out))
}

func (flags lintFlags) listRules(io stdio) error {
	var err error
	if flags.output.value == "json" {
		err = report.LintRulesJSON(io.out, lint.Rules())
	} else {
		err = report.LintRules(io.out, lint.Rules(), terminal(io.out))
	}
	if err != nil {
		return environmentError(err)
	}
	return nil
}
