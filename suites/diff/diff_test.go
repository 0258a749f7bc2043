package diff_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/diff"
	"github.com/segtest/segtest/suites/plan"
	"github.com/segtest/segtest/suites/plan/plantest"
)

const workloads = `apiVersion: segtest.dev/v1alpha1
kind: Scenario
metadata: {name: shop}
workloads:
- {name: web, namespace: shop, labels: {app: web}, replicas: 2, ports: [{port: 8080}]}
- {name: db, namespace: shop, labels: {app: db}, ports: [{port: 5432}]}
- {name: job, namespace: shop, labels: {app: job}}
- {name: spy, namespace: other, labels: {app: spy}, replicas: 2, ports: [{port: 80}]}
policies: [policies]
`

const closed = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
`

// policy of the database; from and ports are written in flow style.
func policy(ingress string) string {
	return `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - ` + ingress + "\n"
}

// egress of the database, in flow style.
func egress(rules string) string {
	return strings.ReplaceAll(policy(""), "  ingress:\n  - \n", "  policyTypes: [Egress]\n  egress: "+rules+"\n")
}

// shop with some policies, and something behind the workloads' file.
func shop(t testing.TB, more string, policies ...string) *plan.Plan {
	t.Helper()
	return plantest.Of(t, "shop.yaml", map[string]string{"shop.yaml": workloads + more, "policies/all.yaml": strings.Join(append(policies, unrelated), "---\n")})
}

const unrelated = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: spy, namespace: other}
spec: {podSelector: {matchLabels: {app: nobody}}}
`

