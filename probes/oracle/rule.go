package oracle

import (
	"fmt"
	"net/netip"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/segtest/segtest/probes/matrix"
)

// rule is one compiled ingress or egress rule.
type rule struct {
	by     []RuleRef // one element, shared by all decisions
	egress bool
	// selected and blocked say per pod whether a selector or an ipBlock of the
	// rule fits it; blocked depends on the family of the flow.
	selected []answer
	blocked  [2][]answer
	ports    []portRange // nil: all ports of all protocols
	allPorts bool
}

// answer says whether the rule lets the flow pass, and whether the peer alone
// fits. dst is the receiver, whatever the direction of the rule.
func (r *rule) answer(peer int, f matrix.Flow, dst *pod) (answer, bool) {
	selected, blocked := r.selected[peer], r.blocked[f.Family][peer]
	if selected.is == no && blocked.is == no {
		return answer{}, false
	}
	byNumber, byName := r.port(f, dst)
	a := selected.and(byNumber.or(byName))
	if blocked.is != no {
		if r.egress && byName.is == yes {
			byName = answer{maybe, fmt.Sprintf("%s rule %d joins an ipBlock and a named port: the specification does not say at which pod to look up the name", r.by[0].Policy, r.by[0].Rule)}
		}
		a = a.or(blocked.and(byNumber.or(byName)))
	}
	return a, selected.is == yes || blocked.is == yes
}

// port says whether a numbered and whether a named port of the rule fits.
func (r *rule) port(f matrix.Flow, dst *pod) (byNumber, byName answer) {
	if r.allPorts {
		return answer{is: yes}, answer{}
	}
	for _, p := range r.ports {
		switch {
		case p.protocol != f.Protocol:
		case p.name != "":
			byName = byName.or(p.resolve(f, dst))
		case p.low <= f.Port && f.Port <= p.high:
			byNumber = answer{is: yes}
		}
	}
	return byNumber, byName
}

// portRange is one entry of a rule's ports: a name, or low to high inclusive.
type portRange struct {
	protocol  matrix.Protocol
	name      string
	low, high uint16
}

// resolve looks the name up at the receiver: a container port of the same name
// and protocol. A name that the receiver does not have fits nothing.
func (p portRange) resolve(f matrix.Flow, dst *pod) answer {
	hit, other := false, false
	for _, have := range dst.Ports {
		if have.Name != p.name || have.Protocol != p.protocol {
			continue
		}
		if have.Port == f.Port {
			hit = true
		} else {
			other = true
		}
	}
	switch {
	case hit && other:
		return answer{maybe, fmt.Sprintf("%s has several ports named %s, and the specification does not say which one a policy means", dst.Name, p.name)}
	case hit:
		return answer{is: yes}
	}
	return answer{}
}

// peer is one compiled entry of from or to: selectors, or a block.
type peer struct {
	namespace labels.Selector // nil: only the policy's own namespace
	pod       labels.Selector // nil: all pods
	block     *block
}

// selects says whether the selectors fit the pod.
func (p peer) selects(policyNamespace string, q *Pod, namespaceLabels labels.Set) answer {
	if p.block != nil {
		return answer{}
	}
	if p.namespace == nil && q.Name.Namespace() != policyNamespace ||
		p.namespace != nil && !p.namespace.Matches(namespaceLabels) ||
		p.pod != nil && !p.pod.Matches(labels.Set(q.Labels)) {
		return answer{}
	}
	if q.HostNetwork {
		return answer{maybe, fmt.Sprintf("%s shares its node's network, and the specification leaves open whether a selector fits it", q.Name)}
	}
	return answer{is: yes}
}

// block is a compiled ipBlock.
type block struct {
	cidr   netip.Prefix
	except []netip.Prefix
}

// fits says whether the block holds the pod's address of this family.
func (b *block) fits(q *Pod, family matrix.Family) answer {
	if b == nil || b.cidr.Addr().Is4() != (family == matrix.IPv4) {
		return answer{} // a block says nothing about the other family
	}
	if b.cidr.Bits() == 0 && len(b.except) == 0 {
		return answer{is: yes}
	}
	for _, a := range q.Addresses {
		if a = a.Unmap(); a.Is4() == (family == matrix.IPv4) {
			return answer{is: b.holds(a)}
		}
	}
	if len(q.Addresses) > 0 {
		return answer{maybe, fmt.Sprintf("%s has no %s address for ipBlock %s", q.Name, family, b.cidr)}
	}
	return answer{maybe, fmt.Sprintf("ipBlock %s depends on the address of %s, which is known only on a running cluster", b.cidr, q.Name)}
}

func (b *block) holds(a netip.Addr) truth {
	if !b.cidr.Contains(a.WithZone("")) {
		return no
	}
	for _, e := range b.except {
		if e.Contains(a.WithZone("")) {
			return no
		}
	}
	return yes
}
