package plan

import (
	"iter"
	"slices"

	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/run/record"
)

// Plan knows the declared and the computed side of every flow of a scenario.
// Flows are made when they are asked for: a folder of a thousand pods has
// millions of them. A Plan is safe for concurrent use.
type Plan struct {
	Scenario *scenario.Scenario
	World    oracle.World
	Oracle   *oracle.Oracle

	questions *scenario.Questions
	pods      []matrix.Endpoint // in order
	run       scope             // what a run asks
	scope     scope             // what the plan asks: of a snapshot, more
}

// Of a scenario. It fails where the policies cannot be judged.
func Of(sc *scenario.Scenario) (*Plan, error) {
	p := &Plan{Scenario: sc, questions: sc.Questions()}
	for _, w := range sc.Workloads {
		p.pods = append(p.pods, w.Slots()...)
	}
	slices.Sort(p.pods)
	p.run = p.narrow()
	return p, p.judge(sc.World())
}

// With is the plan of the same scenario under other policies.
func (p *Plan) With(w oracle.World) (*Plan, error) {
	other := *p
	return &other, other.judge(w)
}

func (p *Plan) judge(w oracle.World) error {
	var err error
	p.World = w
	p.Oracle, err = oracle.New(w)
	if p.scope = p.run; p.Scenario.Expect.Snapshot {
		p.scope = p.snapshot()
	}
	return err
}

// Pods of the scenario, in order. The slice is shared: treat it as read-only.
func (p *Plan) Pods() []matrix.Endpoint { return p.pods }

// Flow with both of its sides.
func (p *Plan) Flow(f matrix.Flow) record.Flow {
	d := p.questions.Expect(f)
	return record.Flow{
		Flow:     f,
		Declared: record.Declared{Intent: d.Intent, Origin: d.Origin, Reason: d.Reason, By: d.By},
		Computed: p.Oracle.Decide(f),
		Canary:   p.undeclared(f),
	}
}

// undeclared reports a flow to a port that no workload declares there.
func (p *Plan) undeclared(f matrix.Flow) bool {
	return p.Scenario.IsCanary(f) || p.scope.wide != nil && !p.questions.Declares(f.To, f.Protocol, f.Port)
}

// Expect is what the scenario declares of a flow.
func (p *Plan) Expect(f matrix.Flow) scenario.Expectation { return p.questions.Expect(f) }

// Flows are all flows of the scenario, in order. They are those of a run; of a
// snapshot, also those from and to addresses outside of the cluster and on ports
// that nobody declares.
func (p *Plan) Flows() iter.Seq[record.Flow] {
	return func(yield func(record.Flow) bool) {
		for _, from := range p.scope.seats {
			for _, to := range p.scope.seats {
				for f := range p.between(p.scope, from, to) {
					if !yield(p.Flow(f)) {
						return
					}
				}
			}
		}
	}
}

// Between are the flows of a run from one pod to another, or to itself, in order.
func (p *Plan) Between(from, to matrix.Endpoint) iter.Seq[matrix.Flow] {
	return p.between(p.run, from, to)
}
