package mutate

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// drafts of the policies of a World, and of what mutants make of them.
func drafts(w *oracle.World, mutants []Mutant) iter.Seq[*draft] {
	return func(yield func(*draft) bool) {
		for _, p := range w.Policies {
			if !yield(networkDraft(p)) {
				return
			}
		}
		for _, p := range w.ClusterPolicies {
			if !yield(clusterDraft(p)) {
				return
			}
		}
		for _, m := range mutants {
			if m.Policy != nil && !yield(networkDraft(*m.Policy)) || m.ClusterPolicy != nil && !yield(clusterDraft(*m.ClusterPolicy)) {
				return
			}
		}
	}
}

// span is ports that a policy names.
type span struct {
	protocol  matrix.Protocol
	low, high int
}

// portsOf a World stand for all ports: of those which no policy and no
// container port tells apart there is one. All that are asked are among them.
func portsOf(w *oracle.World, mutants []Mutant, asked []oracle.Port) []oracle.Port {
	var spans []span
	for _, protocol := range []matrix.Protocol{matrix.TCP, matrix.UDP, matrix.SCTP} {
		spans = append(spans, span{protocol, 1, lastPort})
		if len(w.Nodes) > 0 {
			spans = append(spans, span{protocol, oracle.FirstNodePort, oracle.LastNodePort})
		}
	}
	for _, p := range w.Pods {
		for _, have := range p.Ports {
			spans = append(spans, span{have.Protocol, int(have.Port), int(have.Port)})
		}
	}
	for d := range drafts(w, mutants) {
		for _, p := range d.ports() {
			if p.low != 0 {
				spans = append(spans, span{oracle.ProtocolOf(&p.protocol), int(p.low), int(p.high)})
			}
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	spans = slices.Compact(spans)
	ports := slices.Clone(asked)
	known := map[string]bool{}
	for _, p := range asked {
		known[within(spans, p)] = true
	}
	for _, s := range spans {
		for _, port := range []int{s.low, s.high + 1} {
			p := oracle.Port{Protocol: s.protocol, Port: uint16(port)} //nolint:gosec // it wraps to 0, which is left out
			if key := within(spans, p); p.Port != 0 && !known[key] {
				known[key] = true
				ports = append(ports, p)
			}
		}
	}
	return ports
}

// within is the same for ports that are in the same spans.
func within(spans []span, p oracle.Port) string {
	var key strings.Builder
	for i, s := range spans {
		if s.protocol == p.Protocol && s.low <= int(p.Port) && int(p.Port) <= s.high {
			fmt.Fprint(&key, i, " ")
		}
	}
	return key.String()
}
