package judge_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run/record"
)

// TestMutant: a run passes only where it noticed the mistake that it made.
func TestMutant(t *testing.T) {
	t.Parallel()
	// tried is a run that dropped a rule, and what it saw then of flow 0.
	tried := func(intent, after matrix.Intent, seen matrix.Outcome) record.Record {
		was := map[matrix.Intent]matrix.Outcome{matrix.Deny: matrix.TimedOut, matrix.Allow: matrix.Connected}[intent]
		rec := complete(flow(denied, intent, intent), tries(was))
		rec.Mutant = &record.Mutant{ID: "m1", What: "the rule is dropped", At: oracle.RuleRef{Policy: "shop/db", Origin: oracle.Origin{File: "db.yaml", Line: 12}}, Flips: []record.Flip{{Flow: 0, After: after}}}
		rec.Passes = append(rec.Passes, record.Pass{Phase: record.PhaseMutant, Cells: []record.Cell{cell(seen, record.Evidence{Baseline: true})}})
		return rec
	}
	opened := tried(matrix.Deny, matrix.Allow, matrix.Connected)
	for _, row := range []struct {
		name    string
		rec     record.Record
		tweak   func(*record.Record)
		verdict matrix.Verdict
		says    string // of the case of its phase, or of the notes
	}{
		{"opened and seen", opened, nil, matrix.Pass, "the mistake in shop/db, made on purpose: the rule is dropped, shop/attacker-0 → shop/db-0 TCP/5432: expected deny, seen connected"},
		{"closed and seen", tried(matrix.Allow, matrix.Deny, matrix.TimedOut), nil, matrix.Pass, "expected allow, seen timed-out"},
		{"opened and not seen", tried(matrix.Deny, matrix.Allow, matrix.TimedOut), nil, matrix.Inconclusive, "no flow of 1 that it changes, like shop/attacker-0 → shop/db-0 TCP/5432, failed"},
		{"not known", tried(matrix.Deny, matrix.Allow, matrix.Unknown), nil, matrix.Inconclusive, "no flow of 1"},
		{"not asked", opened, func(r *record.Record) { r.Passes = r.Passes[:3] }, matrix.Inconclusive, "no pass ran"},
		{"seen in a pass that settles", opened, func(r *record.Record) { r.Passes[3].Settling = true }, matrix.Inconclusive, "never settled"},
		{"seen in a void pass", opened, func(r *record.Record) { r.Passes[3].Void = "queue 98 went away"; r.Passes[3].Settling = true }, matrix.Inconclusive, "queue 98 went away"},
		{"not put back", opened, func(r *record.Record) {
			r.Mutant = nil
			r.Phases = append(r.Phases, record.Phase{Name: record.PhaseMutant, Error: "policy shop/db was put back, and 1 flow is not as before"})
		}, matrix.Inconclusive, "was put back"},
		{"none to make", opened, func(r *record.Record) {
			r.Mutant, r.Passes = &record.Mutant{None: "no policy opens anything"}, r.Passes[:3]
		}, matrix.Pass, "not tried with a mistake: no policy opens anything"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			rec := row.rec
			rec.Passes = slices.Clone(rec.Passes)
			if row.tweak != nil {
				row.tweak(&rec)
			}
			res := judge.Judge(rec)
			said := strings.Join(res.Notes, "\n")
			for _, c := range res.Cases {
				if c.Phase == record.PhaseMutant {
					said += c.Observed + "\n" + strings.Join(c.Reasons, "\n")
				}
			}
			if res.Verdict != row.verdict || !strings.Contains(said, row.says) {
				t.Errorf("%s, %q; want %s and %q", res.Verdict, said, row.verdict, row.says)
			}
		})
	}
}
