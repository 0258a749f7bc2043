package plan

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	corev1 "k8s.io/api/core/v1"

	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/outside"
)

// scope is what a plan asks: who asks whom, and on which ports.
type scope struct {
	seats []matrix.Endpoint // in order: pods, and an address of each block outside of the cluster
	ports []oracle.Port     // on which any of them is asked, in order
	*wide                   // nil where a run asks the same
}

// wide is what a snapshot asks beyond a run: addresses outside of the cluster, and
// one of all ports that policies and rules do not tell apart.
type wide struct {
	blocks  []outside.Block
	block   map[matrix.Endpoint]outside.Block // by the endpoint of its address
	tracts  []outside.Tract                   // in order of protocol and port; all ports of all protocols
	classes int
	asked   map[matrix.Endpoint][]oracle.Port // of each pod
	world   []oracle.Port                     // of each address
}

// narrow is the scope of a run.
func (p *Plan) narrow() scope {
	s := scope{seats: p.pods}
	for _, pod := range p.pods {
		s.ports = append(s.ports, p.questions.Ports("", pod)...)
	}
	if p.questions.Pings() {
		s.ports = append(s.ports, oracle.Port{Protocol: matrix.ICMP})
	}
	s.ports = unique(s.ports)
	return s
}

// snapshot is the scope of a snapshot.
func (p *Plan) snapshot() scope {
	named := mentioned(p.Scenario.Expect)
	w := &wide{
		blocks: outside.Blocks(p.Scenario.Cluster.IPs, p.World, named), block: map[matrix.Endpoint]outside.Block{},
		asked: map[matrix.Endpoint][]oracle.Port{},
	}
	w.tracts, w.classes = outside.Divide(outside.Spans(p.World, named))
	s := scope{seats: slices.Clone(p.pods), wide: w}
	for _, b := range w.blocks {
		w.block[b.Endpoint()] = b
		s.seats = append(s.seats, b.Endpoint())
	}
	slices.Sort(s.seats)
	w.world = w.oneOfEach(nil, p.Scenario.Canary)
	s.ports = slices.Clone(w.world)
	for _, workload := range p.Scenario.Workloads {
		slots := workload.Slots()
		declared := p.questions.Ports(slots[0], slots[0])
		asked := slices.Concat(declared, w.oneOfEach(declared, p.Scenario.Canary))
		for _, slot := range slots {
			w.asked[slot] = asked
		}
		s.ports = append(s.ports, asked...)
	}
	s.ports = unique(s.ports)
	return s
}

func unique(ports []oracle.Port) []oracle.Port {
	slices.SortFunc(ports, func(a, b oracle.Port) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
	return slices.Compact(ports)
}

// Named is a world with a policy that names the blocks and ports of a snapshot's
// rules; without a snapshot it is empty.
func (p *Plan) Named() oracle.World {
	if !p.Scenario.Expect.Snapshot {
		return oracle.World{}
	}
	return mentioned(p.Scenario.Expect)
}

// mentioned is a world with a policy that names what the rules of a snapshot do.
func mentioned(e scenario.Expect) oracle.World {
	var all networkingv1.NetworkPolicyIngressRule
	for _, r := range e.Rules {
		for _, end := range slices.Concat(r.From, r.To) {
			if _, err := netip.ParsePrefix(end.Name()); err == nil {
				all.From = append(all.From, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: end.Name()}})
			}
		}
		for _, ref := range r.Ports {
			if ref.Port != 0 {
				protocol, port, last := corev1.Protocol(ref.Protocol.String()), intstr.FromInt32(int32(ref.Port)), int32(ref.Last)
				all.Ports = append(all.Ports, networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: &port, EndPort: &last})
			}
		}
	}
	policy := &networkingv1.NetworkPolicy{Spec: networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{all}}}
	return oracle.World{Policies: []oracle.Policy{{NetworkPolicy: policy}}}
}

// oneOfEach class, in order: a port that is not declared, the canary if it can
// be. Of a class whose ports are all declared there is none.
func (w *wide) oneOfEach(declared []oracle.Port, canary uint16) []oracle.Port {
	chosen := make([]oracle.Port, w.classes)
	for _, t := range w.tracts {
		if t.Holds(oracle.Port{Protocol: t.Protocol, Port: canary}) {
			chosen[t.Class] = oracle.Port{Protocol: t.Protocol, Port: canary}
		}
		for n := int(t.Low); n <= int(t.High) && chosen[t.Class].Port == 0; n++ {
			if p := (oracle.Port{Protocol: t.Protocol, Port: uint16(n)}); !slices.Contains(declared, p) { //nolint:gosec // a port
				chosen[t.Class] = p
			}
		}
	}
	return slices.DeleteFunc(chosen, func(p oracle.Port) bool { return p.Port == 0 })
}

// isOutside reports a seat that is no pod.
func (s scope) isOutside(e matrix.Endpoint) bool {
	if s.wide == nil {
		return false
	}
	_, ok := s.block[e]
	return ok
}

// between yields the flows from one seat to another, in order.
func (p *Plan) between(s scope, from, to matrix.Endpoint) iter.Seq[matrix.Flow] {
	return func(yield func(matrix.Flow) bool) {
		for _, port := range p.portsBetween(s, from, to) {
			for _, family := range p.Scenario.Cluster.IPs {
				if !s.speaks(from, family) || !s.speaks(to, family) {
					continue
				}
				if !yield(matrix.Flow{From: from, To: to, Protocol: port.Protocol, Port: port.Port, Family: family}) {
					return
				}
			}
		}
	}
}

// speaks reports that the seat can have an address of the family.
func (s scope) speaks(e matrix.Endpoint, family matrix.Family) bool {
	return !s.isOutside(e) || s.block[e].Family() == family
}

// portsBetween two seats, in order. The slice is shared.
func (p *Plan) portsBetween(s scope, from, to matrix.Endpoint) []oracle.Port {
	switch {
	case s.wide == nil || from == to && !s.isOutside(to):
		return p.questions.Ports(from, to)
	case s.isOutside(from) && s.isOutside(to):
		return nil
	}
	return p.portsOf(s, to)
}

// portsOf a seat are those on which anybody asks it, in order, without ICMP. The
// slice is shared.
func (p *Plan) portsOf(s scope, to matrix.Endpoint) []oracle.Port {
	switch {
	case s.wide == nil:
		return p.questions.Ports("", to)
	case s.isOutside(to):
		return s.world
	}
	return s.asked[to]
}
