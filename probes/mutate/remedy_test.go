package mutate_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/mutate"
	"github.com/segtest/segtest/probes/oracle"
)

const someWorkloads = `apiVersion: segtest.dev/v1alpha1
kind: Scenario
metadata: {name: some}
workloads:
  - {name: web, namespace: shop, labels: {app: web}, replicas: 2, ports: [{name: http, port: 8080}]}
  - {name: db, namespace: shop, labels: {app: db}, ports: [{port: 5432}]}
  - {name: logs, namespace: shop, labels: {app: logs}, ports: [{port: 443}, {port: 514, protocol: UDP}]}
  - {name: visitor, namespace: lab, labels: {app: visitor}, ports: [{port: 8080}]}
policies: [policies.yaml]
expect:
`

func networkPolicy(spec string) string {
	return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec: " + spec + "\n"
}

// clusterPolicy of the Admin tier.
func clusterPolicy(name, spec string) string {
	return "---\napiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: " + name + "}\nspec: {tier: Admin, priority: 1, " + spec + "}\n"
}

// load a scenario from its parts.
func load(t *testing.T, expect, policies string) *scenario.Scenario {
	t.Helper()
	return populated(t, mutate.Remedy{}, expect, policies)
}

// populated loads one with the namespaces and workloads of a remedy.
func populated(t *testing.T, r mutate.Remedy, expect, policies string) *scenario.Scenario {
	t.Helper()
	dir := t.TempDir()
	text := someWorkloads + expect
	if r.Workloads != "" {
		text = strings.Replace(text, "policies: [", "  "+strings.ReplaceAll(r.Workloads, "\n", "\n  ")+"\npolicies: [", 1)
	}
	if r.Namespaces != "" {
		text = strings.Replace(text, "workloads:", "namespaces:\n  "+strings.ReplaceAll(r.Namespaces, "\n", "\n  ")+"\nworkloads:", 1)
	}
	for name, content := range map[string]string{"scenario.yaml": text, "policies.yaml": policies} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sc, err := scenario.Load(filepath.Join(dir, "scenario.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

// find a mutant by its ID.
func find(t *testing.T, r mutate.Result, id string) mutate.Judged {
	t.Helper()
	var ids []string
	for _, j := range r {
		if j.ID() == id {
			return j
		}
		ids = append(ids, j.ID())
	}
	t.Fatalf("there is no mutant %q; there are:\n%s", id, strings.Join(ids, "\n"))
	return mutate.Judged{}
}

func TestRemedy(t *testing.T) {
	t.Parallel()
	const nobody = "  rules:\n    - deny: {from: shop/db, to: lab/visitor}\n"
	for _, c := range []struct {
		name, expect, policies, mutant string
		want                           mutate.Remedy
	}{
		{
			"a declared port that nobody states", nobody,
			networkPolicy("{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}]}"),
			"drop-peer shop/p ingress[0].from[0]",
			mutate.Remedy{Paste: "- deny: {from: lab/visitor, to: shop/db, ports: [TCP/5432]}", Under: "expect.rules"},
		},
		{
			"a whole workload, and what is allowed", nobody,
			networkPolicy("{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: http}]}]}"),
			"drop-rule shop/p ingress[0]",
			mutate.Remedy{Paste: "- allow: {from: shop/web, to: shop/web, ports: [TCP/8080]}", Under: "expect.rules"},
		},
		{
			"one pod of a workload", nobody,
			networkPolicy("{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {apps.kubernetes.io/pod-index: \"1\"}}}], ports: [{port: 5432}]}]}"),
			"drop-rule shop/p ingress[0]",
			mutate.Remedy{Paste: "- allow: {from: shop/web-1, to: shop/db, ports: [TCP/5432]}", Under: "expect.rules"},
		},
		{
			"the canary of a protocol without declared ports", nobody,
			networkPolicy("{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 5432}]}]}"),
			"drop-ports shop/p ingress[0].ports",
			mutate.Remedy{Paste: "- deny: {from: lab/visitor, to: shop/db, ports: [UDP/any]}", Under: "expect.rules"},
		},
		{
			"the canary beside a port of which the contrary is declared", "  rules:\n    - allow: {from: shop/web, to: shop/db, ports: [TCP/5432]}\n",
			networkPolicy("{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 90}]}]}"),
			"drop-ports shop/p ingress[0].ports",
			mutate.Remedy{Paste: "- deny: {from: shop/web, to: shop/db, ports: [UDP/any]}", Under: "expect.rules"},
		},
		{
			"the canary beside allowed ports", nobody,
			networkPolicy("{podSelector: {matchLabels: {app: logs}}, ingress: [{ports: [{port: 443}, {port: 514, protocol: UDP}]}]}"),
			"drop-ports shop/p ingress[0].ports",
			mutate.Remedy{Paste: "default: deny", Under: "expect"},
		},
		{
			"the canary allowed beside denied ports", nobody,
			networkPolicy("{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 60000, endPort: 65535}]}]}"),
			"drop-rule shop/p ingress[0]",
			mutate.Remedy{Hint: "ports: [any] would also allow what the policies deny: declare TCP/65000 among the ports of shop/db"},
		},
		{
			"an expectation that does not hold", "  rules:\n    - deny: {from: \"*\", to: shop/db}\n",
			networkPolicy("{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}]}"),
			"drop-rule shop/p ingress[0]",
			mutate.Remedy{Hint: "the policies break the expectation already (deny is declared): mend that first"},
		},
		{
			"a port that nobody asks", "  default: deny\n",
			networkPolicy("{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 90, endPort: 99}]}]}"),
			"widen-range shop/p ingress[0].ports[0]",
			mutate.Remedy{Hint: "nobody asks TCP/100: declare it among the ports of shop/db"},
		},
		{
			"a guard against all other namespaces", "  default: deny\n",
			clusterPolicy("guard", "subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [shop, lab]}]}}]}]"),
			"drop-policy ClusterNetworkPolicy guard",
			mutate.Remedy{Paste: "- deny: {from: elsewhere/any, to: lab/visitor, ports: [TCP/8080]}", Under: "expect.rules", Workloads: "- {name: any, namespace: elsewhere}"},
		},
		{
			"a guard between those of other namespaces alone", "  default: deny\n",
			clusterPolicy("guard", "subject: {namespaces: {matchLabels: {team: \"1\"}}}, ingress: [{action: Deny, from: [{namespaces: {matchLabels: {team: \"1\"}}}]}]"),
			"drop-policy ClusterNetworkPolicy guard",
			mutate.Remedy{
				Paste: "- deny: {from: team-1/any, to: team-1/any, ports: [TCP/443]}", Under: "expect.rules",
				Namespaces: "- {name: team-1, labels: {team: \"1\"}}", Workloads: "- {name: any, namespace: team-1, replicas: 2, ports: [TCP/443]}",
			},
		},
		{
			"who is let in from a namespace that is not held", nobody,
			networkPolicy("{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {matchLabels: {example.org/team: ops}}, podSelector: {matchLabels: {app: prometheus}}}], ports: [{port: 5432}]}]}"),
			"drop-rule shop/p ingress[0]",
			mutate.Remedy{
				Paste: "- allow: {from: team-ops/app-prometheus, to: shop/db, ports: [TCP/5432]}", Under: "expect.rules",
				Namespaces: "- {name: team-ops, labels: {example.org/team: ops}}", Workloads: "- {name: app-prometheus, namespace: team-ops, labels: {app: prometheus}}",
			},
		},
		{
			"whom they may ask there, by the name of a port", nobody,
			networkPolicy("{podSelector: {matchLabels: {app: db}}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: logging}}}], ports: [{port: syslog, protocol: UDP}]}]}"),
			"drop-rule shop/p egress[0]",
			mutate.Remedy{
				Paste: "- allow: {from: shop/db, to: logging/any, ports: [UDP/20000]}", Under: "expect.rules",
				Workloads: "- {name: any, namespace: logging, ports: [{name: syslog, port: 20000, protocol: UDP}]}",
			},
		},
		{
			"the canary for those of another namespace", nobody,
			networkPolicy("{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ops}}}], ports: [{port: 5432}]}]}"),
			"drop-ports shop/p ingress[0].ports",
			mutate.Remedy{Paste: "- deny: {from: ops/any, to: shop/db, ports: [UDP/any]}", Under: "expect.rules", Workloads: "- {name: any, namespace: ops}"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := find(t, score(t, load(t, c.expect, c.policies)), c.mutant)
			if j.Fate != mutate.Survived || j.Remedy != c.want {
				t.Errorf("%s is %s\ngot  %+v\nwant %+v\nflips %v", j.ID(), j.Fate, j.Remedy, c.want, j.Flips)
			}
			if c.want.Paste != "" {
				kills(t, c.expect, c.policies, j)
			}
		})
	}
}

// kills pastes the remedy: then the mutant is killed, and the policies as they
// are do what a pasted rule states.
func kills(t *testing.T, expect, policies string, j mutate.Judged) {
	t.Helper()
	if j.Remedy.Under == "expect" {
		expect = "  " + j.Remedy.Paste + "\n" + expect
	} else {
		if !strings.Contains(expect, "rules:") {
			expect += "  rules:\n"
		}
		expect += "    " + j.Remedy.Paste + "\n"
	}
	sc := populated(t, j.Remedy, expect, policies)
	if now := find(t, score(t, sc), j.ID()); now.Fate != mutate.Killed {
		t.Errorf("with %+v %s is %s", j.Remedy, j.ID(), now.Fate)
	}
	if j.Remedy.Under == "expect" {
		return // of a default nobody says that the policies do it everywhere
	}
	o, err := oracle.New(sc.World())
	if err != nil {
		t.Fatal(err)
	}
	last := sc.Expect.Rules[len(sc.Expect.Rules)-1]
	for f, declared := range sc.Expand().Declared.All() {
		if now := o.Decide(f).Intent; declared.Origin == last.Origin && now != declared.Intent {
			t.Errorf("%q states %s as %s, and the policies %s it", j.Remedy.Paste, f, declared.Intent, now)
		}
	}
}

// What no expectation can kill is told apart, and has no remedy.
func TestApart(t *testing.T) {
	t.Parallel()
	names := func(domains ...string) string {
		text := "---\n" + networkPolicy("{podSelector: {}, policyTypes: [Egress]}")
		if len(domains) == 0 {
			return text
		}
		var rules []string
		for _, d := range domains {
			rules = append(rules, "{action: Accept, to: [{domainNames: ["+d+"]}]}")
		}
		return text + clusterPolicy("names", "subject: {namespaces: {}}, egress: ["+strings.Join(rules, ", ")+"]")
	}
	for _, c := range []struct {
		name, policies, mutant string
		want                   mutate.Fate
	}{
		{
			"the outside below a block",
			networkPolicy("{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 203.0.113.0/24}}]}]}"),
			"widen-cidr shop/p egress[0].to[0].ipBlock.cidr", mutate.Beyond,
		},
		{
			"the outside above a block",
			networkPolicy("{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 203.0.112.0/24}}]}]}"),
			"widen-cidr shop/p egress[0].to[0].ipBlock.cidr", mutate.Beyond,
		},
		{
			"the pods of the cluster itself",
			networkPolicy("{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels: {k8s-app: kube-dns}}}]}]}"),
			"drop-rule shop/p egress[0]", mutate.Beyond,
		},
		{
			"a protocol of which no scenario speaks",
			networkPolicy("{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 5432}, {port: 38412, protocol: SCTP}]}]}"),
			"drop-port shop/p ingress[0].ports[1]", mutate.Beyond,
		},
		{"what is undefined before", names("example.com"), "drop-rule ClusterNetworkPolicy names egress[0]", mutate.Undecided},
		{"undefined before and after, for another reason", names("example.com", "example.org"), "drop-rule ClusterNetworkPolicy names egress[0]", mutate.Undecided},
		{"undefined before and after, where a later rule is in doubt too", names("example.com", "example.org"), "drop-rule ClusterNetworkPolicy names egress[1]", mutate.Undecided},
		{
			"undefined before and after, where a rule that passes on is in doubt",
			names() + clusterPolicy("first", "subject: {namespaces: {}}, egress: [{action: Accept, to: [{networks: [10.0.0.0/8]}]}]") + strings.ReplaceAll(clusterPolicy("pass", "subject: {namespaces: {}}, egress: [{action: Pass, to: [{networks: [10.0.0.0/8]}]}, {action: Accept, to: [{domainNames: [db.shop.svc.cluster.local]}]}]"), "priority: 1,", "priority: 2,"),
			"drop-rule ClusterNetworkPolicy pass egress[0]", mutate.Undecided,
		},
		{"undefined before and after, in another order", names("example.com", "example.net", "example.org"), "swap-rules ClusterNetworkPolicy names egress[1]", mutate.Undecided},
		{
			"undefined before and after, and for no reason of this policy's",
			names("example.com") + "---\n" + strings.ReplaceAll(networkPolicy("{podSelector: {}, policyTypes: [Egress]}"), "name: p,", "name: q,"),
			"drop-policy shop/q", mutate.Equivalent,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := score(t, load(t, "  default: deny\n", c.policies))
			j := find(t, r, c.mutant)
			if j.Fate != c.want || j.Remedy != (mutate.Remedy{}) {
				t.Errorf("%s is %s, want %s; remedy %+v, flips %v", j.ID(), j.Fate, c.want, j.Remedy, j.Flips)
			}
			want := float64(r.Count(mutate.Killed)) / float64(r.Count(mutate.Killed)+r.Count(mutate.Survived))
			if got, _ := r.Score(); got != want {
				t.Errorf("the score is %v, want %v: it counts what nothing can kill", got, want)
			}
		})
	}
}

// A snapshot states what happens to addresses outside of the cluster, on ports
// that nobody declares, and that something is left open or is not.
func TestSnapshotKills(t *testing.T) {
	t.Parallel()
	block := networkPolicy("{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 203.0.113.0/24}}]}]}")
	ports := networkPolicy("{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 90, endPort: 99}, {port: 7, protocol: SCTP}]}]}")
	domain := "---\n" + networkPolicy("{podSelector: {}, policyTypes: [Egress]}") + clusterPolicy("names", "subject: {namespaces: {}}, egress: [{action: Accept, to: [{domainNames: [example.com]}]}]")
	const (
		toDB   = "    - allow: {from: '*', to: shop/db, ports: [TCP/90-99, SCTP/7]}\n"
		toAll  = "    - undefined: {from: '*', to: 'world/0.0.0.0/0', ports: [any]}\n"
		widen  = "widen-range shop/p ingress[0].ports[0]"
		change = "change-port shop/p ingress[0].ports[1]"
		drop   = "drop-policy ClusterNetworkPolicy names"
	)
	for _, c := range []struct {
		name            string
		snapshot        bool
		rules, policies string
		mutant          string
		want            mutate.Fate
		declared        matrix.Intent
	}{
		{"an address", true, "    - allow: {from: shop/web, to: world/203.0.113.0/24, ports: [any]}\n", block, "widen-cidr shop/p egress[0].to[0].ipBlock.cidr", mutate.Killed, matrix.Deny},
		{"a port that nobody declares", true, toDB, ports, widen, mutate.Killed, matrix.Deny},
		{"a port of SCTP", true, toDB, ports, change, mutate.Killed, matrix.Allow},
		{"a port of which the policies do not do what it states", true, "    - allow: {from: ['*', world/0.0.0.0/0], to: shop/db, ports: [TCP/90-100]}\n", ports, widen, mutate.Survived, matrix.Allow},
		{"a port that nobody declares, without a snapshot", false, "", ports, widen, mutate.Survived, matrix.Unstated},
		{"a port of SCTP, without a snapshot", false, "", ports, change, mutate.Beyond, matrix.Unstated},
		{"what is left open", true, toAll, domain, drop, mutate.Killed, matrix.Undefined},
		{"what is left open, and it states another thing", true, "    - allow: {from: '*', to: 'world/0.0.0.0/0', ports: [any]}\n", domain, drop, mutate.Undecided, matrix.Allow},
		{"what is left open, without a snapshot", false, "", domain, drop, mutate.Undecided, matrix.Unstated},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			expect := "  default: deny\n"
			if c.snapshot {
				expect += "  snapshot: true\n"
			}
			if c.rules != "" {
				expect += "  rules:\n" + c.rules
			}
			j := find(t, score(t, load(t, expect, c.policies)), c.mutant)
			if j.Fate != c.want || j.Flips[0].Declared != c.declared {
				t.Errorf("%s is %s, want %s and %s declared: %v", j.ID(), j.Fate, c.want, c.declared, j.Flips)
			}
		})
	}
}

