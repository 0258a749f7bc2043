// Package record is the append-only history of a run: what was asked, what
// was done and what was seen, without any judgement. It is written line by
// line while the run goes on, so that a run that dies leaves what it saw, and
// judged afterwards by suites/judge, on any machine.
//
// All times named At, Start or End of type time.Duration are CLOCK_MONOTONIC
// of the machine that ran the cluster.
package record

import (
	"fmt"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/wire"
)

// Schema is the version of the file format, apart from segtest's own.
const Schema = "segtest.dev/record/v1alpha1"

// Event is one line of record.jsonl. Exactly one field is set.
type Event struct {
	Header *Header `json:"header,omitempty"`
	Flow   *Flow   `json:"flow,omitempty"`
	// Facts are added to the header's once the cluster stands.
	Facts       map[string]string `json:"facts,omitempty"`
	Phase       *Phase            `json:"phase,omitempty"`
	Pass        *Pass             `json:"pass,omitempty"`
	Enforcement *Enforcement      `json:"enforcement,omitempty"`
	Convergence *Convergence      `json:"convergence,omitempty"`
	Mutant      *Mutant           `json:"mutant,omitempty"`
	Change      *Change           `json:"change,omitempty"`
	Fault       *Fault            `json:"fault,omitempty"`
	End         *End              `json:"end,omitempty"`
}

// Record is a whole history in memory, in the order of the file.
type Record struct {
	Header      Header
	Flows       []Flow
	Phases      []Phase
	Passes      []Pass
	Enforcement *Enforcement
	Convergence []Convergence
	Mutant      *Mutant // nil: no mistake was to be made
	Changes     []Change
	Faults      []Fault
	// Notes are what Read found out about the record itself, for people. They
	// change no verdict.
	Notes []string
	End   *End // nil: the run died
}

// Header opens a record.
type Header struct {
	Schema   string    `json:"schema"`
	RunID    string    `json:"runID"`
	Scenario string    `json:"scenario"` // metadata.name
	File     string    `json:"file"`     // as the user named it
	Started  time.Time `json:"started"`  // wall clock, for people
	// Monotonic is CLOCK_MONOTONIC at Started, so that every other time of the
	// record can be told as a wall clock; 0 is unknown.
	Monotonic time.Duration     `json:"monotonic,omitempty"`
	Seed      uint64            `json:"seed"`
	Facts     map[string]string `json:"facts"` // versions, image, CNI, profile, commit, pipeline
	Labels    map[string]string `json:"labels,omitempty"`
	// Faults are the ids of the faults that the scenario asks for, in order. One
	// that no Fault event follows did not run.
	Faults []string `json:"faults,omitempty"`
	// Changes are what the scenario asks to be measured, nil for nothing.
	Changes *Changes `json:"changes,omitempty"`
	// Dropped is what the team's objects have and their stand-ins have not.
	Dropped []Dropped `json:"dropped,omitempty"`
	// Asked is what the user asked for beyond the scenario.
	Asked Asked `json:"asked,omitzero"`
	// Flows is how many flows the scenario has, asked or not, and Digest tells
	// their set from that of another scenario; 0 and "" are unknown.
	Flows  int    `json:"flows,omitempty"`
	Digest string `json:"digest,omitempty"`
}

// Dropped is a part of a team's object that its stand-in does not have, or
// objects of a kind that have no stand-in.
type Dropped struct {
	Kind   string        `json:"kind"`
	Name   string        `json:"name,omitempty"`  // "namespace/name"; "" for several of a kind
	What   string        `json:"what"`            // in words: "images", "probes"
	Field  string        `json:"field,omitempty"` // "spec.template.spec.containers[0].image"
	Count  int           `json:"count"`
	Origin oracle.Origin `json:"origin"`
}

// Flow is one cell of the matrix with what was declared and computed before
// the cluster existed. Its position in Record.Flows is its number.
type Flow struct {
	matrix.Flow
	Declared Declared        `json:"declared"`
	Computed oracle.Decision `json:"computed"`
	// Canary marks a flow to the undeclared port, which reports fold away where
	// it is as it should be.
	Canary bool `json:"canary,omitempty"`
	// Control marks a flow that is asked for the sake of others alone, as evidence
	// of their denies. It was not chosen and is not judged.
	Control bool `json:"control,omitempty"`
}

// Declared is the scenario's expectation.
type Declared struct {
	Intent matrix.Intent `json:"intent"`
	Origin oracle.Origin `json:"origin"` // of the rule, or of expect.default
	Reason string        `json:"reason,omitempty"`
	// By is how a deny must show itself; DenialUnknown is in any way.
	By matrix.Denial `json:"by,omitempty"`
}

