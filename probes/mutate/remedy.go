package mutate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// Remedy is what would kill a surviving mutant. Either Paste or Hint is set.
type Remedy struct {
	Paste string // YAML; a rule states what the policies do as they are
	Under string // the field of the scenario to which it is added: "expect.rules" or "expect"
	// Lines of YAML for the fields "namespaces" and "workloads", where the rule is
	// about pods that the scenario does not hold; else "".
	Namespaces, Workloads string
	Hint                  string // why no expectation can, and what can be done
}

// rank orders changes by what an expectation can say of them.
type rank uint8

const (
	stateable rank = iota // between pods, on a port that is asked
	elsewhere             // likewise, where a workload is added that stands for others
	between               // where both are added
	violated              // likewise, and the policies do not do what is declared
	unasked               // on a port that is not asked
	foreign               // to or from what no scenario holds, or by a protocol that none knows
	open                  // undefined before or after
)

// fate of a mutant of which a change of this rank is the most telling one.
func (r rank) fate() Fate {
	switch r {
	case foreign:
		return Beyond
	case open:
		return Undecided
	case stateable, elsewhere, between, violated, unasked:
	}
	return Survived
}

// complete a change by its flow, what is declared of it, and its rank.
func (s *scorer) complete(c change, family matrix.Family) change {
	from, to, port := s.groups[c.from], s.groups[c.to], s.ports[c.port]
	c.Flow = matrix.Flow{From: from.members[0], To: to.members[0], Protocol: port.Protocol, Port: port.Port, Family: family}
	if from == to {
		c.Flow.To = to.members[1]
	}
	asked, outer := slices.Contains(s.asked(from, to), port), from.outside != nil || to.outside != nil
	if !outer && (asked || s.alike.Snapshot()) {
		c.Declared = s.alike.Intent(c.Flow)
	}
	switch {
	case c.Before == matrix.Undefined || c.After == matrix.Undefined:
		c.rank = open
	case !expressible(from) || !expressible(to) || port.Protocol == matrix.SCTP && (!asked || !declares(to.pod, port)):
		c.rank = foreign
	case !asked && to.outside == nil && c.Declared == matrix.Unstated:
		c.rank = unasked
	case from.outside != nil && to.outside != nil:
		c.rank = between
	case outer:
		c.rank = elsewhere
	case c.Declared != matrix.Unstated && c.Declared != c.Before:
		c.rank = violated
	}
	return c
}

// declares reports that the pod declares the port, of any name.
func declares(pod *oracle.Pod, port oracle.Port) bool {
	return slices.ContainsFunc(pod.Ports, func(p oracle.Port) bool { return p.Protocol == port.Protocol && p.Port == port.Port })
}

// expressible reports that a scenario can hold a workload of the group. It cannot
// in the namespaces that a cluster has by itself.
func expressible(g *group) bool {
	if g.pod == nil || g.outside == nil {
		return g.pod != nil
	}
	name := g.outside.Namespace.Name
	return name != "default" && !strings.HasPrefix(name, "kube-")
}

// kills reports that a run would see the mutant, or a plan.
func (s *scorer) kills(c change) bool {
	seen := c.rank == stateable || c.rank == foreign || c.rank == open && s.alike.Snapshot()
	return seen && c.Declared == c.Before
}

// remedy of a mutant by what it changes, the most telling first.
func (s *scorer) remedy(found []change) Remedy {
	for _, c := range found {
		if c.rank > between {
			break
		}
		if rule, ok := s.rule(c); ok {
			r := Remedy{Paste: rule, Under: "expect.rules"}
			s.populate(&r, c)
			return r
		}
	}
	c := found[0]
	port := fmt.Sprintf("%s/%d", c.Flow.Protocol, c.Flow.Port)
	switch c.rank {
	case stateable, elsewhere, between:
		if c.Before == matrix.Deny {
			r := Remedy{Paste: "default: deny", Under: "expect"}
			s.populate(&r, c)
			return r
		}
		return Remedy{Hint: fmt.Sprintf("ports: [any] would also allow what the policies deny: declare %s among the ports of %s", port, owner(s.groups[c.to].pod))}
	case violated:
		return Remedy{Hint: fmt.Sprintf("the policies break the expectation already (%s is declared): mend that first", c.Declared)}
	case unasked, foreign, open:
	}
	return Remedy{Hint: fmt.Sprintf("nobody asks %s: declare it among the ports of %s", port, owner(s.groups[c.to].pod))}
}

// owner of a pod, or the pod.
func owner(p *oracle.Pod) matrix.Endpoint {
	if p.Workload != "" {
		return p.Workload
	}
	return p.Name
}

// rule that states the flows of a change as the policies decide them, if all
// that it states is so.
func (s *scorer) rule(c change) (string, bool) {
	from, to := s.groups[c.from], s.groups[c.to]
	port := fmt.Sprintf("%s/%d", c.Flow.Protocol, c.Flow.Port)
	stated := []oracle.Port{s.ports[c.port]}
	if to.outside == nil && !declares(to.pod, s.ports[c.port]) {
		port = c.Flow.Protocol.String() + "/any"
		stated = slices.DeleteFunc(slices.Clone(s.asked(from, to)), func(p oracle.Port) bool { return p.Protocol != c.Flow.Protocol })
	}
	for _, p := range stated {
		for _, family := range s.families {
			f := c.Flow
			f.Port, f.Family = p.Port, family
			if declared := s.alike.Intent(f); c.rank == stateable && declared != matrix.Unstated && declared != c.Before {
				return "", false
			}
			if now := s.oracle.Decide(f).Intent; now != c.Before {
				return "", false
			}
		}
	}
	return fmt.Sprintf("- %s: {from: %s, to: %s, ports: [%s]}", c.Before, s.words(from), s.words(to), port), true
}

// words name a group in a scenario file: whole workloads, else pods; of what is
// outside, the workload that would stand for it.
func (s *scorer) words(g *group) string {
	if g.outside != nil {
		return s.namespace(g) + "/" + plain(g.outside.Name.Name())
	}
	members := map[matrix.Endpoint]int{}
	for _, p := range g.members {
		members[s.workload[p]]++
	}
	var words []string
	for _, p := range g.members {
		word := string(p)
		if w := s.workload[p]; w != "" && members[w] == s.slots[w] {
			word = string(w)
		}
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	if len(words) == 1 {
		return words[0]
	}
	return "[" + strings.Join(words, ", ") + "]"
}
