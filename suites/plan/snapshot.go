package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/outside"
	"github.com/segtest/segtest/suites/judge"
)

// Statement is a rule of an expectation, in the words of a scenario file.
type Statement struct {
	Intent          matrix.Intent
	From, To, Ports []string
	Family          string // "" is every family of the cluster
	Reason          string

	say string // all but the endpoints
}

// Snapshot states everything that the policies allow or leave open, between all
// pods and from and to every address outside of the cluster, on all ports of all
// protocols, for an expectation that denies all else. Endpoints are named one by
// one, so that what is new tomorrow is denied. Of a block in a wider one it states
// what differs there.
func (p *Plan) Snapshot() []Statement {
	w := *p
	w.scope = w.snapshot()
	t := newTaker(&w)
	all := merging{}
	for _, to := range t.units {
		one := merging{}
		for _, from := range t.units {
			if from.outside() && to.outside() || from.name == to.name && len(to.seats) == 1 {
				continue // strangers, and a pod to itself
			}
			for _, s := range t.between(from, to) {
				known := one.add(s.say, s)
				known.From = append(known.From, from.name)
			}
		}
		for _, s := range one.list {
			known := all.add(s.say+strings.Join(s.From, " "), *s)
			known.To = append(known.To, to.name)
		}
	}
	var rules []Statement
	for _, s := range all.list {
		rules = append(rules, *s)
	}
	return rules
}

// merging puts statements together that are the same but for some endpoints.
type merging struct {
	list []*Statement // in order of first appearance
	at   map[string]*Statement
}

// add a statement, and give the one of that key.
func (m *merging) add(key string, s Statement) *Statement {
	known, ok := m.at[key]
	if !ok {
		if m.at == nil {
			m.at = map[string]*Statement{}
		}
		known = &s
		m.at[key] = known
		m.list = append(m.list, known)
	}
	return known
}

// unit is what a rule names: a workload, one of its pods where they differ, or a
// block outside of the cluster.
type unit struct {
	name   string
	seats  Group
	parent *unit // of a block: the narrowest one around it
}

func (u unit) outside() bool { return strings.HasPrefix(u.name, string(matrix.WorldEndpoint(""))) }

// taker takes a snapshot.
type taker struct {
	plan             *Plan
	answers          *Answers
	units            []unit // in order of name
	at               map[matrix.Endpoint]int
	sender, receiver map[matrix.Endpoint]int // groups
	cells            map[[3]int][]cell       // by group of the sender, of the receiver, and family
	pairs            map[[2]int][]Statement  // of pods, by group of the sender and of the receiver
}

// cell is what holds for the ports from low to high, all of which are alike.
type cell struct {
	protocol  matrix.Protocol
	low, high uint16
	intent    matrix.Intent
	reason    string
}

func newTaker(p *Plan) *taker {
	t := &taker{plan: p, answers: p.all(p.scope), at: map[matrix.Endpoint]int{}, cells: map[[3]int][]cell{}, pairs: map[[2]int][]Statement{}}
	for i, seat := range p.scope.seats {
		t.at[seat] = i
	}
	from, to := t.answers.groups()
	homes := func(groups []Group) map[matrix.Endpoint]int {
		homes := map[matrix.Endpoint]int{}
		for i, g := range groups {
			for _, e := range g {
				homes[e] = i
			}
		}
		return homes
	}
	t.sender, t.receiver = homes(from), homes(to)
	t.name()
	return t
}

