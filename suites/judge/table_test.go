package judge_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run/record"
)

const (
	allow, deny, unstated, undefined = matrix.Allow, matrix.Deny, matrix.Unstated, matrix.Undefined
)

// TestVerdictTable is DESIGN's verdict table, row by row, as a whole run sees it.
func TestVerdictTable(t *testing.T) {
	t.Parallel()
	control := record.Evidence{Control: true}
	for _, tc := range []struct {
		name               string
		declared, computed matrix.Intent
		cells              []record.Cell
		verdict            matrix.Verdict
		kind               judge.Kind
		grade              string
		unjudged           bool
		flaky              bool
		by                 matrix.Denial
		reason             string
	}{
		{name: "allow, connected", declared: allow, computed: allow, cells: tries(matrix.Connected), verdict: matrix.Pass},
		{name: "allow, timed out", declared: allow, computed: allow, cells: tries(matrix.TimedOut), verdict: matrix.Fail, kind: judge.KindOutage, grade: "b"},
		{name: "allow, refused", declared: allow, computed: allow, cells: tries(matrix.Refused), verdict: matrix.Fail, kind: judge.KindOutage, grade: "b"},
		{name: "allow, wrong peer never passes", declared: allow, computed: allow, cells: tries(matrix.Connected, matrix.WrongPeer), verdict: matrix.Fail, kind: judge.KindOutage},
		{name: "allow, handshake only", declared: allow, computed: allow, cells: tries(matrix.HandshakeOnly), verdict: matrix.Fail, kind: judge.KindOutage},
		{name: "allow, one way", declared: allow, computed: allow, cells: []record.Cell{cell(matrix.TimedOut, record.Evidence{Arrived: true})}, verdict: matrix.Fail, kind: judge.KindOutage},
		{name: "allow, unknown", declared: allow, computed: allow, cells: tries(matrix.Unknown), verdict: matrix.Inconclusive},
		{name: "allow, local error", declared: allow, computed: allow, cells: tries(matrix.LocalError), verdict: matrix.Inconclusive},
		{name: "allow, connected after a retry", declared: allow, computed: allow, cells: tries(matrix.TimedOut, matrix.Connected), verdict: matrix.Pass, flaky: true},
		{name: "allow, lost after it connected", declared: allow, computed: allow, cells: tries(matrix.Connected, matrix.TimedOut), verdict: matrix.Fail, kind: judge.KindOutage, grade: "b"},

		{name: "deny, timed out, by the baseline", declared: deny, computed: deny, cells: tries(matrix.TimedOut), verdict: matrix.Pass, grade: "b"},
		{name: "deny, timed out, by a control", declared: deny, computed: deny, cells: []record.Cell{cell(matrix.TimedOut, control)}, verdict: matrix.Pass, grade: "a"},
		{name: "deny, silence after one attempt", declared: deny, computed: deny, cells: []record.Cell{{Sample: matrix.Sample{Outcome: matrix.TimedOut, Attempts: 1}}}, verdict: matrix.Inconclusive},
		{name: "deny, unreachable", declared: deny, computed: deny, cells: tries(matrix.Unreachable), verdict: matrix.Pass, grade: "b"},
		{name: "deny, refused by a listener that is up", declared: deny, computed: deny, cells: []record.Cell{cell(matrix.Refused, control)}, verdict: matrix.Pass, grade: "a"},
		{name: "deny, refused by a receiver that answers itself", declared: deny, computed: deny, cells: []record.Cell{cell(matrix.Refused, record.Evidence{Receiver: true})}, verdict: matrix.Pass, grade: "b"},
		{name: "deny, refused by who knows", declared: deny, computed: deny, cells: tries(matrix.Refused), verdict: matrix.Inconclusive},
		{name: "deny, unknown", declared: deny, computed: deny, cells: tries(matrix.Unknown), verdict: matrix.Inconclusive},
		{name: "deny, unknown after denied", declared: deny, computed: deny, cells: tries(matrix.TimedOut, matrix.Unknown), verdict: matrix.Inconclusive},
		{name: "deny, local error", declared: deny, computed: deny, cells: tries(matrix.LocalError), verdict: matrix.Inconclusive},
		{name: "deny, connected", declared: deny, computed: deny, cells: tries(matrix.Connected), verdict: matrix.Fail, kind: judge.KindLeak},
		{name: "deny, one way", declared: deny, computed: deny, cells: tries(matrix.OneWay), verdict: matrix.Fail, kind: judge.KindLeak},
		{name: "deny, handshake only", declared: deny, computed: deny, cells: tries(matrix.HandshakeOnly), verdict: matrix.Fail, kind: judge.KindLeak},
		{name: "deny, wrong peer", declared: deny, computed: deny, cells: tries(matrix.WrongPeer), verdict: matrix.Fail, kind: judge.KindLeak},
		{name: "deny, arrived while the sender saw silence", declared: deny, computed: deny, cells: []record.Cell{cell(matrix.TimedOut, record.Evidence{Arrived: true})}, verdict: matrix.Fail, kind: judge.KindLeak},
		{name: "deny, one arrival and then clean", declared: deny, computed: deny, cells: tries(matrix.Connected, matrix.TimedOut, matrix.TimedOut, matrix.TimedOut), verdict: matrix.Fail, kind: judge.KindLeak},
		{name: "deny, clean and then one arrival", declared: deny, computed: deny, cells: tries(matrix.TimedOut, matrix.TimedOut, matrix.HandshakeOnly), verdict: matrix.Fail, kind: judge.KindLeak},

		{name: "deny by drop, dropped", declared: deny, computed: deny, by: matrix.Dropped, cells: []record.Cell{as(matrix.TimedOut, matrix.Dropped, control)}, verdict: matrix.Pass, grade: "a"},
		{name: "deny by drop, reset", declared: deny, computed: deny, by: matrix.Dropped, cells: []record.Cell{as(matrix.Refused, matrix.Reset, control)}, verdict: matrix.Fail, kind: judge.KindOtherwise, grade: "a", reason: "denied by reset, expected by drop"},
		{name: "deny by icmp, dropped", declared: deny, computed: deny, by: matrix.ICMPError, cells: []record.Cell{as(matrix.TimedOut, matrix.Dropped, control)}, verdict: matrix.Fail, kind: judge.KindOtherwise, grade: "a", reason: "denied by drop, expected by icmp"},
		{name: "deny by reset, no route", declared: deny, computed: deny, by: matrix.Reset, cells: []record.Cell{as(matrix.Unreachable, matrix.LocalRoute, control)}, verdict: matrix.Fail, kind: judge.KindOtherwise, grade: "a", reason: "denied by route, expected by reset"},
		{name: "deny by reset, nobody tells", declared: deny, computed: deny, by: matrix.Reset, cells: []record.Cell{as(matrix.Refused, matrix.DenialUnknown, control)}, verdict: matrix.Inconclusive, grade: "a", reason: "nothing tells by what, expected by reset"},
		{name: "deny by icmp, dropped and then as it must be", declared: deny, computed: deny, by: matrix.ICMPError, cells: []record.Cell{as(matrix.TimedOut, matrix.Dropped, control), as(matrix.Unreachable, matrix.ICMPError, control)}, verdict: matrix.Pass, grade: "a"},
		{name: "deny by drop, unproven", declared: deny, computed: deny, by: matrix.Dropped, cells: tries(matrix.Refused), verdict: matrix.Inconclusive, reason: "a dead listener refuses too"},
		{name: "deny by drop, connected", declared: deny, computed: deny, by: matrix.Dropped, cells: tries(matrix.Connected), verdict: matrix.Fail, kind: judge.KindLeak},
		{name: "deny by drop, left open", declared: deny, computed: undefined, by: matrix.Dropped, cells: []record.Cell{as(matrix.Refused, matrix.Reset, control)}, unjudged: true, grade: "a"},

		{name: "too wide, connected", declared: deny, computed: allow, cells: tries(matrix.Connected), verdict: matrix.Fail, kind: judge.KindTooWide},
		{name: "too wide, denied", declared: deny, computed: allow, cells: tries(matrix.TimedOut), verdict: matrix.Fail, kind: judge.KindTooWideDiffers, grade: "b"},
		{name: "too wide, handshake only", declared: deny, computed: allow, cells: tries(matrix.HandshakeOnly), verdict: matrix.Fail, kind: judge.KindTooWideDiffers},
		{name: "too wide, unknown", declared: deny, computed: allow, cells: tries(matrix.Unknown), verdict: matrix.Inconclusive},
		{name: "too narrow, denied", declared: allow, computed: deny, cells: tries(matrix.TimedOut), verdict: matrix.Fail, kind: judge.KindTooNarrow, grade: "b"},
		{name: "too narrow, connected", declared: allow, computed: deny, cells: tries(matrix.Connected), verdict: matrix.Fail, kind: judge.KindTooNarrowDiffers},
		{name: "too narrow, connected once", declared: allow, computed: deny, cells: tries(matrix.Connected, matrix.TimedOut), verdict: matrix.Fail, kind: judge.KindTooNarrowDiffers},
		{name: "too narrow, unproven", declared: allow, computed: deny, cells: tries(matrix.Refused), verdict: matrix.Inconclusive},

		{name: "unstated allow, connected", declared: unstated, computed: allow, cells: tries(matrix.Connected), verdict: matrix.Pass},
		{name: "unstated allow, denied", declared: unstated, computed: allow, cells: tries(matrix.TimedOut), verdict: matrix.Fail, kind: judge.KindEnforcement, grade: "b"},
		{name: "unstated deny, denied", declared: unstated, computed: deny, cells: tries(matrix.TimedOut), verdict: matrix.Pass, grade: "b"},
		{name: "unstated deny, connected", declared: unstated, computed: deny, cells: tries(matrix.Connected), verdict: matrix.Fail, kind: judge.KindEnforcement},

		{name: "undefined, connected", declared: deny, computed: undefined, cells: tries(matrix.Connected), unjudged: true},
		{name: "undefined, nothing", declared: unstated, computed: undefined, unjudged: true},
		{name: "undefined by the scenario", declared: undefined, computed: allow, cells: tries(matrix.TimedOut), unjudged: true, grade: "b"},
		{name: "no decision of the oracle", declared: deny, computed: unstated, cells: tries(matrix.TimedOut), verdict: matrix.Inconclusive, grade: "b"},
		{name: "nothing stated at all", declared: unstated, computed: unstated, cells: tries(matrix.TimedOut), verdict: matrix.Inconclusive, grade: "b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cells := tc.cells
			rec := complete(flow(denied, tc.declared, tc.computed), cells)
			rec.Flows[0].Declared.By = tc.by
			if cells == nil { // a pass that leaves the flow out
				rec.Passes = append(rec.Passes, record.Pass{Phase: record.PhaseMatrix})
			}
			c := find(judge.Judge(rec), record.PhaseMatrix, denied.String())
			if c.Phase == "" {
				t.Fatal("the flow has no case")
			}
			if c.Verdict != tc.verdict && !tc.unjudged || c.Kind != tc.kind || c.Evidence != tc.grade {
				t.Errorf("%v, kind %q, evidence %q; want %v, %q, %q", c.Verdict, c.Kind, c.Evidence, tc.verdict, tc.kind, tc.grade)
			}
			if (c.Unjudged != "") != tc.unjudged || (c.Flaky != "") != tc.flaky {
				t.Errorf("unjudged %q, flaky %q; want %v, %v", c.Unjudged, c.Flaky, tc.unjudged, tc.flaky)
			}
			if c.Verdict != matrix.Pass && c.Unjudged == "" {
				explained(t, c)
			}
			if !strings.Contains(strings.Join(c.Reasons, "\n"), tc.reason) || strings.Contains(c.Expected, " by ") != (tc.by != 0) {
				t.Errorf("expected %q, reasons %q, want %q", c.Expected, c.Reasons, tc.reason)
			}
		})
	}
}

