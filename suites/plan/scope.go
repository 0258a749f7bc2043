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
	tract   []tract                           // in order of protocol and port; all ports of all protocols
	classes int
	asked   map[matrix.Endpoint][]oracle.Port // of each pod
	world   []oracle.Port                     // of each address
}

// tract is ports from low to high. Those of one class are named by the same
// policies and rules.
type tract struct {
	protocol  matrix.Protocol
	low, high uint16
	class     int
}

func (t tract) holds(p oracle.Port) bool {
	return t.protocol == p.Protocol && t.low <= p.Port && p.Port <= t.high
}

// narrow is the scope of a run.
func (p *Plan) narrow() scope {
	s := scope{seats: p.pods}
	for _, pod := range p.pods {
		s.ports = append(s.ports, p.questions.Ports("", pod)...)
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
	w.divide(outside.Spans(p.World, named))
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

// divide all ports where one of the spans begins or ends.
func (w *wide) divide(spans []outside.Span) {
	classes := map[string]int{}
	for _, protocol := range []matrix.Protocol{matrix.TCP, matrix.UDP, matrix.SCTP} {
		starts := []int{1}
		for _, s := range spans {
			if s.Protocol == protocol {
				starts = append(starts, int(s.Low), int(s.High)+1)
			}
		}
		slices.Sort(starts)
		starts = append(slices.Compact(starts), lastPort+1)
		for i, low := range starts[:len(starts)-1] {
			if low > lastPort {
				break
			}
			key := []byte{byte(protocol)}
			for k, s := range spans {
				if s.Protocol == protocol && int(s.Low) <= low && low <= int(s.High) {
					key = append(key, byte(k>>16), byte(k>>8), byte(k)) //nolint:gosec // its three bytes
				}
			}
			class, ok := classes[string(key)]
			if !ok {
				class = len(classes)
				classes[string(key)] = class
			}
			high := min(starts[i+1]-1, lastPort)
			w.tract = append(w.tract, tract{protocol, uint16(low), uint16(high), class}) //nolint:gosec // ports
		}
	}
	w.classes = len(classes)
}

// lastPort that there is.
const lastPort = 65535

// oneOfEach class, in order: a port that is not declared, the canary if it can
// be. Of a class whose ports are all declared there is none.
func (w *wide) oneOfEach(declared []oracle.Port, canary uint16) []oracle.Port {
	chosen := make([]oracle.Port, w.classes)
	for _, t := range w.tract {
		if t.holds(oracle.Port{Protocol: t.protocol, Port: canary}) {
			chosen[t.class] = oracle.Port{Protocol: t.protocol, Port: canary}
		}
		for n := int(t.low); n <= int(t.high) && chosen[t.class].Port == 0; n++ {
			if p := (oracle.Port{Protocol: t.protocol, Port: uint16(n)}); !slices.Contains(declared, p) { //nolint:gosec // a port
				chosen[t.class] = p
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
	case s.isOutside(to):
		return s.world
	}
	return s.asked[to]
}
