package edit

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/outside"
	"github.com/segtest/segtest/suites/plan"
)

// strangers are who may speak to the pods of a plan and is not held by it: pods
// of other namespaces, and addresses outside of the cluster.
type strangers struct {
	pods   []outside.Pod
	names  []matrix.Endpoint                   // of all of them, as the oracle knows them
	known  map[matrix.Endpoint]matrix.Endpoint // how people read these names
	ports  []oracle.Port                       // on which anybody is asked
	asked  map[matrix.Endpoint][]int           // on which of them, by who is asked; "" is any stranger
	before *oracle.Oracle                      // of the plan as it is, which knows them
}

func strangersTo(p *plan.Plan, aim Aim) (*strangers, error) {
	s := &strangers{pods: outside.Pods(p.World), known: map[matrix.Endpoint]matrix.Endpoint{}, asked: map[matrix.Endpoint][]int{}}
	at := map[oracle.Port]int{}
	ask := func(to matrix.Endpoint, protocol matrix.Protocol, port uint16) {
		q := oracle.Port{Protocol: protocol, Port: port}
		i, known := at[q]
		if !known {
			i = len(s.ports)
			at[q] = i
			s.ports = append(s.ports, q)
		}
		if !slices.Contains(s.asked[to], i) {
			s.asked[to] = append(s.asked[to], i)
		}
	}
	add := func(e, name matrix.Endpoint) { s.names, s.known[e] = append(s.names, e), name }
	for _, pod := range s.pods {
		add(pod.Name, pod.Name)
		for _, q := range pod.Ports {
			ask("", q.Protocol, q.Port)
		}
	}
	for _, b := range outside.Blocks(p.Scenario.Cluster.IPs, p.World) {
		add(b.Endpoint(), b.Name())
	}
	for _, q := range outside.Ports([]uint16{p.Scenario.Canary}, p.World) {
		ask("", q.Protocol, q.Port)
	}
	for _, f := range aim.Flows {
		ask("", f.Protocol, f.Port)
	}
	for _, pod := range p.Pods() {
		for f := range p.Between("", pod) {
			ask(pod, f.Protocol, f.Port)
		}
	}
	var err error
	if s.before, err = s.knownTo(p); err != nil {
		return nil, fmt.Errorf("adding pods that no file of %s holds: %w", p.Scenario.Name, err)
	}
	return s, nil
}

// knownTo is the oracle of a plan with the pods in its world.
func (s *strangers) knownTo(p *plan.Plan) (*oracle.Oracle, error) {
	return oracle.New(outside.Add(p.World, s.pods))
}

// opened are the flows to and from strangers that a plan opens in some scopes, in
// order, with the names of blocks for their addresses.
func (s *strangers) opened(p *plan.Plan, scopes []scope) ([]plan.Change, error) {
	after, err := s.knownTo(p)
	if err != nil {
		return nil, err
	}
	var found []plan.Change
	for i, where := range scopes {
		if slices.Contains(scopes[:i], where) {
			continue
		}
		from, to := s.names, subjects(p, where.namespace)
		if where.namespace == "" { // strangers are subjects, too
			to = slices.Concat(to, s.names)
			from = to
		}
		if where.direction == egress {
			from, to = to, from
		}
		for _, family := range p.Scenario.Cluster.IPs {
			found = append(found, s.compare(after, from, to, family)...)
		}
	}
	slices.SortFunc(found, func(a, b plan.Change) int { return a.Flow.Compare(b.Flow) })
	return slices.Compact(found), nil
}

// compare finds what opens in one family, between strangers and pods of the plan
// and among strangers.
func (s *strangers) compare(after *oracle.Oracle, from, to []matrix.Endpoint, family matrix.Family) []plan.Change {
	var found []plan.Change
	asked := make([][]int, len(to))
	for j, b := range to {
		if s.known[b] != "" {
			b = "" // a stranger like any other
		}
		asked[j] = s.asked[b]
	}
	was, is := s.before.GridOn(from, to, s.ports, asked, family), after.GridOn(from, to, s.ports, asked, family)
	for i, a := range from {
		for j, b := range to {
			if s.known[a] == "" && s.known[b] == "" {
				continue
			}
			for _, k := range asked[j] {
				x, y := was.At(i, j, k).Intent, is.At(i, j, k).Intent
				if x == matrix.Allow || y != matrix.Allow {
					continue
				}
				f := matrix.Flow{From: cmp.Or(s.known[a], a), To: cmp.Or(s.known[b], b), Protocol: s.ports[k].Protocol, Port: s.ports[k].Port, Family: family}
				found = append(found, plan.Change{Flow: f, Before: x, After: y, Opened: true})
			}
		}
	}
	return found
}
