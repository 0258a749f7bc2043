package mutate

import (
	"cmp"
	"fmt"
	"iter"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// judge one mutant. Only what the changed policy selects, before or after, can
// be let out or reached otherwise.
func (s *scorer) judge(m Mutant) (Judged, error) {
	j := Judged{Mutant: m, Fate: Equivalent}
	subjects := s.subjects(m)
	if len(subjects) == 0 {
		return j, nil
	}
	changed, err := oracle.New(s.around(m, subjects))
	if err != nil {
		return j, err
	}
	before := s.known(m, subjects)
	var found []change
	for i, family := range s.families {
		var undefined []change
		for c := range s.cells(subjects, before[i], s.look(changed, subjects, family)) {
			switch {
			case c.Before != c.After:
				if c = s.complete(c, family); s.kills(c) {
					j.Fate, j.Flips = Killed, []Flip{c.Flip}
					return j, nil
				}
				found = append(found, c)
			case c.Before == matrix.Undefined:
				undefined = append(undefined, c)
			}
		}
		if len(found) == 0 && len(undefined) > 0 {
			if found, err = s.doubtful(m, subjects, undefined, family); err != nil {
				return j, err
			}
		}
	}
	if len(found) > 0 {
		s.describe(&j, found)
	}
	return j, nil
}

// examples of flips that are shown of a mutant that nothing kills.
const examples = 5

func (s *scorer) describe(j *Judged, found []change) {
	slices.SortStableFunc(found, func(a, b change) int { return cmp.Or(cmp.Compare(a.rank, b.rank), a.Flow.Compare(b.Flow)) })
	for i, c := range found {
		j.Flows += flows(s.groups[c.from], s.groups[c.to])
		if i < examples {
			j.Flips = append(j.Flips, c.Flip)
		}
	}
	switch j.Fate = found[0].rank.fate(); j.Fate {
	case Survived:
		j.Remedy = s.remedy(found)
	case Unjudged, Killed, Equivalent, Beyond, Undecided:
	}
}

// subjects of a mutant: the groups that its policy selects before or after.
func (s *scorer) subjects(m Mutant) []int {
	kind := 0
	if m.cluster {
		kind = 1
	}
	all := slices.Clone(s.selects[kind][m.position])
	switch {
	case m.Policy != nil:
		all = append(all, s.selected(networkDraft(*m.Policy))...)
	case m.ClusterPolicy != nil:
		all = append(all, s.selected(clusterDraft(*m.ClusterPolicy))...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// selected groups of pods of a policy's subject, in order.
func (s *scorer) selected(d *draft) []int {
	namespaces, pods := selector(d.subject.namespaces), selector(d.subject.pods)
	var found []int
	for i, g := range s.groups {
		if g.pod == nil || !d.cluster && g.pod.Name.Namespace() != d.namespace {
			continue
		}
		if namespaces.Matches(s.labels[g.pod.Name.Namespace()]) && pods.Matches(labels.Set(g.pod.Labels)) {
			found = append(found, i)
		}
	}
	return found
}

func selector(s *metav1.LabelSelector) labels.Selector {
	compiled, err := metav1.LabelSelectorAsSelector(orAll(s))
	if err != nil {
		return labels.Nothing() // oracle.New refuses it
	}
	return compiled
}

// around is the World of the mutant with those policies only that select some
// of the subjects: the halves of others are known already.
func (s *scorer) around(m Mutant, subjects []int) oracle.World {
	w := m.In(s.world)
	w.Policies, w.ClusterPolicies = nil, nil
	for i, p := range s.world.Policies {
		switch {
		case !m.cluster && i == m.position:
			if m.Policy != nil {
				w.Policies = append(w.Policies, *m.Policy)
			}
		case overlap(s.selects[0][i], subjects):
			w.Policies = append(w.Policies, p)
		}
	}
	for i, p := range s.world.ClusterPolicies {
		switch {
		case m.cluster && i == m.position:
			if m.ClusterPolicy != nil {
				w.ClusterPolicies = append(w.ClusterPolicies, *m.ClusterPolicy)
			}
		case overlap(s.selects[1][i], subjects):
			w.ClusterPolicies = append(w.ClusterPolicies, p)
		}
	}
	return w
}

// overlap of two lists in order.
func overlap(a, b []int) bool {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			a = a[1:]
		case a[0] > b[0]:
			b = b[1:]
		default:
			return true
		}
	}
	return false
}

// view is every decision that concerns some subjects.
type view struct {
	out *oracle.Grid // from the subjects to all of scorer.to
	in  *oracle.Grid // from all groups to the subjects
}

// known are the views of the World as it is, by family. They are kept for the
// other mutants of the policy.
func (s *scorer) known(m Mutant, subjects []int) []view {
	if policy := m.At.Kind + " " + m.At.Policy; policy != s.last {
		s.last, s.before = policy, map[string][]view{}
	}
	key := fmt.Sprint(subjects)
	views, ok := s.before[key]
	if !ok {
		for _, family := range s.families {
			views = append(views, s.look(s.oracle, subjects, family))
		}
		s.before[key] = views
	}
	return views
}

func (s *scorer) look(o *oracle.Oracle, subjects []int, family matrix.Family) view {
	var from []matrix.Endpoint
	for _, i := range subjects {
		from = append(from, s.to[i])
	}
	return view{o.Grid(from, s.to, s.ports, family), o.Grid(s.to[:len(s.groups)], from, s.ports, family)}
}

// change is what a mutant does to the flows between two groups on one port.
type change struct {
	Flip
	from, to, port int // positions in the scorer
	rank           rank
}

// cells of two views of the same subjects, those without a policy left out. Of the
// second view only the halves at the subjects mean something.
func (s *scorer) cells(subjects []int, before, after view) iter.Seq[change] {
	return func(yield func(change) bool) {
		isSubject := make([]bool, len(s.groups))
		for _, i := range subjects {
			isSubject[i] = true
		}
		try := func(from, to, port int, old, egress, ingress *oracle.Decision) bool {
			if old.Egress.Intent == matrix.Unstated {
				return true // no policy is asked about this flow
			}
			now := both(egress.Egress.Intent, ingress.Ingress.Intent)
			if now == old.Intent && now != matrix.Undefined {
				return true
			}
			return yield(change{Flip: Flip{Before: old.Intent, After: now}, from: from, to: to, port: port})
		}
		for a, i := range subjects {
			for j := range s.groups {
				column := j
				if i == j {
					if column = s.twins[i]; column == 0 {
						continue
					}
				}
				for k := range s.ports {
					old, now := before.out.At(a, column, k), after.out.At(a, column, k)
					in := old
					if isSubject[j] {
						in = now
					}
					if !try(i, j, k, old, now, in) {
						return
					}
				}
			}
		}
		for b, j := range subjects {
			for i := range s.groups {
				for k := range s.ports {
					if old := before.in.At(i, b, k); !isSubject[i] && !try(i, j, k, old, old, after.in.At(i, b, k)) {
						return
					}
				}
			}
		}
	}
}

// both ends must allow.
func both(egress, ingress matrix.Intent) matrix.Intent {
	switch {
	case egress == matrix.Deny || ingress == matrix.Deny:
		return matrix.Deny
	case egress == matrix.Undefined || ingress == matrix.Undefined:
		return matrix.Undefined
	}
	return matrix.Allow
}
