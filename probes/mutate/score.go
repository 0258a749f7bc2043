package mutate

import (
	"context"
	"fmt"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// Expectation is what mutants are held against.
type Expectation interface {
	// Ports on which one pod knocks at another.
	Ports(from, to matrix.Endpoint) []oracle.Port
	// Intent that is declared of a flow on one of these ports, in a snapshot on any.
	Intent(matrix.Flow) matrix.Intent
	// Alike gives two keys: pods of one first key are declared the same as
	// senders, those of one second key as receivers.
	Alike(pod matrix.Endpoint) (sender, receiver string)
	// Snapshot reports that it states more than a run asks: all ports, addresses
	// outside of the cluster, and that the policies leave something open or do not.
	Snapshot() bool
}

// Fate is what became of a mutant. The zero value is that nobody judged it.
type Fate uint8

// The fates.
const (
	Unjudged Fate = iota
	Survived
	Killed
	Equivalent // no flow changes, on no port, inside of the World and outside
	Beyond     // only flows change of which no rule but a snapshot's can state anything
	Undecided  // only flows may change that are undefined before or after, and no snapshot states it
)

func (f Fate) String() string {
	return [...]string{"unjudged", "survived", "killed", "equivalent", "beyond", "undecided"}[f]
}

// Flip is a flow that a mutant changes, with what the policies come to before
// and after.
type Flip struct {
	Flow          matrix.Flow
	Declared      matrix.Intent
	Before, After matrix.Intent
}

// Judged is a mutant with its fate.
type Judged struct {
	Mutant
	Fate Fate
	// Flips of a mutant that is killed: the declared flow that does it. Of others
	// that are not equivalent: examples, one for all flows that nothing tells apart,
	// the most telling ones first.
	Flips []Flip
	// Flows that such a mutant changes; ports, and addresses and pods outside, that
	// nothing tells apart count as one.
	Flows  int
	Remedy Remedy // of a surviving mutant
}

// Result is what became of all mutants, in their order.
type Result []Judged

// Count of mutants with a fate.
func (r Result) Count(f Fate) int {
	n := 0
	for _, j := range r {
		if j.Fate == f {
			n++
		}
	}
	return n
}

// Score is killed / (killed + survived), from 0 to 1: mutants that no expectation
// could kill do not count. It is false where there is no other one.
func (r Result) Score() (float64, bool) {
	counted := r.Count(Killed) + r.Count(Survived) + r.Count(Unjudged)
	if counted == 0 {
		return 0, false
	}
	return float64(r.Count(Killed)) / float64(counted), true
}

// Score judges mutants of a World by an expectation; nil declares nothing. A
// mutant is killed where a declared flow, which the World satisfies, turns to
// the contrary in one of the IP families; by a snapshot also where it turns to
// undefined or from it.
func Score(ctx context.Context, w oracle.World, e Expectation, families []matrix.Family, mutants []Mutant) (Result, error) {
	if e == nil {
		e = nothing{}
	}
	s, err := newScorer(w, e, families, mutants)
	if err != nil {
		return nil, err
	}
	result := make(Result, len(mutants))
	for i, m := range mutants {
		if err := context.Cause(ctx); err != nil {
			return nil, fmt.Errorf("judging mutants: %w", err)
		}
		if result[i], err = s.judge(m); err != nil {
			return nil, fmt.Errorf("judging the mutant %q: %w", m.ID(), err)
		}
	}
	return result, nil
}

// nothing is declared.
type nothing struct{}

func (nothing) Ports(_, _ matrix.Endpoint) []oracle.Port { return nil }
func (nothing) Intent(matrix.Flow) matrix.Intent         { return matrix.Unstated }
func (nothing) Alike(matrix.Endpoint) (string, string)   { return "", "" }
func (nothing) Snapshot() bool                           { return false }
