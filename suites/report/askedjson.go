package report

import (
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/judge"
)

type (
	// jsonAsked says what was asked of a scenario.
	jsonAsked struct {
		Flows    int      `json:"flows"`
		Of       int      `json:"of,omitempty"` // all flows of the scenario
		Controls int      `json:"controls,omitempty"`
		Select   []string `json:"select,omitempty"`
		Shard    string   `json:"shard,omitempty"`
		Rerun    string   `json:"rerun,omitempty"`
		Repeat   int      `json:"repeat,omitempty"`
		// UntilFailure is the longest time for repetitions.
		UntilFailure float64 `json:"untilFailure,omitempty"`
	}
	jsonRepetition struct {
		Number   int            `json:"number"`
		Start    float64        `json:"start"`
		Duration float64        `json:"duration"`
		Verdict  matrix.Verdict `json:"verdict"`
		jsonCounts
	}
)

func askedJSON(r judge.Result) jsonAsked {
	a := r.Header.Asked
	out := jsonAsked{
		Of: r.Header.Flows, Select: a.Select, Shard: a.Shard, Rerun: a.Rerun,
		Repeat: a.Repeat, UntilFailure: a.UntilFailure.Seconds(),
	}
	out.Flows, out.Controls = chosen(r)
	return out
}

func repetitionsJSON(r judge.Result) []jsonRepetition {
	var out []jsonRepetition
	for _, one := range r.Repetitions {
		out = append(out, jsonRepetition{one.Number, r.Offset(one.Start).Seconds(), one.Duration.Seconds(), one.Verdict(), jsonCounts(one.Counts)})
	}
	return out
}

func repeatedJSON(c judge.Counts) *jsonCounts {
	if c.All() == 0 {
		return nil
	}
	out := jsonCounts(c)
	return &out
}