func of(t testing.TB, before, after *plan.Plan) diff.Diff {
	t.Helper()
	d, err := diff.Of(before, after)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// lines are the flips in short.
func lines(d diff.Diff) string {
	var out []string
	for _, f := range d.Flips {
		var ports []string
		for _, p := range f.Ports {
			port := fmt.Sprintf("%s/%d", p.Protocol, p.Port)
			if p.Last > p.Port {
				port += fmt.Sprintf("-%d", p.Last)
			}
			if p.Canary {
				port = p.Protocol.String() + "/any"
			}
			ports = append(ports, port)
		}
		against := ""
		if f.Against() {
			against = " against"
		}
		out = append(out, fmt.Sprintf("%s%s %s > %s %s: %d", f.Kind(), against, strings.Join(d.Names(f.From), " "), strings.Join(d.Names(f.To), " "), strings.Join(ports, " "), f.Count))
	}
	return strings.Join(out, "\n")
}

func TestFlips(t *testing.T) {
	t.Parallel()
	web := policy("from: [{podSelector: {matchLabels: {app: web}}}]")
	for _, row := range []struct {
		name          string
		before, after *plan.Plan
		want          string
	}{
		{"nothing", shop(t, "", web), shop(t, "", web), ""},
		{
			"a selector is widened", shop(t, "", web), shop(t, "", policy("from: [{podSelector: {}}]")),
			"opened shop/job-0 > shop/db-0 TCP/5432 TCP/any UDP/any: 3",
		},
		{
			"a selector is widened against the scenario",
			shop(t, "", web), shop(t, "expect: {default: deny, rules: [{allow: {from: shop/web, to: shop/db}}]}\n", policy("from: [{podSelector: {}}]")),
			"opened against shop/job-0 > shop/db-0 TCP/5432 TCP/any UDP/any: 3",
		},
		{
			"ports are narrowed", shop(t, "", web),
			shop(t, "", policy("{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}")),
			"closed shop/web-* > shop/db-0 TCP/any UDP/any: 4",
		},
		{
			"two rules open it for two others, which are two entries", shop(t, "", web),
			shop(t, "", web+"  - from: [{podSelector: {matchLabels: {app: job}}}]\n  - from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: spy}}}]\n"),
			"opened elsewhere/app=spy other/spy-* > shop/db-0 TCP/5432 TCP/any UDP/any: 9\n" +
				"opened shop/job-0 > shop/db-0 TCP/5432 TCP/any UDP/any: 3",
		},
		{
			"a range is opened by a rule of its own",
			shop(t, "", policy("{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}")),
			shop(t, "", policy("{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 9000, endPort: 9100}]}")+"  - from: [{podSelector: {matchLabels: {app: web}}}]\n"),
			"opened shop/web-* > shop/db-0 TCP/9000-9100: 2\nopened shop/web-* > shop/db-0 TCP/any UDP/any: 4",
		},
		{
			"a block is opened, but for its beginning and its end",
			shop(t, "", closed), shop(t, "", closed, strings.ReplaceAll(policy("from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/16, 10.255.0.0/16]}}]"), "app: db", "app: web")),
			"opened world/10.0.0.0/8 > shop/web-* TCP/8080 TCP/any UDP/any: 6\n" +
				"unclear elsewhere/any other/spy-* > shop/web-* TCP/8080 TCP/any UDP/any: 18",
		},
		{
			"a range of ports gets a hole", shop(t, "", egress("[{ports: [{port: 8000, endPort: 9000}]}]")),
			shop(t, "", egress("[{ports: [{port: 8000, endPort: 8500}, {port: 8600, endPort: 9000}]}]")),
			"closed shop/db-0 > elsewhere/any other/spy-* shop/job-0 shop/web-* world/0.0.0.0/0 TCP/8501-8599: 7",
		},
		{
			"SCTP is forgotten", shop(t, "", egress("[{}]")), shop(t, "", egress("[{ports: [{protocol: TCP}, {protocol: UDP}]}]")),
			"closed shop/db-0 > elsewhere/any other/spy-* shop/job-0 shop/web-* world/0.0.0.0/0 SCTP/any: 7",
		},
		{
			"a port that nobody declares is opened, among others by a namespace",
			shop(t, "", closed), shop(t, "", closed, strings.ReplaceAll(policy("{from: [{podSelector: {}}], ports: [{port: 9000, endPort: 9999}]}"), "app: db", "app: web"),
				strings.NewReplacer("app: db", "app: job", "name: db", "name: job").Replace(egress("[{to: [{podSelector: {}}], ports: [{port: 9999}]}]"))),
			"opened shop/job-0 > shop/web-* TCP/9999: 2",
		},
		{
			"a guard closes a range in which a port is declared",
			shop(t, ""), shop(t, "", strings.ReplaceAll(guard("Deny", "{}"), "{}}]}]", "{}}], protocols: [{tcp: {destinationPort: {range: {start: 8000, end: 9000}}}}]}]")),
			"closed elsewhere/any other/spy-* shop/* > shop/db-0 shop/job-0 TCP/8000-9000: 12\n" +
				"closed elsewhere/any other/spy-* shop/* > shop/web-* TCP/8000-8079 TCP/8080 TCP/8081-9000: 36",
		},
		{
			"all is closed, to the world and from it too", shop(t, ""), shop(t, "", closed),
			"closed elsewhere/any other/spy-* world/0.0.0.0/0 > shop/db-0 TCP/5432 TCP/any UDP/any: 12\n" +
				"closed elsewhere/any other/spy-* world/0.0.0.0/0 > shop/job-0 TCP/any UDP/any: 8\n" +
				"closed elsewhere/any other/spy-* world/0.0.0.0/0 > shop/web-* TCP/8080 TCP/any UDP/any: 24\n" +
				"closed shop/* > elsewhere/any world/0.0.0.0/0 TCP/any UDP/any: 16\n" +
				"closed shop/* > other/spy-* TCP/80 TCP/any UDP/any: 24\n" +
				"closed shop/* > shop/db-0 TCP/5432 TCP/any UDP/any: 9\n" +
				"closed shop/* > shop/job-0 TCP/any UDP/any: 6\n" +
				"closed shop/* > shop/web-* TCP/8080 TCP/any UDP/any: 18",
		},
		{
			"the world may enter, but for a block", shop(t, "", web),
			shop(t, "", web, strings.ReplaceAll(policy("from: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]"), "name: db", "name: world")),
			"opened world/0.0.0.0/0 > shop/db-0 TCP/5432 TCP/any UDP/any: 3\n" +
				"unclear elsewhere/any other/spy-* shop/job-0 > shop/db-0 TCP/5432 TCP/any UDP/any: 12",
		},
		{
			"a block of the world is widened against a snapshot",
			shop(t, "", webTo("203.0.113.0/24")), shop(t, snapshot("203.0.113.0/24"), webTo("203.0.112.0/23")),
			"opened against shop/web-* > world/203.0.112.0/23 TCP/any UDP/any: 4",
		},
		{
			"it is closed against a snapshot",
			shop(t, "", webTo("203.0.112.0/23")), shop(t, snapshot("203.0.112.0/23"), webTo("203.0.113.0/24")),
			"closed against shop/web-* > world/203.0.112.0/23 TCP/any UDP/any: 4",
		},
		{
			"as the snapshot states",
			shop(t, "", webTo("203.0.112.0/23")), shop(t, snapshot("203.0.113.0/24"), webTo("203.0.113.0/24")),
			"closed shop/web-* > world/203.0.112.0/23 TCP/any UDP/any: 4",
		},
		{
			"a block that the snapshot alone names",
			shop(t, "", webTo("203.0.113.0/24")), shop(t, snapshot("203.0.112.0/24"), webTo("203.0.112.0/23")),
			"opened shop/web-* > world/203.0.112.0/24 TCP/any UDP/any: 4",
		},
		{
			"an entry from the world against a snapshot",
			shop(t, "", policy("from: [{ipBlock: {cidr: 203.0.113.0/24}}]")), shop(t, snapshot("203.0.113.0/24"), policy("from: [{ipBlock: {cidr: 203.0.112.0/23}}]")),
			"opened against world/203.0.112.0/23 > shop/db-0 TCP/5432 TCP/any UDP/any: 3",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if got := lines(of(t, row.before, row.after)); got != row.want {
				t.Errorf("got\n%s\nwant\n%s", got, row.want)
			}
		})
	}
}

