// Package bisect finds the commits that opened or closed a flow, by asking the
// oracle about the files of commits. Nothing is checked out.
package bisect

import (
	"context"
	"slices"

	"github.com/segtest/segtest/fixtures/revision"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// State of the flow at a commit. The zero value says nothing.
type State uint8

// The states.
const (
	Unreadable State = iota // the files of the commit cannot be read
	Absent                  // one of the ends is not there
	Allowed
	Denied
	Undefined
)

// String is the state as people say it.
func (s State) String() string {
	return [...]string{"unreadable", "absent", "allowed", "denied", "undefined"}[s]
}

// Sight is what a commit says of the flow.
type Sight struct {
	State    State
	Why      string          // of Unreadable, Absent and Undefined
	Flow     matrix.Flow     // that was asked: between pods where workloads were named
	Decision oracle.Decision // of Allowed, Denied and Undefined
	Missing  bool            // Absent because there is no such scenario or folder
}

// Witness looks at commits. An error ends the search.
type Witness interface {
	Look(ctx context.Context, c revision.Commit) (Sight, error)
	// Reads is how often a Look had to read files that were not known.
	Reads() int
	// Renamed reports that the scenario, which the newer commit has and the older
	// one, its parent, has not, has another name there, and makes it known.
	Renamed(ctx context.Context, older, newer revision.Commit) (bool, error)
}

// History leads from commit to commit.
type History interface {
	Commit(ctx context.Context, rev string) (revision.Commit, error)
	Line(ctx context.Context, tip revision.Commit, until string) ([]revision.Commit, error)
}

// Options of a search. The zero value stops once it is likely that all was seen,
// and follows merges.
type Options struct {
	All         bool // look at every commit of the line
	FirstParent bool // a merge may be the answer even where one of its own commits is
	Good        bool // the last commit of the line is where the flow was otherwise
	Progress    func(format string, args ...any)
}

// Flip is a commit after which the flow is decided otherwise.
type Flip struct {
	Commit  revision.Commit
	Earlier revision.Commit // the last one before it that can be read
	Before  Sight
	After   Sight
	// Suspects are the commits between the two that cannot be read, newest first:
	// each of them may be the one in place of Commit.
	Suspects []revision.Commit
	Merges   []revision.Commit // through which it came, the last one first
}

// Skip is a commit that cannot be read.
type Skip struct {
	Commit revision.Commit
	Why    string
}

// Result of a search.
type Result struct {
	Newest  revision.Commit // that can be read
	State   Sight           // of Newest
	Flips   []Flip          // newest first; all that were seen
	Skipped []Skip          // newest first
	Commits int             // of the line
	Unseen  int             // of the line: more flips may be among them
}

// How far a search that found its answer, or none, looks for others.
const (
	moreReads = 200
	moreLooks = 10_000
)

// Find looks for flips along a line of commits, newest first.
func Find(ctx context.Context, h History, w Witness, line []revision.Commit, o Options) (Result, error) {
	if o.Progress == nil {
		o.Progress = func(string, ...any) {}
	}
	s := newSearch(w, line, o)
	newest, err := s.readable(ctx, 0)
	if err != nil {
		return Result{}, err
	}
	r := Result{Commits: len(line)}
	if newest < len(line) {
		r.Newest, r.State = line[newest], s.seen[newest]
		if err := s.run(ctx, newest); err != nil {
			return Result{}, err
		}
	}
	r.Flips, r.Skipped, r.Unseen = s.flips(), s.skipped(), len(line)-len(s.seen)
	if o.FirstParent {
		return r, nil
	}
	for i := range r.Flips {
		if r.Flips[i], err = descend(ctx, h, w, r.Flips[i], o); err != nil {
			return Result{}, err
		}
	}
	return r, nil
}

// run looks until every flip that was seen is between two neighbours.
func (s *search) run(ctx context.Context, newest int) error {
	if s.options.All {
		for i := range s.line {
			if _, err := s.look(ctx, i); err != nil {
				return err
			}
		}
		return s.narrow(ctx) // neighbours of what was found renamed
	}
	if err := s.otherwise(ctx, newest); err != nil {
		return err
	}
	if err := s.narrow(ctx); err != nil {
		return err
	}
	if err := s.more(ctx); err != nil {
		return err
	}
	return s.narrow(ctx)
}

// descend follows a flip by a merge into what was merged: the flip is that of
// the branch where the branch alone explains it.
func descend(ctx context.Context, h History, w Witness, f Flip, o Options) (Flip, error) {
	if len(f.Commit.Parents) < 2 || len(f.Suspects) > 0 {
		return f, nil
	}
	for _, parent := range f.Commit.Parents[1:] {
		tip, err := h.Commit(ctx, parent)
		if err != nil {
			return Flip{}, err
		}
		line, err := h.Line(ctx, tip, f.Commit.Parents[0])
		if err != nil {
			return Flip{}, err
		}
		s := newSearch(w, line, o)
		inner, ok, err := s.within(ctx, f.After.State)
		switch {
		case err != nil:
			return Flip{}, err
		case !ok:
			continue
		}
		inner.Merges = append(slices.Clone(f.Merges), f.Commit)
		return descend(ctx, h, w, inner, o)
	}
	return f, nil
}

// within finds the flip to a state along a branch that ends in that state and
// left the other line in another.
func (s *search) within(ctx context.Context, state State) (Flip, bool, error) {
	last := len(s.line) - 1
	for _, i := range []int{0, last} {
		if _, err := s.look(ctx, i); err != nil {
			return Flip{}, false, err
		}
	}
	if s.seen[0].State != state || s.seen[last].State == state || s.seen[last].State == Unreadable {
		return Flip{}, false, nil
	}
	if err := s.narrow(ctx); err != nil {
		return Flip{}, false, err
	}
	flips := s.flips()
	return flips[0], flips[0].After.State == state, nil
}
