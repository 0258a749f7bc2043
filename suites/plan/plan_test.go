package plan_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/segtest/segtest/fixtures/catalog"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/plan"
	"github.com/segtest/segtest/suites/plan/plantest"
	"github.com/segtest/segtest/suites/run/record"
)

// rules is what decided, without the names that reasons mention.
func rules(f record.Flow) string {
	return fmt.Sprint(f.Declared, f.Computed.Intent, f.Computed.Egress.By, f.Computed.Ingress.By, f.Canary)
}

// foldedAgrees compares a folded plan with the flows that it folds.
func foldedAgrees(t *testing.T, p *plan.Plan) (cells int) {
	t.Helper()
	folded, whole := p.Sheet(true), p.Sheet(false)
	if fmt.Sprint(folded.Tally) != fmt.Sprint(whole.Tally) {
		t.Errorf("%s: folded it counts %+v, unfolded %+v", p.Scenario.Name, folded.Tally, whole.Tally)
	}
	of := func(groups []plan.Group) map[matrix.Endpoint]int {
		m := map[matrix.Endpoint]int{}
		for i, g := range groups {
			for _, e := range g {
				if _, twice := m[e]; twice {
					t.Errorf("%s is in two groups", e)
				}
				m[e] = i
			}
		}
		return m
	}
	from, to := of(folded.From), of(folded.To)
	type spot struct {
		from, to int
		self     bool
		protocol matrix.Protocol
		port     uint16
		family   matrix.Family
	}
	at := func(i, j int, f matrix.Flow) spot { return spot{i, j, f.From == f.To, f.Protocol, f.Port, f.Family} }
	have := map[spot]plan.Cell{}
	for _, c := range folded.Cells {
		have[at(c.From, c.To, c.Flow)] = c
	}
	count, differ := map[spot]int{}, map[matrix.Flow]int{}
	for f := range p.Flows() {
		k := at(from[f.From], to[f.To], f.Flow)
		count[k]++
		c, ok := have[k]
		if !ok || c.Declared != f.Declared.Intent || c.Computed != f.Computed.Intent || c.Canary != f.Canary || c.Differs() != judge.Disagree(f) {
			t.Fatalf("%s: %s is\n%+v, folded it is\n%+v", p.Scenario.Name, f.Flow, f, c)
		}
		if like := p.Flow(c.Flow); rules(like) != rules(f) {
			t.Fatalf("%s: %s is\n%s, folded (%s) it is\n%s", p.Scenario.Name, f.Flow, rules(f), c.Flow, rules(like))
		}
		differ[c.Flow]++
	}
	for k, c := range have {
		if count[k] != c.Count {
			t.Errorf("%s: the cell of %s says %d flows, there are %d", p.Scenario.Name, c.Flow, c.Count, count[k])
		}
	}
	for _, d := range folded.Differ {
		if !judge.Disagree(d.Flow) || d.Count != differ[d.Flow.Flow] {
			t.Errorf("%s: %s is said to differ %d times, it does so %d times", p.Scenario.Name, d.Flow.Flow, d.Count, differ[d.Flow.Flow])
		}
	}
	return len(folded.Cells)
}

