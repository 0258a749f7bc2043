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
	space     *space
	answers   map[matrix.Family][]answers // by sheet of the space
}

func newTable(p *plan.Plan, families []matrix.Family, ports *space, strangers []stranger) table {
	t := table{plan: p, at: map[matrix.Endpoint]int{}, space: ports, answers: map[matrix.Family][]answers{}}
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
	for _, family := range families {
		for _, s := range ports.sheets {
			t.answers[family] = append(t.answers[family], t.ask(s, family))
		}
	}
	return t
}

// answers of one version to a sheet: of those who are asked by all, and of all by
// those who ask.
type answers struct {
	inward, outward *oracle.Grid // nil where there is nobody
	to, from        []int        // by seat: its position there; -1 for none
}

func (t *table) ask(s sheet, family matrix.Family) answers {
	out := answers{to: make([]int, len(t.seats)), from: make([]int, len(t.seats))}
	var from, to []matrix.Endpoint
	for i, e := range t.seats {
		out.to[i], out.from[i] = -1, -1
		if s.to == nil || s.to[e] {
			out.to[i] = len(to)
			to = append(to, e)
		}
		if s.from[e] {
			out.from[i] = len(from)
			from = append(from, e)
		}
	}
	if len(to) > 0 {
		out.inward = t.plan.Oracle.Grid(t.seats, to, s.ports, family)
	}
	if len(from) > 0 {
		out.outward = t.plan.Oracle.Grid(from, t.seats, s.ports, family)
	}
	return out
}

// groups numbers the seats as senders and as receivers: those with the same
// numbers get the same answers.
func (a answers) groups(seats int) (from, to [][2]int) {
	from, to = make([][2]int, seats), make([][2]int, seats)
	put := func(g *oracle.Grid, n int) {
		if g == nil {
			return
		}
		senders, receivers := g.Groups()
		for i := range seats {
			s, r := i, i
			if n == 0 {
				r = a.to[i]
			} else {
				s = a.from[i]
			}
			if s >= 0 {
				from[i][n] = 1 + senders[s]
			}
			if r >= 0 {
				to[i][n] = 1 + receivers[r]
			}
		}
	}
	put(a.inward, 0)
	put(a.outward, 1)
	return from, to
}

// decision from one seat to another.
func (t *table) decision(from, to int, p oracle.Port, family matrix.Family) *oracle.Decision {
	all := t.answers[family]
	at := t.space.at[t.space.tract(p).Class]
	switch a := all[at.sheet]; {
	case a.to[to] >= 0:
		return a.inward.At(from, a.to[to], at.port)
	case a.from[from] >= 0:
		return a.outward.At(a.from[from], to, at.port)
	}
	common := t.space.tract(t.space.common[p.Protocol]).Class
	return all[0].inward.At(from, to, t.space.at[common].port)
}

// intent of a flow between seats.
func (t *table) intent(f matrix.Flow) matrix.Intent {
	return t.decision(t.at[f.From], t.at[f.To], oracle.Port{Protocol: f.Protocol, Port: f.Port}, f.Family).Intent
}

// between are the flows from one pod to another, pings left out.
func (t *table) between(from, to matrix.Endpoint) iter.Seq[matrix.Flow] {
	if from == to {
		return func(func(matrix.Flow) bool) {}
	}
	return func(yield func(matrix.Flow) bool) {
		for f := range t.plan.Between(from, to) {
			if f.Protocol.HasPorts() && !yield(f) {
				return
			}
		}
	}
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

// declared ports of a pod, apart from the canary's.
func declared(p *plan.Plan, questions *scenario.Questions, pod matrix.Endpoint) []oracle.Port {
	return slices.DeleteFunc(slices.Clone(questions.Ports("", pod)), func(q oracle.Port) bool { return q.Port == p.Scenario.Canary })
}