// explained checks what every case that did not pass must tell.
func explained(t *testing.T, c judge.Case) {
	t.Helper()
	if c.Expected == "" || c.Observed == "" || c.Origin.IsZero() || len(c.Rules) == 0 {
		t.Errorf("the case does not explain itself: %+v", c)
	}
	if c.Verdict == matrix.Inconclusive && len(c.Reasons) == 0 {
		t.Errorf("inconclusive without a cause: %+v", c)
	}
	policy := strings.HasPrefix(string(c.Kind), "policy too")
	if policy != (c.Origin.File == "db.yaml") {
		t.Errorf("kind %q points to %v", c.Kind, c.Origin)
	}
}

// TestTableIsComplete: each combination that the special rows leave is decided
// by exactly one row.
func TestTableIsComplete(t *testing.T) {
	t.Parallel()
	for _, declared := range []matrix.Intent{unstated, allow, deny} {
		for _, computed := range []matrix.Intent{allow, deny} {
			for seen := uint8(1); seen <= 3; seen++ {
				if n := judge.Rows(declared, computed, seen); n != 1 {
					t.Errorf("%v, %v, sight %d: %d rows", declared, computed, seen, n)
				}
			}
		}
	}
	names := judge.RowNames()
	slices.Sort(names)
	if len(slices.Compact(names)) != len(judge.RowNames()) {
		t.Error("two rows of the table have one name")
	}
}

