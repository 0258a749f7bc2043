package oracle

import (
	"fmt"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
)

// Explanation is a Decision with everything that was asked on the way. Where
// the flow goes to a Service, the steps are those of the pod behind it that the
// Decision speaks of.
type Explanation struct {
	Flow     matrix.Flow `json:"flow"`
	Decision Decision    `json:"decision"`
	Egress   []Step      `json:"egress,omitempty"`  // at the sender, in order of evaluation; none where no policy can select it
	Ingress  []Step      `json:"ingress,omitempty"` // at the receiver, likewise
}

// Step is one rule of a policy that selects the pod in this direction, a
// NetworkPolicy as a whole (which denies what no rule allows), or the default.
type Step struct {
	Tier    string  `json:"tier"`    // "Admin", "NetworkPolicy", "Baseline" or "default"
	Rule    RuleRef `json:"rule"`    // Rule.Rule is -1 for a policy as a whole and for the default
	Fits    bool    `json:"fits"`    // for certain
	Decides bool    `json:"decides"` // the half of the decision names it
	Action  string  `json:"action"`  // "Accept", "Allow", "Deny" or "Pass"
	Why     string  `json:"why"`     // why it fits, does not, or may
}

// Explain decides and says how: every policy that selects the pods, every rule
// of theirs, and why it fits or does not.
func (o *Oracle) Explain(f matrix.Flow) Explanation {
	d, t := o.decide(f)
	e := Explanation{Flow: f, Decision: d}
	if t.asked {
		e.Egress = o.steps(&t.by[egress], d.Egress, t.names)
		e.Ingress = o.steps(&t.by[ingress], d.Ingress, t.names)
	}
	return e
}

// steps of one direction, in order of evaluation.
func (o *Oracle) steps(q *question, half Half, n names) []Step {
	s := q.subject.sides[q.direction]
	if s == nil {
		return nil
	}
	var steps []Step
	add := func(tier string, ref RuleRef, fits truth, action, why string) {
		decides := false
		for _, by := range half.By {
			decides = decides || by == ref
		}
		steps = append(steps, Step{Tier: tier, Rule: ref, Fits: fits == yes, Decides: decides, Action: action, Why: why})
	}
	subject, _ := n.of(q.direction)
	for _, p := range s.policies {
		allowed := no
		for _, r := range p.rules[q.direction] {
			a, _ := q.fits(r)
			allowed = max(allowed, a.is)
			add(p.tier.String(), r.by[0], a.is, r.word(p), o.lexicon.why(q, r, a, n))
		}
		switch {
		case p.tier != tierNetwork:
		case q.protocol == matrix.ICMP:
			add(p.tier.String(), p.whole, maybe, "Deny", silent)
		default:
			add(p.tier.String(), p.whole, allowed.not(), "Deny", whole(subject, q.direction, allowed))
		}
	}
	last := Step{Tier: "default", Rule: RuleRef{Rule: -1}, Fits: true, Action: "Allow", Decides: half.Intent == matrix.Allow && len(half.By) == 0, Why: half.Reason}
	if !last.Decides {
		last.Why = "policies decide"
	}
	return append(steps, last)
}

// whole says what a NetworkPolicy does by selecting the pod.
func whole(subject string, d direction, allowed truth) string {
	rest := [...]string{no: "none of its rules allows", maybe: "a rule of it may or may not allow", yes: "a rule of it allows"}[allowed]
	return fmt.Sprintf("it isolates %s for %s, and %s the flow", subject, d, rest)
}

// word is what the rule does, in the words of its policy's kind.
func (r *rule) word(of *policy) string {
	switch {
	case r.action == deny:
		return "Deny"
	case r.action == pass:
		return "Pass"
	case of.whole.Kind == KindCluster:
		return "Accept"
	}
	return "Allow"
}

