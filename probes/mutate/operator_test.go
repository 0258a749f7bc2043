package mutate_test

import (
	"fmt"
	"slices"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"
	"sigs.k8s.io/yaml"

	"github.com/segtest/segtest/probes/mutate"
	"github.com/segtest/segtest/probes/oracle"
)

// operatorRow is an operator at work on one policy. It is the NetworkPolicy
// shop/p, or the first of the cluster-wide policies c0, c1, …; each mutant is
// its path and the spec afterwards, "" where there is none.
type operatorRow struct {
	operator string
	network  string
	cluster  []string
	want     [][2]string
}

const onePeer = "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: a}}, podSelector: {matchLabels: {app: web}}}]}]}"

func clusterRules(rules string) string {
	return "{tier: Admin, priority: 10, subject: {namespaces: {}}, " + rules + "}"
}

var operatorRows = []operatorRow{
	{operator: "add-label", network: "{podSelector: {}, egress: [{to: [{podSelector: {matchLabels: {app: db}}}]}]}", want: [][2]string{
		{"podSelector", "{podSelector: {matchExpressions: [{key: segtest.dev/nobody, operator: Exists}]}, egress: [{to: [{podSelector: {matchLabels: {app: db}}}]}]}"},
		{"egress[0].to[0].podSelector", "{podSelector: {}, egress: [{to: [{podSelector: {matchLabels: {app: db}, matchExpressions: [{key: segtest.dev/nobody, operator: Exists}]}}]}]}"},
	}},
	{operator: "add-label", cluster: []string{clusterRules("egress: [{action: Deny, to: [{nodes: {}}]}]")}, want: [][2]string{
		{"subject.namespaces", "{tier: Admin, priority: 10, subject: {namespaces: {matchExpressions: [{key: segtest.dev/nobody, operator: Exists}]}}, egress: [{action: Deny, to: [{nodes: {}}]}]}"},
		{"egress[0].to[0].nodes", clusterRules("egress: [{action: Deny, to: [{nodes: {matchExpressions: [{key: segtest.dev/nobody, operator: Exists}]}}]}]")},
	}},
	{operator: "change-namespace", network: "{podSelector: {}}", want: [][2]string{{"namespace", "{podSelector: {}}"}}},
	{operator: "change-port", network: "{podSelector: {}, ingress: [{ports: [{port: 80}, {port: dns, protocol: UDP}, {port: 8000, endPort: 8080}, {port: 65535}, {protocol: SCTP}]}]}", want: [][2]string{
		{"ingress[0].ports[0]", "{podSelector: {}, ingress: [{ports: [{port: 81, protocol: TCP}, {port: dns, protocol: UDP}, {port: 8000, endPort: 8080, protocol: TCP}, {port: 65535, protocol: TCP}, {protocol: SCTP}]}]}"},
		{"ingress[0].ports[1]", "{podSelector: {}, ingress: [{ports: [{port: 80, protocol: TCP}, {port: nobody, protocol: UDP}, {port: 8000, endPort: 8080, protocol: TCP}, {port: 65535, protocol: TCP}, {protocol: SCTP}]}]}"},
		{"ingress[0].ports[2]", "{podSelector: {}, ingress: [{ports: [{port: 80, protocol: TCP}, {port: dns, protocol: UDP}, {port: 8001, endPort: 8080, protocol: TCP}, {port: 65535, protocol: TCP}, {protocol: SCTP}]}]}"},
	}},
	{operator: "change-port", cluster: []string{clusterRules("ingress: [{action: Deny, from: [{namespaces: {}}], protocols: [{udp: {destinationPort: {number: 53}}}, {destinationNamedPort: dns}]}]")}, want: [][2]string{
		{"ingress[0].protocols[0]", clusterRules("ingress: [{action: Deny, from: [{namespaces: {}}], protocols: [{udp: {destinationPort: {number: 54}}}, {destinationNamedPort: dns}]}]")},
		{"ingress[0].protocols[1]", clusterRules("ingress: [{action: Deny, from: [{namespaces: {}}], protocols: [{udp: {destinationPort: {number: 53}}}, {destinationNamedPort: nobody}]}]")},
	}},
	{operator: "change-priority", cluster: []string{
		"{tier: Admin, priority: 10, subject: {namespaces: {}}}", "{tier: Admin, priority: 20, subject: {namespaces: {}}}",
		"{tier: Admin, priority: 21, subject: {namespaces: {}}}", "{tier: Baseline, priority: 11, subject: {namespaces: {}}}",
	}, want: [][2]string{{"priority", "{tier: Admin, priority: 22, subject: {namespaces: {}}}"}}},
	{operator: "change-priority", cluster: []string{"{tier: Admin, priority: 20, subject: {namespaces: {}}}", "{tier: Admin, priority: 10, subject: {namespaces: {}}}"}},
	{operator: "change-priority", cluster: []string{"{tier: Admin, priority: 20, subject: {namespaces: {}}}", "{tier: Admin, priority: 1000, subject: {namespaces: {}}}"}},
	{operator: "change-protocol", network: "{podSelector: {}, egress: [{ports: [{port: 80}, {port: 53, protocol: UDP}]}]}", want: [][2]string{
		{"egress[0].ports[0]", "{podSelector: {}, egress: [{ports: [{port: 80, protocol: UDP}, {port: 53, protocol: UDP}]}]}"},
		{"egress[0].ports[1]", "{podSelector: {}, egress: [{ports: [{port: 80, protocol: TCP}, {port: 53, protocol: TCP}]}]}"},
	}},
	{operator: "change-protocol", cluster: []string{clusterRules("egress: [{action: Deny, to: [{namespaces: {}}], protocols: [{sctp: {destinationPort: {range: {start: 1, end: 9}}}}, {destinationNamedPort: dns}]}]")}, want: [][2]string{
		{"egress[0].protocols[0]", clusterRules("egress: [{action: Deny, to: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {range: {start: 1, end: 9}}}}, {destinationNamedPort: dns}]}]")},
	}},
	{operator: "change-tier", cluster: []string{"{tier: Baseline, priority: 10, subject: {pods: {namespaceSelector: {}, podSelector: {}}}}"}, want: [][2]string{
		{"tier", "{tier: Admin, priority: 10, subject: {pods: {namespaceSelector: {}, podSelector: {}}}}"},
	}},
	{operator: "drop-direction", network: "{podSelector: {}, policyTypes: [Ingress, Egress]}", want: [][2]string{
		{"policyTypes[0]", "{podSelector: {}, policyTypes: [Egress]}"},
		{"policyTypes[1]", "{podSelector: {}, policyTypes: [Ingress]}"},
	}},
	{operator: "drop-direction", network: "{podSelector: {}, policyTypes: [Egress]}"},
	{operator: "drop-end-port", network: "{podSelector: {}, ingress: [{ports: [{port: 80}, {port: 8000, endPort: 8080}]}]}", want: [][2]string{
		{"ingress[0].ports[1]", "{podSelector: {}, ingress: [{ports: [{port: 80, protocol: TCP}, {port: 8000, protocol: TCP}]}]}"},
	}},
	{operator: "drop-except", network: "{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 192.168.0.0/16]}}]}]}", want: [][2]string{
		{"egress[0].to[0].ipBlock.except[0]", "{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [192.168.0.0/16]}}]}]}"},
		{"egress[0].to[0].ipBlock.except[1]", "{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]}]}"},
	}},
	{operator: "drop-label", network: "{podSelector: {matchLabels: {tier: data, app: db}, matchExpressions: [{key: old, operator: DoesNotExist}]}}", want: [][2]string{
		{"podSelector.matchLabels[app]", "{podSelector: {matchLabels: {tier: data}, matchExpressions: [{key: old, operator: DoesNotExist}]}}"},
		{"podSelector.matchLabels[tier]", "{podSelector: {matchLabels: {app: db}, matchExpressions: [{key: old, operator: DoesNotExist}]}}"},
		{"podSelector.matchExpressions[0]", "{podSelector: {matchLabels: {app: db, tier: data}}}"},
	}},
	{operator: "drop-label", network: onePeer, want: [][2]string{
		{"podSelector.matchLabels[app]", "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: a}}, podSelector: {matchLabels: {app: web}}}]}]}"},
		{"ingress[0].from[0].namespaceSelector.matchLabels[team]", "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}]}]}"},
	}},
	{operator: "drop-namespace-selector", network: onePeer, want: [][2]string{
		{"ingress[0].from[0].namespaceSelector", "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}"},
	}},
	{operator: "drop-peer", network: "{podSelector: {}, egress: [{to: [{podSelector: {}}, {namespaceSelector: {}}]}]}", want: [][2]string{
		{"egress[0].to[0]", "{podSelector: {}, egress: [{to: [{namespaceSelector: {}}]}]}"},
		{"egress[0].to[1]", "{podSelector: {}, egress: [{to: [{podSelector: {}}]}]}"},
	}},
	{operator: "drop-peer", network: "{podSelector: {}, egress: [{to: [{podSelector: {}}]}]}", want: [][2]string{
		{"egress[0].to[0]", "{podSelector: {}, egress: [{}]}"},
	}},
	// A rule without peers is invalid there.
	{operator: "drop-peer", cluster: []string{clusterRules("egress: [{action: Deny, to: [{networks: [10.0.0.0/8]}]}]")}},
	{operator: "drop-pod-selector", network: onePeer, want: [][2]string{
		{"ingress[0].from[0].podSelector", "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: a}}}]}]}"},
	}},
	{operator: "drop-pod-selector", cluster: []string{"{tier: Admin, priority: 10, subject: {pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: db}}}}}"}, want: [][2]string{
		{"subject.pods.podSelector", "{tier: Admin, priority: 10, subject: {namespaces: {}}}"},
	}},
	{operator: "drop-policy", network: "{podSelector: {}}", want: [][2]string{{"", ""}}},
	{operator: "drop-policy", cluster: []string{"{tier: Admin, priority: 10, subject: {namespaces: {}}}"}, want: [][2]string{{"", ""}}},
	{operator: "drop-policy-types", network: "{podSelector: {}, policyTypes: [Egress]}", want: [][2]string{{"policyTypes", "{podSelector: {}}"}}},
	{operator: "drop-port", network: "{podSelector: {}, ingress: [{ports: [{port: 80}, {port: web}]}, {ports: [{port: 80}]}]}", want: [][2]string{
		{"ingress[0].ports[0]", "{podSelector: {}, ingress: [{ports: [{port: web, protocol: TCP}]}, {ports: [{port: 80, protocol: TCP}]}]}"},
		{"ingress[0].ports[1]", "{podSelector: {}, ingress: [{ports: [{port: 80, protocol: TCP}]}, {ports: [{port: 80, protocol: TCP}]}]}"},
	}},
	{operator: "drop-ports", network: "{podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: [{port: 80}, {port: 81}]}, {}]}", want: [][2]string{
		{"ingress[0].ports", "{podSelector: {}, ingress: [{from: [{podSelector: {}}]}, {}]}"},
	}},
	{operator: "drop-ports", cluster: []string{clusterRules("egress: [{name: dns, action: Accept, to: [{domainNames: [example.com]}], protocols: [{tcp: {destinationPort: {number: 53}}}]}]")}, want: [][2]string{
		{"egress[0].protocols", clusterRules("egress: [{name: dns, action: Accept, to: [{domainNames: [example.com]}]}]")},
	}},
	{operator: "drop-rule", network: "{podSelector: {}, ingress: [{}], egress: [{ports: [{protocol: UDP}]}, {}]}", want: [][2]string{
		{"ingress[0]", "{podSelector: {}, egress: [{ports: [{protocol: UDP}]}, {}]}"},
		{"egress[0]", "{podSelector: {}, ingress: [{}], egress: [{}]}"},
		{"egress[1]", "{podSelector: {}, ingress: [{}], egress: [{ports: [{protocol: UDP}]}]}"},
	}},
	{operator: "drop-rule", cluster: []string{clusterRules("ingress: [{action: Pass, from: [{namespaces: {}}]}], egress: [{action: Deny, to: [{networks: [10.0.0.0/8]}]}]")}, want: [][2]string{
		{"ingress[0]", clusterRules("egress: [{action: Deny, to: [{networks: [10.0.0.0/8]}]}]")},
		{"egress[0]", clusterRules("ingress: [{action: Pass, from: [{namespaces: {}}]}]")},
	}},
	{operator: "empty-selector", network: "{podSelector: {matchLabels: {app: db, tier: data}}}", want: [][2]string{{"podSelector", "{podSelector: {}}"}}},
	{operator: "empty-selector", network: onePeer},
	{operator: "join-peers", network: "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}, {ipBlock: {cidr: 10.0.0.0/8}}, {namespaceSelector: {matchLabels: {team: a}}}]}]}", want: [][2]string{
		{"ingress[0].from[2]+[0]", "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}, {namespaceSelector: {matchLabels: {team: a}}, podSelector: {matchLabels: {app: web}}}]}]}"},
	}},
	{operator: "split-peer", network: onePeer, want: [][2]string{
		{"ingress[0].from[0]", "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: a}}}, {podSelector: {matchLabels: {app: web}}}]}]}"},
	}},
	{operator: "swap-action", cluster: []string{clusterRules("ingress: [{action: Pass, from: [{namespaces: {}}]}], egress: [{action: Accept, to: [{namespaces: {}}]}, {action: Deny, to: [{namespaces: {}}]}]")}, want: [][2]string{
		{"ingress[0].action", clusterRules("ingress: [{action: Accept, from: [{namespaces: {}}]}], egress: [{action: Accept, to: [{namespaces: {}}]}, {action: Deny, to: [{namespaces: {}}]}]")},
		{"egress[0].action", clusterRules("ingress: [{action: Pass, from: [{namespaces: {}}]}], egress: [{action: Deny, to: [{namespaces: {}}]}, {action: Deny, to: [{namespaces: {}}]}]")},
		{"egress[1].action", clusterRules("ingress: [{action: Pass, from: [{namespaces: {}}]}], egress: [{action: Accept, to: [{namespaces: {}}]}, {action: Accept, to: [{namespaces: {}}]}]")},
	}},
	// Names can only be accepted.
	{operator: "swap-action", cluster: []string{clusterRules("egress: [{action: Accept, to: [{domainNames: [example.com]}]}]")}},
	{operator: "swap-rules", cluster: []string{clusterRules("ingress: [{action: Deny, from: [{namespaces: {}}]}, {action: Accept, from: [{namespaces: {}}]}]")}, want: [][2]string{
		{"ingress[0]", clusterRules("ingress: [{action: Accept, from: [{namespaces: {}}]}, {action: Deny, from: [{namespaces: {}}]}]")},
	}},
	{operator: "widen-cidr", network: "{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.5.0.0/16, except: [10.5.1.0/24]}}, {ipBlock: {cidr: \"::/0\"}}]}]}", want: [][2]string{
		{"egress[0].to[0].ipBlock.cidr", "{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.4.0.0/15, except: [10.5.1.0/24]}}, {ipBlock: {cidr: \"::/0\"}}]}]}"},
	}},
	{operator: "widen-cidr", cluster: []string{clusterRules("egress: [{action: Deny, to: [{networks: [10.0.0.0/8, \"fd00::/8\"]}]}]")}, want: [][2]string{
		{"egress[0].to[0].networks[0]", clusterRules("egress: [{action: Deny, to: [{networks: [10.0.0.0/7, \"fd00::/8\"]}]}]")},
		{"egress[0].to[0].networks[1]", clusterRules("egress: [{action: Deny, to: [{networks: [10.0.0.0/8, \"fc00::/7\"]}]}]")},
	}},
	{operator: "widen-range", network: "{podSelector: {}, ingress: [{ports: [{port: 80}, {port: 8000, endPort: 8080}, {port: 65000, endPort: 65535}]}]}", want: [][2]string{
		{"ingress[0].ports[1]", "{podSelector: {}, ingress: [{ports: [{port: 80, protocol: TCP}, {port: 8000, endPort: 8081, protocol: TCP}, {port: 65000, endPort: 65535, protocol: TCP}]}]}"},
		{"ingress[0].ports[2]", "{podSelector: {}, ingress: [{ports: [{port: 80, protocol: TCP}, {port: 8000, endPort: 8080, protocol: TCP}, {port: 64999, endPort: 65535, protocol: TCP}]}]}"},
	}},
}

