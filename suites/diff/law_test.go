package diff_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/outside"
	"github.com/segtest/segtest/suites/plan"
)

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
	elsewhere := outside.Pods(before.World, after.World)
	was, is := peopled(t, before, elsewhere), peopled(t, after, elsewhere)
	expect := func(f matrix.Flow) {
		if x, y := was.Decide(f).Intent, is.Decide(f).Intent; x != y {
			want[f] = fmt.Sprint(x, y, matrix.Unstated)
		}
	}
	ports := outside.Ports([]uint16{before.Scenario.Canary, after.Scenario.Canary}, before.World, after.World)
	for _, e := range elsewhere {
		for i, pod := range after.Pods() {
			for f := range after.Between(after.Pods()[(i+1)%len(after.Pods())], pod) {
				f.From = e.Name
				expect(f)
			}
			for _, p := range slices.Concat(ports, e.Ports) {
				expect(matrix.Flow{From: pod, To: e.Name, Protocol: p.Protocol, Port: p.Port, Family: matrix.IPv4})
			}
		}
	}
	d := of(t, before, after)
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

// peopled is the oracle of a version with pods that it does not hold.
func peopled(t *testing.T, p *plan.Plan, pods []outside.Pod) *oracle.Oracle {
	t.Helper()
	o, err := oracle.New(outside.Add(p.World, pods))
	if err != nil {
		t.Fatal(err)
	}
	return o
}