// name the units.
func (t *taker) name() {
	for _, w := range t.plan.Scenario.Workloads {
		slots := w.Slots()
		slices.Sort(slots)
		if !slices.ContainsFunc(slots, func(e matrix.Endpoint) bool {
			return t.sender[e] != t.sender[slots[0]] || t.receiver[e] != t.receiver[slots[0]]
		}) {
			t.units = append(t.units, unit{string(w.Key()), slots, nil})
			continue
		}
		for _, slot := range slots {
			t.units = append(t.units, unit{string(slot), Group{slot}, nil})
		}
	}
	blocks := t.plan.scope.blocks // a wider one comes before those in it
	outer := make([]*unit, len(blocks))
	for i, b := range blocks {
		outer[i] = &unit{string(b.Name()), Group{b.Endpoint()}, nil}
		for k, wider := range blocks[:i] {
			if wider.CIDR.Bits() < b.CIDR.Bits() && wider.CIDR.Contains(b.CIDR.Addr()) {
				outer[i].parent = outer[k]
			}
		}
		t.units = append(t.units, *outer[i])
	}
	slices.SortFunc(t.units, func(a, b unit) int { return cmp.Compare(a.name, b.name) })
}

// between two units: what is to be said, without their names.
func (t *taker) between(from, to unit) []Statement {
	pair := [2]int{t.sender[from.seats[0]], t.receiver[to.seats[0]]}
	pods := !from.outside() && !to.outside()
	if known, ok := t.pairs[pair]; ok && pods {
		return known
	}
	var all [][]Statement // by family
	for i, family := range t.plan.Scenario.Cluster.IPs {
		if !t.plan.scope.speaks(from.seats[0], family) || !t.plan.scope.speaks(to.seats[0], family) {
			all = append(all, nil)
			continue
		}
		var around []cell // what holds unless it is said
		switch {
		case from.parent != nil:
			around = t.of(*from.parent, to, i)
		case to.parent != nil:
			around = t.of(from, *to.parent, i)
		}
		all = append(all, said(t.of(from, to, i), around))
	}
	out := all[0]
	if !pods { // a block is of one family
		out = slices.Concat(all...)
	} else if slices.ContainsFunc(all, func(s []Statement) bool { return fmt.Sprint(s) != fmt.Sprint(all[0]) }) {
		for i, family := range t.plan.Scenario.Cluster.IPs {
			for k := range all[i] {
				all[i][k].Family = family.String()
			}
		}
		out = slices.Concat(all...)
	}
	for i := range out {
		out[i].say = fmt.Sprintln(out[i].Intent, out[i].Ports, out[i].Family, out[i].Reason)
	}
	t.pairs[pair] = out
	return out
}

// of two units, in order of protocol and port.
func (t *taker) of(from, to unit, family int) []cell {
	a, b := distinct(from.seats, to.seats)
	key := [3]int{t.sender[a], t.receiver[b], family}
	if known, ok := t.cells[key]; ok {
		return known
	}
	p, s := t.plan, t.plan.scope
	var declared, others []oracle.Port
	for _, port := range unique(slices.Clone(p.portsBetween(s, a, b))) {
		if !s.isOutside(b) && p.questions.Declares(b, port.Protocol, port.Port) {
			declared = append(declared, port)
		} else {
			others = append(others, port)
		}
	}
	stands := s.standFor(others)
	var cells []cell
	for _, tract := range s.tracts {
		ask := func(port oracle.Port, low, high int) {
			if low <= high {
				c := t.ask(a, b, port, family)
				c.low, c.high = uint16(low), uint16(high) //nolint:gosec // ports
				cells = append(cells, c)
			}
		}
		next := int(tract.Low)
		for _, port := range declared {
			if tract.Holds(port) {
				ask(stands[tract.Class], next, int(port.Port)-1)
				ask(port, int(port.Port), int(port.Port))
				next = int(port.Port) + 1
			}
		}
		ask(stands[tract.Class], next, int(tract.High))
	}
	t.cells[key] = cells
	return cells
}

// standFor gives for each class of ports the one that is asked for those that
// nobody declares: the first of the first tract in which one is. The ports are in
// order.
func (w *wide) standFor(ports []oracle.Port) []oracle.Port {
	stands, from := make([]oracle.Port, w.classes), make([]int, w.classes)
	for _, p := range ports {
		i, _ := slices.BinarySearchFunc(w.tracts, p, func(t outside.Tract, p oracle.Port) int {
			return cmp.Or(cmp.Compare(t.Protocol, p.Protocol), cmp.Compare(t.High, p.Port))
		})
		if i == len(w.tracts) || !w.tracts[i].Holds(p) {
			continue
		}
		if c := w.tracts[i].Class; stands[c].Port == 0 || i < from[c] {
			stands[c], from[c] = p, i
		}
	}
	return stands
}