// webTo is an egress policy of the web, to a block.
func webTo(cidr string) string {
	return strings.NewReplacer("app: db", "app: web", "name: db", "name: web").Replace(egress("[{to: [{ipBlock: {cidr: " + cidr + "}}]}]"))
}

// snapshot that lets the web out to a block, and nobody to anything else.
func snapshot(cidr string) string {
	return "expect: {snapshot: true, default: deny, rules: [{allow: {from: shop/web, to: world/" + cidr + ", ports: [any]}}]}\n"
}

// guard is a cluster-wide policy for the shop.
func guard(action, from string) string {
	return `apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: guard}
spec:
  tier: Admin
  priority: 1
  subject: {namespaces: {matchLabels: {kubernetes.io/metadata.name: shop}}}
  ingress: [{action: ` + action + `, from: [{namespaces: ` + from + `}]}]
`
}

// Pods of namespaces that no file holds are let in and kept out, too.
func TestOutsidePods(t *testing.T) {
	t.Parallel()
	const (
		all      = "{}"
		others   = "{matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [shop, other]}]}"
		more     = "{matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [shop, other, monitoring]}]}"
		teamA    = "{matchLabels: {team: a}}"
		teamShop = "namespaces: [{name: shop, labels: {team: a}}]\n"
		toDB     = ` shop/db-0 TCP/5432 TCP/any UDP/any: `
		toJob    = ` shop/job-0 TCP/any UDP/any: `
		toWeb    = ` shop/web-* TCP/8080 TCP/any UDP/any: `
	)
	cluster := func(policies ...string) *plan.Plan {
		return plantest.Of(t, "all.yaml", map[string]string{"all.yaml": strings.Join(append(policies, unrelated), "---\n")})
	}
	deny := func(to string) string {
		return strings.ReplaceAll(guard("Deny", to), "{matchLabels: {kubernetes.io/metadata.name: shop}}", all)
	}
	for _, row := range []struct {
		name          string
		before, after *plan.Plan
		want          string
	}{
		{
			"a guard against all other namespaces is removed", shop(t, "", guard("Deny", others)), shop(t, ""),
			"opened elsewhere/any >" + toDB + "3\nopened elsewhere/any >" + toJob + "2\nopened elsewhere/any >" + toWeb + "6",
		},
		{
			"it leaves out one that nobody holds", shop(t, "", guard("Deny", others)), shop(t, "", guard("Deny", more)),
			"opened monitoring/any >" + toDB + "3\nopened monitoring/any >" + toJob + "2\nopened monitoring/any >" + toWeb + "6",
		},
		{
			"it is narrowed to what nobody holds", shop(t, "", guard("Deny", others)), shop(t, "", guard("Deny", teamA)),
			"opened elsewhere/any >" + toDB + "3\nopened elsewhere/any >" + toJob + "2\nopened elsewhere/any >" + toWeb + "6",
		},
		{
			"a peer that nobody holds is let in, on one port",
			shop(t, "", closed), shop(t, "", closed, policy("{from: [{namespaceSelector: {matchLabels: {team: a}}, podSelector: {matchLabels: {app: prometheus}}}], ports: [{port: 5432}]}")),
			"opened team=a/app=prometheus > shop/db-0 TCP/5432: 1",
		},
		{
			"a peer of its own namespace is let in from all others, too",
			shop(t, "", policy("{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}")),
			shop(t, "", policy("{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}")),
			"opened elsewhere/app=web > shop/db-0 TCP/5432: 1",
		},
		{
			"another pod of a namespace that is held in part is let in",
			shop(t, "", policy("{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: other}}, podSelector: {matchLabels: {app: spy}}}], ports: [{port: 5432}]}")),
			shop(t, "", policy("{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: other}}}], ports: [{port: 5432}]}")),
			"opened other/any > shop/db-0 TCP/5432: 1",
		},
		{
			"one that no file holds, of its own namespace",
			shop(t, "", policy("{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}")),
			shop(t, "", policy("{from: [{podSelector: {matchExpressions: [{key: app, operator: In, values: [web, tool]}]}}], ports: [{port: 5432}]}")),
			"opened shop/app=tool > shop/db-0 TCP/5432: 1",
		},
		{
			"its own namespace is named by a label that others may have",
			shop(t, teamShop, policy("{from: [{podSelector: {}}], ports: [{port: 5432}]}")),
			shop(t, teamShop, policy("{from: [{namespaceSelector: {matchLabels: {team: a}}}], ports: [{port: 5432}]}")),
			"opened team=a/any > shop/db-0 TCP/5432: 1",
		},
		{
			"no pod is held at all", cluster(deny(all)), cluster(deny(teamA)),
			"opened elsewhere/any > elsewhere/any-other team=a/any TCP/any UDP/any: 4",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			d := of(t, row.before, row.after)
			if got := lines(d); got != row.want {
				t.Errorf("got\n%s\nwant\n%s", got, row.want)
			}
			if len(d.Added)+len(d.Removed) > 0 {
				t.Errorf("a stand-in is new or gone: %v, %v", d.Added, d.Removed)
			}
		})
	}
}

