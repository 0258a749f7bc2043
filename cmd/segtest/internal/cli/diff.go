package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/segtest/segtest/fixtures/revision"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/diff"
	"github.com/segtest/segtest/suites/plan"
	"github.com/segtest/segtest/suites/report"
)

// diffFlags are the flags of one invocation.
type diffFlags struct {
	loading        loading
	output, failOn choice
}

func newDiff(io stdio) *cobra.Command {
	flags := diffFlags{
		output: choice{"text", []string{"text", "md", "json"}},
		failOn: choice{"declared", []string{"declared", "opened", "closed", "any", "never"}},
	}
	cmd := &cobra.Command{
		Use:   "diff BASE [SCENARIO|FOLDER]",
		Short: "show which flows a change opens and closes; needs no cluster",
		Long: `Compares what the policies compute to in two versions of a scenario or folder and
prints the flows that flip, with the rules that decide before and after and who
last changed them. Flows to and from pods of other namespaces (elsewhere/any) and
addresses outside of the cluster (world/BLOCK) count too. Pods that only one
version has are listed apart. Nothing is checked out: the files of a revision are
read from the Git repository.

BASE is a Git revision (then the work tree is the later version), two revisions
A..B, or A...B from where B left A, a scenario file, or a folder. SCENARIO is the
current folder unless it is given.

Exits 1 when a declared flow flips against its declaration, and 4 when nothing
worse is found than that what is declared is left undefined now (1 in a snapshot),
or when no flow is in both versions. --fail-on asks for more: opened, closed or any
fail on such flips too, whatever is declared, and on those that are or were left
undefined; never does not fail at all.`,
		Example: `  segtest diff origin/main deploy/
  segtest diff origin/main...HEAD shop.yaml -o md > comment.md
  segtest diff v1.2..v1.3 deploy/ --fail-on opened
  segtest diff ../before deploy/`,
		Args: withScenario("BASE", "a Git revision, A..B, A...B, a scenario file, or a folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return flags.run(cmd.Context(), io, args[0], scenarioLast(args))
		},
	}
	f := cmd.Flags()
	f.VarP(&flags.output, "output", "o", "how to print it; md is a comment for a pull request")
	f.Var(&flags.failOn, "fail-on", "flips that exit 1")
	flags.loading.flag(cmd)
	flags.loading.networks.flag(cmd, unknownNetworks)
	return cmd
}

func (flags diffFlags) run(ctx context.Context, io stdio, base, target string) error {
	before, after, err := flags.versions(ctx, io, base, target)
	for _, v := range []side{before, after} {
		if v.repo != nil {
			defer v.repo.Close()
		}
	}
	if err != nil {
		return err
	}
	if before.plan == nil && after.plan == nil {
		return usageError(fmt.Errorf("neither %s nor %s has a file or folder %s; check the path", before.Name, after.Name, target))
	}
	if !before.asks() && !after.asks() {
		return usageError(fmt.Errorf("%s declares no workload, so there is no flow to compare: name the folder that holds the workloads too, or a scenario that lists both", target))
	}
	d, err := diff.Of(before.plan, after.plan)
	if err != nil {
		return usageError(err)
	}
	d.Before, d.After = before.Version, after.Version
	for _, v := range []side{before, after} {
		if v.plan == nil {
			fmt.Fprintf(io.err, "warning: %s has no file or folder %s: there is nothing to compare with\n", v.Name, target)
		}
	}
	was, is := d.Causes()
	before.credit(ctx, was, io.err)
	after.credit(ctx, is, io.err)
	if ctx.Err() != nil {
		return &exitError{code: exitInterrupted, err: context.Cause(ctx)}
	}
	if err := flags.write(io, d); err != nil {
		return environmentError(err)
	}
	return flags.verdict(d, before, after)
}

// verdict by --fail-on. That nothing was compared proves nothing, but where one of
// the versions does not exist.
func (flags diffFlags) verdict(d diff.Diff, before, after side) error {
	switch {
	case flags.failOn.value == "never" || before.plan == nil || after.plan == nil:
		return nil
	case d.Compared == 0:
		return &exitError{code: exitInconclusive, err: errors.New("nothing was compared: no flow is in both versions; check that they are of the same workloads")}
	case flags.fails(d):
		return &exitError{code: exitViolated}
	}
	return differs(plan.Tally{Disagree: d.Undecidable(), Undecidable: d.Undecidable()}, after.plan.Scenario.Expect.Snapshot)
}

