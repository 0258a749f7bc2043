package mutate

import (
	"slices"

	"github.com/segtest/segtest/probes/oracle"
)

// Mutant is one small mistake in one policy of a World.
type Mutant struct {
	Operator string
	At       oracle.RuleRef // the policy, and the rule where one is changed
	Path     string         // of what is changed in the policy: "ingress[0].ports[1]"; "" is all of it
	What     string         // is done, in one line

	// What becomes of the policy: the one of its kind is set, and both are nil
	// where it is gone. It shares nothing with the original.
	Policy        *oracle.Policy
	ClusterPolicy *oracle.ClusterPolicy

	cluster  bool
	position int // of the policy among those of its kind
}

// ID tells the mutant from all others of its World, and is the same every time.
func (m Mutant) ID() string {
	id := m.Operator + " "
	if m.At.Kind != "" {
		id += m.At.Kind + " "
	}
	id += m.At.Policy
	if m.Path != "" {
		id += " " + m.Path
	}
	return id
}

// In is the World of the mutant, of the one that it was made of. The two share
// everything but the policy.
func (m Mutant) In(w oracle.World) oracle.World {
	if m.cluster {
		w.ClusterPolicies = replace(w.ClusterPolicies, m.position, m.ClusterPolicy)
	} else {
		w.Policies = replace(w.Policies, m.position, m.Policy)
	}
	return w
}

func replace[P any](all []P, i int, by *P) []P {
	changed := slices.Clone(all)
	if by == nil {
		return slices.Delete(changed, i, i+1)
	}
	changed[i] = *by
	return changed
}

// Mutants of a World that oracle.New accepts: in order of the World's
// NetworkPolicies, then its cluster-wide policies, and of the operators. What
// no API server would take is left out.
func Mutants(w oracle.World, operators []Operator) []Mutant {
	var all []Mutant
	add := func(m Mutant) {
		if m.valid() {
			all = append(all, m)
		}
	}
	for i, p := range w.Policies {
		if p.NetworkPolicy == nil {
			continue
		}
		whole := oracle.RuleRef{Policy: p.Key(), Rule: -1, Origin: p.Origin}
		d := networkDraft(p)
		visitAll(operators, &visit{draft: d, world: &w, policy: i}, whole, func(m Mutant, changed *draft) {
			if m.position = i; changed != nil {
				m.Policy = changed.network(p)
			}
			add(m)
		})
	}
	for i, p := range w.ClusterPolicies {
		if p.ClusterNetworkPolicy == nil {
			continue
		}
		whole := oracle.RuleRef{Kind: p.Kind, Tier: string(p.Spec.Tier), Policy: p.Name, Rule: -1, Origin: p.Origin}
		if p.Kind == "" {
			whole.Kind = oracle.KindCluster
		}
		d := clusterDraft(p)
		visitAll(operators, &visit{draft: d, world: &w, policy: i}, whole, func(m Mutant, changed *draft) {
			if m.position, m.cluster = i, true; changed != nil {
				m.ClusterPolicy = changed.clusterWide(p)
			}
			add(m)
		})
	}
	return all
}

// visitAll lets the operators work on one policy.
func visitAll(operators []Operator, v *visit, whole oracle.RuleRef, made func(Mutant, *draft)) {
	for _, o := range operators {
		v.emit = func(at spot, path, what string, changed *draft) {
			m := Mutant{Operator: o.ID, At: whole, Path: path, What: what}
			if at.rule >= 0 {
				m.At.Rule = at.rule
				if origin := v.draft.rule(at).origin; !origin.IsZero() {
					m.At.Origin = origin
				}
			}
			made(m, changed)
		}
		o.apply(v)
	}
}

// valid reports that the changed policy can be judged.
func (m Mutant) valid() bool {
	var w oracle.World
	if m.Policy != nil {
		w.Policies = []oracle.Policy{*m.Policy}
	}
	if m.ClusterPolicy != nil {
		w.ClusterPolicies = []oracle.ClusterPolicy{*m.ClusterPolicy}
	}
	_, err := oracle.New(w)
	return err == nil
}
