package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// Reach is the blast radius of some equal endpoints: where somebody who holds
// one of them gets by itself, and from there. Only ports that are declared
// count, and only flows that the policies allow for certain.
type Reach struct {
	From    Group
	Direct  int      // other pods that each of From may ask
	All     int      // those, and those that may be asked from there, and so on
	Unsure  int      // further pods that some flow leads to of which the specification leaves open whether it is allowed
	Targets []Target // nearest first, then in order of first member; nil in a summary
}

// Target is equal endpoints that are reached the same way.
type Target struct {
	To  Group
	Via []Hop // a shortest chain, at least one hop; the last one leads to the first member of To
}

// Hop is one step of a chain.
type Hop struct {
	From  matrix.Endpoint
	To    matrix.Endpoint
	Ports []oracle.Port // on which it is possible, in order
}

// network is who may ask whom, by kinds of endpoints that are equal as senders
// and as receivers.
type network struct {
	plan  *Plan
	kinds []Group
	edges [][]edge // by kind of the sender, then of the receiver
}

// edge is what one kind may ask of another.
type edge uint8

const (
	closed edge = iota
	unsure
	open
)

func (p *Plan) network() network {
	senders, receivers := p.all(p.run).groups()
	keys := make([]string, len(p.pods))
	for n, groups := range [][]Group{senders, receivers} {
		for i, g := range groups {
			for _, pod := range g {
				at, _ := slices.BinarySearch(p.pods, pod)
				keys[at] += fmt.Sprint(n, ":", i, " ")
			}
		}
	}
	net := network{plan: p, kinds: gather(p.pods, keys)}
	net.edges = make([][]edge, len(net.kinds))
	for i, from := range net.kinds {
		net.edges[i] = make([]edge, len(net.kinds))
		for j, to := range net.kinds {
			if i != j || len(from) > 1 {
				a, b := distinct(from, to)
				net.edges[i][j] = p.edge(a, b)
			}
		}
	}
	return net
}

// edge between two pods, over any declared port.
func (p *Plan) edge(from, to matrix.Endpoint) edge {
	best := closed
	for f := range p.Between(from, to) {
		if p.Scenario.IsCanary(f) || !f.Protocol.HasPorts() { // an echo leads nowhere
			continue
		}
		switch p.Oracle.Decide(f).Intent {
		case matrix.Allow:
			return open
		case matrix.Undefined:
			best = unsure
		case matrix.Unstated, matrix.Deny:
		}
	}
	return best
}

// way is how a kind was reached first.
type way struct {
	hops int // 0: not at all
	from int // the kind before, -1 for the start
}

// walk follows edges at least as good from what start can ask by itself.
func (n network) walk(start []edge, least edge) []way {
	ways := make([]way, len(n.kinds))
	var queue []int
	visit := func(edges []edge, from, hops int) {
		for k, e := range edges {
			if e >= least && ways[k].hops == 0 {
				ways[k] = way{hops, from}
				queue = append(queue, k)
			}
		}
	}
	visit(start, -1, 1)
	for len(queue) > 0 {
		k := queue[0]
		queue = queue[1:]
		visit(n.edges[k], k, ways[k].hops+1)
	}
	return ways
}

// reach of one endpoint, which is of a kind or, where that is -1, is no pod.
func (n network) reach(from Group, kind int, start []edge) (Reach, []way) {
	r := Reach{From: from}
	ways, perhaps := n.walk(start, open), n.walk(start, unsure)
	for k, members := range n.kinds {
		others := len(members)
		if k == kind {
			others-- // the pod itself
		}
		switch {
		case ways[k].hops == 1:
			r.Direct += others
			r.All += others
		case ways[k].hops > 1:
			r.All += others
		case perhaps[k].hops > 0:
			r.Unsure += others
		}
	}
	return r, ways
}