// TestBaselineMakesGradeB: the record's own claim of a baseline is not taken
// for it, and what connected there counts without the claim.
func TestBaselineMakesGradeB(t *testing.T) {
	t.Parallel()
	rec := complete(flow(denied, deny, deny), []record.Cell{cell(matrix.TimedOut, record.Evidence{Baseline: true})})
	rec.Passes[0].Cells[0].Sample.Outcome = matrix.TimedOut
	res := judge.Judge(rec)
	if c := find(res, record.PhaseBaseline, denied.String()); c.Verdict != matrix.Inconclusive || c.Since == 0 {
		t.Errorf("baseline case %+v", c)
	}
	if c := find(res, record.PhaseMatrix, denied.String()); c.Verdict != matrix.Inconclusive {
		t.Errorf("a deny without a baseline is %v", c.Verdict)
	}
	rec.Passes[1].Cells[0].Evidence.Receiver = true
	if c := find(judge.Judge(rec), record.PhaseMatrix, denied.String()); c.Verdict != matrix.Pass || c.Evidence != "c" {
		t.Errorf("a deny by a receiver that answers itself is %v %q", c.Verdict, c.Evidence)
	}
	blocked := complete(flow(denied, allow, allow), []record.Cell{cell(matrix.TimedOut, record.Evidence{Baseline: true, Control: true})})
	blocked.Passes[0].Cells[0].Sample.Outcome = matrix.Unknown
	if c := find(judge.Judge(blocked), record.PhaseMatrix, denied.String()); c.Verdict != matrix.Inconclusive {
		t.Errorf("an allow that never worked is %v", c.Verdict)
	}
}

