package outside

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// kinds of labels that one selector tells apart.
type kinds struct {
	// sets: first the smallest one that fits, then those that differ from it in one
	// label, with each value that the selector names, and without the label. None
	// where nothing can fit.
	sets []labels.Set
	// lacks are what the selector does not want: who has it is of another kind than
	// who has no such label.
	lacks labels.Requirements
	asks  labels.Requirements // all that it asks for
}

func kindsOf(s *metav1.LabelSelector) kinds {
	if s == nil {
		return kinds{sets: []labels.Set{{}}}
	}
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return kinds{} // the oracle refuses it
	}
	requirements, _ := selector.Requirements()
	byKey := map[string]labels.Requirements{}
	out := kinds{asks: requirements}
	for _, r := range requirements {
		byKey[r.Key()] = append(byKey[r.Key()], r)
		if r.Operator() == selection.NotIn || r.Operator() == selection.DoesNotExist {
			out.lacks = append(out.lacks, r)
		}
	}
	first := labels.Set{}
	rest := map[string][]value{}
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		all := values(byKey[key])
		i := slices.IndexFunc(all, func(v value) bool { return fits(byKey[key], v.in(labels.Set{}, key)) })
		if i < 0 {
			return kinds{}
		}
		first = all[i].in(first, key)
		rest[key] = slices.Delete(all, i, i+1)
	}
	out.sets = []labels.Set{first}
	for _, key := range slices.Sorted(maps.Keys(rest)) {
		for _, v := range rest[key] {
			out.sets = append(out.sets, v.in(first, key))
		}
	}
	return out
}

// alike reports that somebody who is held stands for all with a set of labels: he
// has them, and of what the selector does not want just as much.
func (k kinds) alike(set, held labels.Set) bool {
	return within(set, held) && !slices.ContainsFunc(k.lacks, func(r labels.Requirement) bool { return r.Matches(set) != r.Matches(held) })
}

// same reports that the selector tells somebody who is held from nobody with a set
// of labels, all of which he has.
func (k kinds) same(set, held labels.Set) bool {
	return within(set, held) && !slices.ContainsFunc(k.asks, func(r labels.Requirement) bool { return r.Matches(set) != r.Matches(held) })
}

// within reports that the other set has all labels of the first.
func within(set, other labels.Set) bool {
	for k, v := range set {
		if have, ok := other[k]; !ok || have != v {
			return false
		}
	}
	return true
}

func fits(requirements labels.Requirements, set labels.Set) bool {
	return !slices.ContainsFunc(requirements, func(r labels.Requirement) bool { return !r.Matches(set) })
}

// value of a label, or that it is not there.
type value struct {
	text  string
	there bool
}

// in a set, which stays as it is.
func (v value) in(set labels.Set, key string) labels.Set {
	changed := labels.Merge(set, nil)
	if delete(changed, key); v.there {
		changed[key] = v.text
	}
	return changed
}

// values that requirements on one label tell apart: that it is not there, those
// that they name in order, and another one where it only has to be there or not.
func values(requirements labels.Requirements) []value {
	named := map[string]bool{}
	present := false
	for _, r := range requirements {
		for v := range r.Values() {
			named[v] = true
		}
		present = present || r.Operator() == selection.Exists || r.Operator() == selection.DoesNotExist
	}
	all := []value{{}}
	for _, v := range slices.Sorted(maps.Keys(named)) {
		all = append(all, value{v, true})
	}
	if present {
		other := "any"
		for named[other] {
			other += "-other"
		}
		all = append(all, value{other, true})
	}
	return all
}