// why the rule fits the flow, or does not.
func (l *lexicon) why(q *question, r *rule, a answer, n names) string {
	if r.broken >= 0 {
		does := "fits nothing"
		if r.action == deny {
			does = "denies everything"
		}
		return fmt.Sprintf("peer %d is empty or of a kind that this version does not know: the rule %s", r.broken, does)
	}
	if a.is == maybe {
		return l.doubt(q, r, a.why, n)
	}
	_, peer := n.of(q.direction)
	met := q.peer.reach[r.id]
	who := met.selected.or(met.blocked[q.family])
	if who.is == no {
		return fmt.Sprintf("%s is none of: %s", peer, l.peersText(r))
	}
	port := q.protocol.String()
	if q.protocol.HasPorts() {
		port = fmt.Sprintf("%s/%d", q.protocol, q.number)
	}
	switch byNumber, byName := q.port(r); {
	case byNumber.or(byName).is == no:
		return fmt.Sprintf("%s fits, but %s is none of: %s", peer, port, r.portsText(q.receiver))
	case r.anyone && r.anyPort:
		return "it fits every peer and port"
	case r.anyone:
		return fmt.Sprintf("it fits every peer, and %s is one of: %s", port, r.portsText(q.receiver))
	case r.anyPort:
		return fmt.Sprintf("%s is one of: %s; on every port", peer, l.peersText(r))
	}
	return fmt.Sprintf("%s is one of: %s; and %s is one of: %s", peer, l.peersText(r), port, r.portsText(q.receiver))
}

// peersText lists the peers of a rule.
func (l *lexicon) peersText(r *rule) string {
	texts := make([]string, len(r.peers))
	for i, p := range r.peers {
		texts[i] = l.peerText(p)
	}
	return strings.Join(texts, ", or ")
}

func (l *lexicon) peerText(p peer) string {
	selector := func(what string, among *selectors, id int) string {
		if id < 0 || among.list[id].Empty() {
			return "all " + what
		}
		return what + " with " + among.list[id].String()
	}
	switch p.by {
	case nobody:
	case byLabels:
		if p.home != "" {
			return selector("pods", &l.pods, p.pods) + " of namespace " + p.home
		}
		return selector("pods", &l.pods, p.pods) + " of " + selector("namespaces", &l.namespaces, p.namespaces)
	case byNode:
		return selector("nodes", &l.nodes, p.nodes)
	case byName:
		return "domain names " + strings.Join(p.names, ", ")
	case byAddress:
		texts := make([]string, len(p.blocks))
		for i, b := range p.blocks {
			texts[i] = l.blocks[b].String()
		}
		return "addresses of " + strings.Join(texts, ", ")
	}
	return "nobody"
}

// String is "10.0.0.0/8 except 10.1.0.0/16".
func (b block) String() string {
	texts := []string{b.cidr.String()}
	for i, e := range b.except {
		word := " except "
		if i > 0 {
			word = ", "
		}
		texts = append(texts, word+e.String())
	}
	return strings.Join(texts, "")
}

// portsText lists the ports of a rule; names with the numbers that the receiver
// gives to them.
func (r *rule) portsText(receiver *class) string {
	texts := make([]string, len(r.ports))
	for i, p := range r.ports {
		texts[i] = p.text(receiver)
	}
	return strings.Join(texts, ", ")
}

func (p *portRange) text(receiver *class) string {
	protocol := ""
	if p.protocol != 0 {
		protocol = p.protocol.String() + "/"
	}
	switch {
	case p.name != "":
		for _, have := range receiver.ports {
			if have.Name == p.name && (p.protocol == 0 || p.protocol == have.Protocol) {
				return fmt.Sprintf("%s%s (%s/%d there)", protocol, p.name, have.Protocol, have.Port)
			}
		}
		return fmt.Sprintf("%s%s (which the receiver has not)", protocol, p.name)
	case p.low == 1 && p.high == 65535:
		return "all of " + p.protocol.String()
	case p.low == p.high:
		return fmt.Sprintf("%s%d", protocol, p.low)
	}
	return fmt.Sprintf("%s%d to %d", protocol, p.low, p.high)
}
