// Package edit searches the smallest edit of policies that makes a flow allowed
// or denied and changes nothing else that is declared. Every candidate is tried
// out with the oracle; none is believed.
package edit

import (
	"context"
	"fmt"
	"slices"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/plan"
)

// Aim is what shall become true: each of the flows as wanted. They are one
// question about the replicas of two workloads, over the address of a pod.
type Aim struct {
	Flows []matrix.Flow
	Want  matrix.Intent // Allow or Deny
}

// Edit changes one policy.
type Edit struct {
	What   string        // one line: "add a peer to ingress rule 0 of NetworkPolicy shop/db"
	Policy string        // "namespace/name", or "name" of a cluster-wide policy
	Kind   string        // of the policy
	New    bool          // the policy is not there yet
	Origin oracle.Origin // of the rule, or of the policy; unknown for a new one
	Diff   []Line
	// Caveat is what the edit does to what no scenario knows; "" where it does
	// nothing.
	Caveat string
	toll   int // how much the caveat weighs, or that a default deny is none any more
}

// Line of an edit, in YAML: Op is ' ' for one that stays, '+' or '-'.
type Line struct {
	Op   byte
	Text string
}

// Size is how many lines are added or removed.
func (e Edit) Size() int { return e.lines('+') + e.lines('-') }

func (e Edit) lines(op byte) int {
	n := 0
	for _, l := range e.Diff {
		if l.Op == op {
			n++
		}
	}
	return n
}

// Remedy is edits that together reach the aim. No flow that is as declared becomes
// other than declared by them.
type Remedy struct {
	Edits []Edit
	Size  int // lines added or removed
	// Side are flows of which nothing is declared and that change too, in order;
	// ports that nobody declares and that close do not count.
	Side []plan.Change
	// Wrong are flows that are not as declared, change, and are not so then either,
	// in order.
	Wrong []plan.Change
	Mends int // flows that become as declared, too
	// Opens are flows to and from what the scenario does not hold that open too, in
	// order; names are those of outside.Pods and outside.Blocks.
	Opens []plan.Change
	World oracle.World // with the edits made
}

// Result of a search.
type Result struct {
	Remedy *Remedy // nil: none was found
	Tried  int     // edits that were tried out
	// Nearest is why there is none: an edit that reaches the aim, or comes nearer
	// to it, and the declared flow that it would break. Empty where no edit does.
	Nearest string
}

// maxSteps bounds how many edits make one remedy.
const maxSteps = 8

// Smallest searches the remedy that changes the fewest flows of which nothing is
// declared, those that it opens to the outside included, and among those the one
// that asks for the least thought: without caveats, then with few lines (added
// ones count double) and few other flows that are open in one direction more, then
// in a policy of few pods. It stops when the context does.
func Smallest(ctx context.Context, p *plan.Plan, aim Aim) (Result, error) {
	outer, err := strangersTo(p, aim)
	if err != nil {
		return Result{}, err
	}
	s := &search{plan: p, aim: aim, strangers: outer, before: map[scope]*plan.Answers{}}
	paths := [][]direction{{egress, ingress}}
	if aim.Want == matrix.Deny {
		paths = [][]direction{{ingress}, {egress}} // one of them is enough
	}
	var best *state
	for _, directions := range paths {
		found, err := s.along(ctx, directions)
		if err != nil {
			return Result{}, err
		}
		if found != nil && (best == nil || found.compare(best) < 0) {
			best = found
		}
	}
	if best == nil {
		return Result{Tried: s.tried, Nearest: s.nearest}, nil
	}
	remedy := &Remedy{
		Edits: best.edits, Size: best.lines('+') + best.lines('-'), Side: best.side, Wrong: best.wrong, Mends: best.mends, Opens: best.opens,
		World: best.plan.World,
	}
	return Result{Remedy: remedy, Tried: s.tried}, nil
}

// search is one search for a remedy.
type search struct {
	plan      *plan.Plan // as it is
	aim       Aim
	strangers *strangers
	tried     int
	nearest   string
	before    map[scope]*plan.Answers
}

// along is the best way in some directions: one that looks for what changes least
// at each step, or one that looks for the aim; nil where there is none.
func (s *search) along(ctx context.Context, directions []direction) (*state, error) {
	start := &state{plan: s.plan}
	var best *state
	for _, better := range []func(a, b *state) int{(*state).compare, (*state).nearer} {
		found, err := s.path(ctx, start, directions, better)
		if err != nil {
			return nil, err
		}
		if found == nil {
			continue
		}
		if best == nil || found.compare(best) < 0 {
			best = found
		}
		if len(found.edits) == 1 {
			break // the other order would find the same
		}
	}
	return best, nil
}

// path makes edit after edit in some directions, each time the one that better
// prefers, until the aim is reached; nil where no edit comes nearer to it.
func (s *search) path(ctx context.Context, at *state, directions []direction, better func(a, b *state) int) (*state, error) {
	for range maxSteps {
		f, d, n := missing(at.plan, s.aim, directions)
		if n == 0 {
			return at, nil
		}
		if at.next == nil {
			at.next = []*state{}
			for _, c := range narrowFirst(at.plan.World, candidates(at.plan, s.aim, f, d)) {
				if err := ctx.Err(); err != nil {
					return nil, fmt.Errorf("searching an edit: %w", err)
				}
				if next := s.try(at, c, directions, n); next != nil {
					at.next = append(at.next, next)
				}
			}
		}
		if len(at.next) == 0 {
			break
		}
		at = slices.MinFunc(at.next, better)
	}
	return nil, nil //nolint:nilnil // no way is an answer
}
