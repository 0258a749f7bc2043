package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/segtest/segtest/fixtures/manifest"
	"github.com/segtest/segtest/fixtures/revision"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/suites/diff"
	"github.com/segtest/segtest/suites/plan"
)

// withScenario wants one argument, and perhaps a SCENARIO behind it.
func withScenario(name, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return misuse("%s needs a %s: %s", cmd.Name(), name, what)
		case 1, 2:
			return nil
		}
		return misuse("%s takes a %s and one SCENARIO, not %d arguments: %q", cmd.Name(), name, len(args), args)
	}
}

// scenarioLast is the SCENARIO behind another argument, the current folder where
// it was left out.
func scenarioLast(args []string) string {
	if len(args) > 1 {
		return args[1]
	}
	return "."
}

// repositoryOf is the repository around a scenario or folder, which need not be
// there today, and its path in it. Close the repository.
func repositoryOf(ctx context.Context, target string) (*revision.Repository, string, error) {
	dir, rest := manifest.Clean(target), ""
	for !isFolder(dir) && path.Dir(dir) != dir {
		dir, rest = path.Dir(dir), path.Join(path.Base(dir), rest)
	}
	repo, err := revision.Open(ctx, dir)
	if err != nil {
		return nil, "", gitError(ctx, err)
	}
	return repo, repo.Path(rest), nil
}

func isFolder(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// gitError is an error of the repository with its exit code.
func gitError(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return &exitError{code: exitInterrupted, err: context.Cause(ctx)}
	case errors.Is(err, revision.ErrNoGit):
		return environmentError(err)
	}
	return usageError(err)
}

// side is a version of a scenario or folder that is compared.
type side struct {
	diff.Version
	plan *plan.Plan           // nil: it has no such scenario
	repo *revision.Repository // nil: there is none around it
}

// onDisk loads a version that lies there.
func (l loading) onDisk(ctx context.Context, target, name string, w io.Writer) (side, error) {
	sc, err := l.load(ctx, target, w)
	if err != nil {
		return side{}, err
	}
	p, err := plan.Of(sc)
	if err != nil {
		return side{}, usageError(err)
	}
	return side{Version: diff.Version{Name: name, File: sc.Source.File}, plan: p}, nil
}

// committed loads the version of a commit. newer is one that has the scenario,
// perhaps under another name.
func (l loading) committed(ctx context.Context, repo *revision.Repository, name, rev string, c, newer revision.Commit) (side, error) {
	v := side{Version: diff.Version{Name: rev, Commit: c}, repo: repo}
	tree := repo.Tree(c)
	if _, err := fs.Stat(tree, name); errors.Is(err, fs.ErrNotExist) {
		was, err := repo.Renamed(ctx, c, newer, name)
		if err != nil {
			return side{}, gitError(ctx, err)
		}
		if was == "" {
			return v, nil
		}
		name = was
	}
	// No command runs on files that are not on this machine, and what is allowed
	// here makes the problem say so.
	sc, err := scenario.Loader{FS: tree, AllowExec: true, PodCIDRs: l.networks.pods, ServiceCIDRs: l.networks.services}.LoadContext(ctx, name)
	switch {
	case ctx.Err() != nil:
		return side{}, &exitError{code: exitInterrupted, err: context.Cause(ctx)}
	case err != nil:
		return side{}, usageError(fmt.Errorf("at %s (%s): %w", rev, c.Short(), problems(name, "", err)))
	}
	v.File = repo.Reach(sc.Source.File)
	if v.plan, err = plan.Of(sc); err != nil {
		return side{}, usageError(fmt.Errorf("at %s (%s): %w", rev, c.Short(), err))
	}
	return v, nil
}

// asks reports that there is a flow of which policies of the version may decide:
// those for the whole cluster hold for pods that it does not declare, too.
func (v side) asks() bool {
	return v.plan != nil && len(v.plan.Pods())+len(v.plan.World.ClusterPolicies) > 0
}

// content of a file of the version, as places name it.
func (v side) content(file string) ([]byte, error) {
	if v.Commit.Hash == "" {
		return os.ReadFile(file) //nolint:gosec // a file that was just read
	}
	return fs.ReadFile(v.repo.Tree(v.Commit), file)
}

// isPath reports an argument that can only be a path.
func isPath(arg string) bool { return strings.HasPrefix(arg, ".") || path.IsAbs(manifest.Clean(arg)) }

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
