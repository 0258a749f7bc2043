package bisect_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/segtest/segtest/fixtures/revision"
	"github.com/segtest/segtest/suites/bisect"
)

// states is a Witness and a History of one line, newest first: a letter per
// commit.
type states struct {
	letters string
	reads   int
}

func (s *states) line() []revision.Commit {
	line := make([]revision.Commit, len(s.letters))
	for i := range line {
		line[i] = revision.Commit{Hash: fmt.Sprintf("%040d", i), Subject: fmt.Sprint(i)}
	}
	return line
}

func (s *states) Look(_ context.Context, c revision.Commit) (bisect.Sight, error) {
	s.reads++
	var i int
	if _, err := fmt.Sscan(c.Subject, &i); err != nil {
		return bisect.Sight{}, err
	}
	return bisect.Sight{State: map[byte]bisect.State{
		'.': bisect.Unreadable, '-': bisect.Absent, 'a': bisect.Allowed, 'd': bisect.Denied, 'u': bisect.Undefined,
	}[s.letters[i]]}, nil
}

func (s *states) Reads() int { return s.reads }

func (s *states) Renamed(context.Context, revision.Commit, revision.Commit) (bool, error) {
	return false, nil
}

func (s *states) Commit(context.Context, string) (revision.Commit, error) {
	return revision.Commit{}, fmt.Errorf("there is one line")
}

func (s *states) Line(context.Context, revision.Commit, string) ([]revision.Commit, error) {
	return nil, fmt.Errorf("there is one line")
}

// text of a result: flips as position, before and after, and suspects.
func text(r bisect.Result) string {
	var out []string
	for _, f := range r.Flips {
		s := fmt.Sprintf("%s %s>%s", f.Commit.Subject, f.Before.State, f.After.State)
		for _, c := range f.Suspects {
			s += " or " + c.Subject
		}
		out = append(out, s)
	}
	if r.Unseen > 0 {
		out = append(out, fmt.Sprintf("%d unseen", r.Unseen))
	}
	for _, k := range r.Skipped {
		out = append(out, "skipped "+k.Commit.Subject)
	}
	return strings.Join(out, ", ")
}

func find(t testing.TB, letters string, o bisect.Options) (bisect.Result, int) {
	t.Helper()
	s := &states{letters: letters}
	r, err := bisect.Find(t.Context(), s, s, s.line(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r, s.reads
}

func TestFind(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, letters, want string }{
		{"one flip", "aaaddd", "2 denied>allowed"},
		{"none", "aaaa", ""},
		{"one commit", "a", ""},
		{"several", "adda", "0 denied>allowed, 2 allowed>denied"},
		{"it came with a commit", "dd---", "1 absent>denied"},
		{"it was left undefined", "uudd", "1 denied>undefined"},
		{"unreadable between", "aa..dd", "1 denied>allowed or 2 or 3, skipped 2, skipped 3"},
		{"unreadable elsewhere", "a.aad.d", "3 denied>allowed, skipped 1, skipped 5"},
		{"the newest is unreadable", ".aadd", "2 denied>allowed, skipped 0"},
		{"the oldest is unreadable", "aadd.", "1 denied>allowed, skipped 4"},
		{"nothing can be read", "...", "skipped 0, skipped 1, skipped 2"},
	} {
		for _, o := range []bisect.Options{{}, {All: true}, {Good: true}} {
			if r, _ := find(t, row.letters, o); text(r) != row.want {
				t.Errorf("%s, %+v: %s, want %s", row.name, o, text(r), row.want)
			}
		}
	}
}

// On any history the flips are those that looking at every commit finds.
func TestFindAgreesWithLookingAtAll(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		letters := make([]byte, 1+random.IntN(60))
		for i := range letters {
			letters[i] = "adddaaau-."[random.IntN(10)]
			if i > 0 && random.IntN(4) > 0 {
				letters[i] = letters[i-1]
			}
		}
		all, _ := find(t, string(letters), bisect.Options{All: true})
		want := brute(string(letters))
		for _, o := range []bisect.Options{{All: true}, {}, {Good: true}} {
			if got, _ := find(t, string(letters), o); text(got) != text(all) || len(got.Flips) != want {
				t.Fatalf("%s, %+v: %s, all are %s, of which %d", letters, o, text(got), text(all), want)
			}
		}
	}
}

// brute counts the flips of a line.
func brute(letters string) int {
	letters = strings.ReplaceAll(letters, ".", "")
	n := 0
	for i := range len(letters) - 1 {
		if letters[i] != letters[i+1] {
			n++
		}
	}
	return n
}

// A long history is bisected, what was not looked at is counted, and the answer
// is the one that the newest commits are owed to.
func TestFindInALongHistory(t *testing.T) {
	t.Parallel()
	letters := strings.Repeat("a", 700) + strings.Repeat("d", 2300)
	r, reads := find(t, letters, bisect.Options{})
	if len(r.Flips) != 1 || r.Flips[0].Commit.Subject != "699" || r.Unseen != len(letters)-reads || r.Unseen < 2700 {
		t.Errorf("%s after %d reads", text(r), reads)
	}
	if reads > 250 {
		t.Errorf("%d reads, some 20 find it and 200 more look for others", reads)
	}
	letters = strings.Repeat("a", 100) + strings.Repeat("d", 100) + letters
	r, _ = find(t, letters, bisect.Options{})
	if !slices.ContainsFunc(r.Flips, func(f bisect.Flip) bool { return f.Commit.Subject == "99" }) {
		t.Errorf("the flip nearest to the newest commit is missing: %s", text(r))
	}
	all, reads := find(t, letters, bisect.Options{All: true})
	if text(all) != "99 denied>allowed, 199 allowed>denied, 899 denied>allowed" || reads != len(letters) {
		t.Errorf("all: %s after %d reads", text(all), reads)
	}
}

func TestFindIsCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &states{letters: "aad"}
	if _, err := bisect.Find(ctx, s, s, s.line(), bisect.Options{}); err == nil {
		t.Error("it went on")
	}
}
