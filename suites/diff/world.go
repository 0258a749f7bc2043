package diff

import (
	"fmt"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/outside"
	"github.com/segtest/segtest/suites/plan"
)

// stranger stands for what neither version holds: a pod of another namespace, or
// an address outside of the cluster.
type stranger struct {
	endpoint matrix.Endpoint // as the oracle knows it
	name     matrix.Endpoint // as people read it
	block    *outside.Block  // nil for a pod
	ports    []oracle.Port   // that it declares
	like     matrix.Endpoint // it is another one like that, who alone asks it
}

// strangers to both versions, in order: pods, then blocks; nil where there is no
// version. The pods are to be added to the worlds.
func strangersTo(before, after *plan.Plan, families []matrix.Family) ([]stranger, []outside.Pod) {
	var worlds []oracle.World
	for _, p := range []*plan.Plan{before, after} {
		if p != nil {
			worlds = append(worlds, p.World)
		}
	}
	pods := outside.AllPods(worlds...)
	var all []stranger
	for _, p := range pods {
		all = append(all, stranger{endpoint: p.Name, name: p.Name, ports: p.Ports})
		if p.Other.Name != "" {
			all = append(all, stranger{endpoint: p.Other.Name, name: p.Other.Name, ports: p.Ports, like: p.Name})
		}
	}
	for _, p := range []*plan.Plan{before, after} {
		if p != nil {
			worlds = append(worlds, p.Named())
		}
	}
	for _, b := range outside.Blocks(families, worlds...) {
		all = append(all, stranger{endpoint: b.Endpoint(), name: b.Name(), block: &b})
	}
	return all, pods
}

// peopled is a version with pods that stand for others; nil for none.
func peopled(p *plan.Plan, pods []outside.Pod) (*plan.Plan, error) {
	if p == nil {
		return nil, nil //nolint:nilnil // no version is an answer
	}
	with, err := p.With(outside.Add(p.World, pods))
	if err != nil {
		return nil, fmt.Errorf("adding pods that no file of %s holds: %w", p.Scenario.Name, err)
	}
	return with, nil
}
