// Package run turns a scenario into a record: it starts the cluster, deploys,
// probes and injects faults, and writes down what it did and saw. It judges
// nothing and knows no test framework, so that whatever repeats runs can call
// it directly.
package run

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/segtest/segtest/fixtures/cluster"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/run/record"
)

// Options are the input and the surroundings of one run.
type Options struct {
	Scenario *scenario.Scenario
	Provider cluster.Provider
	History  *record.Writer
	RunID    string // 8 hexadecimal digits
	Seed     uint64 // of every choice of the run
	// Facts are written down with those of the cluster: versions, commit, pipeline.
	Facts map[string]string
	// ProbeImage is a reference that every node has already; "" builds the image
	// and loads it.
	ProbeImage string
	// Select keeps some flows only, and asks others as controls of their denies;
	// nil keeps all.
	Select func(matrix.Flow) bool
	// Asked is written down: what Select means, and how often the matrix is asked.
	Asked record.Asked
	// NoMutant leaves out the mistake that a run makes in a policy to see whether
	// it would notice.
	NoMutant bool
	Progress cluster.Progress // nil drops it
	Safety   Safety
	StandIn  StandIn
}

// Safety is what mends a fault when this process dies.
type Safety struct {
	Journal string   // file for the undo of faults
	Reaper  []string // argv of the process that heals when this one dies; nil for none
}

// Session is one run. Its steps are run in order, each once, then Close.
type Session struct {
	opts Options
	subject
	place  place
	seen   seen
	done   int   // steps that were run to their end
	failed error // of the step that failed first
}

// subject is what is asked: the flows with their declared and computed side.
type subject struct {
	index    *matrix.Index
	declared matrix.Matrix[scenario.Expectation]
	computed matrix.Matrix[oracle.Decision]
	isolated map[matrix.Endpoint]selection
	whole    *matrix.Index        // of all flows of the scenario
	controls map[matrix.Flow]bool // flows of index that were not chosen
}

// selection says in which directions some policy selects a pod.
type selection struct{ ingress, egress bool }

// seen is what earlier steps observed and later ones need.
type seen struct {
	record   record.Record
	baseline map[int]bool
	unspoken map[int]bool      // flows whose sender cannot speak their protocol
	passes   uint64            // counts passes, for their seeds
	again    int               // which repetition of the matrix runs, 0 for none
	applied  time.Duration     // when the policies began to be applied
	queues   map[string]string // counters of the policy engines' queues after the last pass; nil where nobody asked
	perNode  int               // the in-flight budget of a node; 0 is prober.DefaultPerNode
}

// A Step is one part of a run.
type Step struct {
	Name string // "baseline", "fault 1-pod-kill"
	run  func(context.Context) error
	more bool // it is none of Steps
}

// ErrUnenforced ends a run on a cluster that enforces no policy.
var ErrUnenforced = errors.New("the cluster enforces no policy")

