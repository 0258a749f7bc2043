package diff_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/diff"
	"github.com/segtest/segtest/suites/plan"
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

func planOf(t testing.TB, files map[string]string) *plan.Plan {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	sc, err := scenario.Loader{FS: fsys}.Load("shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Of(sc)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// shop with some policies, and something behind the workloads' file.
func shop(t testing.TB, more string, policies ...string) *plan.Plan {
	t.Helper()
	return planOf(t, map[string]string{"shop.yaml": workloads + more, "policies/all.yaml": strings.Join(append(policies, unrelated), "---\n")})
}

const unrelated = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: spy, namespace: other}
spec: {podSelector: {matchLabels: {app: nobody}}}
`

// lines are the flips in short.
func lines(d diff.Diff) string {
	var out []string
	for _, f := range d.Flips {
		var ports []string
		for _, p := range f.Ports {
			port := fmt.Sprintf("%s/%d", p.Protocol, p.Port)
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
			"opened other/spy-* > shop/db-0 TCP/5432 TCP/any UDP/any: 6\n" +
				"opened shop/job-0 > shop/db-0 TCP/5432 TCP/any UDP/any: 3",
		},
		{
			"a block is opened, but for its beginning and its end",
			shop(t, "", closed), shop(t, "", closed, strings.ReplaceAll(policy("from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/16, 10.255.0.0/16]}}]"), "app: db", "app: web")),
			"opened world/10.0.0.0/8 > shop/web-* TCP/8080 TCP/any UDP/any: 6\n" +
				"unclear other/spy-* > shop/web-* TCP/8080 TCP/any UDP/any: 12",
		},
		{
			"all is closed, to the world and from it too", shop(t, ""), shop(t, "", closed),
			"closed other/spy-* world/0.0.0.0/0 > shop/db-0 TCP/5432 TCP/any UDP/any: 9\n" +
				"closed other/spy-* world/0.0.0.0/0 > shop/job-0 TCP/any UDP/any: 6\n" +
				"closed other/spy-* world/0.0.0.0/0 > shop/web-* TCP/8080 TCP/any UDP/any: 18\n" +
				"closed shop/* > other/spy-* TCP/80 TCP/any UDP/any: 24\n" +
				"closed shop/* > shop/db-0 TCP/5432 TCP/any UDP/any: 9\n" +
				"closed shop/* > shop/job-0 TCP/any UDP/any: 6\n" +
				"closed shop/* > shop/web-* TCP/8080 TCP/any UDP/any: 18\n" +
				"closed shop/* > world/0.0.0.0/0 TCP/any UDP/any: 8",
		},
		{
			"the world may enter, but for a block", shop(t, "", web),
			shop(t, "", web, strings.ReplaceAll(policy("from: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]"), "name: db", "name: world")),
			"opened world/0.0.0.0/0 > shop/db-0 TCP/5432 TCP/any UDP/any: 3\n" +
				"unclear other/spy-* shop/job-0 > shop/db-0 TCP/5432 TCP/any UDP/any: 9",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if got := lines(diff.Of(row.before, row.after)); got != row.want {
				t.Errorf("got\n%s\nwant\n%s", got, row.want)
			}
		})
	}
}

// What decides is named on both sides.
func TestCauses(t *testing.T) {
	t.Parallel()
	d := diff.Of(shop(t, "", policy("from: [{podSelector: {matchLabels: {app: web}}}]")), shop(t, "", policy("from: [{podSelector: {}}]")))
	before, after := d.Causes()
	if len(before) != 1 || len(after) != 1 || before[0].String() != "shop/db (policies/all.yaml:1:1)" || after[0].String() != "shop/db rule 0 (policies/all.yaml:7:5)" {
		t.Errorf("before %v, after %v", before, after)
	}
	after[0].Credit.Known = true
	if c := d.Flips[0].Changes[0]; c.Direction != "ingress" || !c.After.By[0].Credit.Known {
		t.Errorf("the credit did not arrive: %+v", c)
	}
}

// Each flow that two versions both have is in exactly one flip if it flips, and
// in none if it does not.
func TestFlipsAreThoseOfEachFlow(t *testing.T) {
	t.Parallel()
	allow := "expect: {default: deny, rules: [{allow: {from: shop/web, to: shop/db}}, {allow: {from: other/spy, to: '*', ports: [any]}}]}\n"
	versions := map[string]*plan.Plan{
		"open":       shop(t, allow),
		"closed":     shop(t, allow, closed),
		"web":        shop(t, "", closed, policy("{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}")),
		"egress too": shop(t, allow, policy("from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: spy}}}]"), strings.ReplaceAll(closed, "Ingress, Egress", "Egress")),
		"one pod":    shop(t, "", closed, policy("from: [{podSelector: {matchLabels: {apps.kubernetes.io/pod-index: '1'}}}]")),
	}
	flips := 0
	for name, before := range versions {
		for later, after := range versions {
			flips += agree(t, name+" to "+later, before, after)
		}
	}
	if flips < 100 {
		t.Errorf("only %d flows flip: the test looks at nothing", flips)
	}
}

func agree(t *testing.T, name string, before, after *plan.Plan) int {
	t.Helper()
	want := map[matrix.Flow]string{}
	for f := range after.Flows() {
		if was := before.Oracle.Decide(f.Flow).Intent; was != f.Computed.Intent {
			want[f.Flow] = fmt.Sprint(was, f.Computed.Intent, f.Declared.Intent)
		}
	}
	d := diff.Of(before, after)
	seen := 0
	for _, flip := range d.Flips {
		count := 0
		for _, from := range flip.From {
			for _, to := range flip.To {
				if from == to {
					continue
				}
				for _, p := range flip.Ports {
					count++
					if from.Namespace() == "world" || to.Namespace() == "world" {
						continue
					}
					f := matrix.Flow{From: from, To: to, Protocol: p.Protocol, Port: p.Port, Family: p.Family}
					if got := fmt.Sprint(flip.Before, flip.After, flip.Declared.Intent); got != want[f] {
						t.Errorf("%s: %s is %s, flow by flow %q (or it is in two flips)", name, f, got, want[f])
					}
					seen++
					delete(want, f)
				}
			}
		}
		if count != flip.Count {
			t.Errorf("%s: a flip of %d flows lists %d", name, flip.Count, count)
		}
	}
	if len(want) > 0 {
		t.Errorf("%s: %d flows flip and are in no flip: %v", name, len(want), want)
	}
	return seen
}

func TestAddedAndRemoved(t *testing.T) {
	t.Parallel()
	before := shop(t, "", closed)
	after := planOf(t, map[string]string{
		"shop.yaml": strings.Replace(strings.Replace(workloads, "app: web}, replicas: 2", "app: web}, replicas: 3", 1),
			"- {name: job, namespace: shop, labels: {app: job}}", "- {name: cache, namespace: shop, labels: {app: db}, ports: [{port: 6379}]}", 1),
		"policies/all.yaml": closed + "---\n" + policy("from: [{podSelector: {}}]"),
	})
	d := diff.Of(before, after)
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
	whole := diff.Of(nil, after)
	if len(whole.Added) != 4 || len(whole.Removed)+len(whole.Flips)+whole.Compared != 0 {
		t.Errorf("from nothing: %+v", whole)
	}
}
