package edit

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/plan"
)

// direction of a rule: the pods that its policy selects are the senders or the
// receivers.
type direction uint8

const (
	egress direction = iota
	ingress
)

func (d direction) String() string { return [...]string{"egress", "ingress"}[d] }

// ends of a flow: the pod whose policies are asked, and the other one.
func (d direction) ends(f matrix.Flow) (subject, peer matrix.Endpoint) {
	if d == egress {
		return f.From, f.To
	}
	return f.To, f.From
}

func (d direction) half(x oracle.Decision) oracle.Half {
	if d == egress {
		return x.Egress
	}
	return x.Ingress
}

func (d direction) steps(e oracle.Explanation) []oracle.Step {
	if d == egress {
		return e.Egress
	}
	return e.Ingress
}

// change is an edit and how to make it.
type change struct {
	Edit
	scope scope
	apply func(oracle.World) oracle.World
}

// scope is the flows that a change can reach: those of the pods of a namespace,
// or of all pods where that is "", in one direction.
type scope struct {
	namespace string
	direction direction
}

// state is a plan after some edits.
type state struct {
	plan    *plan.Plan
	edits   []Edit
	scopes  []scope
	side    []plan.Change
	wrong   []plan.Change
	mends   int
	opens   []plan.Change
	ajar    int      // flows, other than those of the aim and those that it mends, that are open in one direction more
	missing int      // 0: the aim is reached
	next    []*state // nearer to the aim by one edit, the simplest first; nil before they are searched
}

func (a *state) lines(op byte) int {
	n := 0
	for _, e := range a.edits {
		n += e.lines(op)
	}
	return n
}

func (a *state) toll() int {
	n := 0
	for _, e := range a.edits {
		n += e.toll
	}
	return n
}

// cost of an edit is what people have to think of: what goes is easier to judge
// than what comes, and a second door that opens weighs as much as a line.
func (a *state) cost() int { return 2*a.lines('+') + a.lines('-') + 2*a.ajar }

// changes are flows that nobody asked to change and that do not become as declared.
func (a *state) changes() int { return len(a.side) + len(a.wrong) + len(a.opens) }

// compare says which of two states is the better one. It is below 0 for a.
func (a *state) compare(b *state) int {
	return cmp.Or(
		cmp.Compare(a.changes(), b.changes()), cmp.Compare(a.toll(), b.toll()), cmp.Compare(a.missing, b.missing),
		cmp.Compare(a.cost(), b.cost()),
	)
}

// nearer is compare, where what is nearer to the aim comes first.
func (a *state) nearer(b *state) int { return cmp.Or(cmp.Compare(a.missing, b.missing), a.compare(b)) }

// missing says how far a plan is from the aim, and the first flow and direction
// that keep it from there.
func missing(p *plan.Plan, aim Aim, directions []direction) (first matrix.Flow, at direction, n int) {
	count := func(f matrix.Flow, d direction, by int) {
		if n == 0 {
			first, at = f, d
		}
		n += by
	}
	for _, f := range aim.Flows {
		e := p.Oracle.Explain(f)
		if e.Decision.Intent == aim.Want {
			continue
		}
		for _, d := range directions {
			if d.half(e.Decision).Intent == aim.Want {
				continue
			}
			count(f, d, 1)
			if aim.Want == matrix.Deny {
				count(f, d, len(admitting(e, d)))
			}
		}
	}
	return first, at, n
}

// admitting are the rules that let the flow pass in this direction, or may.
func admitting(e oracle.Explanation, d direction) []oracle.Step {
	return slices.DeleteFunc(slices.Clone(d.steps(e)), func(s oracle.Step) bool {
		return s.Rule.Rule < 0 || s.Action != "Allow" && s.Action != "Accept" || !s.Fits && !s.Decides
	})
}

// try a change: nil where it does not come nearer to the aim, or breaks what is
// declared.
func (s *search) try(at *state, c change, directions []direction, before int) *state {
	s.tried++
	p, err := at.plan.With(c.apply(at.plan.World))
	if err != nil {
		return nil // it would be invalid
	}
	next := state{plan: p, edits: append(slices.Clone(at.edits), c.Edit), scopes: append(slices.Clone(at.scopes), c.scope)}
	if _, _, next.missing = missing(p, s.aim, directions); next.missing >= before {
		return nil
	}
	if !s.weigh(&next, c) {
		return nil
	}
	if next.opens, err = s.strangers.opened(p, next.scopes); err != nil {
		return nil // it would be invalid
	}
	return &next
}

// weigh what a state changes beside the aim, the last of its changes being c. It
// reports false where a flow that is as declared would no longer be.
func (s *search) weigh(next *state, c change) bool {
	seen := map[matrix.Flow]bool{}
	for _, f := range s.aim.Flows {
		seen[f] = true
	}
	for _, where := range next.scopes {
		for x := range s.answers(where).Changed(answers(next.plan, where)) {
			if seen[x.Flow] {
				continue
			}
			seen[x.Flow] = true
			declared := next.plan.Expect(x.Flow).Intent
			if x.Before != x.After && x.After == declared {
				next.mends++
				continue
			}
			if x.Opened {
				next.ajar++
			}
			switch {
			case x.Before == x.After:
			case x.After == matrix.Undefined && s.outside():
			case declared == matrix.Unstated:
				if !s.plan.Scenario.IsCanary(x.Flow) || x.After != matrix.Deny {
					next.side = append(next.side, x)
				}
			case x.Before != declared:
				next.wrong = append(next.wrong, x)
			default:
				if s.nearest == "" {
					s.nearest = fmt.Sprintf("to %s would turn %s from %s to %s, which is declared %s", c.What, x.Flow, x.Before, x.After, declared)
				}
				return false
			}
		}
	}
	for _, changes := range [][]plan.Change{next.side, next.wrong} {
		slices.SortFunc(changes, func(a, b plan.Change) int { return a.Flow.Compare(b.Flow) })
	}
	return true
}

// outside reports that the aim is about an address that no pod has. Whoever
// writes it into a policy leaves open only on paper whether a pod may have it.
func (s *search) outside() bool {
	return slices.ContainsFunc(s.aim.Flows, func(f matrix.Flow) bool {
		return !slices.Contains(s.plan.Pods(), f.From) || !slices.Contains(s.plan.Pods(), f.To)
	})
}

// answers of the plan as it is.
func (s *search) answers(where scope) *plan.Answers {
	if s.before[where] == nil {
		s.before[where] = answers(s.plan, where)
	}
	return s.before[where]
}

func answers(p *plan.Plan, where scope) *plan.Answers {
	if where.direction == egress {
		return p.Answers(subjects(p, where.namespace), p.Pods())
	}
	return p.Answers(p.Pods(), subjects(p, where.namespace))
}

// subjects are the pods of a namespace, or all where that is "".
func subjects(p *plan.Plan, namespace string) []matrix.Endpoint {
	return slices.DeleteFunc(slices.Clone(p.Pods()), func(e matrix.Endpoint) bool {
		return namespace != "" && e.Namespace() != namespace
	})
}
