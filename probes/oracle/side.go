package oracle

// side is what policies say about one direction of some classes.
type side struct {
	admin, baseline []rank
	unranked        rank      // of the Baseline tier, in no order with those of baseline
	by              []RuleRef // every NetworkPolicy that isolates, in order of key
	rules           []*rule   // of those policies, in order of key and rule
	policies        []*policy // all of the above, in order of evaluation
}

// rank holds the rules of each policy of one tier and priority.
type rank [][]*rule

// touched reports that some policy selects the classes in this direction.
func (s *side) touched() bool { return len(s.policies) > 0 }

// sidesOf a class of pods, shared with all classes that the same policies
// select.
func (c *classes) sidesOf(k *class) [2]*side {
	var selected [2][]*policy
	var key [2][]byte
	for i, p := range c.policies {
		if !p.selects(k) {
			continue
		}
		for d := range selected {
			if p.applies[d] {
				selected[d] = append(selected[d], p)
				key[d] = append(key[d], byte(i>>16), byte(i>>8), byte(i)) //nolint:gosec // its three bytes
			}
		}
	}
	var sides [2]*side
	for d := range sides {
		text := string(byte(d)) + string(key[d]) //nolint:gosec // 0 or 1
		if c.sides[text] == nil {
			c.sides[text] = newSide(direction(d), selected[d]) //nolint:gosec // 0 or 1
		}
		sides[d] = c.sides[text]
	}
	return sides
}

func newSide(d direction, policies []*policy) *side {
	s := &side{policies: policies}
	for i, p := range policies {
		level := &s.admin
		switch p.tier {
		case tierNetwork:
			s.by = append(s.by, p.whole)
			s.rules = append(s.rules, p.rules[d]...)
			continue
		case tierBaseline:
			if level = &s.baseline; p.whole.Kind == KindBaseline {
				s.unranked = append(s.unranked, p.rules[d])
				continue
			}
		case tierAdmin:
		}
		if len(*level) == 0 || policies[i-1].priority != p.priority {
			*level = append(*level, nil)
		}
		last := &(*level)[len(*level)-1]
		*last = append(*last, p.rules[d])
	}
	return s
}