// ask about one port.
func (t *taker) ask(from, to matrix.Endpoint, port oracle.Port, family int) cell {
	f := matrix.Flow{From: from, To: to, Protocol: port.Protocol, Port: port.Port, Family: t.plan.Scenario.Cluster.IPs[family]}
	d := t.answers.at(t.at[from], t.at[to], spot{family, t.answers.ports[port]})
	return cell{protocol: port.Protocol, intent: d.Intent, reason: t.plan.reason(f, d)}
}

// said is what is to be said of cells that lie in others; those that are denied by
// default lie in none.
func said(cells, around []cell) []Statement {
	var out []Statement
	news := make([]bool, len(cells)) // it does not say itself
	for i, c := range cells {
		news[i] = around == nil && c.intent != matrix.Deny || around != nil && c.intent != around[i].intent
	}
	for i, c := range cells {
		if !news[i] {
			continue
		}
		chosen := make([]bool, len(cells))
		for k, o := range cells {
			if chosen[k] = news[k] && o.intent == c.intent && o.reason == c.reason; chosen[k] {
				news[k] = false
			}
		}
		out = append(out, Statement{Intent: c.intent, Ports: portWords(cells, chosen), Reason: c.reason})
	}
	return out
}

// portWords name the ports of the chosen cells: all, all of a protocol, or from
// here to there.
func portWords(cells []cell, chosen []bool) []string {
	if !slices.Contains(chosen, false) {
		return []string{"any"}
	}
	var out []string
	for i := 0; i < len(cells); {
		first, n := cells[i], i+1
		for n < len(cells) && cells[n].protocol == first.protocol && chosen[n] == chosen[i] {
			n++
		}
		last := cells[n-1].high
		switch {
		case !chosen[i]:
		case first.low == 1 && last == outside.LastPort:
			out = append(out, first.protocol.String()+"/any")
		case first.low == last:
			out = append(out, fmt.Sprintf("%s/%d", first.protocol, last))
		default:
			out = append(out, fmt.Sprintf("%s/%d-%d", first.protocol, first.low, last))
		}
		i = n
	}
	return out
}

// reason why the flow is allowed or left open: that of the scenario where it says
// the same, else the policies.
func (p *Plan) reason(f matrix.Flow, d *oracle.Decision) string {
	if e := p.Expect(f); e.Intent == d.Intent && e.Reason != "" && e.Origin != p.Scenario.Expect.Origin {
		return e.Reason
	}
	switch d.Intent {
	case matrix.Undefined:
		if by, ok := judge.Deciding(*d); ok {
			return policyOf(by) + ": " + d.Reason
		}
		return d.Reason
	case matrix.Deny:
		if by, ok := judge.Deciding(*d); ok {
			return "denied by " + policyOf(by)
		}
	case matrix.Allow, matrix.Unstated:
	}
	egress, ingress := allows(d.Egress), allows(d.Ingress)
	switch {
	case egress == "" && ingress == "":
		return "no policy limits egress or ingress"
	case egress == "":
		return "allowed by " + ingress + " (ingress); no policy limits egress"
	case ingress == "":
		return "allowed by " + egress + " (egress); no policy limits ingress"
	}
	return "allowed by " + egress + " (egress) and " + ingress + " (ingress)"
}

// allows names the policy that allows this half, "" where none is asked.
func allows(h oracle.Half) string {
	if len(h.By) == 0 {
		return ""
	}
	return policyOf(h.By[0])
}

func policyOf(by oracle.RuleRef) string {
	if by.Kind != "" {
		return by.Kind + " " + by.Policy
	}
	return by.Policy
}
