package oracle

import "github.com/segtest/segtest/probes/matrix"

// question is whether a flow may pass one of its two ends.
type question struct {
	direction direction
	subject   *class // at whose policies we look
	peer      *class // the other end
	receiver  *class // the end that listens
	protocol  matrix.Protocol
	number    uint16 // of the port
	// shown is the port that who knows addresses and no pods may see in its place:
	// the Service's, before it is rewritten. 0 is none.
	shown    uint16
	family   matrix.Family
	distance distance
}

// cause is why an outcome is what it is.
type cause uint8

const (
	noSubject   cause = iota // what is no pod is never selected
	untouched                // no policy selects the pod
	byRule                   // rule decided
	notAllowed               // isolated, and no rule allows; other is a near miss
	byDefault                // policies select the pod, and none says anything
	inDoubt                  // rule may fit or not
	tied                     // rule and other disagree, and neither comes first
	hostSubject              // denied, if policies select what shares its node's network
	ownNode                  // denied, had it not come from the receiver's node
	nearNode                 // denied, unless it came from the receiver's node
	unspoken                 // NetworkPolicies select the pod, and the flow is ICMP
)

// outcome is the answer to a question, without words. Outcomes of the same
// side are comparable.
type outcome struct {
	intent      matrix.Intent
	cause       cause
	doubt       doubt
	rule, other *rule
}

// decide asks the tiers in their order: Admin, then the NetworkPolicies, which
// are final for the pods that they select, else Baseline; then all may pass.
func (q *question) decide() outcome {
	if !q.subject.nature.isPod() {
		return outcome{intent: matrix.Allow, cause: noSubject}
	}
	s := q.subject.sides[q.direction]
	if !s.touched() {
		return outcome{intent: matrix.Allow, cause: untouched}
	}
	admin := q.tier(s.admin)
	return q.fromNode(admin.then(func() outcome {
		if len(s.by) > 0 {
			return q.union(s)
		}
		baseline := q.tier(s.baseline)
		baseline.join(q.tier([]rank{s.unranked}))
		return baseline.then(func() outcome { return outcome{intent: matrix.Allow, cause: byDefault} })
	}))
}

// fromNode: a node may always reach its own pods.
func (q *question) fromNode(out outcome) outcome {
	if q.direction == egress || out.intent == matrix.Allow {
		return out
	}
	switch q.distance {
	case onNode:
		return outcome{intent: matrix.Allow, cause: ownNode}
	case unclear:
		if out.intent == matrix.Deny {
			return outcome{intent: matrix.Undefined, cause: nearNode, rule: out.rule}
		}
	case apart, itself:
	}
	return out
}

// union asks the NetworkPolicies: what any rule allows may pass.
func (q *question) union(s *side) outcome {
	if q.protocol == matrix.ICMP {
		return outcome{intent: matrix.Undefined, cause: unspoken}
	}
	out := outcome{intent: matrix.Deny, cause: notAllowed}
	var first open
	for _, r := range s.rules {
		a, peerFits := q.fits(r)
		switch {
		case a.is == yes:
			return outcome{intent: matrix.Allow, cause: byRule, rule: r}
		case a.is == maybe && first.rule == nil:
			first = open{r, a.why}
		case a.is == no && peerFits && out.other == nil:
			out.other = r
		}
	}
	switch {
	case first.rule != nil:
		return outcome{intent: matrix.Undefined, cause: inDoubt, rule: first.rule, doubt: first.why}
	case q.subject.nature == hostNetwork:
		return outcome{intent: matrix.Undefined, cause: hostSubject}
	}
	return out
}

// tally is what a tier may do with a flow.
type tally struct {
	first *rule    // the first that fits for certain, nil where none does
	sure  [3]*rule // by action: a rule that fits for certain, and before which none need come
	may   [3]open  // by action: the first rule asked before those that only may fit
}

// open is a rule that may fit or not; the zero value is none.
type open struct {
	rule *rule
	why  doubt
}

// tier asks rank after rank until a rule fits for certain.
func (q *question) tier(ranks []rank) tally {
	var t tally
	for _, r := range ranks {
		for _, rules := range r {
			q.policy(rules, &t)
		}
		if t.first != nil {
			break
		}
	}
	return t
}

// policy asks the rules of one policy in their order.
func (q *question) policy(rules []*rule, t *tally) {
	for _, r := range rules {
		a, _ := q.fits(r)
		switch a.is {
		case no:
		case maybe:
			if t.may[r.action].rule == nil {
				t.may[r.action] = open{r, a.why}
			}
		case yes:
			if t.first == nil {
				t.first = r
			}
			if t.sure[r.action] == nil {
				t.sure[r.action] = r
			}
			return
		}
	}
}

// join takes in policies of the same tier that may come before those of t or
// after them.
func (t *tally) join(other tally) {
	if t.first == nil {
		t.first = other.first
	}
	for a := range t.sure {
		if t.sure[a] == nil {
			t.sure[a] = other.sure[a]
		}
		if t.may[a].rule == nil {
			t.may[a] = other.may[a]
		}
	}
}

// then is the outcome of a tier and of what comes after it. Where the tier may
// do several things, they must come to the same.
func (t *tally) then(next func() outcome) outcome {
	var rest outcome
	if t.first == nil || t.sure[pass] != nil || t.may[pass].rule != nil {
		rest = next()
	}
	comesTo := [...]matrix.Intent{accept: matrix.Allow, deny: matrix.Deny, pass: rest.intent}
	intent := rest.intent
	if t.first != nil {
		intent = comesTo[t.first.action]
	}
	var contrary open
	for a, to := range comesTo {
		if to == intent {
			continue
		}
		if other := t.sure[a]; other != nil {
			return outcome{intent: matrix.Undefined, cause: tied, rule: t.first, other: other}
		}
		if contrary.rule == nil {
			contrary = t.may[a]
		}
	}
	switch {
	case contrary.rule != nil:
		return outcome{intent: matrix.Undefined, cause: inDoubt, rule: contrary.rule, doubt: contrary.why}
	case t.first != nil && t.first.action != pass:
		return outcome{intent: intent, cause: byRule, rule: t.first}
	}
	return rest
}
