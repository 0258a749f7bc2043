package judge_test

import (
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/wire"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run/record"
)

const (
	ms  = time.Millisecond
	sec = time.Second
)

var denied = matrix.Flow{From: "shop/attacker-0", To: "shop/db-0", Protocol: matrix.TCP, Port: 5432}

// flow states what scenario and policies want of the flow, each from a line of
// its own.
func flow(f matrix.Flow, declared, computed matrix.Intent) record.Flow {
	rule := oracle.RuleRef{Policy: "shop/db", Rule: 0, Origin: oracle.Origin{File: "db.yaml", Line: 12}}
	if computed == matrix.Deny {
		rule.Rule = -1
	}
	return record.Flow{
		Flow:     f,
		Declared: record.Declared{Intent: declared, Origin: oracle.Origin{File: "scenario.yaml", Line: 7}, Reason: "because"},
		Computed: oracle.Decision{
			Intent: computed, Egress: oracle.Half{Intent: matrix.Allow},
			Ingress: oracle.Half{Intent: computed, Isolated: true, By: []oracle.RuleRef{rule}},
		},
	}
}

func sample(o matrix.Outcome) matrix.Sample {
	return matrix.Sample{Outcome: o, Start: 10 * sec, RTT: ms, Attempts: 2}
}

func cell(o matrix.Outcome, e record.Evidence) record.Cell {
	return record.Cell{Sample: sample(o), Evidence: e}
}

// as is a cell that shows how it was blocked.
func as(o matrix.Outcome, d matrix.Denial, e record.Evidence) record.Cell {
	c := cell(o, e)
	c.Sample.Denial = d
	return c
}

// tries are cells of flow 0, one pass each, without evidence of their own.
func tries(outcomes ...matrix.Outcome) []record.Cell {
	var out []record.Cell
	for _, o := range outcomes {
		out = append(out, cell(o, record.Evidence{}))
	}
	return out
}

func passes(phase string, cells []record.Cell) []record.Pass {
	var out []record.Pass
	for i, c := range cells {
		out = append(out, record.Pass{Phase: phase, Start: time.Duration(i) * sec, Cells: []record.Cell{c}})
	}
	return out
}

// complete is a whole run over one flow, without faults: everything connects in
// the baseline and at the end, and the matrix is as given.
func complete(f record.Flow, matrixCells []record.Cell) record.Record {
	rec := record.Record{
		Header:      record.Header{Schema: record.Schema, Scenario: "shop", File: "scenario.yaml"},
		Flows:       []record.Flow{f},
		Enforcement: &record.Enforcement{Enforced: true, Detail: "a sentinel flipped"},
		End:         &record.End{At: 60 * sec},
	}
	rec.Passes = append(rec.Passes, passes(record.PhaseBaseline, tries(matrix.Connected))...)
	rec.Passes = append(rec.Passes, passes(record.PhaseMatrix, matrixCells)...)
	rec.Passes = append(rec.Passes, passes(record.PhaseOpen, tries(matrix.Connected))...)
	return rec
}

// find is the case of a phase with a name; the zero Case, whose Phase is "",
// where there is none.
func find(r judge.Result, phase, name string) judge.Case {
	for _, c := range r.Cases {
		if c.Phase == phase && c.Name == name {
			return c
		}
	}
	return judge.Case{}
}

// series is samples a period apart, written as a word: o open, x silence, r
// refused, h half-open, w wrong peer, ? unknown, _ no sample.
func series(from, period time.Duration, word string) []wire.Run {
	var out []wire.Run
	for i, letter := range word {
		if letter == '_' {
			continue
		}
		at := from + time.Duration(i)*period
		o := map[rune]matrix.Outcome{
			'o': matrix.Connected, 'x': matrix.TimedOut, 'r': matrix.Refused, 'h': matrix.HandshakeOnly, 'w': matrix.WrongPeer, '?': matrix.Unknown,
			's': matrix.TimedOut, // of a starved sampler
		}[letter]
		if n := len(out); n > 0 && out[n-1].Outcome == o && out[n-1].Starved == (letter == 's') {
			out[n-1].Count, out[n-1].Last, out[n-1].End = out[n-1].Count+1, at, at
			continue
		}
		out = append(out, wire.Run{Outcome: o, Starved: letter == 's', Count: 1, First: at, Last: at, End: at})
	}
	return out
}
