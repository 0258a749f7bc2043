package oracle_test

import (
	"fmt"
	"strings"
	"testing"

	policyv1alpha1 "sigs.k8s.io/network-policy-api/apis/v1alpha1"
	"sigs.k8s.io/yaml"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// in is a cluster-wide policy over the pods of namespace x with ingress rules.
func in(name, tier string, priority int, rules string) string {
	return fmt.Sprintf(`%s: {tier: %s, priority: %d, subject: {namespaces: {matchLabels: {ns: x}}}, ingress: [%s]}`, name, tier, priority, rules)
}

// out is one with egress rules.
func out(name, tier string, priority int, rules string) string {
	return strings.Replace(in(name, tier, priority, rules), "ingress:", "egress:", 1)
}

const (
	denyAll   = `{action: Deny, from: [{namespaces: {}}]}`
	acceptAll = `{action: Accept, from: [{namespaces: {}}]}`
	passAll   = `{action: Pass, from: [{namespaces: {}}]}`
	acceptY   = `{action: Accept, from: [{namespaces: {matchLabels: {ns: "y"}}}]}`
	denyY     = `{action: Deny, from: [{namespaces: {matchLabels: {ns: "y"}}}]}`
	passY     = `{action: Pass, from: [{namespaces: {matchLabels: {ns: "y"}}}]}`
	isolateX  = `x/p: {podSelector: {}}`
	openX     = `x/p: {podSelector: {}, ingress: [{}]}`
)

// tierRows are about tiers, priorities, and what is open between them.
func tierRows() []row {
	yz := func(y, z int) want { return want{"y/a → x/a TCP/80": intents[y], "z/a → x/a TCP/80": intents[z]} }
	return []row{
		{"42 Admin comes before NetworkPolicies: deny", under(grid(openX), in("p", "Admin", 1, denyY)), yz(0, 1)},
		{"42 Admin comes before NetworkPolicies: accept", under(grid(isolateX), in("p", "Admin", 1, acceptY)), yz(1, 0)},
		{"42 what Admin passes on, NetworkPolicies decide", under(grid(isolateX), in("p", "Admin", 1, passY+","+acceptAll)), yz(0, 1)},
		{"42 what Admin passes on goes past the rest of Admin", under(grid(), in("p", "Admin", 1, passY), in("q", "Admin", 2, denyAll)), yz(1, 0)},
		{"42 NetworkPolicies are final before Baseline", under(grid(openX), in("p", "Baseline", 1, denyAll)), yz(1, 1)},
		{"42 NetworkPolicies are final before Baseline: deny", under(grid(isolateX), in("p", "Baseline", 1, acceptAll)), yz(0, 0)},
		{"42 NetworkPolicies are final only in their direction", under(grid(`x/p: {podSelector: {}, policyTypes: [Egress]}`), in("p", "Baseline", 1, denyY)), yz(0, 1)},
		{"42 NetworkPolicies are final only for the pods that they select", under(grid(`x/p: {podSelector: {matchLabels: {pod: b}}, ingress: [{}]}`), in("p", "Baseline", 1, denyAll)), want{
			"y/a → x/a TCP/80": deny, "y/a → x/b TCP/80": allow,
		}},
		{"42 what Admin passes on reaches Baseline where no NetworkPolicy selects", under(grid(), in("p", "Admin", 1, passAll), in("q", "Baseline", 1, denyY)), yz(0, 1)},
		{"42 what Baseline passes on is allowed", under(grid(), in("p", "Baseline", 1, passY+","+denyAll)), yz(1, 0)},
		{"42 the first rule that fits decides", under(grid(), in("p", "Admin", 1, acceptY+","+denyAll)), yz(1, 0)},
		{"42 the first rule that fits decides, reversed", under(grid(), in("p", "Admin", 1, denyAll+","+acceptY)), yz(0, 0)},
		{"42 the lower priority is asked first", under(grid(), in("p", "Admin", 9, denyAll), in("q", "Admin", 8, acceptY)), yz(1, 0)},
		{"42 a priority of 0 comes first and one of 1000 last", under(grid(), in("p", "Admin", 1000, denyAll), in("q", "Admin", 0, acceptY)), yz(1, 0)},
		{"43 one priority, two answers", under(grid(), in("p", "Admin", 5, acceptAll), in("q", "Admin", 5, denyY)), yz(2, 1)},
		{"43 one priority, one answer", under(grid(), in("p", "Admin", 5, denyAll), in("q", "Admin", 5, denyY)), yz(0, 0)},
		{"43 one priority, no overlap", under(grid(), in("p", "Admin", 5, acceptY), in("q", "Admin", 5, `{action: Deny, from: [{namespaces: {matchLabels: {ns: z}}}]}`)), yz(1, 0)},
		{"43 one priority in two tiers", under(grid(), in("p", "Admin", 5, acceptY), in("q", "Baseline", 5, denyAll)), yz(1, 0)},
		{"43 one priority, and passing on comes to the same", under(grid(openX), in("p", "Admin", 5, acceptAll), in("q", "Admin", 5, passY)), yz(1, 1)},
		{"43 one priority, and passing on comes to something else", under(grid(isolateX), in("p", "Admin", 5, acceptAll), in("q", "Admin", 5, passY)), yz(2, 1)},
		{"43 an earlier priority settles it", under(grid(), in("o", "Admin", 4, denyAll), in("p", "Admin", 5, acceptAll), in("q", "Admin", 5, denyY)), yz(0, 0)},
		{"43 three of one priority", under(grid(openX), in("p", "Admin", 5, acceptAll), in("q", "Admin", 5, passAll), in("r", "Admin", 5, denyY)), yz(2, 1)},
		{"44 a policy without rules has no effect", under(grid(), `p: {tier: Admin, priority: 1, subject: {namespaces: {}}}`), yz(1, 1)},
		{"44 a policy without rules in a direction has no effect there", under(grid(), out("p", "Admin", 1, `{action: Deny, to: [{namespaces: {}}]}`)), want{
			"y/a → x/a TCP/80": allow, "x/a → y/a TCP/80": deny,
		}},
		{"44 being selected isolates nothing", under(grid(), in("p", "Admin", 1, `{action: Accept, from: [{namespaces: {matchLabels: {ns: q}}}]}`)), yz(1, 1)},
		{"45 both directions must allow", under(grid(), in("p", "Admin", 1, acceptAll), `q: {tier: Admin, priority: 2, subject: {namespaces: {matchLabels: {ns: "y"}}}, egress: [{action: Deny, to: [{namespaces: {}}]}]}`), yz(0, 1)},
		{"45 an accept of one direction is no accept of the other", under(grid(`x/p: {podSelector: {}}`), `q: {tier: Admin, priority: 2, subject: {namespaces: {matchLabels: {ns: "y"}}}, egress: [{action: Accept, to: [{namespaces: {}}]}]}`), yz(0, 0)},
		{"32 a pod reaches itself whatever cluster-wide policies say", under(grid(), in("p", "Admin", 1, denyAll), out("q", "Admin", 1, `{action: Deny, to: [{namespaces: {}}]}`)), want{"x/a → x/a TCP/80": allow, "x/a → x/b TCP/80": deny}},
		{"30 in its node's network a pod is no subject of cluster-wide policies", onHost(under(grid(), in("p", "Admin", 1, denyAll)), "x/a"), want{"y/a → x/a TCP/80": allow, "y/a → x/b TCP/80": deny}},
		{"30 in its node's network a pod is nobody for cluster-wide selectors", onHost(under(grid(), in("p", "Admin", 1, denyAll)), "y/a"), want{"y/a → x/a TCP/80": allow, "y/b → x/a TCP/80": deny}},
		{"47 a peer that nobody knows accepts nothing", under(grid(isolateX), in("p", "Admin", 1, `{action: Accept, from: [{}, {namespaces: {}}]}`)), yz(0, 0)},
		{"47 a peer that nobody knows denies everything", under(grid(), in("p", "Admin", 1, `{action: Deny, from: [{}], protocols: [{tcp: {destinationPort: {number: 1}}}]}`)), yz(0, 0)},
		{"47 a peer that nobody knows passes nothing on", under(grid(openX), in("p", "Admin", 1, `{action: Pass, from: [{}]}`)), yz(0, 0)},
		{"43 a BaselineAdminNetworkPolicy has no place among the new ones of priority 0", old(under(addressed(grid()), in("p", "Baseline", 0, acceptAll))), yz(1, 2)},
		{"43 a BaselineAdminNetworkPolicy has no place among the new ones of priority 1000", old(under(addressed(grid()), in("p", "Baseline", 1000, acceptAll))), yz(1, 2)},
		{"43 a BaselineAdminNetworkPolicy and a new one that says the same", old(under(addressed(grid()), in("p", "Baseline", 1000, denyAll))), yz(1, 0)},
		{"43 a BaselineAdminNetworkPolicy may come after a new one that passes on", old(under(addressed(grid()), in("p", "Baseline", 5, passAll), in("q", "Baseline", 6, denyAll))), yz(1, 2)},
		{"43 a BaselineAdminNetworkPolicy decides alone where no new one fits", old(under(addressed(grid()), in("p", "Baseline", 1000, acceptY))), yz(1, 0)},
		{"43 a BaselineAdminNetworkPolicy after NetworkPolicies that select", old(under(addressed(grid(openX)), in("p", "Baseline", 1000, denyAll))), yz(1, 1)},
		{"47 old kinds are judged as what they became", old(addressed(grid(isolateX))), yz(1, 0)},
	}
}

// intents in the order of short tables.
var intents = [...]matrix.Intent{deny, allow, undefined}

// old adds an AdminNetworkPolicy that allows namespace y to x on a few ports,
// and a BaselineAdminNetworkPolicy that denies z to everybody.
func old(w oracle.World) oracle.World {
	var admin policyv1alpha1.AdminNetworkPolicy
	var baseline policyv1alpha1.BaselineAdminNetworkPolicy
	for text, into := range map[string]any{
		`{metadata: {name: admin}, spec: {priority: 7, subject: {pods: {namespaceSelector: {matchLabels: {ns: x}}, podSelector: {}}}, ingress: [{
			name: from-y, action: Allow, from: [{namespaces: {matchLabels: {ns: "y"}}}],
			ports: [{portNumber: {protocol: TCP, port: 80}}, {portRange: {protocol: UDP, start: 80, end: 81}}, {namedPort: serve-81-sctp}, {portNumber: {port: 9, protocol: ""}}]}]}}`: &admin,
		`{metadata: {name: default}, spec: {subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {matchLabels: {ns: z}}}]}],
			egress: [{action: Allow, to: [{networks: [203.0.113.0/24]}]}, {action: Deny, to: [{networks: [203.0.0.0/8]}, {nodes: {}}]}]}}`: &baseline,
	} {
		if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
			panic(err)
		}
	}
	w.ClusterPolicies = append(w.ClusterPolicies, oracle.FromAdmin(&admin), oracle.FromBaseline(&baseline))
	return w
}

