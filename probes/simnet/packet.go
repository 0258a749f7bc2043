package simnet

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// packet opens a connection, or is a datagram.
type packet struct {
	protocol matrix.Protocol
	from, to netip.AddrPort
}

// answer is the packet that comes back.
func (p packet) answer() packet { return packet{protocol: p.protocol, from: p.to, to: p.from} }

// fate of a packet. The zero value is that nothing is known of it.
type fate uint8

const (
	unknown  fate = iota
	lost          // nobody got it
	refused       // nobody listens there, and its sender knows
	arrived       // its receiver got it, and the answer was lost
	answered      // its sender got the answer
)

// send a packet from a pod. It returns who got it, if anybody did.
func (n *Network) send(p packet) (fate, *pod) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.Now()
	from, to := n.byAddress[p.from.Addr()], n.byAddress[p.to.Addr()]
	if from == nil || to == nil {
		return lost, nil
	}
	if from == to {
		return n.received(p, to, now, answered), to
	}
	n.engines.count(now)
	should := n.decide(p, now, true)
	does := should
	if n.config.Defect.Name != "" {
		does = n.decide(p, now, false)
	}
	n.truth.add(matrix.Flow{From: from.Name, To: to.Name, Protocol: p.protocol, Port: p.to.Port()}, should, does)
	return n.received(p, to, now, does), to
}

// decide what becomes of a packet between two pods, on a network without defect
// or as it is.
func (n *Network) decide(p packet, now time.Duration, sound bool) fate {
	e := &n.engines
	switch {
	case !e.pass(p, now, sound):
		if !sound && e.slips(p) {
			return arrived
		}
		return lost
	case !sound && n.config.Defect.trait == forgetsConnections && !e.pass(p.answer(), now, sound):
		return arrived
	}
	return answered
}

// received delivers a packet: the receiver logs it as far as a kernel lets it,
// and refuses what it does not listen on.
func (n *Network) received(p packet, to *pod, now time.Duration, f fate) fate {
	port := wire.Port{Protocol: p.protocol, Number: p.to.Port()}
	switch {
	case f != arrived && f != answered, p.protocol == matrix.ICMP:
		return f
	case !slices.Contains(to.Listen, port) && f == arrived:
		return lost
	case !slices.Contains(to.Listen, port):
		return refused
	case f == arrived && p.protocol == matrix.SCTP: // its handshake is not complete
		return f
	}
	to.agent.log(wire.Receipt{
		At: now, Protocol: p.protocol, Source: p.from.String(), Port: port.Number, HalfOpen: f == arrived && p.protocol == matrix.TCP,
	})
	return f
}

// delay of an answer.
func (n *Network) delay(p packet) time.Duration {
	chance := rand.NewPCG(n.config.Seed, uint64(p.from.Port())<<16|uint64(p.to.Port()))
	return 300*time.Microsecond + time.Duration(chance.Uint64()%uint64(3*time.Millisecond)) //nolint:gosec // at most 3 ms
}

// truth is the flows that a defect changed for at least one packet.
type truth struct{ leaked, lost map[matrix.Flow]bool }

func (t *truth) add(f matrix.Flow, should, does fate) {
	switch {
	case should == lost && does != lost:
		t.leaked[f] = true
	case should == answered && does != answered:
		t.lost[f] = true
	}
}

// Leaked are the flows of which a packet got through that had to be dropped, in
// order.
func (n *Network) Leaked() []matrix.Flow { return n.changed(n.truth.leaked) }

// Lost are the flows of which a packet, or its answer, was dropped that had to
// get through, in order.
func (n *Network) Lost() []matrix.Flow { return n.changed(n.truth.lost) }

func (n *Network) changed(flows map[matrix.Flow]bool) []matrix.Flow {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.SortedFunc(maps.Keys(flows), matrix.Flow.Compare)
}
