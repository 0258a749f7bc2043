package diff

import (
	"fmt"
	"maps"
	"slices"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/outside"
	"github.com/segtest/segtest/suites/plan"
)

// space is all ports of all protocols, parted where the policies, the pods or the
// snapshot of either version may tell some from others. Ports of one class are
// told apart by nobody. One class of each protocol is common: between most pods
// the others are decided like it, and only the rest is asked.
type space struct {
	tracts []outside.Tract // in order of protocol and port
	common map[matrix.Protocol]oracle.Port
	rest   map[matrix.Protocol]bool // the common ports are those that no policy names and no pod declares
	sheets []sheet                  // the first is of the common ports, and asks all
	at     []place                  // by class
	ends   map[matrix.Endpoint]end  // of all seats of both versions
	spoken []matrix.Protocol        // those of which ports are asked that no pod declares
}

// sheet is ports that are asked of the same pods, from and to any others.
type sheet struct {
	ports    []oracle.Port
	from, to map[matrix.Endpoint]bool // nil is all
}

// place of a class: a sheet and a position among its ports.
type place struct{ sheet, port int }

// end is which classes are told from the common one where a pod sends and where it
// gets; of classes.
type end struct{ sends, gets []bool }

// spaceOf two versions with strangers, one of which may be nil.
func spaceOf(before, after *plan.Plan, strangers []stranger) *space {
	var worlds, named []oracle.World
	var canaries []uint16
	for _, p := range []*plan.Plan{after, before} {
		if p != nil {
			worlds, named, canaries = append(worlds, p.World), append(named, p.Named()), append(canaries, p.Scenario.Canary)
		}
	}
	s := &space{
		common: map[matrix.Protocol]oracle.Port{}, rest: map[matrix.Protocol]bool{}, ends: map[matrix.Endpoint]end{},
		spoken: outside.Protocols(canaries, worlds...),
	}
	sent, got := spansOf(before, after, strangers)
	spans := outside.Unite(slices.Concat(slices.Collect(maps.Values(got))...), outside.Spans(slices.Concat(worlds, named)...))
	spans = slices.DeleteFunc(spans, func(n outside.Span) bool { return n.Low == 1 && n.High == outside.LastPort }) // it parts nothing
	tracts, classes := outside.Divide(spans)
	s.tracts = tracts
	for _, protocol := range []matrix.Protocol{matrix.TCP, matrix.UDP, matrix.SCTP} {
		s.choose(protocol, spans, canaries)
	}
	known := map[string][]bool{}
	for name := range sent {
		s.ends[name] = end{s.told(known, sent[name], classes), s.told(known, got[name], classes)}
	}
	s.part(classes)
	return s
}

// spansOf all seats of both versions: ports that policies name for what they send,
// and those and the ports that they declare for what they get.
func spansOf(before, after *plan.Plan, strangers []stranger) (sent, got map[matrix.Endpoint][]outside.Span) {
	sent, got = map[matrix.Endpoint][]outside.Span{}, map[matrix.Endpoint][]outside.Span{}
	single := func(name matrix.Endpoint, ports []oracle.Port) {
		for _, p := range ports {
			got[name] = append(got[name], outside.Span{Protocol: p.Protocol, Low: p.Port, High: p.Port})
		}
	}
	for _, p := range []*plan.Plan{before, after} {
		if p == nil {
			continue
		}
		naming, questions := outside.NamingOf(p.World), p.Scenario.Questions()
		for _, pod := range p.World.Pods {
			sends, gets := naming.Spans(pod)
			sent[pod.Name], got[pod.Name] = append(sent[pod.Name], sends...), append(got[pod.Name], gets...)
			single(pod.Name, declared(p, questions, pod.Name))
		}
	}
	for _, s := range strangers {
		sent[s.endpoint] = slices.Clone(sent[s.endpoint]) // a block sends, too
		single(s.endpoint, s.ports)
	}
	return sent, got
}

