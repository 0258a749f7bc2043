package report

import (
	"io"

	"github.com/segtest/segtest/fixtures/revision"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/diff"
)

// DiffSchema is the version of the JSON form of a difference. Fields are only
// ever added to it.
const DiffSchema = "segtest.dev/diff/v1alpha1"

type (
	jsonDiff struct {
		Schema       string         `json:"schema"`
		Before       jsonVersion    `json:"before"`
		After        jsonVersion    `json:"after"`
		Counts       jsonDiffCounts `json:"counts"` // of flows
		Flips        []jsonDiffFlip `json:"flips"`
		Added        []jsonPods     `json:"added"`
		Removed      []jsonPods     `json:"removed"`
		NotEvaluated []jsonForeign  `json:"notEvaluated"`
	}
	jsonVersion struct {
		Name   string           `json:"name"`
		File   string           `json:"file,omitempty"`   // absent where the version has none
		Commit *revision.Commit `json:"commit,omitempty"` // absent for files as they lie there
	}
	jsonDiffCounts struct {
		Compared int `json:"compared"` // those of a pod to itself are not among them
		Outside  int `json:"outside"`  // of these, to or from pods and addresses that no file holds
		Flips    int `json:"flips"`
		Opened   int `json:"opened"`
		Closed   int `json:"closed"`
		Unclear  int `json:"unclear"`
		Decided  int `json:"decided"`
		Against  int `json:"against"`
	}
	// jsonDiffFlip is flows from each sender to each receiver on each port, apart from
	// a pod to itself.
	jsonDiffFlip struct {
		Kind       string            `json:"kind"` // "opened", "closed", "unclear" (undefined now) or "decided" (undefined before)
		From       []matrix.Endpoint `json:"from"`
		To         []matrix.Endpoint `json:"to"`
		Ports      []diff.Port       `json:"ports"`
		Flows      int               `json:"flows"`
		Before     matrix.Intent     `json:"before"`
		After      matrix.Intent     `json:"after"`
		Declared   matrix.Intent     `json:"declared"`
		DeclaredAt *jsonPlace        `json:"declaredAt,omitempty"`
		Against    bool              `json:"against,omitempty"`
		Reason     string            `json:"reason,omitempty"`
		Changes    []jsonChange      `json:"changes"`
	}
	jsonChange struct {
		Direction string         `json:"direction"`
		Before    jsonChangeHalf `json:"before"`
		After     jsonChangeHalf `json:"after"`
	}
	jsonChangeHalf struct {
		Intent matrix.Intent `json:"intent"`
		Reason string        `json:"reason,omitempty"`
		Rules  []jsonCause   `json:"rules,omitempty"`
	}
	jsonCause struct {
		jsonRuleRef
		// Commit last changed the rule; absent where nobody knows, and where the
		// change is not committed.
		Commit      *revision.Commit `json:"commit,omitempty"`
		Uncommitted bool             `json:"uncommitted,omitempty"`
	}
	jsonPods struct {
		Workload matrix.Endpoint   `json:"workload"`
		Pods     []matrix.Endpoint `json:"pods"`
		Reached  diff.Tally        `json:"reached"`
		Reach    diff.Tally        `json:"reach"`
	}
)

// DiffJSON writes all of a difference.
func DiffJSON(w io.Writer, d diff.Diff) error {
	out := jsonDiff{
		Schema: DiffSchema, Before: versionJSON(d.Before), After: versionJSON(d.After),
		Counts: jsonDiffCounts{
			Compared: d.Compared, Outside: d.Outside, Flips: d.Count(0), Opened: d.Count(diff.Opened), Closed: d.Count(diff.Closed),
			Unclear: d.Count(diff.Unclear), Decided: d.Count(diff.Decided), Against: d.Against(),
		},
		Flips: []jsonDiffFlip{}, Added: podsJSON(d.Added), Removed: podsJSON(d.Removed), NotEvaluated: []jsonForeign{},
	}
	for _, f := range d.Flips {
		out.Flips = append(out.Flips, flipJSON(f))
	}
	for _, f := range d.Foreign {
		out.NotEvaluated = append(out.NotEvaluated, jsonForeign{f.APIVersion, f.Kind, f.Name, jsonPlace(f.Origin)})
	}
	return writeJSON(w, out)
}

func versionJSON(v diff.Version) jsonVersion {
	return jsonVersion{Name: v.Name, File: v.File, Commit: commitJSON(v.Commit)}
}

// commitJSON is nil for no commit.
func commitJSON(c revision.Commit) *revision.Commit {
	if c.Hash == "" {
		return nil
	}
	c.Author, c.Subject = clean(c.Author), clean(c.Subject)
	return &c
}

func flipJSON(f diff.Flip) jsonDiffFlip {
	out := jsonDiffFlip{
		Kind: f.Kind().String(), From: f.From, To: f.To, Ports: f.Ports, Flows: f.Count, Before: f.Before, After: f.After,
		Declared: f.Declared.Intent, Against: f.Against(), Reason: clean(f.Reason), Changes: changesJSON(f.Changes),
	}
	if at := f.Declared.Origin; !at.IsZero() {
		p := jsonPlace(at)
		out.DeclaredAt = &p
	}
	return out
}

func changesJSON(changes []diff.Change) []jsonChange {
	out := []jsonChange{}
	for _, c := range changes {
		out = append(out, jsonChange{c.Direction, changeHalfJSON(c.Before), changeHalfJSON(c.After)})
	}
	return out
}

func changeHalfJSON(h diff.Half) jsonChangeHalf {
	out := jsonChangeHalf{Intent: h.Intent, Reason: clean(h.Reason)}
	for _, c := range h.By {
		out.Rules = append(out.Rules, jsonCause{
			jsonRuleRef: ruleJSON(c.RuleRef), Commit: commitJSON(c.Credit.Commit),
			Uncommitted: c.Credit.Known && c.Credit.Commit.Hash == "",
		})
	}
	return out
}

func podsJSON(all []diff.Workload) []jsonPods {
	out := []jsonPods{}
	for _, w := range all {
		out = append(out, jsonPods{w.Name, w.Slots, w.Reached, w.Reach})
	}
	return out
}
