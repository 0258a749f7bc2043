package diff

import (
	"iter"
	"maps"
	"slices"

	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/plan"
)

// Workload is pods of one workload that only one of the versions has.
type Workload struct {
	Name           matrix.Endpoint
	Slots          []matrix.Endpoint // in order
	Reached, Reach Tally             // flows to them from others, and from them to others
}

// Tally counts flows by what they are decided to.
type Tally struct {
	Allow     int `json:"allow"`
	Deny      int `json:"deny"`
	Undefined int `json:"undefined"`
}

func (t *Tally) add(i matrix.Intent) {
	switch i {
	case matrix.Allow:
		t.Allow++
	case matrix.Deny:
		t.Deny++
	case matrix.Undefined, matrix.Unstated:
		t.Undefined++
	}
}

// table holds the answers of one version: between its pods, and between them and
// strangers. That of no version is empty.
type table struct {
	plan      *plan.Plan
	questions *scenario.Questions
	seats     []matrix.Endpoint // pods, then strangers
	at        map[matrix.Endpoint]int
	ports     map[oracle.Port]int
	grids     map[matrix.Family]*oracle.Grid
}

func newTable(p *plan.Plan, families []matrix.Family, ports []oracle.Port, strangers []stranger) table {
	t := table{plan: p, at: map[matrix.Endpoint]int{}, ports: map[oracle.Port]int{}, grids: map[matrix.Family]*oracle.Grid{}}
	if p == nil {
		return t
	}
	t.questions = p.Scenario.Questions()
	t.seats = slices.Clone(p.Pods())
	for _, s := range strangers {
		t.seats = append(t.seats, s.endpoint)
	}
	for i, e := range t.seats {
		t.at[e] = i
	}
	for i, port := range ports {
		t.ports[port] = i
	}
	for _, family := range families {
		t.grids[family] = p.Oracle.Grid(t.seats, t.seats, ports, family)
	}
	return t
}

// intent of a flow between seats on one of the ports.
func (t *table) intent(f matrix.Flow) matrix.Intent {
	return t.grids[f.Family].At(t.at[f.From], t.at[f.To], t.ports[oracle.Port{Protocol: f.Protocol, Port: f.Port}]).Intent
}

// between are the flows from one pod to another.
func (t *table) between(from, to matrix.Endpoint) iter.Seq[matrix.Flow] {
	if from == to {
		return func(func(matrix.Flow) bool) {}
	}
	return t.plan.Between(from, to)
}

// without are the pods that the other version has not, by workload.
func (t *table) without(other table) []Workload {
	if t.plan == nil {
		return nil
	}
	var pods []matrix.Endpoint
	if other.plan != nil {
		pods = other.plan.Pods()
	}
	byName := map[matrix.Endpoint]*Workload{}
	for _, p := range t.plan.World.Pods {
		_, held := slices.BinarySearch(t.plan.Pods(), p.Name)
		if _, ok := slices.BinarySearch(pods, p.Name); ok || !held {
			continue
		}
		w := byName[p.Workload]
		if w == nil {
			w = &Workload{Name: p.Workload}
			byName[p.Workload] = w
		}
		w.Slots = append(w.Slots, p.Name)
	}
	var all []Workload
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		w := byName[name]
		slices.Sort(w.Slots)
		t.tally(w)
		all = append(all, *w)
	}
	return all
}

// tally counts the flows of a workload's pods to and from all others.
func (t *table) tally(w *Workload) {
	for _, slot := range w.Slots {
		for _, pod := range t.plan.Pods() {
			for f := range t.between(pod, slot) {
				w.Reached.add(t.intent(f))
			}
			for f := range t.between(slot, pod) {
				w.Reach.add(t.intent(f))
			}
		}
	}
}

// familiesOf all questions of some versions, in order.
func familiesOf(plans ...*plan.Plan) []matrix.Family {
	var all []matrix.Family
	for _, p := range plans {
		if p != nil {
			all = append(all, p.Scenario.Cluster.IPs...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// portsOf all questions of a version, without names.
func portsOf(p *plan.Plan) []oracle.Port {
	if p == nil {
		return nil
	}
	questions := p.Scenario.Questions()
	var ports []oracle.Port
	for _, pod := range p.Pods() {
		ports = append(ports, questions.Ports("", pod)...)
	}
	return ports
}

// union of lists, without doubles and in order.
func union(lists ...[]oracle.Port) []oracle.Port {
	var all []oracle.Port
	for _, list := range lists {
		for _, p := range list {
			all = append(all, oracle.Port{Protocol: p.Protocol, Port: p.Port})
		}
	}
	slices.SortFunc(all, func(p, q oracle.Port) int { return asked(p).compare(asked(q)) })
	return slices.Compact(all)
}

func asked(p oracle.Port) Port { return Port{Protocol: p.Protocol, Port: p.Port} }
