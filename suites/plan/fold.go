package plan

import (
	"cmp"
	"iter"
	"slices"
	"strconv"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/outside"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run/record"
)

// Sheet is a plan as it is printed: who asks by who is asked.
type Sheet struct {
	Name, File string
	From, To   []Group      // in order of first member; every pod is in one of each
	Cells      []Cell       // in order of From, To, port, protocol, family
	Differ     []Difference // those that the policies decide first
	Doubts     []Doubt      // why flows are undefined, that of most flows first
	Tally      Tally
	Flows      iter.Seq[record.Flow] // all of them, in order
	Foreign    []oracle.Foreign      // policies that are not evaluated
	Dropped    []record.Dropped      // what a run has no stand-in for
	Blocks     []outside.Block       // what the addresses among From and To stand for
	// Undeclared says that the scenario declares nothing at all, as a folder of
	// manifests: that a pod may reach itself goes without saying.
	Undeclared bool
}

// Doubt is why the policies leave flows undefined. Flow is one of them.
type Doubt struct {
	Reason string
	By     oracle.RuleRef // in doubt; the zero RuleRef where no rule is
	Flow   matrix.Flow
	Count  int
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

// Differs reports that the scenario states something of the cell to which the
// policies do not come.
func (c Cell) Differs() bool { return judge.Disagree(c.flow()) }

func (c Cell) flow() record.Flow {
	return record.Flow{Flow: c.Flow, Declared: record.Declared{Intent: c.Declared}, Computed: oracle.Decision{Intent: c.Computed}}
}

// Difference is the flows of a cell on which scenario and policies differ. Flow
// is one of them.
type Difference struct {
	Flow  record.Flow
	Count int
}

// rank of a difference: that in which a mistake is proven comes first.
func rank(d Difference) int {
	if judge.Undecidable(d.Flow) {
		return 1
	}
	return 0
}

// Tally counts flows.
type Tally struct {
	Flows                     int
	Computed                  [4]int // by Intent
	Agree, Disagree, Unstated int    // the scenario, of what the policies compute to
	Undecidable               int    // of those that disagree: the policies leave open what is stated
}

// Add the flows of a cell.
func (t *Tally) Add(c Cell) {
	t.Flows += c.Count
	t.Computed[c.Computed] += c.Count
	switch {
	case c.Declared == matrix.Unstated:
		t.Unstated += c.Count
	case c.Differs():
		t.Disagree += c.Count
		if judge.Undecidable(c.flow()) {
			t.Undecidable += c.Count
		}
	case c.Declared == c.Computed:
		t.Agree += c.Count
	}
}

// Sheet of the plan, with equal endpoints folded into groups or each on its own.
func (p *Plan) Sheet(fold bool) Sheet {
	e := p.Scenario.Expect
	s := Sheet{
		Name: p.Scenario.Name, File: p.Scenario.Source.File, Flows: p.Flows(), Foreign: p.World.Foreign,
		Undeclared: e.Default == matrix.Unstated && len(e.Rules) == 0,
	}
	for _, d := range p.Scenario.Manifests.Dropped {
		s.Dropped = append(s.Dropped, record.Dropped(d))
	}
	if p.scope.wide != nil {
		s.Blocks = p.scope.blocks
	}
	all := p.all(p.scope)
	if fold {
		s.From, s.To = all.groups()
	} else {
		for _, seat := range p.scope.seats {
			s.From = append(s.From, Group{seat})
		}
		s.To = s.From
	}
	position := make(map[matrix.Endpoint]int, len(p.scope.seats))
	for i, seat := range p.scope.seats {
		position[seat] = i
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
	slices.SortStableFunc(s.Doubts, func(a, b Doubt) int { return cmp.Compare(b.Count, a.Count) })
	slices.SortStableFunc(s.Differ, func(a, b Difference) int { return cmp.Compare(rank(a), rank(b)) })
	return s
}

// between adds the cells of two pods that stand for their groups.
func (s *Sheet) between(all *Answers, c Cell, from, to int) {
	for f, at := range all.between(from, to) {
		d := all.at(from, to, at)
		c.Flow, c.Computed = f, d.Intent
		c.Declared, c.Canary = all.plan.Expect(f).Intent, all.plan.undeclared(f)
		s.Cells = append(s.Cells, c)
		s.Tally.Add(c)
		if d.Intent == matrix.Undefined {
			s.doubt(f, d, c.Count)
		}
		if c.Differs() {
			s.Differ = append(s.Differ, Difference{all.plan.Flow(f), c.Count})
		}
	}
}

// doubt adds flows to those with the same reason.
func (s *Sheet) doubt(f matrix.Flow, d *oracle.Decision, count int) {
	by, _ := judge.Deciding(*d)
	i := slices.IndexFunc(s.Doubts, func(known Doubt) bool { return known.Reason == d.Reason && known.By == by })
	if i < 0 {
		i = len(s.Doubts)
		s.Doubts = append(s.Doubts, Doubt{Reason: d.Reason, By: by, Flow: f})
	}
	s.Doubts[i].Count += count
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

// groups of senders and of receivers, of answers between the same seats: equal to
// the policies, and equal to the scenario.
func (a *Answers) groups() (from, to []Group) {
	senders, receivers := make([]string, len(a.from)), make([]string, len(a.from))
	for i, seat := range a.from {
		senders[i], receivers[i] = a.plan.questions.Alike(seat)
		if a.scope.isOutside(seat) {
			senders[i] += " " + a.scope.block[seat].Family().String()
			receivers[i] += " " + a.scope.block[seat].Family().String()
		}
	}
	outside := func(i int) bool { return a.scope.isOutside(a.from[i]) }
	for _, g := range a.inward {
		sent, got := g.Groups()
		for i := range a.from {
			if senders[i] += " " + strconv.Itoa(sent[i]); !outside(i) {
				receivers[i] += " " + strconv.Itoa(got[a.rank[i]])
			}
		}
	}
	for _, g := range a.outward {
		sent, got := g.Groups()
		for i, rank := range a.rank {
			if outside(i) {
				receivers[i] += " " + strconv.Itoa(got[rank])
			} else {
				senders[i] += " " + strconv.Itoa(sent[rank])
			}
		}
	}
	return gather(a.from, senders), gather(a.from, receivers)
}

// gather the seats by key.
func gather(seats []matrix.Endpoint, keys []string) []Group {
	var groups []Group
	known := map[string]int{}
	for i, key := range keys {
		n, ok := known[key]
		if !ok {
			n = len(groups)
			known[key] = n
			groups = append(groups, nil)
		}
		groups[n] = append(groups[n], seats[i])
	}
	return groups
}
