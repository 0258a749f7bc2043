package mutate

import (
	"cmp"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/outside"
)

// scorer knows the World as it is.
type scorer struct {
	*folded
	families []matrix.Family
	ports    []oracle.Port
	oracle   *oracle.Oracle
	selects  [2][][]int        // the groups that each NetworkPolicy and each cluster-wide policy selects
	to       []matrix.Endpoint // who is asked: the first member of each group, then the second ones
	twins    []int             // by group: position of the second member in to, 0 where there is none

	given    []oracle.Namespace                  // of the World
	labels   map[string]labels.Set               // of namespaces
	workload map[matrix.Endpoint]matrix.Endpoint // of each pod
	slots    map[matrix.Endpoint]int             // number of pods of each workload

	last   string            // the policy of the last mutant
	before map[string][]view // by subjects of its mutants, by family
}

func newScorer(w oracle.World, e Expectation, families []matrix.Family, mutants []Mutant) (*scorer, error) {
	if _, err := oracle.New(w); err != nil {
		return nil, err
	}
	s := &scorer{
		folded: fold(w, e, outside.Pods(w), outside.Blocks(families, w, changedPolicies(mutants))), families: families,
		given: w.Namespaces, workload: map[matrix.Endpoint]matrix.Endpoint{}, slots: map[matrix.Endpoint]int{},
	}
	s.labels = oracle.NamespaceLabels(s.world)
	s.ports = portsOf(&s.world, mutants, s.allAsked())
	for _, p := range w.Pods {
		s.workload[p.Name] = p.Workload
		s.slots[p.Workload]++
	}
	s.seat()
	for _, p := range w.Policies {
		s.selects[0] = append(s.selects[0], s.selected(networkDraft(p)))
	}
	for _, p := range w.ClusterPolicies {
		s.selects[1] = append(s.selects[1], s.selected(clusterDraft(p)))
	}
	var err error
	s.oracle, err = oracle.New(s.world)
	return s, err
}

// changedPolicies are those of mutants, as a World of its own.
func changedPolicies(mutants []Mutant) oracle.World {
	var w oracle.World
	for _, m := range mutants {
		if m.Policy != nil {
			w.Policies = append(w.Policies, *m.Policy)
		}
		if m.ClusterPolicy != nil {
			w.ClusterPolicies = append(w.ClusterPolicies, *m.ClusterPolicy)
		}
	}
	return w
}

// seat who is asked.
func (s *scorer) seat() {
	s.twins = make([]int, len(s.groups))
	for _, g := range s.groups {
		s.to = append(s.to, g.members[0])
	}
	for i, g := range s.groups {
		if len(g.members) > 1 {
			s.twins[i] = len(s.to)
			s.to = append(s.to, g.members[1])
		}
	}
}

// allAsked are the ports on which some pod knocks at another, in order.
func (s *scorer) allAsked() []oracle.Port {
	asked := map[oracle.Port]bool{}
	for _, from := range s.groups {
		for _, to := range s.groups {
			for _, p := range s.asked(from, to) {
				asked[p] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(asked), func(a, b oracle.Port) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port))
	})
}

// asked ports from one group to another; none where one of them is no pod, the
// receiver is none of the World, or there is but one pod.
func (s *scorer) asked(from, to *group) []oracle.Port {
	switch {
	case from.pod == nil || to.pod == nil || to.outside != nil || flows(from, to) == 0:
		return nil
	case from == to:
		return s.alike.Ports(from.members[0], to.members[1])
	}
	return s.alike.Ports(from.members[0], to.members[0])
}
