package chaos

import (
	"context"
	"math/rand/v2"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/segtest/segtest/fixtures/cluster"
	"github.com/segtest/segtest/probes/matrix"
)

// Kind is one sort of fault: what people read about it, its pure functions and
// the Fault that does it.
type Kind struct {
	Name    string // "pod-kill"
	Summary string // one line
	Doc     string // a few paragraphs of Markdown
	Example string // a YAML list item, as it stands under chaos in a scenario

	// Check lists what is wrong with parameters, without their position.
	Check func(Params) []string
	// Plan chooses the target. It is pure: the same seed over the same inventory
	// gives the same Step. No target is a *NoTargetError.
	Plan func(*rand.Rand, Inventory, Params) (Step, error)
	// Expect says what the step explains on one flow. It is pure.
	Expect func(Profile, Step, Inventory, matrix.Flow) Expect
	Fault  Fault
}

// Fault does one Step to a cluster. All of it may be called again.
type Fault interface {
	// Preflight finds out whether the fault can work here at all; a *SkipError
	// says why not.
	Preflight(ctx context.Context, env Env) error
	Inject(ctx context.Context, env Env, step Step) error
	// Effective and Healed look once, independently of the probes. A Proof that
	// is not Seen says in Detail what is still missing.
	Effective(ctx context.Context, env Env, step Step) (Proof, error)
	Healed(ctx context.Context, env Env, step Step) (Proof, error)
}

// Params is what a scenario says of one fault. Times that are zero mean the
// defaults.
type Params struct {
	Target        Target
	Hold          time.Duration // how long the fault stays, or is watched
	RecoverWithin time.Duration // from the beginning of healing to its proof
	// Optional faults may be skipped where they cannot work; the engine does not
	// read it.
	Optional bool
}

// Defaults of Params.
const (
	DefaultHold          = 5 * time.Second
	DefaultRecoverWithin = 60 * time.Second
)

// WithDefaults fills in what the scenario left open.
func (p Params) WithDefaults() Params {
	if p.Hold == 0 {
		p.Hold = DefaultHold
	}
	if p.RecoverWithin == 0 {
		p.RecoverWithin = DefaultRecoverWithin
	}
	return p
}

// Step begins the step of a kind: its target in words, the times of the
// parameters, and the undo.
func (p Params) Step(kind, target string, undo ...Undo) Step {
	p = p.WithDefaults()
	return Step{Kind: kind, Target: target, Hold: p.Hold, RecoverWithin: p.RecoverWithin, Undo: undo}
}

// Env is what faults work on.
type Env struct {
	Cluster cluster.Cluster
	Client  kubernetes.Interface
	// Progress takes a line for people; nil drops it.
	Progress cluster.Progress
}

// Step is a decided fault. It is data: it can be written down, repeated and
// compared. Only what its kind needs is set.
type Step struct {
	Kind          string        `json:"kind"`
	Target        string        `json:"target"` // in words: "node …-worker (of shop/db-0)"
	Hold          time.Duration `json:"hold"`
	RecoverWithin time.Duration `json:"recoverWithin"`
	Pod           *Pod          `json:"pod,omitempty"`
	// Siblings are the UIDs of all pods of Pod's controller when the step was
	// planned; a pod of that controller with another UID is the replacement.
	Siblings []string `json:"siblings,omitempty"`
	Node     string   `json:"node,omitempty"`
	Agents   []Agent  `json:"agents,omitempty"`
	// Undo mends the step, in this order.
	Undo []Undo `json:"undo"`
}

// The operations of an Undo.
const (
	OpWait    = "wait"    // nothing to do: the cluster mends it by itself
	OpUnpause = "unpause" // thaw the container Node of kind cluster Cluster
)

// Undo is one operation that mends a fault. It is idempotent, and does no harm
// where the fault never happened.
type Undo struct {
	Op      string `json:"op"`
	Cluster string `json:"cluster,omitempty"`
	Node    string `json:"node,omitempty"`
	Reason  string `json:"reason,omitempty"` // of a wait: who mends it
}

// Undoer executes an Undo.
type Undoer interface {
	Undo(ctx context.Context, undo Undo) error
}

// Proof is an observation independent of the probes. The zero value proves
// nothing.
type Proof struct {
	Seen   bool
	At     time.Duration // CLOCK_MONOTONIC; set by the engine
	Detail string        // "process 4211 is gone", or what is missing
}

// Expect is what a fault explains on one flow. The zero value explains nothing.
type Expect struct {
	// Outage: while allowed, the flow may close from the injection until it has
	// recovered.
	Outage bool
	// Unobservable: sender or receiver is frozen or gone, so samples between
	// effect and healing prove nothing.
	Unobservable bool
	// Gap is the id of the profile's gap by which the flow, while denied, is known
	// to open, for at most Bound; see Link.
	Gap   string
	Bound time.Duration
	// Grace is how much longer than the fault lasts the gap may be open.
	Grace time.Duration
	Link  string
}

// SkipError says why a fault cannot work on this cluster.
type SkipError struct{ Reason string }

func (e *SkipError) Error() string { return e.Reason }

// NoTargetError says that there is nothing that a fault could hit.
type NoTargetError struct{ Reason string }

func (e *NoTargetError) Error() string { return "no target: " + e.Reason }
