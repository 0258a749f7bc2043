package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/segtest/segtest/fixtures/revision"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/bisect"
	"github.com/segtest/segtest/suites/diff"
)

// Bisection is what was found out about a flow.
type Bisection struct {
	bisect.Result
	Flow    matrix.Flow     // as it was asked for
	Tip     string          // the revision at which the search began
	Changes [][]diff.Change // by flip: the rules before and after, as far as there are any
	All     bool            // every flip is to be shown
	Shallow bool            // the clone holds only a part of the history
}

// Bisected writes for people which commit opened or closed a flow.
func Bisected(w io.Writer, b Bisection, o TextOptions) error {
	out := bisectHead(b, o)
	for i, f := range b.Flips {
		if i > 0 && !b.All {
			break
		}
		out = append(out, "")
		out = append(out, bisectFlip(f, b.Changes[i], o)...)
	}
	if notes := bisectNotes(b); len(notes) > 0 {
		out = append(out, "")
		for _, note := range notes {
			out = append(out, o.prose(plain, "", printable(o, note))...)
		}
	}
	if _, err := io.WriteString(w, strings.Join(out, "\n")+"\n"); err != nil {
		return fmt.Errorf("writing what was found: %w", err)
	}
	return nil
}

func bisectHead(b Bisection, o TextOptions) []string {
	if b.Newest.Hash == "" {
		return o.prose(plain, "", printable(o, fmt.Sprintf("%s: none of %s can be read", b.Flow, count(b.Commits, "commit"))))
	}
	at := "at " + b.Tip
	if short := b.Newest.Short(); !strings.HasPrefix(b.Tip, short) {
		at += " (" + short + ")"
	}
	asked := b.Flow
	if b.State.State != bisect.Absent {
		asked = b.State.Flow
	}
	return o.flow("", "  ", []string{o.paint(bold, printable(o, asked.String())), printable(o, stateText(b.State)+" "+at)})
}

func stateText(s bisect.Sight) string {
	switch s.State {
	case bisect.Absent, bisect.Undefined, bisect.Unreadable:
		if s.Why != "" {
			return s.State.String() + " (" + s.Why + ")"
		}
	case bisect.Allowed, bisect.Denied:
	}
	return s.State.String()
}

// deed is what a commit did to the flow.
func deed(f bisect.Flip) string {
	came := f.Before.State == bisect.Absent
	switch {
	case f.After.State == bisect.Absent:
		return "removed"
	case came:
		return "added, and " + f.After.State.String() + ","
	case f.After.State == bisect.Allowed:
		return "opened"
	case f.After.State == bisect.Denied:
		return "closed"
	}
	return "left undefined"
}

func commitText(c revision.Commit) string {
	return fmt.Sprintf("%s  %s, %s  %s", c.Short(), c.Author, c.Date.Format("2006-01-02 15:04 -0700"), c.Subject)
}

func bisectFlip(f bisect.Flip, changes []diff.Change, o TextOptions) []string {
	out := o.flow("", " ", []string{o.paint(bold, deed(f)+" by"), printable(o, commitText(f.Commit))})
	for _, c := range f.Suspects {
		out = append(out, o.flow("  ", " ", []string{o.paint(yellow, "or by"), printable(o, commitText(c)) + ", which cannot be read"})...)
	}
	for _, m := range f.Merges {
		out = append(out, o.flow("  ", " ", []string{o.paint(dim, "merged by"), printable(o, commitText(m))})...)
	}
	for _, c := range changes {
		if c.Before.Intent != matrix.Unstated {
			out = append(out, halfText(c.Direction+" before", c.Before, o)...)
		}
		if c.After.Intent != matrix.Unstated {
			out = append(out, halfText(c.Direction+" after", c.After, o)...)
		}
	}
	for _, side := range []struct {
		when  string
		sight bisect.Sight
	}{{"before", f.Before}, {"after", f.After}} {
		if side.sight.State == bisect.Absent || len(changes) == 0 {
			out = append(out, o.prose(plain, "    ", printable(o, side.when+": "+stateText(side.sight)))...)
		}
	}
	return out
}