// NewID makes a run id: 8 random hexadecimal digits.
func NewID() string {
	var b [4]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// New prepares a run and writes the head of its record. Nothing is started yet.
func New(opts Options) (*Session, error) {
	if opts.Progress == nil {
		opts.Progress = func(string, ...any) {}
	}
	if err := CheckDeploy(opts.Scenario); err != nil {
		return nil, err
	}
	subject, err := compute(opts.Scenario, opts.Select)
	if err != nil {
		return nil, err
	}
	s := &Session{opts: opts, subject: subject}
	if err := s.writeHead(); err != nil {
		return nil, err
	}
	return s, nil
}

// Flows are the declared and the computed side of every flow of a scenario, as
// records hold them. keep may be nil. It needs no cluster.
func Flows(s *scenario.Scenario, keep func(matrix.Flow) bool) ([]record.Flow, error) {
	subject, err := compute(s, keep)
	if err != nil {
		return nil, err
	}
	return subject.flows(s), nil
}

func compute(s *scenario.Scenario, keep func(matrix.Flow) bool) (subject, error) {
	expansion := s.Expand()
	judge, err := oracle.New(expansion.World)
	if err != nil {
		return subject{}, err
	}
	sub := subject{index: expansion.Index, declared: expansion.Declared, isolated: map[matrix.Endpoint]selection{}}
	all := judge.Matrix(expansion.Index)
	for flow, d := range all.All() {
		from, to := sub.isolated[flow.From], sub.isolated[flow.To]
		from.egress = from.egress || d.Egress.Isolated
		to.ingress = to.ingress || d.Ingress.Isolated
		sub.isolated[flow.From], sub.isolated[flow.To] = from, to
	}
	sub.computed, sub.whole = all, expansion.Index
	if keep != nil {
		return sub.narrow(keep)
	}
	return sub, nil
}

func (s subject) flows(sc *scenario.Scenario) []record.Flow {
	flows := make([]record.Flow, 0, s.index.Len())
	for i, f := range s.index.All() {
		d := s.declared.At(i)
		flows = append(flows, record.Flow{
			Flow:     f,
			Declared: record.Declared{Intent: d.Intent, Origin: d.Origin, Reason: d.Reason, By: d.By},
			Computed: s.computed.At(i),
			Canary:   sc.IsCanary(f),
			Control:  s.controls[f],
		})
	}
	return flows
}

// expected is what the network should do if it enforces what the policies say.
// What they leave undefined is not judged, whatever the scenario declares, and
// so it is not waited for.
func (s subject) expected(flow int) matrix.Intent { return s.computed.At(flow).Intent }

// Steps is the order of a run.
func (s *Session) Steps() []Step {
	steps := []Step{
		{Name: "cluster", run: s.startCluster},
		{Name: "deploy", run: s.deploy},
		{Name: record.PhaseBaseline, run: s.baseline},
		{Name: "policies", run: s.enforce},
		{Name: record.PhaseMatrix, run: s.matrix},
	}
	if !s.opts.NoMutant && len(s.opts.Scenario.Policies) > 0 {
		steps = append(steps, Step{Name: record.PhaseMutant, run: s.mutant})
	}
	if s.opts.Scenario.Convergence != nil {
		steps = append(steps, Step{Name: record.PhaseConvergence, run: s.converge})
	}
	for i, spec := range s.opts.Scenario.Chaos {
		steps = append(steps, Step{Name: record.PhaseFault(faultID(i, spec)), run: func(ctx context.Context) error { return s.fault(ctx, i, spec) }})
	}
	return append(steps, Step{Name: record.PhaseOpen, run: s.open})
}

func faultID(i int, spec scenario.FaultSpec) string { return fmt.Sprintf("%d-%s", i+1, spec.Kind) }

// Do runs one step, unless one before it failed; the record says when, and why
// it failed. A run without policy enforcement does no further step and has not
// failed.
func (s *Session) Do(ctx context.Context, step Step) error {
	if s.failed != nil {
		return s.failed
	}
	start := s.now()
	err := step.run(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = errors.Join(cause, err)
	}
	phase := record.Phase{Name: step.Name, Start: start, End: s.now()}
	if err != nil {
		phase.Error = err.Error()
		s.failed = fmt.Errorf("%s: %w", step.Name, err)
	}
	if err := s.write(record.Event{Phase: &phase}); err != nil && s.failed == nil {
		s.failed = err
	}
	if s.failed == nil && !step.more {
		s.done++
	}
	return s.failed
}

// All runs every step. The error is that of the step that failed.
func (s *Session) All(ctx context.Context) error {
	for _, step := range s.Steps() {
		if err := s.Do(ctx, step); err != nil {
			return err
		}
	}
	return nil
}

// Err is why the run ended early, nil while it goes on or when it is whole.
func (s *Session) Err() error { return s.failed }

// Kubeconfig is the private file of the run's cluster, "" while there is none.
func (s *Session) Kubeconfig() string {
	if s.place.cluster == nil {
		return ""
	}
	return s.place.cluster.Kubeconfig()
}

// Record is what has been written so far.
func (s *Session) Record() record.Record { return s.seen.record }
