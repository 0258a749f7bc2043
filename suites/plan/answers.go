package plan

import (
	"iter"
	"slices"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// Answers are what the policies of a plan compute to between some pods.
type Answers struct {
	plan     *Plan
	scope    scope
	from, to []matrix.Endpoint
	ports    map[oracle.Port]int // by position in the grids
	grids    []*oracle.Grid      // by IP family, as the cluster has them
}

// Answers between pods, over all ports of a run.
func (p *Plan) Answers(from, to []matrix.Endpoint) *Answers { return p.answers(p.run, from, to) }

func (p *Plan) answers(s scope, from, to []matrix.Endpoint) *Answers {
	a := &Answers{plan: p, scope: s, from: from, to: to, ports: make(map[oracle.Port]int, len(s.ports))}
	for i, port := range s.ports {
		a.ports[port] = i
	}
	for _, family := range p.Scenario.Cluster.IPs {
		a.grids = append(a.grids, p.Oracle.Grid(from, to, s.ports, family))
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
func (a *Answers) at(i, j int, s spot) *oracle.Decision { return a.grids[s.family].At(i, j, s.port) }

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
				for f, at := range a.between(i, j) {
					before, after := a.at(i, j, at), b.at(i, j, at)
					c := Change{
						Flow: f, Before: before.Intent, After: after.Intent,
						Opened: opened(before.Egress, after.Egress) || opened(before.Ingress, after.Ingress),
					}
					if (c.Before != c.After || c.Opened) && !yield(c) {
						return
					}
				}
			}
		}
	}
}

func opened(before, after oracle.Half) bool {
	return before.Intent != matrix.Allow && after.Intent == matrix.Allow
}
