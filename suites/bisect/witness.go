package bisect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/segtest/segtest/fixtures/manifest"
	"github.com/segtest/segtest/fixtures/revision"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// Reader is the Witness that reads the files of commits. What it read once it
// knows in every other commit that has the same there.
type Reader struct {
	repo     *revision.Repository
	flow     matrix.Flow
	networks scenario.Networks
	names    []string // of the scenario, the newest first
	seen     []memory
	reads    int
}

// memory is what was seen by going one way through the files.
type memory struct {
	trace  revision.Trace
	sights map[string]Sight // by fingerprint
}

// NewReader of a scenario or folder, under its name in the newest commit and from
// the top of the repository. The ends of the flow may be workloads: then the
// first pod of each speaks and listens. The cluster has the networks at every
// commit.
func NewReader(repo *revision.Repository, name string, flow matrix.Flow, networks scenario.Networks) *Reader {
	return &Reader{repo: repo, flow: flow, networks: networks, names: []string{name}}
}

// Reads implements Witness.
func (r *Reader) Reads() int { return r.reads }

// Renamed implements Witness.
func (r *Reader) Renamed(ctx context.Context, older, newer revision.Commit) (bool, error) {
	for _, name := range r.names {
		if _, err := fs.Stat(r.repo.Tree(newer), name); err != nil {
			continue
		}
		was, err := r.repo.Renamed(ctx, older, newer, name)
		if err != nil {
			return false, err
		}
		if was != "" && !slices.Contains(r.names, was) {
			r.names = append(r.names, was)
			return true, nil
		}
	}
	return false, nil
}

// Look implements Witness.
func (r *Reader) Look(ctx context.Context, c revision.Commit) (Sight, error) {
	tree := r.repo.Tree(c)
	for _, m := range r.seen {
		fingerprint, err := tree.Fingerprint(m.trace)
		if err != nil {
			return Sight{}, fmt.Errorf("reading commit %s: %w", c.Short(), err)
		}
		if sight, ok := m.sights[fingerprint]; ok {
			return sight, nil
		}
	}
	sight, err := r.read(ctx, tree)
	if err != nil || sight.Missing {
		return sight, err
	}
	return sight, r.remember(tree, sight)
}

func (r *Reader) remember(tree *revision.Tree, sight Sight) error {
	trace := tree.Trace()
	fingerprint, err := tree.Fingerprint(trace)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(r.seen, func(m memory) bool { return m.trace.Key() == trace.Key() })
	if i < 0 {
		i = len(r.seen)
		r.seen = append(r.seen, memory{trace, map[string]Sight{}})
	}
	r.seen[i].sights[fingerprint] = sight
	return nil
}

// read the scenario of a commit and ask about the flow.
func (r *Reader) read(ctx context.Context, tree *revision.Tree) (Sight, error) {
	i := slices.IndexFunc(r.names, func(name string) bool {
		_, err := fs.Stat(tree, name)
		return err == nil
	})
	if i < 0 {
		return Sight{State: Absent, Missing: true, Why: "there is no file or folder " + strings.Join(r.names, " or ")}, nil
	}
	r.reads++
	// No command runs on files that are not on this machine, and what is allowed
	// here makes the problem say so.
	sc, err := scenario.Loader{FS: tree, AllowExec: true, PodCIDRs: r.networks.Pods, ServiceCIDRs: r.networks.Services}.LoadContext(ctx, r.names[i])
	if ctx.Err() != nil {
		return Sight{}, context.Cause(ctx)
	}
	if err != nil {
		return Sight{State: Unreadable, Why: first(err)}, nil
	}
	return See(sc, r.flow), nil
}

// See is what a scenario says of a flow, whose ends may be workloads, and the
// cluster's DNS where no file holds it.
func See(sc *scenario.Scenario, f matrix.Flow) Sight {
	w := scenario.WithDNS(sc.World())
	o, err := oracle.New(w)
	if err != nil {
		return Sight{State: Unreadable, Why: first(err)}
	}
	flow, why := resolve(w, f)
	if why != "" {
		return Sight{State: Absent, Why: why}
	}
	d := o.Decide(flow)
	return Sight{State: stateOf(d.Intent), Why: d.Reason, Flow: flow, Decision: d}
}

func stateOf(i matrix.Intent) State {
	switch i {
	case matrix.Allow:
		return Allowed
	case matrix.Deny:
		return Denied
	case matrix.Undefined, matrix.Unstated:
	}
	return Undefined
}

// first problem of several, and how many more there are.
func first(err error) string {
	var problems manifest.Problems
	if errors.As(err, &problems) && len(problems) > 1 {
		return fmt.Sprintf("%s (and %d more)", problems[0], len(problems)-1)
	}
	return err.Error()
}

// resolve the ends of a flow to those that the world has. Where it has not, the
// text says so.
func resolve(w oracle.World, f matrix.Flow) (matrix.Flow, string) {
	from, to := ends(w, f.From), ends(w, f.To)
	if f.Way == matrix.ServiceIP {
		to = nil
		for _, s := range w.Services {
			if s.Name == f.To {
				to = []matrix.Endpoint{s.Name}
			}
		}
	}
	switch {
	case len(from) == 0:
		return f, fmt.Sprintf("there is no %s", f.From)
	case len(to) == 0:
		return f, fmt.Sprintf("there is no %s", f.To)
	case from[0] == to[0] && len(to) > 1:
		f.From, f.To = from[0], to[1]
	default:
		f.From, f.To = from[0], to[0]
	}
	return f, ""
}

// ends are the endpoints that a name means; none where the world has none.
func ends(w oracle.World, e matrix.Endpoint) []matrix.Endpoint {
	switch e.Namespace() {
	case matrix.WorldEndpoint("").Namespace():
		return []matrix.Endpoint{e}
	case matrix.NodeEndpoint("").Namespace():
		for _, n := range w.Nodes {
			if matrix.NodeEndpoint(n.Name) == e {
				return []matrix.Endpoint{e}
			}
		}
		return nil
	}
	var pods []matrix.Endpoint
	for _, p := range w.Pods {
		if p.Name == e || p.Workload == e {
			pods = append(pods, p.Name)
		}
	}
	return pods
}