// What was undefined is decided, neither opened nor closed.
func TestKind(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		before, after, declared matrix.Intent
		want                    diff.Kind
		against, left           bool
	}{
		{matrix.Deny, matrix.Allow, matrix.Deny, diff.Opened, true, false},
		{matrix.Allow, matrix.Deny, matrix.Unstated, diff.Closed, false, false},
		{matrix.Allow, matrix.Deny, matrix.Undefined, diff.Closed, true, false},
		{matrix.Allow, matrix.Undefined, matrix.Allow, diff.Unclear, false, true},
		{matrix.Deny, matrix.Undefined, matrix.Deny, diff.Unclear, false, true},
		{matrix.Deny, matrix.Undefined, matrix.Allow, diff.Unclear, false, true},
		{matrix.Deny, matrix.Undefined, matrix.Undefined, diff.Unclear, false, false},
		{matrix.Deny, matrix.Undefined, matrix.Unstated, diff.Unclear, false, false},
		{matrix.Undefined, matrix.Allow, matrix.Deny, diff.Decided, true, false},
		{matrix.Undefined, matrix.Allow, matrix.Allow, diff.Decided, false, false},
		{matrix.Undefined, matrix.Deny, matrix.Allow, diff.Decided, true, false},
		{matrix.Undefined, matrix.Allow, matrix.Undefined, diff.Decided, true, false},
		{matrix.Undefined, matrix.Deny, matrix.Unstated, diff.Decided, false, false},
	} {
		f := diff.Flip{Before: row.before, After: row.after, Declared: scenario.Expectation{Intent: row.declared}}
		if f.Kind() != row.want || f.Against() != row.against || f.Undecidable() != row.left {
			t.Errorf("%s to %s, declared %s: %s, against %t, undecidable %t; want %s, %t, %t", row.before, row.after, row.declared, f.Kind(), f.Against(), f.Undecidable(), row.want, row.against, row.left)
		}
	}
}