func (r operatorRow) world(t *testing.T) oracle.World {
	t.Helper()
	w := oracle.World{Namespaces: []oracle.Namespace{{Name: "shop"}, {Name: "lab"}, {Name: "web"}}}
	if r.network != "" {
		p := oracle.Policy{NetworkPolicy: &networkingv1.NetworkPolicy{}, Origin: at(1), Ingress: []oracle.Origin{at(10), at(11)}, Egress: []oracle.Origin{at(20), at(21)}}
		p.Namespace, p.Name = "shop", "p"
		parse(t, r.network, &p.Spec)
		w.Policies = append(w.Policies, p)
	}
	for i, spec := range r.cluster {
		p := oracle.ClusterPolicy{ClusterNetworkPolicy: &policyv1alpha2.ClusterNetworkPolicy{}, Origin: at(1), Ingress: []oracle.Origin{at(10), at(11)}, Egress: []oracle.Origin{at(20), at(21)}}
		p.Name = fmt.Sprint("c", i)
		parse(t, spec, &p.Spec)
		w.ClusterPolicies = append(w.ClusterPolicies, p)
	}
	return w
}

func at(line int) oracle.Origin { return oracle.Origin{File: "p.yaml", Line: line} }

func parse(t *testing.T, text string, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// spec of the changed policy, nil where it is gone.
func spec(m mutate.Mutant) any {
	switch {
	case m.Policy != nil:
		return m.Policy.Spec
	case m.ClusterPolicy != nil:
		return m.ClusterPolicy.Spec
	}
	return nil
}

func TestOperators(t *testing.T) {
	t.Parallel()
	for _, row := range operatorRows {
		t.Run(row.operator, func(t *testing.T) {
			t.Parallel()
			operators, err := mutate.Select([]string{row.operator})
			if err != nil {
				t.Fatal(err)
			}
			var got []mutate.Mutant
			for _, m := range mutate.Mutants(row.world(t), operators) {
				if m.At.Policy == "shop/p" || m.At.Policy == "c0" {
					got = append(got, m)
				}
			}
			if len(got) != len(row.want) {
				t.Fatalf("got %d mutants, want %d: %v", len(got), len(row.want), got)
			}
			for i, m := range got {
				if m.Path != row.want[i][0] || m.What == "" {
					t.Errorf("mutant %d is %q (%q), want it at %q", i, m.Path, m.What, row.want[i][0])
				}
				if now, want := spec(m), row.wanted(t, i); !equality.Semantic.DeepEqual(now, want) {
					t.Errorf("%s:\ngot  %s\nwant %s", m.ID(), text(t, now), text(t, want))
				}
			}
		})
	}
}

// wanted is the spec of the i-th mutant.
func (r operatorRow) wanted(t *testing.T, i int) any {
	t.Helper()
	switch {
	case r.want[i][1] == "":
		return nil
	case r.network != "":
		var s networkingv1.NetworkPolicySpec
		parse(t, r.want[i][1], &s)
		return s
	}
	var s policyv1alpha2.ClusterNetworkPolicySpec
	parse(t, r.want[i][1], &s)
	return s
}

func text(t *testing.T, spec any) string {
	t.Helper()
	b, err := yaml.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEveryOperatorHasARow(t *testing.T) {
	t.Parallel()
	all := mutate.Operators()
	if !slices.IsSortedFunc(all, func(a, b mutate.Operator) int {
		if a.ID < b.ID {
			return -1
		}
		return 1 // equal ones are out of order too
	}) {
		t.Error("the operators are not in order of ID, or one is there twice")
	}
	for _, o := range all {
		if o.What == "" || o.Example == "" {
			t.Errorf("%s does not say what it does, or has no example", o.ID)
		}
		if !slices.ContainsFunc(operatorRows, func(r operatorRow) bool { return r.operator == o.ID && len(r.want) > 0 }) {
			t.Errorf("%s has no row that makes a mutant", o.ID)
		}
	}
}

func TestSelect(t *testing.T) {
	t.Parallel()
	got, err := mutate.Select([]string{"drop-rule", "add-label"})
	if err != nil || len(got) != 2 || got[0].ID != "add-label" {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := mutate.Select([]string{"drop-rules"}); err == nil {
		t.Error("an unknown operator was selected")
	}
}

// A mutant stands where its rule stands, and keeps the places of other rules.
func TestPlaces(t *testing.T) {
	t.Parallel()
	w := operatorRow{network: "{podSelector: {}, ingress: [{}, {ports: [{port: 80}]}]}"}.world(t)
	operators, err := mutate.Select([]string{"drop-policy", "drop-rule", "change-namespace"})
	if err != nil {
		t.Fatal(err)
	}
	mutants := mutate.Mutants(w, operators)
	if len(mutants) != 4 {
		t.Fatalf("got %d mutants", len(mutants))
	}
	for i, line := range []int{1, 1, 10, 11} {
		if got := mutants[i].At.Origin.Line; got != line {
			t.Errorf("%s is on line %d, want %d", mutants[i].ID(), got, line)
		}
	}
	if moved := mutants[0].Policy; moved.Namespace != "web" || w.Policies[0].Namespace != "shop" {
		t.Errorf("the policy was moved to %s, the original is in %s", moved.Namespace, w.Policies[0].Namespace)
	}
	if rest := mutants[2].Policy; len(rest.Ingress) != 1 || rest.Ingress[0].Line != 11 {
		t.Errorf("without the first rule the places are %v", rest.Ingress)
	}
}
