package diff

import (
	"slices"

	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// answer of both versions on one port.
type answer struct{ before, after *oracle.Decision }

func (x answer) flips() bool { return x.before.Intent != x.after.Intent }

// alike reports the same answers, and where they differ that the same rules gave
// them.
func (x answer) alike(y answer) bool {
	switch {
	case x.before.Intent != y.before.Intent || x.after.Intent != y.after.Intent:
		return false
	case !x.flips():
		return true
	}
	return sameCauses(x.before, y.before) && sameCauses(x.after, y.after)
}

func sameCauses(a, b *oracle.Decision) bool {
	same := func(a, b oracle.Half) bool { return a.Intent == b.Intent && slices.Equal(a.By, b.By) }
	return a == b || same(a.Egress, b.Egress) && same(a.Ingress, b.Ingress)
}

// asked are the ports that the seat b is asked on by a: those that it declares,
// one for all others of a protocol, and the ranges of these that are decided
// otherwise.
func (c *comparison) asked(a, b int, to group, family matrix.Family) []Port {
	out := make([]Port, 0, len(to.ports)+3)
	for _, p := range to.ports {
		p.Family = family
		out = append(out, p)
	}
	for _, protocol := range c.space.spoken {
		if c.space.rest[protocol] {
			out = append(out, c.rest(protocol, family))
		}
	}
	others := len(out)
	sends, gets := c.space.ends[c.before.seats[a]].sends, c.space.ends[c.before.seats[b]].gets
	for _, t := range to.free {
		rest := c.space.rest[t.Protocol]
		if rest && !sends[t.Class] && !gets[t.Class] && !c.stated {
			continue
		}
		p := Port{Protocol: t.Protocol, Port: t.Low, Last: t.High, Family: family}
		if rest && c.alike(a, b, p, c.rest(t.Protocol, family)) {
			continue
		}
		if last := &out[len(out)-1]; len(out) > others && last.Protocol == p.Protocol && last.Last == p.Port-1 && c.alike(a, b, *last, p) {
			last.Last = p.Last
			continue
		}
		out = append(out, p)
	}
	return out
}

// rest of the ports of a protocol.
func (c *comparison) rest(protocol matrix.Protocol, family matrix.Family) Port {
	return Port{Protocol: protocol, Port: c.space.common[protocol].Port, Family: family, Canary: true}
}

// alike reports that nothing tells two ports of a pair of seats apart: neither the
// policies, nor the scenario where they flip.
func (c *comparison) alike(a, b int, p, q Port) bool {
	x, y := c.answer(a, b, p), c.answer(a, b, q)
	return x.alike(y) && (!x.flips() || c.declared(a, b, p) == c.declared(a, b, q))
}

// answer of both versions to a flow between two seats of the earlier one.
func (c *comparison) answer(a, b int, p Port) answer {
	port := oracle.Port{Protocol: p.Protocol, Port: p.Port}
	return answer{c.before.decision(a, b, port, p.Family), c.after.decision(c.later[a], c.later[b], port, p.Family)}
}

// flow between two seats.
func (c *comparison) flow(a, b int, p Port) matrix.Flow {
	return matrix.Flow{From: c.before.seats[a], To: c.before.seats[b], Protocol: p.Protocol, Port: p.Port, Family: p.Family}
}

// declared of a flow between two seats.
func (c *comparison) declared(a, b int, p Port) scenario.Expectation {
	return c.after.plan.Expect(c.flow(a, b, p))
}
