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
	Hint  string // why no expectation can, and what can be done
}

// rank orders changes by what an expectation can say of them.
type rank uint8

const (
	stateable rank = iota // between pods, on a port that is asked
	violated              // likewise, and the policies do not do what is declared
	unasked               // on a port that is not asked
	foreign               // to or from what is no pod
	open                  // undefined before or after
)

// complete a change by its flow, what is declared of it, and its rank.
func (s *scorer) complete(c change, family matrix.Family) change {
	from, to, port := s.groups[c.from], s.groups[c.to], s.ports[c.port]
	c.Flow = matrix.Flow{From: from.members[0], To: to.members[0], Protocol: port.Protocol, Port: port.Port, Family: family}
	if from == to {
		c.Flow.To = to.members[1]
	}
	asked := slices.Contains(s.asked(from, to), port)
	if asked {
		c.Declared = s.alike.Intent(c.Flow)
	}
	switch {
	case c.Before == matrix.Undefined || c.After == matrix.Undefined:
		c.rank = open
	case from.pod == nil || to.pod == nil:
		c.rank = foreign
	case !asked:
		c.rank = unasked
	case c.Declared != matrix.Unstated && c.Declared != c.Before:
		c.rank = violated
	}
	return c
}

// kills reports that a run would see the mutant.
func (c change) kills() bool {
	return c.rank == stateable && c.Declared == c.Before
}

// remedy of a mutant by what it changes, the most telling first.
func (s *scorer) remedy(found []change) Remedy {
	for _, c := range found {
		if c.rank != stateable {
			break
		}
		if rule, ok := s.rule(c); ok {
			return Remedy{Paste: rule, Under: "expect.rules"}
		}
	}
	c := found[0]
	switch c.rank {
	case stateable:
		if c.Before == matrix.Deny {
			return Remedy{Paste: "default: deny", Under: "expect"}
		}
		return Remedy{Hint: fmt.Sprintf("ports: [any] would also allow what the policies deny: declare %s/%d among the ports of %s", c.Flow.Protocol, c.Flow.Port, owner(s.groups[c.to].pod))}
	case violated:
		return Remedy{Hint: fmt.Sprintf("the policies break the expectation already (%s is declared): mend that first", c.Declared)}
	case unasked:
		return Remedy{Hint: fmt.Sprintf("nobody asks %s/%d: declare it among the ports of %s", c.Flow.Protocol, c.Flow.Port, owner(s.groups[c.to].pod))}
	case foreign:
		return Remedy{Hint: "expectations speak of pods only"}
	case open:
	}
	return Remedy{Hint: "the specification leaves open what happens before or after, so that no expectation is judged"}
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
	if !slices.ContainsFunc(to.pod.Ports, func(p oracle.Port) bool { return p.Protocol == c.Flow.Protocol && p.Port == c.Flow.Port }) {
		port = c.Flow.Protocol.String() + "/any"
		stated = slices.DeleteFunc(slices.Clone(s.asked(from, to)), func(p oracle.Port) bool { return p.Protocol != c.Flow.Protocol })
	}
	for _, p := range stated {
		for _, family := range s.families {
			f := c.Flow
			f.Port, f.Family = p.Port, family
			if declared := s.alike.Intent(f); declared != matrix.Unstated && declared != c.Before {
				return "", false
			}
			if now := s.oracle.Decide(f).Intent; now != c.Before {
				return "", false
			}
		}
	}
	return fmt.Sprintf("- %s: {from: %s, to: %s, ports: [%s]}", c.Before, s.words(from), s.words(to), port), true
}

// words name a group in a scenario file: whole workloads, else pods.
func (s *scorer) words(g *group) string {
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
