package plan

import (
	"iter"
	"slices"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// Answers are what the policies of a plan compute to between some seats.
// Addresses outside of the cluster ask pods and not each other.
type Answers struct {
	plan            *Plan
	scope           scope
	from, to        []matrix.Endpoint
	ports           map[oracle.Port]int // by position in the grids
	asked           [][]int             // positions of the ports on which each of to is asked
	rank            []int               // of each of to, among those that are outside as it is, or are not
	inward, outward []*oracle.Grid      // by IP family, as the cluster has them: of all to pods, and of pods to addresses outside
}

// Answers between pods, over all ports of a run.
func (p *Plan) Answers(from, to []matrix.Endpoint) *Answers { return p.answers(p.run, from, to) }

// answers between seats: pods, or all seats of the scope both times.
func (p *Plan) answers(s scope, from, to []matrix.Endpoint) *Answers {
	a := &Answers{plan: p, scope: s, from: from, to: to, ports: make(map[oracle.Port]int, len(s.ports))}
	for i, port := range s.ports {
		a.ports[port] = i
	}
	ping, pings := a.ports[oracle.Port{Protocol: matrix.ICMP}]
	var seats [2][]matrix.Endpoint // pods, and who is outside
	var asked [2][][]int
	for _, e := range to {
		var ports []int
		if pings { // some are asked for an echo by some
			ports = append(ports, ping)
		}
		for _, port := range p.portsOf(s, e) {
			ports = append(ports, a.ports[port])
		}
		kind := 0
		if s.isOutside(e) {
			kind = 1
		}
		a.asked, a.rank = append(a.asked, ports), append(a.rank, len(seats[kind]))
		seats[kind], asked[kind] = append(seats[kind], e), append(asked[kind], ports)
	}
	for _, family := range p.Scenario.Cluster.IPs {
		a.inward = append(a.inward, p.Oracle.GridOn(from, seats[0], s.ports, asked[0], family))
		if len(seats[1]) > 0 {
			a.outward = append(a.outward, p.Oracle.GridOn(seats[0], seats[1], s.ports, asked[1], family))
		}
	}
	return a
}

// all answers of a scope.
func (p *Plan) all(s scope) *Answers { return p.answers(s, s.seats, s.seats) }

// spot is where the grids hold an answer between two pods.
type spot struct{ family, port int }

// between yields the flows from the i-th sender to the j-th receiver, in order.
func (a *Answers) between(i, j int) iter.Seq2[matrix.Flow, spot] {
	return func(yield func(matrix.Flow, spot) bool) {
		for f := range a.plan.between(a.scope, a.from[i], a.to[j]) {
			family := slices.Index(a.plan.Scenario.Cluster.IPs, f.Family)
			if !yield(f, spot{family, a.ports[oracle.Port{Protocol: f.Protocol, Port: f.Port}]}) {
				return
			}
		}
	}
}

// at is a decision. It is shared and names nobody.
func (a *Answers) at(i, j int, s spot) *oracle.Decision {
	switch {
	case !a.scope.isOutside(a.to[j]):
		return a.inward[s.family].At(i, a.rank[j], s.port)
	case a.scope.isOutside(a.from[i]):
		return &oracle.Decision{Intent: matrix.Undefined, Reason: "both ends are outside of the cluster"}
	}
	return a.outward[s.family].At(a.rank[i], a.rank[j], s.port)
}

// Change is a flow that other policies decide otherwise, or that they open in one
// of its two directions.
type Change struct {
	Flow          matrix.Flow
	Before, After matrix.Intent
	Opened        bool // one of its halves is allowed that was not
}

// Changed yields the flows that b decides otherwise or opens in one direction, in
// order of the pods. Both are of the same scenario and between the same pods.
func (a *Answers) Changed(b *Answers) iter.Seq[Change] {
	return func(yield func(Change) bool) {
		for i := range a.from {
			for j := range a.to {
				if a.same(b, i, j) {
					continue
				}
				for f, at := range a.between(i, j) {
					c := changed(a.at(i, j, at), b.at(i, j, at))
					c.Flow = f
					if (c.Before != c.After || c.Opened) && !yield(c) {
						return
					}
				}
			}
		}
	}
}

// same reports that b decides nothing otherwise between two pods: most candidates
// change little, and need no flows to be made.
func (a *Answers) same(b *Answers, i, j int) bool {
	for family := range a.inward {
		for _, port := range a.asked[j] {
			s := spot{family, port}
			if c := changed(a.at(i, j, s), b.at(i, j, s)); c.Before != c.After || c.Opened {
				return false
			}
		}
	}
	return true
}

// changed compares two decisions of one flow.
func changed(before, after *oracle.Decision) Change {
	return Change{
		Before: before.Intent, After: after.Intent,
		Opened: opened(before.Egress, after.Egress) || opened(before.Ingress, after.Ingress),
	}
}

func opened(before, after oracle.Half) bool {
	return before.Intent != matrix.Allow && after.Intent == matrix.Allow
}
