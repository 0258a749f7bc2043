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
	asked  map[flowEnd]bool                    // who is asked on which of them
	before *oracle.Oracle                      // of the plan as it is, which knows them
}

// flowEnd is who is asked, "" for any stranger, and on which port.
type flowEnd struct {
	to   matrix.Endpoint
	port oracle.Port
}

func strangersTo(p *plan.Plan, aim Aim) (*strangers, error) {
	s := &strangers{pods: outside.Pods(p.World), known: map[matrix.Endpoint]matrix.Endpoint{}, asked: map[flowEnd]bool{}}
	seen := map[oracle.Port]bool{}
	ask := func(to matrix.Endpoint, protocol matrix.Protocol, port uint16) {
		q := oracle.Port{Protocol: protocol, Port: port}
		if s.asked[flowEnd{to, q}] = true; !seen[q] {
			seen[q] = true
			s.ports = append(s.ports, q)
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
	was, is := s.before.Grid(from, to, s.ports, family), after.Grid(from, to, s.ports, family)
	for i, a := range from {
		for j, b := range to {
			if s.known[a] == "" && s.known[b] == "" {
				continue
			}
			end := flowEnd{to: b}
			if s.known[b] != "" {
				end.to = ""
			}
			for k := range s.ports {
				end.port = s.ports[k]
				x, y := was.At(i, j, k).Intent, is.At(i, j, k).Intent
				if x == matrix.Allow || y != matrix.Allow || !s.asked[end] {
					continue
				}
				f := matrix.Flow{From: cmp.Or(s.known[a], a), To: cmp.Or(s.known[b], b), Protocol: end.port.Protocol, Port: end.port.Port, Family: family}
				found = append(found, plan.Change{Flow: f, Before: x, After: y, Opened: true})
			}
		}
	}
	return found
}