// TestDenialIsTold: how a deny showed itself is that of the cell that decided,
// and of a blocked one only.
func TestDenialIsTold(t *testing.T) {
	t.Parallel()
	alive := record.Evidence{Receiver: true, Identity: "by address"}
	for _, row := range []struct {
		name  string
		cells []record.Cell
		want  matrix.Denial
	}{
		{"reset", []record.Cell{as(matrix.Refused, matrix.Reset, alive)}, matrix.Reset},
		{"the last decides", []record.Cell{as(matrix.TimedOut, matrix.Dropped, alive), as(matrix.Unreachable, matrix.ICMPError, alive)}, matrix.ICMPError},
		{"an arrival decides", []record.Cell{as(matrix.Connected, matrix.DenialUnknown, alive), as(matrix.TimedOut, matrix.Dropped, alive)}, matrix.DenialUnknown},
		{"what arrived was not denied", []record.Cell{as(matrix.TimedOut, matrix.Dropped, record.Evidence{Receiver: true, Arrived: true, Identity: "by address"})}, matrix.DenialUnknown},
		{"what is not known was not denied", []record.Cell{as(matrix.Unknown, matrix.Dropped, alive)}, matrix.DenialUnknown},
	} {
		res := judge.Judge(complete(flow(denied, deny, deny), row.cells))
		if c := find(res, record.PhaseMatrix, denied.String()); c.Denial != row.want || res.Flows[0].Denial != row.want || c.Identity != "by address" {
			t.Errorf("%s: denied by %s and %s, identity %q, want %s", row.name, c.Denial, res.Flows[0].Denial, c.Identity, row.want)
		}
	}
}
