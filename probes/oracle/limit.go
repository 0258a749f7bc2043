package oracle

import (
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
)

// What is larger is refused: every address outside that policies tell apart is
// asked about every block, so that time grows with the square of them. It is far
// beyond what people write and network plugins bear.
const (
	maxEntries = 5000 // rules of a NetworkPolicy, with their peers, ports and excepts
	maxBlocks  = 5000 // different blocks of all policies, with their excepts
)

// bounded refuses a policy of too many entries, at the rule with which they are
// too many.
func (at place) bounded(p Policy) bool {
	n := 0
	for i, r := range p.Spec.Ingress {
		if n += entries(r.From, len(r.Ports)); n > maxEntries {
			return at.rule(ingress, i, p.Ingress).tooMany()
		}
	}
	for i, r := range p.Spec.Egress {
		if n += entries(r.To, len(r.Ports)); n > maxEntries {
			return at.rule(egress, i, p.Egress).tooMany()
		}
	}
	return true
}

// entries of a rule, itself among them.
func entries(peers []networkingv1.NetworkPolicyPeer, ports int) int {
	n := 1 + ports + len(peers)
	for _, p := range peers {
		if p.IPBlock != nil {
			n += len(p.IPBlock.Except)
		}
	}
	return n
}

func (at place) tooMany() bool {
	at.add(fmt.Sprintf("with this rule the policy has more than %d rules, peers, ports and excepts", maxEntries),
		"merge neighbouring CIDRs into wider ones and ports into ranges")
	return false
}

// crowded reports, once, the policy with which the blocks are too many.
func (at place) crowded(before int) {
	if before <= maxBlocks && at.c.lexicon.named > maxBlocks {
		at.add(fmt.Sprintf("with this policy the policies have more than %d different CIDRs", maxBlocks),
			"merge neighbouring CIDRs into wider ones, or name a smaller folder")
	}
}
