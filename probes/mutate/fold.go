package mutate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/outside"
)

// group is pods of which no policy of the World, no mutant and no expectation
// tells one from another, or a single node, or a pod or an address outside that
// stands for many.
type group struct {
	members []matrix.Endpoint // in order; the first two are asked for all
	pod     *oracle.Pod       // of the first member; nil for what is no pod
	outside *outside.Pod      // it is no pod of the World
}

// flows from one group to another, or between different members of one. A
// stand-in is one, and speaks to one like it.
func flows(from, to *group) int {
	size := func(g *group) int {
		if g.outside != nil {
			return 1
		}
		return len(g.members)
	}
	switch {
	case from != to:
		return size(from) * size(to)
	case from.outside != nil:
		return len(from.members) - 1
	}
	return len(from.members) * (len(from.members) - 1)
}

// folded is a World with at most two pods of each group.
type folded struct {
	world  oracle.World
	groups []*group // pods, then those outside, then nodes, then addresses
	alike  Expectation
}

// fold a World. Mutants add no label to what policies tell pods apart by.
func fold(w oracle.World, e Expectation, pods []outside.Pod, blocks []outside.Block) *folded {
	f := &folded{world: w, alike: e}
	f.world.Pods = nil
	f.world.Services = nil
	keys := labelKeys(&w)
	onHost := len(w.Nodes) > 0 || slices.ContainsFunc(w.Pods, func(p oracle.Pod) bool { return p.HostNetwork })
	known := map[string]*group{}
	ordered := slices.Clone(w.Pods)
	slices.SortFunc(ordered, func(a, b oracle.Pod) int { return strings.Compare(string(a.Name), string(b.Name)) })
	for i := range ordered {
		p := &ordered[i]
		key := f.key(p, keys, onHost)
		g := known[key]
		if g == nil {
			g = &group{pod: p}
			known[key] = g
			f.groups = append(f.groups, g)
		}
		g.members = append(g.members, p.Name)
		if len(g.members) <= 2 {
			f.world.Pods = append(f.world.Pods, *p)
		}
	}
	f.world = outside.Add(f.world, pods)
	for i := range pods {
		g := &group{members: []matrix.Endpoint{pods[i].Name}, pod: &pods[i].Pod, outside: &pods[i]}
		if other := pods[i].Other.Name; other != "" {
			g.members = append(g.members, other)
		}
		f.groups = append(f.groups, g)
	}
	for _, n := range w.Nodes {
		f.groups = append(f.groups, &group{members: []matrix.Endpoint{matrix.NodeEndpoint(n.Name)}})
	}
	for _, b := range blocks {
		f.groups = append(f.groups, &group{members: []matrix.Endpoint{b.Endpoint()}})
	}
	return f
}

// key is the same for pods that nothing tells apart.
func (f *folded) key(p *oracle.Pod, keys []string, onHost bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %t %v %v", p.Name.Namespace(), p.HostNetwork, p.Ports, p.Addresses)
	if onHost {
		b.WriteString(" " + p.Node)
	}
	for _, k := range keys {
		if v, ok := p.Labels[k]; ok {
			b.WriteString(" " + k + "=" + v)
		}
	}
	sender, receiver := f.alike.Alike(p.Name)
	fmt.Fprintf(&b, " %q %q", sender, receiver)
	return b.String()
}

// labelKeys by which some policy tells pods apart, in order.
func labelKeys(w *oracle.World) []string {
	seen := map[string]string{}
	for d := range drafts(w, nil) {
		for at, s := range d.selectors() {
			if at.field != pods {
				continue
			}
			for k := range s.MatchLabels {
				seen[k] = ""
			}
			for _, e := range s.MatchExpressions {
				seen[e.Key] = ""
			}
		}
	}
	return sortedKeys(seen)
}