func TestConvertedPolicies(t *testing.T) {
	t.Parallel()
	check(t, hosted(old(grid(isolateX))), want{
		"y/a → x/a TCP/80": allow, "y/a → x/a UDP/80": allow, "y/a → x/a UDP/81": allow, "y/a → x/a SCTP/81": allow, "y/a → x/a TCP/9": allow,
		"y/a → x/a TCP/81": deny, "y/a → x/a UDP/82": deny, "y/a → x/a SCTP/80": deny,
		"z/a → y/a TCP/80": deny, "x/a → y/a TCP/80": allow,
		"x/a → world/203.0.113.7 TCP/80": allow, "x/a → world/203.0.114.7 TCP/80": deny, "x/a → node/one TCP/80": deny,
	})
	o := mustNew(t, old(addressed(grid(isolateX))))
	for flow, want := range map[string]string{
		"y/a → x/a TCP/80": "AdminNetworkPolicy admin rule 0 ((unknown place))", "z/a → y/a TCP/80": "BaselineAdminNetworkPolicy default rule 0 ((unknown place))",
	} {
		if got := refs(o.Decide(mustFlow(t, flow)).Ingress); got != want {
			t.Errorf("%s: decided by %s, want %s", flow, got, want)
		}
	}
}

func TestReasonsOfTiers(t *testing.T) {
	t.Parallel()
	o := mustNew(t, old(under(addressed(grid()), in("p", "Baseline", 1000, acceptAll),
		`q: {tier: Admin, priority: 3, subject: {namespaces: {matchLabels: {ns: z}}}, ingress: [{action: Pass, from: [{}]}]}`)))
	for flow, want := range map[string]string{
		"z/a → x/a TCP/80": "ClusterNetworkPolicy p rule 0 and BaselineAdminNetworkPolicy default rule 0 disagree, a BaselineAdminNetworkPolicy has no priority, and the specification does not say which one wins",
		"x/a → z/a TCP/80": "ClusterNetworkPolicy q rule 0 has a peer that this version does not know (number 0), and therefore denies ingress",
	} {
		if got := o.Decide(mustFlow(t, flow)).Ingress.Reason; got != want {
			t.Errorf("%s: got %q, want %q", flow, got, want)
		}
	}
	last := o.Explain(mustFlow(t, "z/a → x/a TCP/80")).Ingress
	if step := last[len(last)-2]; step.Rule.Kind != oracle.KindBaseline || !step.Decides {
		t.Errorf("before the default stands %+v, want the BaselineAdminNetworkPolicy", step)
	}
	const why = "peer 0 is empty or of a kind that this version does not know: the rule denies everything"
	if got := o.Explain(mustFlow(t, "x/a → z/a TCP/80")).Ingress[0].Why; got != why {
		t.Errorf("got %q, want %q", got, why)
	}
}