// bisectNotes say what the answer does not rest on.
func bisectNotes(b Bisection) []string {
	var out []string
	switch n := len(b.Flips); {
	case n == 0 && b.Unseen == 0 && b.Newest.Hash != "":
		out = append(out, "no commit of the history changed that")
	case n == 0 && b.Newest.Hash != "":
		out = append(out, "no commit that was looked at changed that")
	case n > 1 && !b.All:
		out = append(out, fmt.Sprintf("it is the last of %d flips that were seen: --all lists each", n))
	}
	if b.Unseen > 0 {
		out = append(out, fmt.Sprintf("%d of %s not looked at, more flips may be among them: --all looks at each", b.Unseen, count(b.Commits, "commit")))
	}
	const most = 10
	for i, s := range b.Skipped {
		if i == most {
			out = append(out, fmt.Sprintf("and %d more commits that cannot be read", len(b.Skipped)-most))
			break
		}
		out = append(out, fmt.Sprintf("skipped %s, which cannot be read: %s", s.Commit.Short(), s.Why))
	}
	if b.Shallow {
		out = append(out, "the clone is shallow: older commits are missing (git fetch --unshallow)")
	}
	return out
}

// BisectSchema is the version of the JSON form. Fields are only ever added to it.
const BisectSchema = "segtest.dev/bisect/v1alpha1"

type (
	jsonBisection struct {
		Schema  string           `json:"schema"`
		Flow    matrix.Flow      `json:"flow"` // as it was asked for
		Tip     string           `json:"tip"`
		Newest  *revision.Commit `json:"newest,omitempty"` // that can be read
		State   string           `json:"state"`
		Commits int              `json:"commits"`
		Unseen  int              `json:"unseen"`
		Shallow bool             `json:"shallow,omitempty"`
		Flips   []jsonBisectFlip `json:"flips"` // newest first; all that were seen
		Skipped []jsonSkip       `json:"skipped"`
	}
	jsonBisectFlip struct {
		Commit   *revision.Commit   `json:"commit"`
		Earlier  *revision.Commit   `json:"earlier"` // the last one before that can be read
		Before   string             `json:"before"`
		After    string             `json:"after"`
		Suspects []*revision.Commit `json:"suspects,omitempty"` // that cannot be read: each may be the one
		Merges   []*revision.Commit `json:"merges,omitempty"`   // through which it came, the last one first
		Changes  []jsonChange       `json:"changes"`
	}
	jsonSkip struct {
		Commit *revision.Commit `json:"commit"`
		Why    string           `json:"why"`
	}
)

// BisectJSON writes all that was found.
func BisectJSON(w io.Writer, b Bisection) error {
	out := jsonBisection{
		Schema: BisectSchema, Flow: b.Flow, Tip: b.Tip, Newest: commitJSON(b.Newest), State: b.State.State.String(),
		Commits: b.Commits, Unseen: b.Unseen, Shallow: b.Shallow, Flips: []jsonBisectFlip{}, Skipped: []jsonSkip{},
	}
	for i, f := range b.Flips {
		out.Flips = append(out.Flips, jsonBisectFlip{
			Commit: commitJSON(f.Commit), Earlier: commitJSON(f.Earlier), Before: f.Before.State.String(), After: f.After.State.String(),
			Suspects: commitsJSON(f.Suspects), Merges: commitsJSON(f.Merges), Changes: changesJSON(b.Changes[i]),
		})
	}
	for _, s := range b.Skipped {
		out.Skipped = append(out.Skipped, jsonSkip{commitJSON(s.Commit), clean(s.Why)})
	}
	return writeJSON(w, out)
}

func commitsJSON(all []revision.Commit) []*revision.Commit {
	var out []*revision.Commit
	for _, c := range all {
		out = append(out, commitJSON(c))
	}
	return out
}
