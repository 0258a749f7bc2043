package oracle_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/oracle/cases"
)

// mixed is a random world of which not everything is known, and who asks in it.
func mixed(seed uint64) (oracle.World, []matrix.Endpoint) {
	r := cases.NewRandom(seed, 3)
	w := r.World()
	for i := range w.Pods {
		if r.IntN(4) == 0 {
			w.Pods[i].Addresses = nil
		}
		if r.IntN(4) == 0 {
			w.Pods[i].Node = ""
		}
		if r.IntN(5) == 0 {
			w.Pods[i].HostNetwork = true
		}
	}
	names := append(endpoints(w, matrix.IPv4), endpoints(w, matrix.IPv6)[0], "world/10.0.0.99", "x/stranger", "y/stranger")
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return w, names
}

func gridPorts() []oracle.Port {
	return []oracle.Port{{Protocol: matrix.TCP, Port: 80}, {Protocol: matrix.UDP, Port: 81}, {Protocol: matrix.TCP, Port: 30001}, {Protocol: matrix.TCP}, {Protocol: matrix.ICMP}}
}

// TestAGridSaysWhatDecideSays, to the last word but the names, in both IP
// families.
func TestAGridSaysWhatDecideSays(t *testing.T) {
	t.Parallel()
	seen := map[matrix.Intent]int{}
	for seed := range rounds() {
		w, names := mixed(seed)
		o := mustNew(t, w)
		for _, family := range []matrix.Family{matrix.IPv4, matrix.IPv6} {
			g := o.Grid(names, names[3:], gridPorts(), family)
			for i, from := range names {
				for j, to := range names[3:] {
					for k, p := range gridPorts() {
						f := matrix.Flow{From: from, To: to, Protocol: p.Protocol, Port: p.Port, Family: family}
						got, want := *g.At(i, j, k), o.Decide(f)
						seen[got.Intent]++
						if !sameButForNames(got, want, f) {
							t.Fatalf("seed %d: %s: the grid says\n%+v, Decide says\n%+v", seed, f, got, want)
						}
					}
				}
			}
		}
	}
	if len(seen) != 3 || seen[matrix.Unstated] > 0 {
		t.Errorf("got intents %v, want some of allow, deny and undefined", seen)
	}
}

// TestAGridOfSomePorts answers what is asked as the whole grid does, and nothing
// else; its groups are equal for all that is asked.
func TestAGridOfSomePorts(t *testing.T) {
	t.Parallel()
	skipped, folded := 0, 0
	for seed := range rounds() / 4 {
		w, names := mixed(seed)
		o, ports := mustNew(t, w), gridPorts()
		asked := make([][]int, len(names))
		for j := range asked {
			for k := range ports {
				if (j+k+int(seed))%3 > 0 { //nolint:gosec // small
					asked[j] = append(asked[j], k)
				}
			}
		}
		whole, g := o.Grid(names, names, ports, matrix.IPv4), o.GridOn(names, names, ports, asked, matrix.IPv4)
		from, to := g.Groups()
		folded += 2*len(names) - 2 - slices.Max(from) - slices.Max(to)
		for i := range names {
			a := slices.Index(from, from[i])
			for j := range names {
				for k := range ports {
					got, want := *g.At(i, j, k), *whole.At(i, j, k)
					switch {
					case !slices.Contains(asked[j], k) && got.Intent == matrix.Undefined && got.Reason != "":
						skipped++
					case !sameDecision(got, want):
						t.Fatalf("seed %d: %s to %s: got\n%+v, want\n%+v", seed, names[i], names[j], got, want)
					case a != j && i != j && !sameDecision(*g.At(a, j, k), got):
						t.Errorf("seed %d: %s and %s are one group of senders, but not to %s", seed, names[a], names[i], names[j])
					}
				}
			}
		}
	}
	if skipped == 0 || folded == 0 {
		t.Error("nothing was left out or folded: this test tested nothing")
	}
}

func sameDecision(a, b oracle.Decision) bool {
	return sameButForNames(a, b, matrix.Flow{From: "the sender", To: "the receiver"})
}

// sameButForNames: but for the names in reasons.
func sameButForNames(grid, one oracle.Decision, f matrix.Flow) bool {
	named := strings.NewReplacer("the sender", string(f.From), "the receiver", string(f.To))
	half := func(a, b oracle.Half) bool {
		return a.Intent == b.Intent && a.Isolated == b.Isolated && slices.Equal(a.By, b.By) && named.Replace(a.Reason) == b.Reason
	}
	return grid.Intent == one.Intent && half(grid.Egress, one.Egress) && half(grid.Ingress, one.Ingress) && named.Replace(grid.Reason) == one.Reason
}

// TestGroupsAreEqualForEveryQuestion, and one group is never split without
// need where the endpoints are replicas.
func TestGroupsAreEqualForEveryQuestion(t *testing.T) {
	t.Parallel()
	folded := 0
	for seed := range rounds() {
		w, names := mixed(seed)
		g := mustNew(t, w).Grid(names, names, gridPorts(), matrix.IPv4)
		from, to := g.Groups()
		folded += 2*len(names) - 2 - slices.Max(from) - slices.Max(to)
		for i := range names {
			a, b := slices.Index(from, from[i]), slices.Index(to, to[i])
			for j := range names {
				for k := range gridPorts() {
					if j != a && j != i && g.At(a, j, k) != g.At(i, j, k) {
						t.Errorf("seed %d: %s and %s are one group of senders, but not to %s", seed, names[a], names[i], names[j])
					}
					if j != b && j != i && g.At(j, b, k) != g.At(j, i, k) {
						t.Errorf("seed %d: %s and %s are one group of receivers, but not from %s", seed, names[b], names[i], names[j])
					}
				}
			}
		}
	}
	if folded == 0 {
		t.Error("nothing was folded: this test tested nothing")
	}
}

func TestReplicasFold(t *testing.T) {
	t.Parallel()
	w := town(4)
	var names []matrix.Endpoint
	for _, p := range w.Pods[:20] { // of one namespace
		names = append(names, p.Name)
	}
	from, to := mustNew(t, w).Grid(names, names, gridPorts(), matrix.IPv4).Groups()
	for i := range names {
		app := w.Pods[i].Labels["app"] + w.Pods[i].Labels["tier"]
		for j := range i {
			if w.Pods[j].Labels["app"]+w.Pods[j].Labels["tier"] == app && (from[i] != from[j] || to[i] != to[j]) {
				t.Errorf("%s and %s differ only in generated labels, and are in different groups", names[i], names[j])
			}
		}
	}
	if !slices.IsSorted(firsts(from)) || from[0] != 0 || slices.Max(from) == 0 {
		t.Errorf("groups %v are not numbered in order of first member, or are only one", from)
	}
}

func firsts(groups []int) []int {
	var first []int
	for _, g := range groups {
		if !slices.Contains(first, g) {
			first = append(first, g)
		}
	}
	return first
}

func TestAnEmptyGrid(t *testing.T) {
	t.Parallel()
	g := mustNew(t, grid()).Grid(nil, nil, nil, matrix.IPv4)
	if from, to := g.Groups(); len(from)+len(to) > 0 {
		t.Errorf("got groups %v and %v of nobody", from, to)
	}
}
