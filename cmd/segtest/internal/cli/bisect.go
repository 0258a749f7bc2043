package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/segtest/segtest/fixtures/revision"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/bisect"
	"github.com/segtest/segtest/suites/diff"
	"github.com/segtest/segtest/suites/plan"
	"github.com/segtest/segtest/suites/report"
)

// bisectFlags are the flags of one invocation.
type bisectFlags struct {
	loading          loading
	output           choice
	good, bad        string
	all, firstParent bool
}

func newBisect(io stdio) *cobra.Command {
	flags := bisectFlags{output: output()}
	cmd := &cobra.Command{
		Use:   "bisect FROM TO:PORT [SCENARIO|FOLDER]",
		Short: "name the commit that opened or closed a flow; needs no cluster",
		Long: `Asks the oracle about one flow at the commits of the Git history and names the
one that made it what it is: commit, author, date, and the deciding rules before
and after. Nothing is checked out: files are read from the repository, and only
those that differ are read again.

FROM and TO are workloads (the first pod of each is asked), pods, node/NAME or
world/ADDRESS. PORT is a number, or the name that a port has at --bad; TCP unless
it says UDP/53 or 53/UDP. ICMP in its place stands for an echo request. One word like 'shop/web->shop/db:5432' will do, and a
flow as reports write it. SCENARIO is the current folder unless it is given; where
it had other names in the past, they are found.

The search begins at --bad and goes back along first parents until the flow is
otherwise, or to --good. A merge is followed into what it merged, unless
--first-parent is given. Commits whose files cannot be read are left out and
named. Where the flow flipped more than once, the last time is shown and the
number is said; --all looks at every commit and shows each.

Exits 4 when no commit was found that changed the flow.`,
		Example: `  segtest bisect shop/web shop/db:postgres deploy/
  segtest bisect 'shop/web-0 → shop/db-0 TCP/5432' shop.yaml --good v1.2 --bad v1.3
  segtest bisect shop/web world/192.0.2.7:443 --all -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			_, _, err := questionOf(cmd.Name(), args)
			return err
		},
		RunE: func(cmd *cobra.Command, args []string) error { return flags.run(cmd.Context(), io, args) },
	}
	f := cmd.Flags()
	f.VarP(&flags.output, "output", "o", "how to print it")
	f.StringVar(&flags.good, "good", "", "revision at which the flow was otherwise (default: searched for)")
	f.StringVar(&flags.bad, "bad", "HEAD", "revision at which the search begins")
	f.BoolVar(&flags.all, "all", false, "look at every commit and show each flip")
	f.BoolVar(&flags.firstParent, "first-parent", false, "take a merge for the answer, and do not look into what it merged")
	flags.loading.networks.flag(cmd, unknownNetworks)
	return cmd
}

func (flags bisectFlags) run(ctx context.Context, io stdio, args []string) error {
	q, target, err := questionOf("bisect", args)
	if err != nil {
		return err
	}
	target = cmp.Or(target, ".")
	repo, name, err := repositoryOf(ctx, target)
	if err != nil {
		return err
	}
	defer repo.Close()
	line, err := flags.line(ctx, repo, io.err)
	if err != nil {
		return gitError(ctx, err)
	}
	flow, err := flags.flow(ctx, repo, name, q, line[0])
	if err != nil {
		return err
	}
	progress := newProgress(io.err)
	found, err := bisect.Find(ctx, repo, bisect.NewReader(repo, name, flow, flags.networks()), line, bisect.Options{
		All: flags.all, FirstParent: flags.firstParent, Good: flags.good != "", Progress: progress.Printf,
	})
	progress.Close()
	if err != nil {
		return gitError(ctx, err)
	}
	if found.State.State == bisect.Absent && len(found.Flips) == 0 {
		return flags.never(ctx, repo, name, q, found)
	}
	b := report.Bisection{Result: found, Flow: flow, Tip: flags.bad, All: flags.all, Shallow: repo.Shallow()}
	for _, f := range found.Flips {
		b.Changes = append(b.Changes, changes(repo, f))
	}
	flags.uncommitted(ctx, io.err, target, flow, found)
	return flags.write(io, b)
}

func (flags bisectFlags) write(io stdio, b report.Bisection) error {
	var err error
	if flags.output.value == "json" {
		err = report.BisectJSON(io.out, b)
	} else {
		err = report.Bisected(io.out, b, terminal(io.out))
	}
	switch {
	case err != nil:
		return environmentError(err)
	case len(b.Flips) == 0:
		return &exitError{code: exitInconclusive}
	}
	return nil
}

// networks of the cluster at every commit.
func (flags bisectFlags) networks() scenario.Networks {
	return scenario.Networks{Pods: flags.loading.networks.pods, Services: flags.loading.networks.services}
}

// line of commits to search, newest first.
func (flags bisectFlags) line(ctx context.Context, repo *revision.Repository, w io.Writer) ([]revision.Commit, error) {
	bad, err := repo.Commit(ctx, flags.bad)
	if err != nil {
		return nil, err
	}
	if flags.good == "" {
		return repo.Line(ctx, bad, "")
	}
	good, err := repo.Commit(ctx, flags.good)
	if err != nil {
		return nil, err
	}
	if base, err := repo.MergeBase(ctx, good.Hash, bad.Hash); err != nil || base.Hash != good.Hash {
		return nil, fmt.Errorf("--good %s is not in the history of --bad %s; exchange them, or name a commit that both build on", flags.good, flags.bad)
	}
	line, err := repo.Line(ctx, bad, good.Hash)
	if err == nil && line[len(line)-1].Hash != good.Hash {
		fmt.Fprintf(w, "note: %s was merged later: the search goes back to %s, from where it branched off\n", flags.good, line[len(line)-1].Short())
	}
	return line, err
}

// changes are the rules of a flip, as far as the flow was there, at places as the
// user reaches them.
func changes(repo *revision.Repository, f bisect.Flip) []diff.Change {
	out := diff.Changes(f.Before.Decision, f.After.Decision)
	for i := range out {
		for _, h := range []*diff.Half{&out[i].Before, &out[i].After} {
			for k := range h.By {
				h.By[k].Origin.File = repo.Reach(h.By[k].Origin.File)
			}
		}
	}
	return out
}

// uncommitted says that the work tree holds another answer than the history.
func (flags bisectFlags) uncommitted(ctx context.Context, w io.Writer, target string, flow matrix.Flow, found bisect.Result) {
	if flags.bad != "HEAD" || !exists(target) {
		return
	}
	sc, err := flags.loading.load(ctx, target, io.Discard)
	if err != nil {
		return // other verbs say what is wrong with the work tree
	}
	if now := bisect.See(sc, flow); now.State != found.State.State {
		fmt.Fprintf(w, "note: in the work tree the flow is %s, by a change that is not committed\n", now.State)
	}
}

// flow that is asked about. Where a port's name is asked for, it means what it is
// at the newest commit.
func (flags bisectFlags) flow(ctx context.Context, repo *revision.Repository, name string, q question, newest revision.Commit) (matrix.Flow, error) {
	f := matrix.Flow{From: matrix.Endpoint(q.from), To: matrix.Endpoint(q.to), Way: q.way, Family: q.family}
	var err error
	if f.Protocol, f.Port, err = portOf(q.port, nil); err == nil {
		return f, nil
	}
	p, err := flags.planAt(ctx, repo, name, newest)
	if err != nil {
		return f, err
	}
	_, ports, err := q.receivers(p)
	if err != nil {
		return f, err
	}
	f.Protocol, f.Port, err = portOf(q.port, ports)
	return f, err
}

// planAt is the plan of a commit, which knows the cluster's DNS.
func (flags bisectFlags) planAt(ctx context.Context, repo *revision.Repository, name string, c revision.Commit) (*plan.Plan, error) {
	v, err := flags.loading.committed(ctx, repo, name, flags.bad, c, c)
	if err != nil {
		return nil, err
	}
	if v.plan == nil {
		return nil, usageError(fmt.Errorf("%s has no file or folder %s; check the path", flags.bad, name))
	}
	p, err := v.plan.With(scenario.WithDNS(v.plan.World))
	if err != nil {
		return nil, usageError(fmt.Errorf("at %s (%s): %w", flags.bad, c.Short(), err))
	}
	return p, nil
}

// never says which end of the flow is in no commit that was looked at, and what was
// probably meant.
func (flags bisectFlags) never(ctx context.Context, repo *revision.Repository, name string, q question, found bisect.Result) error {
	p, err := flags.planAt(ctx, repo, name, found.Newest)
	if err != nil {
		return err
	}
	if _, err = speakers(p, q.from); err == nil {
		_, _, err = q.receivers(p)
	}
	if err != nil {
		return usageError(fmt.Errorf("at %s, and before: %w", flags.bad, err))
	}
	return usageError(fmt.Errorf("at %s, and before: %s", flags.bad, found.State.Why))
}
