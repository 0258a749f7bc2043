package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/segtest/segtest/fixtures/lint"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/suites/report"
)

// lintFlags are the flags of one invocation.
type lintFlags struct {
	output, failOn, show   string
	rules                  bool
	podCIDRs, serviceCIDRs []string
	loading                loading
}

func newLint(io stdio) *cobra.Command {
	var flags lintFlags
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
		RunE: func(cmd *cobra.Command, args []string) error {
			if flags.rules {
				return flags.listRules(io, args)
			}
			return flags.run(cmd.Context(), io, args)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&flags.output, "output", "o", "text", "text, json or sarif")
	f.StringVar(&flags.failOn, "fail-on", "error", "least severity that fails: error, warning, info or never")
	f.StringVar(&flags.show, "show", "warning", "least severity that text shows: error, warning or info")
	f.BoolVar(&flags.rules, "rules", false, "list the rules")
	f.StringSliceVar(&flags.podCIDRs, "pod-cidr", nil, "networks of the pods (default: those of kind)")
	f.StringSliceVar(&flags.serviceCIDRs, "service-cidr", nil, "networks of the Services (default: those of kind)")
	flags.loading.flag(cmd)
	return cmd
}

// severityOf reads a severity; 0 is never, where that may be said.
func severityOf(flag, word string, never bool) (lint.Severity, error) {
	var known []string
	for _, s := range lint.Severities() {
		if s.String() == word {
			return s, nil
		}
		known = append(known, s.String())
	}
	if never {
		if word == "never" {
			return 0, nil
		}
		known = append(known, "never")
	}
	return 0, usageError(fmt.Errorf("--%s %q: want %s", flag, word, strings.Join(known, ", ")))
}

func (flags lintFlags) run(ctx context.Context, io stdio, args []string) error {
	if len(args) == 0 {
		return usageError(errors.New("lint: name a scenario or a folder, or write --rules to list the rules"))
	}
	failOn, err := severityOf("fail-on", flags.failOn, true)
	if err != nil {
		return err
	}
	write, err := flags.writer(io)
	if err != nil {
		return err
	}
	options := lint.Options{Today: time.Now()}
	if options.PodCIDRs, err = prefixes("pod-cidr", flags.podCIDRs); err != nil {
		return err
	}
	if options.ServiceCIDRs, err = prefixes("service-cidr", flags.serviceCIDRs); err != nil {
		return err
	}
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
	if err := write(all); err != nil {
		return environmentError(err)
	}
	if failOn != 0 && all.Fails(failOn) {
		return &exitError{code: exitFindings}
	}
	return nil
}

// lintOne checks one scenario. Of what loading warns, that is passed on to w
// which no finding speaks of.
func lintOne(sc *scenario.Scenario, options lint.Options, w io.Writer) (lint.Report, error) {
	r, err := lint.Check(sc, options)
	if err != nil {
		return lint.Report{}, usageError(err)
	}
	for _, warning := range sc.Warnings {
		if !slices.ContainsFunc(r.Findings, func(f lint.Finding) bool { return f.Origin == warning.Origin }) {
			fmt.Fprintf(w, "warning: %v\n", warning)
		}
	}
	return r, nil
}

// writer of the form that -o names.
func (flags lintFlags) writer(io stdio) (func(lint.Report) error, error) {
	least, err := severityOf("show", flags.show, false)
	if err != nil {
		return nil, err
	}
	switch flags.output {
	case "text":
		return func(r lint.Report) error { return report.LintText(io.out, r, least, terminal(io.out)) }, nil
	case "json":
		return func(r lint.Report) error { return report.LintJSON(io.out, r) }, nil
	case "sarif":
		return func(r lint.Report) error { return report.SARIF(io.out, r, lint.Rules(), buildVersion().Version) }, nil
	}
	return nil, usageError(fmt.Errorf("--output %q: want text, json or sarif", flags.output))
}

func (flags lintFlags) listRules(io stdio, args []string) error {
	if len(args) > 0 {
		return usageError(errors.New("lint --rules lists the rules and takes no scenario"))
	}
	var err error
	switch flags.output {
	case "text":
		err = report.LintRules(io.out, lint.Rules(), terminal(io.out))
	case "json":
		err = report.LintRulesJSON(io.out, lint.Rules())
	default:
		return usageError(fmt.Errorf("--output %q: want text or json", flags.output))
	}
	if err != nil {
		return environmentError(err)
	}
	return nil
}

func prefixes(flag string, texts []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, usageError(fmt.Errorf("--%s %q: want an address and a length, for example 10.244.0.0/16", flag, text))
		}
		all = append(all, p.Masked())
	}
	return all, nil
}