func TestFoldedAgrees(t *testing.T) {
	t.Parallel()
	for _, name := range catalog.Names() {
		foldedAgrees(t, plantest.Shipped(t, name))
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 12 {
		p := plantest.Of(t, "scenario.yaml", random(rng))
		if cells, whole := foldedAgrees(t, p), len(slices.Collect(p.Flows())); cells >= whole {
			t.Errorf("scenario %d: %d cells for %d flows", i, cells, whole)
		}
	}
}

// random makes a scenario with policies of all sorts.
func random(rng *rand.Rand) map[string]string {
	pick := func(words ...string) string { return words[rng.IntN(len(words))] }
	var b, policies strings.Builder
	b.WriteString("apiVersion: segtest.dev/v1alpha1\nkind: Scenario\nmetadata: {name: random}\ncluster: {ipFamily: " + pick("ipv4", "dual") + "}\n")
	b.WriteString("namespaces:\n  - {name: a, labels: {team: x}}\n  - {name: b, labels: {team: y}}\nworkloads:\n")
	for i := range 5 {
		fmt.Fprintf(&b, "  - {name: w%d, namespace: %s, labels: {app: %s, tier: %s}, replicas: %d, ports: [{name: %s, port: %s}]}\n",
			i, pick("a", "b"), pick("one", "two"), pick("f", "g"), 1+rng.IntN(3), pick("http", "web"), pick("80", "8080"))
	}
	b.WriteString("  - {name: w5, namespace: a}\n  - {name: w6, namespace: b}\npolicies: [p.yaml]\nexpect:\n  default: " + pick("allow", "deny") + "\n")
	fmt.Fprintf(&b, "  rules:\n    - %s: {from: [a/*, %s], to: %s, ports: [%s]}\n", pick("allow", "deny"), pick("b/w6", "b/w6-0"), pick("a/*", "'*'"), pick("any", "TCP/any"))
	selector := func() string {
		return pick("{}", "{matchLabels: {app: one}}", "{matchLabels: {tier: g}}", "{matchLabels: {statefulset.kubernetes.io/pod-name: w1-0}}")
	}
	for i := range 1 + rng.IntN(5) {
		fmt.Fprintf(&policies, "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p%d, namespace: %s}\nspec:\n  podSelector: %s\n  policyTypes: [%s]\n",
			i, pick("a", "b"), selector(), pick("Ingress", "Egress", "Ingress, Egress"))
		for _, side := range [][2]string{{"ingress", "from"}, {"egress", "to"}} {
			peer := pick("podSelector: "+selector(), "namespaceSelector: {matchLabels: {team: x}}", "ipBlock: {cidr: 10.0.0.0/8}", "ipBlock: {cidr: 0.0.0.0/0, except: [10.1.0.0/16]}")
			fmt.Fprintf(&policies, "  %s:\n    - %s: [{%s}]\n      ports: [%s]\n", side[0], side[1], peer, pick("{port: 80}", "{port: http}", "{port: 8000, endPort: 8999}", "{}", "{protocol: UDP}", "{protocol: SCTP, port: 80}", ""))
		}
	}
	return map[string]string{"scenario.yaml": b.String(), "p.yaml": policies.String()}
}

// TestReach compares with a search that knows no groups.
func TestReach(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	plans := []*plan.Plan{plantest.Shipped(t, "online-shop"), plantest.Shipped(t, "open-cluster"), plantest.Shipped(t, "closed-shop")}
	for range 6 {
		plans = append(plans, plantest.Of(t, "scenario.yaml", random(rng)))
	}
	farther, doubtful := 0, 0
	for _, p := range plans {
		summary := map[matrix.Endpoint]plan.Reach{}
		last := -1
		for _, r := range p.Reaches() {
			if last >= 0 && r.All > last {
				t.Errorf("%s: %s with %d comes after one with %d", p.Scenario.Name, r.From[0], r.All, last)
			}
			last = r.All
			for _, e := range r.From {
				summary[e] = r
			}
		}
		for _, from := range p.Pods() {
			sure, perhaps := search(p, from, false), search(p, from, true)
			r := p.Reach(from)
			got := map[matrix.Endpoint]int{}
			for _, target := range r.Targets {
				for _, e := range target.To {
					got[e] = len(target.Via)
				}
				checkChain(t, p, from, target)
			}
			if !maps.Equal(got, sure) {
				t.Errorf("%s: %s reaches %v, want %v", p.Scenario.Name, from, got, sure)
			}
			direct := 0
			for _, hops := range sure {
				if hops == 1 {
					direct++
				} else {
					farther++
				}
			}
			doubtful += len(perhaps) - len(sure)
			for _, r := range []plan.Reach{r, summary[from]} {
				if r.Direct != direct || r.All != len(sure) || r.Unsure != len(perhaps)-len(sure) {
					t.Errorf("%s: %s: %d direct, %d in all, %d unsure; want %d, %d, %d", p.Scenario.Name, from, r.Direct, r.All, r.Unsure, direct, len(sure), len(perhaps)-len(sure))
				}
			}
		}
	}
	if farther == 0 || doubtful == 0 {
		t.Errorf("%d endpoints behind others and %d doubtful ones: the test proves little", farther, doubtful)
	}
}

// search is breadth first over single pods: hops by pod.
func search(p *plan.Plan, from matrix.Endpoint, perhaps bool) map[matrix.Endpoint]int {
	hops := map[matrix.Endpoint]int{from: 0}
	for queue := []matrix.Endpoint{from}; len(queue) > 0; queue = queue[1:] {
		for _, to := range p.Pods() {
			if _, known := hops[to]; known {
				continue
			}
			for f := range p.Between(queue[0], to) {
				d := p.Oracle.Decide(f).Intent
				if !p.Scenario.IsCanary(f) && (d == matrix.Allow || perhaps && d == matrix.Undefined) {
					hops[to] = hops[queue[0]] + 1
					queue = append(queue, to)
					break
				}
			}
		}
	}
	delete(hops, from)
	return hops
}

// checkChain: each hop begins where the last one ended, and is allowed.
func checkChain(t *testing.T, p *plan.Plan, from matrix.Endpoint, target plan.Target) {
	t.Helper()
	at := from
	for _, hop := range target.Via {
		if hop.From != at || len(hop.Ports) == 0 || hop.From == hop.To {
			t.Errorf("%s to %s: a hop from %s to %s over %v, after %s", from, target.To[0], hop.From, hop.To, hop.Ports, at)
		}
		for _, port := range hop.Ports {
			f := matrix.Flow{From: hop.From, To: hop.To, Protocol: port.Protocol, Port: port.Port}
			if p.Oracle.Decide(f).Intent != matrix.Allow {
				t.Errorf("%s is no hop", f)
			}
		}
		at = hop.To
	}
	if at != target.To[0] {
		t.Errorf("the chain from %s to %s ends at %s", from, target.To[0], at)
	}
}

func TestReachFromOutside(t *testing.T) {
	t.Parallel()
	p := plantest.Shipped(t, "online-shop")
	r := p.Reach(matrix.WorldEndpoint("192.0.2.7"))
	if r.Direct != 1 || len(r.Targets) == 0 || r.Targets[0].To[0] != "lab/visitor-0" || r.All != r.Direct+5 {
		t.Errorf("the world reaches %+v", r)
	}
}

func TestDisagreements(t *testing.T) {
	t.Parallel()
	s := plantest.Shipped(t, "online-shop-wrong-label").Sheet(true)
	if len(s.Differ) != 1 || s.Tally.Disagree != 1 || s.Differ[0].Flow.String() != "shop/api-0 → shop/db-0 TCP/5432" || s.Differ[0].Flow.Computed.Ingress.Reason == "" {
		t.Errorf("%+v, %+v", s.Differ, s.Tally)
	}
}