// choose the common class of a protocol: that which no span holds, else one that
// holds a canary.
func (s *space) choose(protocol matrix.Protocol, spans []outside.Span, canaries []uint16) {
	var usual []oracle.Port
	for _, n := range canaries {
		usual = append(usual, oracle.Port{Protocol: protocol, Port: n})
	}
	for _, t := range s.tracts {
		usual = append(usual, oracle.Port{Protocol: t.Protocol, Port: t.Low})
	}
	s.common[protocol] = usual[0]
	for _, p := range usual {
		if p.Protocol == protocol && !slices.ContainsFunc(spans, func(n outside.Span) bool { return n.Holds(p) }) {
			s.common[protocol], s.rest[protocol] = p, true
			return
		}
	}
}

// told says which classes some spans tell from the common one of their protocol.
func (s *space) told(known map[string][]bool, spans []outside.Span, classes int) []bool {
	spans = outside.Unite(spans)
	key := fmt.Sprint(spans)
	if _, ok := known[key]; !ok {
		out := make([]bool, classes)
		for _, t := range s.tracts {
			first, common := oracle.Port{Protocol: t.Protocol, Port: t.Low}, s.common[t.Protocol]
			out[t.Class] = slices.ContainsFunc(spans, func(n outside.Span) bool { return n.Holds(first) != n.Holds(common) })
		}
		known[key] = out
	}
	return known[key]
}

// part the classes into sheets.
func (s *space) part(classes int) {
	names := slices.Sorted(maps.Keys(s.ends))
	s.sheets = []sheet{{}}
	s.at = make([]place, classes)
	for _, protocol := range []matrix.Protocol{matrix.TCP, matrix.UDP, matrix.SCTP} {
		if s.rest[protocol] && !slices.Contains(s.spoken, protocol) {
			continue // nobody asks it
		}
		p := s.common[protocol]
		s.at[s.tract(p).Class] = place{0, len(s.sheets[0].ports)}
		s.sheets[0].ports = append(s.sheets[0].ports, p)
	}
	known := map[string]int{}
	done := make([]bool, classes)
	for _, t := range s.tracts {
		if done[t.Class] || t.Class == s.tract(s.common[t.Protocol]).Class {
			continue
		}
		done[t.Class] = true
		var key []byte
		one := sheet{from: map[matrix.Endpoint]bool{}, to: map[matrix.Endpoint]bool{}}
		for _, name := range names {
			e := s.ends[name]
			flags := byte(0)
			if e.sends[t.Class] {
				one.from[name] = true
				flags++
			}
			if e.gets[t.Class] {
				one.to[name] = true
				flags += 2
			}
			key = append(key, flags)
		}
		n, ok := known[string(key)]
		if !ok {
			n = len(s.sheets)
			known[string(key)] = n
			s.sheets = append(s.sheets, one)
		}
		s.at[t.Class] = place{n, len(s.sheets[n].ports)}
		s.sheets[n].ports = append(s.sheets[n].ports, oracle.Port{Protocol: t.Protocol, Port: t.Low})
	}
}

// tract of a port.
func (s *space) tract(p oracle.Port) outside.Tract {
	i, _ := slices.BinarySearchFunc(s.tracts, p, func(t outside.Tract, p oracle.Port) int {
		switch {
		case t.Holds(p):
			return 0
		case t.Protocol < p.Protocol || t.Protocol == p.Protocol && t.Low < p.Port:
			return -1
		}
		return 1
	})
	return s.tracts[i]
}

// free are the tracts of which a receiver who declares some ports declares none,
// apart from the rest.
func (s *space) free(declared []Port) []outside.Tract {
	own := map[oracle.Port]bool{}
	for _, p := range declared {
		own[oracle.Port{Protocol: p.Protocol, Port: p.Port}] = true
	}
	var out []outside.Tract
	for _, t := range s.tracts {
		rest := s.rest[t.Protocol] && s.tract(s.common[t.Protocol]).Class == t.Class
		if slices.Contains(s.spoken, t.Protocol) && !own[oracle.Port{Protocol: t.Protocol, Port: t.Low}] && !rest {
			out = append(out, t)
		}
	}
	return out
}