// The phases of a run, in order. A fault adds PhaseFault, and PhaseAfter for the
// passes that follow it.
const (
	PhaseBaseline = "baseline" // no policies: everything must connect
	PhaseMatrix   = "matrix"   // policies enforced
	PhaseMutant   = "mutant"   // one of them with a mistake
	PhaseOpen     = "open"     // policies removed: everything must connect again
	// PhaseConvergence measures how soon changes take effect.
	PhaseConvergence = "convergence"
)

// PhaseFault is the phase of a fault.
func PhaseFault(id string) string { return "fault " + id }

// PhaseAfter is the phase of the passes after a fault.
func PhaseAfter(id string) string { return PhaseFault(id) + " after" }

// PhaseRepetition is the stretch in which the matrix was asked for the n-th time;
// the first is PhaseMatrix itself. Its passes are passes of PhaseMatrix.
func PhaseRepetition(n int) string { return fmt.Sprintf("repetition %d", n) }

// RepetitionOf is the number in a PhaseRepetition, 0 for any other phase.
func RepetitionOf(phase string) int {
	var n int
	if _, err := fmt.Sscanf(phase, "repetition %d", &n); err != nil || phase != PhaseRepetition(n) {
		return 0
	}
	return n
}

// Phase is a stretch of the run.
type Phase struct {
	Name  string        `json:"name"`
	Start time.Duration `json:"start"`
	End   time.Duration `json:"end"`
	Error string        `json:"error,omitempty"` // why the phase ended early
}

// Pass is one round over (some of) the matrix. Several passes of one phase are
// all kept: the last says what the flow settled on, an earlier one in which a
// denied flow got through after the fence is still a leak.
type Pass struct {
	Phase string        `json:"phase"`
	Start time.Duration `json:"start"`
	End   time.Duration `json:"end"`
	Wait  time.Duration `json:"wait"` // silence that lasted less is no deny
	// Settling passes ran until the matrix was as expected; they measure
	// convergence and prove no deny.
	Settling bool `json:"settling,omitempty"`
	// Fenced: the policies were known to be enforced when the pass began, so that
	// an arrival on a denied flow is a leak even while the matrix settles.
	Fenced bool `json:"fenced,omitempty"`
	// Repetition is 2 where the matrix is asked for the second time, and so on; 0 is
	// the first time. Each is judged on its own, and the worst of them decides.
	Repetition int `json:"repetition,omitempty"`
	// Void says why nothing of this pass may be believed ("" for a good one).
	Void string `json:"void,omitempty"`
	// Unasked packets went through a policy engine's queue that was full and fails
	// open: so many arrivals say nothing of the policies.
	Unasked int    `json:"unasked,omitempty"`
	Cells   []Cell `json:"cells"`
}

// Cell is what a pass saw on one flow.
type Cell struct {
	Flow     int           `json:"flow"` // position in Record.Flows
	Sample   matrix.Sample `json:"sample"`
	Evidence Evidence      `json:"evidence,omitzero"`
}

// Evidence is what makes the absence of an answer a deny. The zero value is
// no evidence.
type Evidence struct {
	// Control: an allowed flow of the same sender to the same receiver connected
	// in this pass. Grade (a).
	Control bool `json:"control,omitempty"`
	// Baseline: this flow connected before the policies were applied. Grade (b).
	Baseline bool `json:"baseline,omitempty"`
	// Receiver: the receiver answered itself in this pass, and the sender could
	// send. Grade (c).
	Receiver bool `json:"receiver,omitempty"`
	// Arrived: the receiver logged this flow's packets (the flow is one-way).
	Arrived bool `json:"arrived,omitempty"`
	// Identity says how the peer is known where it does not say itself who it is,
	// "by address" for an echo reply; "" where it does.
	Identity string `json:"identity,omitempty"`
	// Cause says why an Unknown or LocalError sample is not known.
	Cause string `json:"cause,omitempty"`
}

// Grade is "a", "b" or "c", the best evidence held, or "" for none.
func (e Evidence) Grade() string {
	switch {
	case e.Control:
		return "a"
	case e.Baseline:
		return "b"
	case e.Receiver:
		return "c"
	}
	return ""
}

// Enforcement says whether the cluster enforces anything at all.
type Enforcement struct {
	Enforced bool   `json:"enforced"`
	Detail   string `json:"detail"` // one line for people
}

// Convergence is the time from applying the policies to their effect: at the
// sentinel of one node, or on the whole matrix.
type Convergence struct {
	What  string        `json:"what"`           // "policies enforced", "matrix settled"
	Node  string        `json:"node,omitempty"` // "" for the whole matrix
	Lower time.Duration `json:"lower"`          // at least
	Upper time.Duration `json:"upper"`          // at most
	// Resolution is the longest time between two looks, 0 where that is unknown.
	Resolution time.Duration `json:"resolution,omitempty"`
	Error      string        `json:"error,omitempty"` // why there was no effect
}