// Under a cluster-wide policy that lets no pod reach another, mistakes in a
// NetworkPolicy concern the outside alone.
func TestOtherPoliciesCount(t *testing.T) {
	t.Parallel()
	const deny = "---\napiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: nobody}\n" +
		"spec: {tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}\n"
	network, cluster := 0, 0
	for _, j := range score(t, load(t, "  default: deny\n", networkPolicy("{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}")+deny)) {
		if j.At.Kind != "" {
			cluster++
			if j.Fate != mutate.Killed {
				t.Errorf("%s is %s, want killed", j.ID(), j.Fate)
			}
			continue
		}
		network++
		if j.Fate == mutate.Killed || j.Fate == mutate.Survived || j.Fate == mutate.Beyond && j.Flips[0].Flow.From.Namespace() != "world" {
			t.Errorf("%s is %s: %v", j.ID(), j.Fate, j.Flips)
		}
	}
	if network < 5 || cluster < 5 {
		t.Errorf("only %d and %d mutants", network, cluster)
	}
}

// An expectation of nothing kills nothing, and there is no score without mutants.
func TestScoreOfNothing(t *testing.T) {
	t.Parallel()
	w := shop(t, "online-shop").World()
	r, err := mutate.Score(t.Context(), w, nil, []matrix.Family{matrix.IPv4}, mutate.Mutants(w, mutate.Operators()))
	if err != nil {
		t.Fatal(err)
	}
	if score, ok := r.Score(); r.Count(mutate.Killed) != 0 || r.Count(mutate.Survived) < 50 || score != 0 || !ok {
		t.Errorf("%d are killed, %d survive, score %v %t", r.Count(mutate.Killed), r.Count(mutate.Survived), score, ok)
	}
	if _, ok := (mutate.Result{}).Score(); ok {
		t.Error("no mutants have a score")
	}
}