// What decides is named on both sides.
func TestCauses(t *testing.T) {
	t.Parallel()
	d := of(t, shop(t, "", policy("from: [{podSelector: {matchLabels: {app: web}}}]")), shop(t, "", policy("from: [{podSelector: {}}]")))
	before, after := d.Causes()
	if len(before) != 1 || len(after) != 1 || before[0].String() != "shop/db (policies/all.yaml:1:1)" || after[0].String() != "shop/db rule 0 (policies/all.yaml:7:5)" {
		t.Errorf("before %v, after %v", before, after)
	}
	after[0].Credit.Known = true
	if c := d.Flips[0].Changes[0]; c.Direction != "ingress" || !c.After.By[0].Credit.Known {
		t.Errorf("the credit did not arrive: %+v", c)
	}
}

func TestAddedAndRemoved(t *testing.T) {
	t.Parallel()
	before := shop(t, "", closed)
	after := plantest.Of(t, "shop.yaml", map[string]string{
		"shop.yaml": strings.Replace(strings.Replace(workloads, "app: web}, replicas: 2", "app: web}, replicas: 3", 1),
			"- {name: job, namespace: shop, labels: {app: job}}", "- {name: cache, namespace: shop, labels: {app: db}, ports: [{port: 6379}]}", 1),
		"policies/all.yaml": closed + "---\n" + policy("from: [{podSelector: {}}]"),
	})
	d := of(t, before, after)
	text := func(all []diff.Workload) string {
		var out []string
		for _, w := range all {
			out = append(out, fmt.Sprintf("%s %v reached %v reach %v", w.Name, w.Slots, w.Reached, w.Reach))
		}
		return strings.Join(out, "\n")
	}
	// Egress is closed in shop: only the spies could get into the cache, which no
	// rule allows.
	if got, want := text(d.Added), "shop/cache [shop/cache-0] reached {0 18 0} reach {0 18 0}\nshop/web [shop/web-2] reached {0 18 0} reach {0 18 0}"; got != want {
		t.Errorf("added:\n%s\nwant\n%s", got, want)
	}
	if got, want := text(d.Removed), "shop/job [shop/job-0] reached {0 10 0} reach {0 15 0}"; got != want {
		t.Errorf("removed:\n%s\nwant\n%s", got, want)
	}
	for _, f := range d.Flips {
		if slices.Contains(slices.Concat(f.From, f.To), "shop/cache-0") {
			t.Errorf("a pod that was not there cannot flip: %v", f)
		}
	}
	whole := of(t, nil, after)
	if len(whole.Added) != 4 || len(whole.Removed)+len(whole.Flips)+whole.Compared != 0 {
		t.Errorf("from nothing: %+v", whole)
	}
}