// Mutant is a mistake that a run made in a policy on purpose, for the time of
// PhaseMutant, to see whether it would notice.
type Mutant struct {
	ID   string         `json:"id,omitempty"`   // tells it from all others of these policies
	What string         `json:"what,omitempty"` // was done, in one line
	Path string         `json:"path,omitempty"` // of what was changed in the policy; "" is all of it
	At   oracle.RuleRef `json:"at,omitzero"`
	// Flips are flows that the policies, so changed, open or close.
	Flips []Flip `json:"flips,omitempty"`
	// Applied is when the policy began to be changed, Restored when every flow was
	// as the policies say again.
	Applied  time.Duration `json:"applied,omitempty"`
	Restored time.Duration `json:"restored,omitempty"`
	None     string        `json:"none,omitempty"` // why no mistake was made
}

// Flip is a flow with what a Mutant makes of it.
type Flip struct {
	Flow  int           `json:"flow"`
	After matrix.Intent `json:"after"`
}

// Fault is one injected failure and what the samplers saw around it.
type Fault struct {
	ID       string        `json:"id"` // "1-pod-kill"
	Kind     string        `json:"kind"`
	Target   string        `json:"target"` // in words: "node segtest-…-worker (of shop/db-0)"
	Optional bool          `json:"optional,omitempty"`
	Origin   oracle.Origin `json:"origin"`
	// Injected brackets the injection: before the first and after the last call.
	Injected [2]time.Duration `json:"injected"`
	Effect   Proof            `json:"effect"`
	// HealStart is when the undo began; Healed when its proof was seen.
	HealStart time.Duration `json:"healStart"`
	Healed    Proof         `json:"healed"`
	// RecoverWithin bounds outages after HealStart.
	RecoverWithin time.Duration `json:"recoverWithin"`
	// SampleFrom and SampleTo bound what the samplers watched.
	SampleFrom time.Duration `json:"sampleFrom"`
	SampleTo   time.Duration `json:"sampleTo"`
	Period     time.Duration `json:"period"` // of hot flows
	// Void says why silence during the watch can have another cause than the
	// network's policies: the queue of a policy engine ran over ("" for none).
	Void    string    `json:"void,omitempty"`
	Watched []Watched `json:"watched"`
	Error   string    `json:"error,omitempty"`   // why it did not run to its end
	Skipped string    `json:"skipped,omitempty"` // why it did not run at all
}

// Proof is an observation independent of the probes. The zero value proves nothing.
type Proof struct {
	Seen   bool          `json:"seen"`
	At     time.Duration `json:"at"`
	Detail string        `json:"detail"` // "pid 4211 gone, 4533 in its place"
}

// Watched is one flow through one fault.
type Watched struct {
	Flow   int         `json:"flow"`
	Expect Expect      `json:"expect"`
	Series wire.Series `json:"series"`
	// Period of this flow's samples; 0 is the fault's.
	Period time.Duration `json:"period,omitempty"`
	Error  string        `json:"error,omitempty"` // why nothing was sampled
	// Arrivals are the packets of a flow that ought to be closed that its receiver
	// logged meanwhile, in the order of time, undated ones first.
	Arrivals []Arrival `json:"arrivals,omitempty"`
	// Heard says that the receiver's log was read for the whole time, or, where the
	// fault took its pod away, up to right before the fault, and from then on that of
	// the new pod: what is not in Arrivals did not arrive. Unheard says why it was not.
	Heard   bool   `json:"heard,omitempty"`
	Unheard string `json:"unheard,omitempty"`
}

// Arrival is one packet at a receiver.
type Arrival struct {
	// At is when the receiver took notice of it: at once, or as soon as it was no
	// longer frozen. 0 where nothing tells.
	At time.Duration `json:"at"`
	// HalfOpen is a connection that the receiver's kernel knows and that was never
	// completed.
	HalfOpen bool `json:"halfOpen,omitempty"`
}

// Expect is what the fault explains on one flow.
type Expect struct {
	// Outage: an allowed flow may close from the injection until RecoverWithin.
	Outage bool `json:"outage,omitempty"`
	// Unobservable: the fault freezes or removes sender or receiver, so samples
	// between effect and healed prove nothing.
	Unobservable bool `json:"unobservable,omitempty"`
	// Gap: the profile knows that a denied flow opens, for at most Bound in all
	// and no longer than the fault lasts plus Grace; 0 is Bound.
	Gap   string        `json:"gap,omitempty"` // id of the gap
	Bound time.Duration `json:"bound,omitempty"`
	Grace time.Duration `json:"grace,omitempty"`
	Link  string        `json:"link,omitempty"`
}

// End closes a record.
type End struct {
	At time.Duration `json:"at"`
	// Error is why the run stopped early, "" for a complete run.
	Error string `json:"error,omitempty"`
	// Environment says that Error is the machine's or the cluster's, not a
	// finding about the network.
	Environment bool   `json:"environment,omitempty"`
	Interrupted bool   `json:"interrupted,omitempty"`
	LeftBehind  string `json:"leftBehind,omitempty"` // what could not be removed
}
