package cli

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/segtest/segtest/fixtures/manifest"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/plan"
)

// speakers are the endpoints that a word means: the pods of a workload, a pod, a
// node or an address.
func speakers(p *plan.Plan, word string) ([]matrix.Endpoint, error) {
	e := matrix.Endpoint(word)
	if slots := p.Scenario.Slots(e); slots != nil {
		return slots, nil
	}
	var known []string
	switch e.Namespace() {
	case matrix.WorldEndpoint("").Namespace():
		if _, err := netip.ParseAddr(e.Name()); err != nil {
			return nil, usageError(fmt.Errorf("%q: want world/ADDRESS, for example world/192.0.2.7", word))
		}
		return []matrix.Endpoint{e}, nil
	case matrix.NodeEndpoint("").Namespace():
		for _, n := range p.World.Nodes {
			if matrix.NodeEndpoint(n.Name) == e {
				return []matrix.Endpoint{e}, nil
			}
			known = append(known, string(matrix.NodeEndpoint(n.Name)))
		}
		return nil, usageError(fmt.Errorf("%q is no node of %s; %s", word, p.Scenario.Name, manifest.Suggest(word, known)))
	}
	for _, w := range p.Scenario.Workloads {
		known = append(known, string(w.Key()))
	}
	slices.Sort(known)
	return nil, usageError(fmt.Errorf("%q is no workload or pod of %s; %s", word, p.Scenario.Name, manifest.Suggest(word, known)))
}