// fails by --fail-on. A flow that is or was left undefined may be open, and may be
// closed.
func (flags diffFlags) fails(d diff.Diff) bool {
	var bad func(diff.Flip) bool
	switch flags.failOn.value {
	case "opened":
		bad = func(f diff.Flip) bool {
			return f.After == matrix.Allow || f.Kind() == diff.Unclear && f.Before == matrix.Deny
		}
	case "closed":
		bad = func(f diff.Flip) bool {
			return f.After == matrix.Deny || f.Kind() == diff.Unclear && f.Before == matrix.Allow
		}
	case "any":
		bad = func(diff.Flip) bool { return true }
	default:
		bad = diff.Flip.Against
	}
	return d.Against() > 0 || slices.ContainsFunc(d.Flips, bad)
}

func (flags diffFlags) write(io stdio, d diff.Diff) error {
	switch flags.output.value {
	case "md":
		return report.DiffMarkdown(io.out, d)
	case "json":
		return report.DiffJSON(io.out, d)
	}
	return report.DiffText(io.out, d, terminal(io.out))
}

// versions that are compared. Their repositories are to be closed, after an error
// too.
func (flags diffFlags) versions(ctx context.Context, io stdio, base, target string) (before, after side, err error) {
	repo, name, noRepository := repositoryOf(ctx, target)
	after.repo = repo
	onDisk := isPath(base) || exists(base)
	if onDisk && !isPath(base) && repo != nil {
		if _, err := repo.Commit(ctx, base); err == nil {
			return before, after, usageError(fmt.Errorf("%q is a revision and a path; write ./%s for the path, or refs/heads/%s for the branch", base, base, base))
		}
	}
	switch {
	case onDisk:
		return flags.onDisk(ctx, io, base, target, after)
	case noRepository != nil && errors.Is(noRepository, revision.ErrNoRepository):
		return before, after, usageError(fmt.Errorf("%q is neither a path nor a revision: %w", base, noRepository))
	case noRepository != nil:
		return before, after, noRepository
	}
	return flags.revisions(ctx, io, repo, name, base, target)
}

// onDisk compares two paths.
func (flags diffFlags) onDisk(ctx context.Context, io stdio, base, target string, after side) (side, side, error) {
	before, err := flags.loading.onDisk(ctx, base, base, io.err)
	if err != nil {
		return before, after, err
	}
	if before.repo, _, err = repositoryOf(ctx, base); err != nil {
		before.repo = nil // then nobody knows who wrote it
	}
	repo := after.repo
	after, err = flags.loading.onDisk(ctx, target, target, io.err)
	after.repo = repo
	return before, after, err
}

// revisions compares a revision with the work tree, or with another one.
func (flags diffFlags) revisions(ctx context.Context, io stdio, repo *revision.Repository, name, base, target string) (before, after side, err error) {
	after.repo = repo
	older, newer, both := strings.Cut(base, "..")
	newer, common := strings.CutPrefix(newer, ".")
	older, newer = cmp.Or(older, "HEAD"), cmp.Or(newer, "HEAD")
	var from, to revision.Commit
	if to, err = repo.Commit(ctx, newer); err != nil {
		return before, after, gitError(ctx, err)
	}
	if common {
		from, err = repo.MergeBase(ctx, older, newer)
		older = fmt.Sprintf("where %s left %s", newer, older)
	} else {
		from, err = repo.Commit(ctx, older)
	}
	if err != nil {
		return before, after, gitError(ctx, err)
	}
	if before, err = flags.loading.committed(ctx, repo, name, older, from, to); err != nil {
		return side{}, after, err
	}
	if both {
		after, err = flags.loading.committed(ctx, repo, name, newer, to, from)
	} else {
		after, err = flags.loading.onDisk(ctx, target, "work tree", io.err)
	}
	after.repo = repo
	return before, after, err
}
