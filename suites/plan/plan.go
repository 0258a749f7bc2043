package plan

import (
	"cmp"
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
	ports     []oracle.Port     // on which any pod is asked, in order
}

// Of a scenario. It fails where the policies cannot be judged.
func Of(sc *scenario.Scenario) (*Plan, error) {
	p := &Plan{Scenario: sc, questions: sc.Questions()}
	for _, w := range sc.Workloads {
		p.pods = append(p.pods, w.Slots()...)
	}
	slices.Sort(p.pods)
	seen := map[oracle.Port]bool{}
	for _, pod := range p.pods {
		for _, port := range p.questions.Ports("", pod) {
			if !seen[port] {
				seen[port] = true
				p.ports = append(p.ports, port)
			}
		}
	}
	slices.SortFunc(p.ports, func(a, b oracle.Port) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
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
	return err
}

// Pods of the scenario, in order. The slice is shared: treat it as read-only.
func (p *Plan) Pods() []matrix.Endpoint { return p.pods }

// Flow with both of its sides.
func (p *Plan) Flow(f matrix.Flow) record.Flow {
	d := p.questions.Expect(f)
	return record.Flow{
		Flow:     f,
		Declared: record.Declared{Intent: d.Intent, Origin: d.Origin, Reason: d.Reason},
		Computed: p.Oracle.Decide(f),
		Canary:   p.Scenario.IsCanary(f),
	}
}

// Expect is what the scenario declares of a flow.
func (p *Plan) Expect(f matrix.Flow) scenario.Expectation { return p.questions.Expect(f) }

// Flows are all flows of the scenario, in order.
func (p *Plan) Flows() iter.Seq[record.Flow] {
	return func(yield func(record.Flow) bool) {
		for _, from := range p.pods {
			for _, to := range p.pods {
				for f := range p.Between(from, to) {
					if !yield(p.Flow(f)) {
						return
					}
				}
			}
		}
	}
}

// Between are the flows from one pod to another, or to itself, in order.
func (p *Plan) Between(from, to matrix.Endpoint) iter.Seq[matrix.Flow] {
	return func(yield func(matrix.Flow) bool) {
		for _, port := range p.questions.Ports(from, to) {
			for _, family := range p.Scenario.Cluster.IPs {
				if !yield(matrix.Flow{From: from, To: to, Protocol: port.Protocol, Port: port.Port, Family: family}) {
					return
				}
			}
		}
	}
}
