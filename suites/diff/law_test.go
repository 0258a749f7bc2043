package diff_test

import (
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/outside"
	"github.com/segtest/segtest/suites/diff"
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
		"ranges":     shop(t, allow, policy("ports: [{port: 5000, endPort: 5999}, {port: 7000, endPort: 7999}]"), strings.ReplaceAll(egress("[{ports: [{port: 8000, endPort: 8999}]}]"), "db", "job"), guard("Deny", "{}}], protocols: [{tcp: {destinationPort: {range: {start: 7500, end: 8500}}}")),
		"split":      shop(t, allow, policy("ports: [{port: 1, endPort: 5499}, {port: 5500, endPort: 65535}]"), strings.ReplaceAll(egress("[{ports: [{port: 8000, endPort: 8079}, {port: 8081, endPort: 8999}]}]"), "db", "job")),
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

// entry of a flip, of one pair of endpoints.
type entry struct {
	diff.Port
	flip diff.Flip
}

func agree(t *testing.T, name string, before, after *plan.Plan) int {
	t.Helper()
	elsewhere := outside.AllPods(before.World, after.World)
	was, is := peopled(t, before, elsewhere), peopled(t, after, elsewhere)
	said := map[matrix.Flow][]entry{} // without port
	for _, flip := range of(t, before, after).Flips {
		count := 0
		for _, from := range flip.From {
			for _, to := range flip.To {
				for _, p := range flip.Ports {
					if from == to {
						continue
					}
					count++
					f := matrix.Flow{From: from, To: to, Protocol: p.Protocol, Family: p.Family}
					said[f] = append(said[f], entry{p, flip})
				}
			}
		}
		if count != flip.Count {
			t.Errorf("%s: a flip of %d flows lists %d", name, flip.Count, count)
		}
	}
	seats := slices.Clone(after.Pods())
	for _, e := range elsewhere {
		seats = append(seats, e.Name)
	}
	seen := 0
	for f := range samples(seats, before, after) {
		x, y := was.Decide(f), is.Decide(f)
		found, exact := find(said, f)
		switch {
		case len(found) > 1:
			t.Errorf("%s: %s is in %d flips", name, f, len(found))
		case len(found) == 1 && (found[0].flip.Before != x.Intent || found[0].flip.After != y.Intent):
			if exact || !parted(f, before, after) {
				t.Errorf("%s: %s flips from %s to %s, and not from %s to %s", name, f, x.Intent, y.Intent, found[0].flip.Before, found[0].flip.After)
			}
		case len(found) == 0 && x.Intent != y.Intent:
			t.Errorf("%s: %s flips from %s to %s and is in no flip", name, f, x.Intent, y.Intent)
		case len(found) == 1:
			seen++
			if want := after.Expect(f).Intent; found[0].flip.Declared.Intent != want {
				t.Errorf("%s: %s is declared %s, and not %s", name, f, want, found[0].flip.Declared.Intent)
			}
		}
	}
	return seen
}

// samples are flows between seats on the ports at which something may change, and
// on their neighbours.
func samples(seats []matrix.Endpoint, plans ...*plan.Plan) iter.Seq[matrix.Flow] {
	ports := map[uint16]bool{1: true, outside.LastPort: true, 80: true, 5432: true, 8080: true}
	for _, p := range plans {
		ports[p.Scenario.Canary] = true
		for _, s := range outside.Spans(p.World) {
			for _, n := range []uint16{s.Low - 1, s.Low, s.High, s.High + 1} {
				ports[n] = n > 0
			}
		}
	}
	return func(yield func(matrix.Flow) bool) {
		for _, from := range seats {
			for _, to := range seats {
				inside := slices.Contains(plans[0].Pods(), from) || slices.Contains(plans[0].Pods(), to)
				for port, asked := range ports {
					for _, protocol := range []matrix.Protocol{matrix.TCP, matrix.UDP} {
						if f := (matrix.Flow{From: from, To: to, Protocol: protocol, Port: port, Family: matrix.IPv4}); asked && inside && from != to && !yield(f) {
							return
						}
					}
				}
			}
		}
	}
}

// find what flips say of a flow: of its port, else of all others.
func find(said map[matrix.Flow][]entry, f matrix.Flow) (found []entry, exact bool) {
	port := f.Port
	f.Port = 0
	var others []entry
	for _, e := range said[f] {
		switch {
		case e.Canary:
			others = append(others, e)
		case port == e.Port.Port || e.Port.Port < port && port <= e.Last:
			found = append(found, e)
		}
	}
	if found == nil {
		return others, false
	}
	return found, true
}

// parted reports a port that the receiver declares or a policy names, which is
// not among all others where it does not flip.
func parted(f matrix.Flow, plans ...*plan.Plan) bool {
	port := oracle.Port{Protocol: f.Protocol, Port: f.Port}
	return slices.ContainsFunc(plans, func(p *plan.Plan) bool {
		for g := range p.Between("", f.To) {
			if g.Protocol == f.Protocol && g.Port == f.Port && g.Port != p.Scenario.Canary {
				return true
			}
		}
		return slices.ContainsFunc(outside.Spans(p.World), func(s outside.Span) bool { return s.Holds(port) })
	})
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
