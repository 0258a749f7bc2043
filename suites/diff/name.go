package diff

import (
	"maps"
	"slices"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// Names are short for a Flip's endpoints: "shop/*" for all pods of a namespace
// with several workloads, "shop/web-*" for all of a workload with several, of
// those that both versions have.
func (d Diff) Names(endpoints []matrix.Endpoint) []string {
	known := map[matrix.Endpoint]bool{}
	for _, e := range endpoints {
		known[e] = true
	}
	broken := map[string]bool{}                           // by short name: some of its pods are missing
	pods, workloads := map[string]int{}, map[string]int{} // by short name
	shorts := func(p oracle.Pod) (namespace, workload string) {
		return p.Name.Namespace() + "/*", string(p.Workload) + "-*"
	}
	for _, p := range d.pods {
		namespace, workload := shorts(p)
		if pods[workload]++; pods[workload] == 1 {
			workloads[namespace]++
		}
		if !known[p.Name] {
			broken[namespace], broken[workload] = true, true
		}
	}
	names := map[string]bool{}
	for _, e := range endpoints {
		names[string(e)] = true
	}
	for _, p := range d.pods {
		namespace, workload := shorts(p)
		switch {
		case !broken[namespace] && workloads[namespace] > 1:
			names[namespace] = true
		case !broken[workload] && pods[workload] > 1:
			names[workload] = true
		default:
			continue
		}
		delete(names, string(p.Name))
	}
	return slices.Sorted(maps.Keys(names))
}

// others are the senders without the only receiver, where that makes them no
// longer to write: its flow to itself is none of the flip.
func (d Diff) others(f Flip) []matrix.Endpoint {
	if len(f.To) > 1 {
		return f.From
	}
	rest := slices.DeleteFunc(slices.Clone(f.From), func(e matrix.Endpoint) bool { return e == f.To[0] })
	if len(d.Names(rest)) > len(d.Names(f.From)) {
		return f.From
	}
	return rest
}
