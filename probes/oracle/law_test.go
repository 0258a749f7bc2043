package oracle_test

import (
	"fmt"
	"reflect"
	"sync/atomic"
	"testing"

	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/oracle/cases"
)

// change makes another world of one, as its law says.
type change func(r cases.Random, w oracle.World) oracle.World

// relation says what a law allows of a flow's decisions before and after; why
// is "" where it holds.
type relation func(before, after oracle.Decision) (why string)

// TestLaws: what must hold of every world, whatever its policies say. Each law
// is tried on random worlds with policies of both kinds.
func TestLaws(t *testing.T) {
	t.Parallel()
	for _, law := range []struct {
		name   string
		change change
		holds  relation
		acts   bool // the change is to flip some flow of some world, or the law was not tried
	}{
		{"a NetworkPolicy rule never closes", addAllowRule, neverCloses, true},
		{"an Accept rule never closes, wherever it stands", insert(policyv1alpha2.ClusterNetworkPolicyRuleActionAccept), neverCloses, true},
		{"a Deny rule never opens, wherever it stands", insert(policyv1alpha2.ClusterNetworkPolicyRuleActionDeny), neverOpens, true},
		{"the order of policies and pods never matters", shuffle, same, false},
		{"a label renamed everywhere changes nothing", renamed, same, false},
		{"a Pass that is asked last in its tier changes nothing", passLast, sameAnswer, false},
		{"a policy that selects nobody changes nothing", selectNobody, same, false},
		{"a rule without effect in a direction that it does not isolate", inertRules, same, false},
		{"a NetworkPolicy is the sum of its rules", splitPolicies, sameAnswer, false},
		{"a ClusterNetworkPolicy is its rules one after the other", splitClusterPolicies, sameAnswer, false},
		{"a BaselineAdminNetworkPolicy decides what it would at every place of its tier", unranked, neverContradicts, true},
		{"addresses only decide what was open", withoutAddresses, neverContradicts, true},
		{"nodes only decide what was open", withoutNodes, neverContradicts, true},
	} {
		t.Run(law.name, func(t *testing.T) {
			t.Parallel()
			var acted atomic.Bool
			t.Run("worlds", func(t *testing.T) {
				for seed := range rounds() {
					t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
						t.Parallel()
						if tryLaw(t, seed, law.change, law.holds) {
							acted.Store(true)
						}
					})
				}
			})
			if law.acts && !acted.Load() {
				t.Error("nothing flipped in any world: this tested nothing")
			}
		})
	}
}

// rounds of each law; every round is a world of its own, from the seed that a
// failure prints. Fewer with -short, which is how the race detector goes along.
func rounds() uint64 {
	if testing.Short() {
		return 16
	}
	return 48
}

// rank orders intents from closed to open.
func rank(i matrix.Intent) int {
	return map[matrix.Intent]int{matrix.Deny: 0, matrix.Undefined: 1, matrix.Allow: 2}[i]
}

// tryLaw reports whether any answer changed.
func tryLaw(t *testing.T, seed uint64, change change, holds relation) bool {
	t.Helper()
	r := cases.NewRandom(seed, 1)
	w := r.World()
	if seed%4 == 3 {
		w = withoutNodes(r, withoutAddresses(r, w))
	}
	before, after := mustNew(t, w), mustNew(t, change(r, cloned(w)))
	changed, failed := false, 0
	for range 150 {
		f := r.Flow(w)
		was, is := before.Decide(f), after.Decide(f)
		changed = changed || was.Intent != is.Intent
		if why := holds(was, is); why != "" && failed < 3 {
			failed++
			t.Errorf("%s: %s\n  before %+v\n  after  %+v", f, why, was, is)
		}
	}
	return changed
}

// someFlows asks between all pods, nodes and two addresses outside, about a
// port of each protocol.
func someFlows(w oracle.World) []matrix.Flow {
	var flows []matrix.Flow
	for _, family := range []matrix.Family{matrix.IPv4, matrix.IPv6} {
		all := endpoints(w, family)
		for _, from := range all {
			for _, to := range all {
				for _, port := range []oracle.Port{{Protocol: matrix.TCP, Port: 80}, {Protocol: matrix.UDP, Port: 81}, {Protocol: matrix.SCTP, Port: 82}} {
					flows = append(flows, matrix.Flow{From: from, To: to, Protocol: port.Protocol, Port: port.Port, Family: family})
				}
			}
		}
	}
	return flows
}

func endpoints(w oracle.World, family matrix.Family) []matrix.Endpoint {
	all := []matrix.Endpoint{matrix.WorldEndpoint("192.0.2.7")}
	if family == matrix.IPv6 {
		all[0] = matrix.WorldEndpoint("2001:db8::7")
	}
	for _, n := range w.Nodes {
		all = append(all, matrix.NodeEndpoint(n.Name))
	}
	for _, p := range w.Pods {
		all = append(all, p.Name)
	}
	return all
}

func neverCloses(before, after oracle.Decision) string {
	if rank(after.Intent) < rank(before.Intent) {
		return "it closed"
	}
	return ""
}

func neverOpens(before, after oracle.Decision) string {
	if rank(after.Intent) > rank(before.Intent) {
		return "it opened"
	}
	return ""
}

func same(before, after oracle.Decision) string {
	if !reflect.DeepEqual(before, after) {
		return "the decision changed"
	}
	return ""
}

// sameAnswer leaves the deciding rules aside.
func sameAnswer(before, after oracle.Decision) string {
	if before.Intent != after.Intent || before.Egress.Intent != after.Egress.Intent || before.Ingress.Intent != after.Ingress.Intent {
		return "the answer changed"
	}
	return ""
}

// neverContradicts: before, all was known.
func neverContradicts(before, after oracle.Decision) string {
	if after.Intent != matrix.Undefined && after.Intent != before.Intent {
		return "what was decided without knowing is otherwise"
	}
	return ""
}
