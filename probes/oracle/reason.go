package oracle

import (
	"fmt"
	"strconv"
	"strings"
)

// names are what reasons call the two ends of a flow.
type names struct{ sender, receiver string }

// of subject and peer, as a direction sees them.
func (n names) of(d direction) (subject, peer string) {
	if d == egress {
		return n.sender, n.receiver
	}
	return n.receiver, n.sender
}

// silent is why a flow by ICMP is open.
const silent = "NetworkPolicies say nothing of ICMP"

// half puts an outcome into words and names who decided.
func (l *lexicon) half(q *question, out outcome, n names) Half {
	subject, peer := n.of(q.direction)
	h := Half{Intent: out.intent}
	if s := q.subject.sides[q.direction]; s != nil {
		h.Isolated = s.touched()
	}
	switch out.cause {
	case noSubject:
		h.Reason = fmt.Sprintf("policies select pods, and %s is none", subject)
	case untouched:
		h.Reason = fmt.Sprintf("no policy isolates %s for %s", subject, q.direction)
	case byDefault:
		h.Reason = fmt.Sprintf("no rule of a cluster-wide policy fits, and no NetworkPolicy isolates %s for %s", subject, q.direction)
	case byRule:
		h.By, h.Reason = out.rule.by, fmt.Sprintf("%s %s %s", out.rule.by[0].short(), out.rule.verb(), q.direction)
	case notAllowed:
		s := q.subject.sides[q.direction]
		h.By, h.Reason = s.by, s.denied(q, subject, peer, out.other)
	case inDoubt:
		h.By, h.Reason = out.rule.by, l.doubt(q, out.rule, out.doubt, n)
	case tied:
		h.By = []RuleRef{out.rule.by[0], out.other.by[0]}
		why := "have the same priority and disagree"
		if h.By[0].Kind == KindBaseline || h.By[1].Kind == KindBaseline {
			why = "disagree, a " + KindBaseline + " has no priority"
		}
		h.Reason = fmt.Sprintf("%s and %s %s, and the specification does not say which one wins", h.By[0].short(), h.By[1].short(), why)
	case hostSubject:
		h.By = q.subject.sides[q.direction].by
		h.Reason = fmt.Sprintf("%s shares its node's network, and the specification leaves open whether policies select it", subject)
	case unspoken:
		h.By, h.Reason = q.subject.sides[q.direction].by, silent
	case ownNode:
		h.Reason = fmt.Sprintf("%s is on the node of %s, and a node may always reach its own pods", peer, subject)
	case nearNode:
		if h.By = q.subject.sides[q.direction].by; out.rule != nil {
			h.By = out.rule.by
		}
		h.Reason = fmt.Sprintf("%s may be on the node of %s, and a node may always reach its own pods", peer, subject)
	}
	return h
}

// verb says what the rule does.
func (r *rule) verb() string {
	verb := [...]string{accept: "allows", deny: "denies", pass: "passes on"}[r.action]
	if r.broken >= 0 {
		verb = fmt.Sprintf("has a peer that this version does not know (number %d), and therefore denies", r.broken)
	}
	return verb
}

// denied says in words why no NetworkPolicy allows the flow.
func (s *side) denied(q *question, subject, peer string, near *rule) string {
	toward := " to "
	if q.direction == ingress {
		toward = " from "
	}
	text := subject + " is isolated for " + q.direction.String() + " by "
	for i, ref := range s.by {
		if i > 0 {
			text += ", "
		}
		text += ref.Policy
	}
	text += ", and no rule allows " + q.protocol.String() + "/" + strconv.Itoa(int(q.number)) + toward + peer
	if near != nil {
		text += " (" + near.by[0].short() + " fits the pods but not the port)"
	}
	return text
}

// doubt says in words what leaves a rule open.
func (l *lexicon) doubt(q *question, r *rule, d doubt, n names) string {
	_, peer := n.of(q.direction)
	switch d.kind {
	case certain:
	case notOfICMP:
		return silent
	case sharesNetwork:
		return fmt.Sprintf("%s shares its node's network, and the specification leaves open whether a selector fits it", peer)
	case noAddress:
		return fmt.Sprintf("%s depends on the address of %s, which is known only on a running cluster", l.blockText(r, d), peer)
	case noSuchFamily:
		return fmt.Sprintf("%s has no %s address for %s", peer, q.family, l.blockText(r, d))
	case severalSides:
		return fmt.Sprintf("%s holds some of the addresses of %s and not others", l.blockText(r, d), peer)
	case rewritten:
		return fmt.Sprintf("the specification leaves open whether policies see the address of a Service before or after it is rewritten to that of %s", peer)
	case translated:
		return fmt.Sprintf("the address of %s may be replaced by that of a node on its way through the Service", peer)
	case unknownNode:
		return fmt.Sprintf("a selector of nodes depends on the node of %s, which is not known", peer)
	case unresolved:
		return fmt.Sprintf("whether the domain names %s lead to %s is known only once they are resolved", strings.Join(r.peers[d.at].names, ", "), peer)
	case twoPorts:
		return fmt.Sprintf("%s has several ports named %s, and the specification does not say which one a policy means", n.receiver, r.ports[d.at].name)
	case hostPort:
		return fmt.Sprintf("%s shares its node's network, and the specification leaves open whether the name %s means a port there", n.receiver, r.ports[d.at].name)
	case whosePort:
		return fmt.Sprintf("%s joins an ipBlock and a named port: the specification does not say at which pod to look up the name", r.by[0].short())
	}
	return ""
}

// blockText names the block in doubt.
func (l *lexicon) blockText(r *rule, d doubt) string {
	word := "ipBlock "
	if r.cluster {
		word = "network "
	}
	return word + l.blocks[r.peers[d.at].blocks[d.block]].cidr.String()
}
