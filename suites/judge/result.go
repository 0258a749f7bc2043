package judge

import (
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/run/record"
)

// Result is what a record means. All its times of day are CLOCK_MONOTONIC, as
// in the record; Clock tells them as a wall clock, Offset as time into the run.
type Result struct {
	Header  record.Header
	Verdict matrix.Verdict
	// Unenforced is one line that says how it is known that the cluster enforces
	// no policy; "" where it does. No case but the run's own is judged then.
	Unenforced string
	// Incomplete says why the record is not of a whole run, "" where it is.
	Incomplete  string
	Environment bool // Incomplete is the machine's or the cluster's fault
	Interrupted bool
	LeftBehind  string // what could not be removed

	Flows []Flow // as in the record
	// Disagreements are the flows on which scenario and policies differ, apart from
	// those that one of them leaves open: mistakes of the authors, known without a
	// packet.
	Disagreements []int
	Cases         []Case  // in the order of the run
	Phases        []Tally // of Cases, in the same order
	Total         Counts
	Faults        []Fault
	// Repetitions of the matrix in order, nil where it was asked once only.
	Repetitions []Repetition
	Convergence []record.Convergence
	// Changes are how soon each kind of change took effect, nil where nobody asked.
	Changes []Convergence
	Notes   []string // as in the record, and passes that were not judged

	Start    time.Duration // the beginning of the run
	Duration time.Duration
}

// Offset is how long after the beginning of the run t was.
func (r Result) Offset(t time.Duration) time.Duration { return t - r.Start }

// Clock is t as a wall clock, in UTC.
func (r Result) Clock(t time.Duration) time.Time {
	return r.Header.Started.Add(r.Offset(t)).UTC()
}

// The exit codes of a run.
const (
	ExitPass         = 0
	ExitFail         = 1
	ExitEnvironment  = 3
	ExitInconclusive = 4
	ExitInterrupted  = 130
)

// ExitCode is 0 only for Pass and KnownGap. A violation that was seen counts,
// whatever happened to the run afterwards; only the user's own interrupt comes
// before it.
func (r Result) ExitCode() int {
	switch {
	case r.Interrupted:
		return ExitInterrupted
	case r.Unenforced != "":
		return ExitInconclusive
	case r.Verdict == matrix.Fail:
		return ExitFail
	case r.Environment:
		return ExitEnvironment
	case r.LeftBehind != "":
		return ExitEnvironment
	case r.Verdict == matrix.Pass, r.Verdict == matrix.KnownGap:
		return ExitPass
	}
	return ExitInconclusive
}

// Flow is one cell of the three matrices: declared, computed, observed.
type Flow struct {
	record.Flow
	Observed matrix.Outcome // what the matrix phase settled on, or its worst on a deny
	Denial   matrix.Denial  // how Observed showed itself, where it is blocked
	Grade    string         // of the evidence for Observed: "a", "b", "c" or ""
	Matrix   int            // position of its matrix case in Result.Cases, None for none
	Worst    matrix.Verdict // over all phases
	Unjudged bool           // no phase judged it
	// Repeated counts the verdicts of its repetitions; it is zero where the matrix
	// was asked once only.
	Repeated Counts
}

// Unstable reports that the repetitions of the matrix do not agree on a flow.
func (f Flow) Unstable() bool {
	c := f.Repeated
	return max(c.Pass, c.KnownGap, c.Inconclusive, c.Fail, c.Unjudged) < c.All()
}

// None is the Flow or Fault of a case that is about no single one.
const None = -1

// Kind says what sort of failure a case is; "" for none.
type Kind string

// The kinds.
const (
	KindOutage           Kind = "outage: enforcement"
	KindLeak             Kind = "leak: enforcement"
	KindTooWide          Kind = "policy too wide"
	KindTooWideDiffers   Kind = "policy too wide, and enforcement differs"
	KindTooNarrow        Kind = "policy too narrow"
	KindTooNarrowDiffers Kind = "policy too narrow, and enforcement differs"
	KindEnforcement      Kind = "enforcement"
	KindLeakFault        Kind = "leak: during a fault"
	KindOutageFault      Kind = "outage: during a fault"
	KindStillClosed      Kind = "outage: policies removed"
	KindNever            Kind = "convergence: never"
	KindSlow             Kind = "convergence: too slow"
	KindGap              Kind = "known gap"
	KindOtherwise        Kind = "denied in another way"
)

// Case is one question and its answer. Phase and Name are unique together.
type Case struct {
	Phase string
	Name  string
	Flow  int // position in Result.Flows, or None
	Fault int // position in Result.Faults, or None

	Verdict matrix.Verdict
	// Unjudged says why the case is reported and not judged; Verdict means
	// nothing then.
	Unjudged string
	Kind     Kind
	Expected string
	Observed string
	Denial   matrix.Denial // how Observed showed itself, where it is blocked
	Evidence string        // grade "a", "b" or "c"; "" for none
	// Identity says how the peer is known where it does not say itself who it is:
	// "by address", or "".
	Identity string
	// Since is when what is wrong was first seen, 0 where nothing is.
	Since    time.Duration
	Start    time.Duration
	Duration time.Duration
	// Origin is the line to mend, or the one that asks for what did not happen.
	Origin     oracle.Origin
	Rules      []Rule // that decided; only where the case is no plain pass
	Windows    []Window
	Flaky      string // what earlier tries of a case that passed saw
	Reasons    []string
	Properties []Property
}

// Rule is a line that decided what a flow should do.
type Rule struct {
	Source string // "declared", "egress", "ingress" or "computed"
	Text   string
	Origin oracle.Origin
}

// Property is a named figure of a case.
type Property struct{ Name, Value string }

// Counts of cases by verdict.
type Counts struct{ Pass, KnownGap, Inconclusive, Fail, Unjudged, Flaky int }

// All is the number of cases.
func (c Counts) All() int { return c.Pass + c.KnownGap + c.Inconclusive + c.Fail + c.Unjudged }

func (c *Counts) add(k Case) {
	if k.Flaky != "" {
		c.Flaky++
	}
	if k.Unjudged != "" {
		c.Unjudged++
		return
	}
	c.Count(k.Verdict)
}

// Count adds one verdict.
func (c *Counts) Count(v matrix.Verdict) {
	switch v {
	case matrix.Pass:
		c.Pass++
	case matrix.KnownGap:
		c.KnownGap++
	case matrix.Fail:
		c.Fail++
	case matrix.Inconclusive:
		c.Inconclusive++
	}
}

// Tally is the counts of one phase.
type Tally struct {
	Phase string
	Counts
}

// Fault is the summary of one injected failure.
type Fault struct {
	record.Fault
	Verdict matrix.Verdict
	// Unjudged says why the fault does not count (it was optional).
	Unjudged string
	Leak     *Extreme // the longest leak, nil for none
	Outage   *Extreme // the longest outage, blips apart, nil for none
	// Explained says that every outage is one that the fault explains.
	Explained    bool
	Denied       int // watched flows that must stay closed
	Allowed      int
	Unobservable int // watched flows that the fault froze or removed
	Blips        int
	// Blind is the longest time in which a leak could have gone unseen, over all
	// denied flows and outside what is Unobservable. A shorter one proves nothing.
	Blind time.Duration
}

// Extreme is the longest window of a fault and the flow it was seen on.
type Extreme struct {
	Flow int
	Window
}
