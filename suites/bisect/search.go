package bisect

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/segtest/segtest/fixtures/revision"
)

// search is along one line.
type search struct {
	witness Witness
	line    []revision.Commit
	options Options
	seen    map[int]Sight // by position
	renamed map[int]bool  // the witness was asked for another name behind this position
}

func newSearch(w Witness, line []revision.Commit, o Options) *search {
	return &search{witness: w, line: line, options: o, seen: map[int]Sight{}, renamed: map[int]bool{}}
}

// look at a position, once. Where the scenario has no known name, its other one
// is looked for first.
func (s *search) look(ctx context.Context, i int) (Sight, error) {
	if sight, ok := s.seen[i]; ok {
		return sight, nil
	}
	for {
		if err := ctx.Err(); err != nil {
			return Sight{}, context.Cause(ctx)
		}
		sight, err := s.witness.Look(ctx, s.line[i])
		if err != nil {
			return Sight{}, err
		}
		if sight.Missing {
			again, err := s.rename(ctx, i)
			if err != nil {
				return Sight{}, err
			}
			if again {
				continue
			}
		}
		s.seen[i] = sight
		return sight, nil
	}
}

// rename finds where the scenario lost its name on the way to a position, and
// reports that another one became known.
func (s *search) rename(ctx context.Context, missing int) (bool, error) {
	has := -1
	for i, sight := range s.seen {
		if i < missing && i > has && !sight.Missing {
			has = i
		}
	}
	for has >= 0 && missing-has > 1 {
		middle := (has + missing) / 2
		sight, err := s.witness.Look(ctx, s.line[middle])
		switch {
		case err != nil:
			return false, err
		case sight.Missing:
			missing = middle
		default:
			has = middle
		}
	}
	if has < 0 || s.renamed[has] {
		return false, nil
	}
	s.renamed[has] = true
	return s.witness.Renamed(ctx, s.line[missing], s.line[has])
}

// readable is the first position from one on, towards older ones, that can be
// read; past the end where none can.
func (s *search) readable(ctx context.Context, from int) (int, error) {
	for i := from; i < len(s.line); i++ {
		sight, err := s.look(ctx, i)
		if err != nil || sight.State != Unreadable {
			return i, err
		}
	}
	return len(s.line), nil
}

// otherwise looks for an older commit that is not as the newest one: at the end
// of the line where the flow was otherwise there, else in ever larger steps.
func (s *search) otherwise(ctx context.Context, newest int) error {
	last := len(s.line) - 1
	if s.options.Good {
		_, err := s.look(ctx, last)
		return err
	}
	for step := 1; ; step *= 2 {
		i, err := s.readable(ctx, min(newest+step, last))
		if err != nil || i >= last || s.seen[i].State != s.seen[newest].State {
			return err
		}
		s.options.Progress("%s: %s at %s, going back", s.line[i].Date.Format("2006-01-02"), s.seen[i].State, s.line[i].Short())
	}
}

// known are the positions that were seen and can be read, in order.
func (s *search) known() []int {
	var all []int
	for _, i := range slices.Sorted(maps.Keys(s.seen)) {
		if s.seen[i].State != Unreadable {
			all = append(all, i)
		}
	}
	return all
}

// narrow bisects between each two known positions that differ.
func (s *search) narrow(ctx context.Context) error {
	known := s.known()
	for k := 0; k+1 < len(known); k++ {
		if s.seen[known[k]].State != s.seen[known[k+1]].State {
			if err := s.bisect(ctx, known[k], known[k+1]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *search) bisect(ctx context.Context, newer, older int) error {
	for older-newer > 1 {
		middle, err := s.middle(ctx, newer, older)
		if err != nil || middle < 0 {
			return err
		}
		if s.seen[middle].State == s.seen[newer].State {
			newer = middle
		} else {
			older = middle
		}
		s.options.Progress("%s: %s at %s, %d commits left", s.line[middle].Date.Format("2006-01-02"), s.seen[middle].State, s.line[middle].Short(), older-newer-1)
	}
	return nil
}

// middle is the position nearest to the middle between two that can be read, -1
// where none can.
func (s *search) middle(ctx context.Context, newer, older int) (int, error) {
	centre := (newer + older) / 2
	for away := 0; centre-away > newer || centre+away < older; away++ {
		for _, i := range []int{centre + away, centre - away} {
			if i <= newer || i >= older {
				continue
			}
			sight, err := s.look(ctx, i)
			if err != nil || sight.State != Unreadable {
				return i, err
			}
		}
	}
	return -1, nil
}

// more looks at what was left out, as long as that is quick: a flow can flip
// more than once.
func (s *search) more(ctx context.Context) error {
	start := s.witness.Reads()
	looks := 0
	for i := range s.line {
		if _, ok := s.seen[i]; ok {
			continue
		}
		if looks++; looks > moreLooks || s.witness.Reads()-start >= moreReads {
			return nil
		}
		if _, err := s.look(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// flips between neighbours, of which only those that cannot be read are not.
func (s *search) flips() []Flip {
	var out []Flip
	known := s.known()
	for k := 0; k+1 < len(known); k++ {
		newer, older := known[k], known[k+1]
		if s.seen[newer].State == s.seen[older].State {
			continue
		}
		out = append(out, Flip{
			Commit: s.line[newer], Earlier: s.line[older], Before: s.seen[older], After: s.seen[newer],
			Suspects: slices.Clone(s.line[newer+1 : older]),
		})
	}
	return out
}

func (s *search) skipped() []Skip {
	var out []Skip
	for _, i := range slices.Sorted(maps.Keys(s.seen)) {
		if sight := s.seen[i]; sight.State == Unreadable {
			out = append(out, Skip{s.line[i], cmp.Or(sight.Why, fmt.Sprint(sight.State))})
		}
	}
	return out
}