// Reaches is the blast radius of every pod, the largest first, equal pods
// together. They are without targets.
func (p *Plan) Reaches() []Reach {
	n := p.network()
	all := make([]Reach, len(n.kinds))
	for k, members := range n.kinds {
		all[k], _ = n.reach(members, k, n.edges[k])
	}
	slices.SortStableFunc(all, func(a, b Reach) int {
		return cmp.Or(b.All-a.All, b.Direct-a.Direct, cmp.Compare(a.From[0], b.From[0]))
	})
	return all
}

// Reach is the blast radius of one endpoint: a pod, or "node/NAME" or
// "world/ADDRESS", who can ask and are never asked.
func (p *Plan) Reach(from matrix.Endpoint) Reach {
	n := p.network()
	kind := slices.IndexFunc(n.kinds, func(g Group) bool { return slices.Contains(g, from) })
	start := make([]edge, len(n.kinds))
	for k, members := range n.kinds {
		if k != kind || len(members) > 1 {
			_, to := distinct(Group{from}, members)
			start[k] = p.edge(from, to)
		}
	}
	r, ways := n.reach(Group{from}, kind, start)
	for k, members := range n.kinds {
		to := slices.DeleteFunc(slices.Clone(members), func(e matrix.Endpoint) bool { return e == from })
		if ways[k].hops > 0 && len(to) > 0 {
			r.Targets = append(r.Targets, Target{To: to, Via: n.chain(from, to[0], k, ways)})
		}
	}
	slices.SortStableFunc(r.Targets, func(a, b Target) int {
		return cmp.Or(len(a.Via)-len(b.Via), cmp.Compare(a.To[0], b.To[0]))
	})
	return r
}

// chain of hops that leads to a pod of a kind.
func (n network) chain(from, to matrix.Endpoint, kind int, ways []way) []Hop {
	stops := []matrix.Endpoint{to}
	for k := ways[kind].from; k >= 0; k = ways[k].from {
		stop := n.kinds[k][0]
		if stop == from {
			stop = n.kinds[k][1] // a kind that is reached from itself has another member
		}
		stops = append(stops, stop)
	}
	stops = append(stops, from)
	slices.Reverse(stops)
	var hops []Hop
	for i, stop := range stops[1:] {
		hops = append(hops, n.plan.hop(stops[i], stop))
	}
	return hops
}

func (p *Plan) hop(from, to matrix.Endpoint) Hop {
	h := Hop{From: from, To: to}
	for f := range p.Between(from, to) {
		port := oracle.Port{Protocol: f.Protocol, Port: f.Port}
		if !p.Scenario.IsCanary(f) && f.Protocol.HasPorts() && p.Oracle.Decide(f).Intent == matrix.Allow && !slices.Contains(h.Ports, port) {
			h.Ports = append(h.Ports, port)
		}
	}
	return h
}

// Blast is the blast radius of some endpoints of a scenario.
type Blast struct {
	Name, File string
	Pods       Group // all of the scenario
	Named      bool  // the endpoints were asked for, and have targets
	Reaches    []Reach
}

// Blast of the named endpoints, with targets and equal pods together, or, where
// none is named, of all pods, without targets and the largest first.
func (p *Plan) Blast(from ...matrix.Endpoint) Blast {
	b := Blast{Name: p.Scenario.Name, File: p.Scenario.Source.File, Pods: p.pods, Named: len(from) > 0}
	if !b.Named {
		b.Reaches = p.Reaches()
		return b
	}
	kind := map[matrix.Endpoint]int{}
	for k, members := range p.network().kinds {
		for _, e := range members {
			kind[e] = k + 1
		}
	}
	first := map[int]int{} // by kind: position of its Reach
	for _, e := range from {
		if at, ok := first[kind[e]]; ok && kind[e] > 0 {
			b.Reaches[at].From = append(b.Reaches[at].From, e)
			continue
		}
		first[kind[e]] = len(b.Reaches)
		b.Reaches = append(b.Reaches, p.Reach(e))
	}
	return b
}
