package plan

import (
	"iter"
	"strconv"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run/record"
)

// Sheet is a plan as it is printed: who asks by who is asked.
type Sheet struct {
	Name, File string
	From, To   []Group // in order of first member; every pod is in one of each
	Cells      []Cell  // in order of From, To, port, protocol, family
	Differ     []Difference
	Tally      Tally
	Flows      iter.Seq[record.Flow] // all of them, in order
	Foreign    []oracle.Foreign      // policies that are not evaluated
}

// Group is endpoints of which the same is declared and computed, in order.
type Group []matrix.Endpoint

// Cell is the flows between two groups on one port. Flow is one of them, that of
// a pod to itself only where the cell holds no others.
type Cell struct {
	From, To           int // positions in the Sheet
	Flow               matrix.Flow
	Declared, Computed matrix.Intent
	Canary             bool
	Count              int // at least 1
}

// Differs reports that scenario and policies both say what they want of the cell
// and say different things.
func (c Cell) Differs() bool {
	return judge.Disagree(record.Flow{Declared: record.Declared{Intent: c.Declared}, Computed: oracle.Decision{Intent: c.Computed}})
}

// Difference is the flows of a cell on which scenario and policies differ. Flow
// is one of them.
type Difference struct {
	Flow  record.Flow
	Count int
}

// Tally counts flows.
type Tally struct {
	Flows                     int
	Computed                  [4]int // by Intent
	Agree, Disagree, Unstated int    // the scenario, of what the policies compute to; nothing where that is Undefined
}

func (t *Tally) add(c Cell) {
	t.Flows += c.Count
	t.Computed[c.Computed] += c.Count
	switch {
	case c.Declared == matrix.Unstated:
		t.Unstated += c.Count
	case c.Differs():
		t.Disagree += c.Count
	case c.Declared == c.Computed:
		t.Agree += c.Count
	}
}

// Sheet of the plan, with equal endpoints folded into groups or each on its own.
func (p *Plan) Sheet(fold bool) Sheet {
	s := Sheet{Name: p.Scenario.Name, File: p.Scenario.Source.File, Flows: p.Flows(), Foreign: p.World.Foreign}
	all := p.Answers(p.pods, p.pods)
	if fold {
		s.From, s.To = all.groups()
	} else {
		for _, pod := range p.pods {
			s.From = append(s.From, Group{pod})
		}
		s.To = s.From
	}
	position := make(map[matrix.Endpoint]int, len(p.pods))
	for i, pod := range p.pods {
		position[pod] = i
	}
	for i, from := range s.From {
		for j, to := range s.To {
			add := func(a, b matrix.Endpoint, n int) {
				s.between(all, Cell{From: i, To: j, Count: n}, position[a], position[b])
			}
			both := common(from, to)
			if n := len(from)*len(to) - len(both); n > 0 {
				a, b := distinct(from, to)
				add(a, b, n)
			}
			if len(both) > 0 {
				add(both[0], both[0], len(both))
			}
		}
	}
	return s
}

// between adds the cells of two pods that stand for their groups.
func (s *Sheet) between(all *Answers, c Cell, from, to int) {
	for f, at := range all.between(from, to) {
		c.Flow, c.Computed = f, all.at(from, to, at).Intent
		c.Declared, c.Canary = all.plan.Expect(f).Intent, all.plan.Scenario.IsCanary(f)
		s.Cells = append(s.Cells, c)
		s.Tally.add(c)
		if c.Differs() {
			s.Differ = append(s.Differ, Difference{all.plan.Flow(f), c.Count})
		}
	}
}

// common members of two groups, in order.
func common(a, b Group) Group {
	var both Group
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			a = a[1:]
		case a[0] > b[0]:
			b = b[1:]
		default:
			both = append(both, a[0])
			a, b = a[1:], b[1:]
		}
	}
	return both
}

// distinct members of two groups that are not the same single endpoint.
func distinct(a, b Group) (matrix.Endpoint, matrix.Endpoint) {
	switch {
	case a[0] != b[0]:
		return a[0], b[0]
	case len(b) > 1:
		return a[0], b[1]
	}
	return a[1], b[0]
}

// groups of senders and of receivers: equal to the policies, and equal to the
// scenario.
func (p *Plan) groups() (from, to []Group) { return p.Answers(p.pods, p.pods).groups() }

// groups of answers between all pods.
func (a *Answers) groups() (from, to []Group) {
	p := a.plan
	senders, receivers := make([]string, len(p.pods)), make([]string, len(p.pods))
	for i, pod := range p.pods {
		senders[i], receivers[i] = p.questions.Alike(pod)
	}
	for _, g := range a.grids {
		sent, got := g.Groups()
		for i := range p.pods {
			senders[i] += " " + strconv.Itoa(sent[i])
			receivers[i] += " " + strconv.Itoa(got[i])
		}
	}
	return p.gather(senders), p.gather(receivers)
}

// gather the pods by key.
func (p *Plan) gather(keys []string) []Group {
	var groups []Group
	known := map[string]int{}
	for i, key := range keys {
		n, ok := known[key]
		if !ok {
			n = len(groups)
			known[key] = n
			groups = append(groups, nil)
		}
		groups[n] = append(groups[n], p.pods[i])
	}
	return groups
}