func TestDecidingRulesOfTiers(t *testing.T) {
	t.Parallel()
	o := mustNew(t, under(grid(isolateX),
		in("first", "Admin", 1, passY+","+acceptAll), in("tied", "Baseline", 3, denyY), in("also", "Baseline", 3, acceptY),
		`away: {tier: Baseline, priority: 3, subject: {namespaces: {matchLabels: {ns: z}}}, ingress: [`+denyY+`,`+acceptAll+`]}`,
		`and: {tier: Baseline, priority: 3, subject: {namespaces: {matchLabels: {ns: z}}}, ingress: [`+acceptY+`]}`,
		`quiet: {tier: Baseline, priority: 1, subject: {namespaces: {matchLabels: {ns: "y"}}}, ingress: [`+acceptY+`]}`,
	))
	for _, c := range []struct{ flow, by, reason string }{
		{"z/a → x/a TCP/80", "ClusterNetworkPolicy first rule 1 (c0.yaml:11:5)", "ClusterNetworkPolicy first rule 1 allows ingress"},
		{"y/a → x/a TCP/80", "x/p (0.yaml:1:1)", "x/a is isolated for ingress by x/p, and no rule allows TCP/80 from y/a"},
		{"x/a → z/a TCP/80", "ClusterNetworkPolicy away rule 1 (c3.yaml:11:5)", "ClusterNetworkPolicy away rule 1 allows ingress"},
		{"y/a → z/a TCP/80", "ClusterNetworkPolicy and rule 0 (c4.yaml:10:5) ClusterNetworkPolicy away rule 0 (c3.yaml:10:5)", "ClusterNetworkPolicy and rule 0 and ClusterNetworkPolicy away rule 0 have the same priority and disagree, and the specification does not say which one wins"},
		{"x/a → y/a TCP/80", "", "no rule of a cluster-wide policy fits, and no NetworkPolicy isolates y/a for ingress"},
	} {
		half := o.Decide(mustFlow(t, c.flow)).Ingress
		if refs(half) != c.by || half.Reason != c.reason {
			t.Errorf("%s: got %q by %q, want %q by %q", c.flow, half.Reason, refs(half), c.reason, c.by)
		}
		if !half.Isolated {
			t.Errorf("%s: not Isolated, although a policy selects the pod", c.flow)
		}
	}
	by := o.Decide(mustFlow(t, "z/a → x/a TCP/80")).Ingress.By[0]
	if by.Kind != oracle.KindCluster || by.Tier != "Admin" {
		t.Errorf("got %+v, want its kind and tier", by)
	}
}
