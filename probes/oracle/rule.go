package oracle

import "github.com/segtest/segtest/probes/matrix"

// direction of a rule, as its subject sees the flow.
type direction uint8

const (
	egress direction = iota
	ingress
)

func (d direction) String() string { return [...]string{"egress", "ingress"}[d] }

// action is what a rule does with a flow that it fits.
type action uint8

const (
	accept action = iota
	deny
	pass
)

// rule is one compiled ingress or egress rule.
type rule struct {
	id        int
	by        []RuleRef // one element, shared by all decisions
	direction direction
	cluster   bool // of a cluster-wide policy
	action    action
	anyone    bool // all peers
	peers     []peer
	anyPort   bool
	ports     []portRange
	// broken is the number of the peer that is empty or of a kind that this
	// version does not know, -1 where there is none. Such a rule fails closed.
	broken int
}

// peer is one compiled entry of from or to.
type peer struct {
	by         peerKind
	home       string // byLabels: only this namespace; "" is by namespaces
	namespaces int    // byLabels: a selector, -1 is any
	pods       int    // byLabels: a selector, -1 is any
	nodes      int    // byNode: a selector
	blocks     []int  // byAddress
	names      []string
	inCluster  bool // byName: a name may be that of a pod
}

type peerKind uint8

const (
	nobody peerKind = iota
	byLabels
	byAddress
	byNode
	byName
)

// meets says whether the peers of the rule fit what is of this class.
func (r *rule) meets(k *class) reach {
	var met reach
	if r.anyone {
		met.selected.is = yes
		return met
	}
	for i, p := range r.peers {
		at := uint16(i) //nolint:gosec // no policy of an API server is that long
		switch p.by {
		case nobody:
		case byLabels:
			met.selected = met.selected.or(p.selects(k, r.cluster).at(at))
		case byNode:
			met.selected = met.selected.or(p.machines(k).at(at))
		case byName:
			met.selected = met.selected.or(p.resolves(k).at(at))
		case byAddress:
			for j, b := range p.blocks {
				for family := range met.blocked {
					a := k.blocks[family][b].at(at)
					a.why.block = uint16(j) //nolint:gosec // likewise
					met.blocked[family] = met.blocked[family].or(a)
				}
			}
		}
	}
	return met
}

// selects says whether the selectors fit. Cluster-wide policies leave out who
// shares its node's network; what a NetworkPolicy does there is open.
func (p *peer) selects(k *class, cluster bool) answer {
	switch {
	case !k.nature.isPod(),
		p.home != "" && p.home != k.home,
		p.namespaces >= 0 && !k.namespaces.has(p.namespaces),
		p.pods >= 0 && !k.pods.has(p.pods):
		return answer{}
	case k.nature == ownNetwork:
		return answer{is: yes}
	case cluster:
		return answer{}
	}
	return answer{maybe, doubt{kind: sharesNetwork}}
}

// machines says whether a selector of nodes fits: it means addresses of nodes.
func (p *peer) machines(k *class) answer {
	switch {
	case !k.nature.onHost():
		return answer{}
	case k.nodes == "":
		return answer{maybe, doubt{kind: unknownNode}}
	case !k.nodes.has(p.nodes):
		return answer{}
	case k.veil != certain:
		return answer{maybe, doubt{kind: k.veil}}
	}
	return answer{is: yes}
}

// resolves says whether a domain name may lead there. Outside names do not lead
// to pods, except to those in their node's network.
func (p *peer) resolves(k *class) answer {
	if k.nature == ownNetwork && !p.inCluster {
		return answer{}
	}
	return answer{maybe, doubt{kind: unresolved}}
}

// portRange is one entry of a rule's ports: a name, or low to high inclusive.
type portRange struct {
	protocol  matrix.Protocol // 0 is any, for a name in a cluster-wide policy
	name      string
	low, high uint16
}

// port says whether a numbered and whether a named port of the rule fits.
func (q *question) port(r *rule) (byNumber, byName answer) {
	if r.anyPort {
		return answer{is: yes}, answer{}
	}
	for i := range r.ports {
		p := &r.ports[i]
		switch {
		case p.protocol != q.protocol && p.protocol != 0:
		case p.name != "":
			byName = byName.or(p.resolve(q).at(uint16(i))) //nolint:gosec // no policy of an API server is that long
		case p.low <= q.number && q.number <= p.high:
			byNumber = answer{is: yes}
		}
	}
	return byNumber, byName
}

// resolve looks the name up at the receiver: a container port of that name and
// protocol. A name that the receiver does not have fits nothing. Who sees only
// the address of a node knows no names, so those of pods there are open.
func (p *portRange) resolve(q *question) answer {
	hit, other := false, false
	for _, have := range q.receiver.ports {
		if have.Name != p.name || p.protocol != 0 && have.Protocol != p.protocol {
			continue
		}
		if have.Port == q.number && have.Protocol == q.protocol {
			hit = true
		} else {
			other = true
		}
	}
	switch {
	case hit && other:
		return answer{maybe, doubt{kind: twoPorts}}
	case hit && q.receiver.nature == hostNetwork:
		return answer{maybe, doubt{kind: hostPort}}
	case hit:
		return answer{is: yes}
	}
	return answer{}
}

// fits says whether the rule fits the flow, and whether the peer alone fits.
func (q *question) fits(r *rule) (answer, bool) {
	if q.protocol == matrix.ICMP && !r.cluster {
		return answer{maybe, doubt{kind: notOfICMP}}, false
	}
	reach := &q.peer.reach[r.id]
	selected, blocked := reach.selected, reach.blocked[q.family]
	if selected.is == no && blocked.is == no {
		return answer{}, false
	}
	byNumber, byName := q.port(r)
	a := selected.and(byNumber.or(byName))
	if q.shown != 0 && (r.anyone || blocked.is != no) {
		before := *q
		before.number = q.shown
		byNumber, byName = before.port(r)
		if r.anyone {
			a = byNumber.or(byName)
		}
	}
	if blocked.is != no {
		if r.direction == egress && byName.is == yes {
			byName = answer{maybe, doubt{kind: whosePort}}
		}
		a = a.or(blocked.and(byNumber.or(byName)))
	}
	return a, selected.is == yes || blocked.is == yes
}
