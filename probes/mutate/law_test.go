package mutate_test

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/mutate"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/oracle/cases"
	"github.com/segtest/segtest/probes/outside"
)

// familiesOf the numbered world, so that one of four has both.
func familiesOf(n uint64) []matrix.Family {
	return [...][]matrix.Family{{matrix.IPv4}, {matrix.IPv6}, {matrix.IPv4}, {matrix.IPv4, matrix.IPv6}}[n%4]
}

// drawn declares some flows at will: one of a hash of the flow. Where kinds is
// not 0, pods are alike whose names have the same hash of so many.
type drawn struct {
	kinds uint64
	pods  []oracle.Pod
}

func hash(parts ...any) uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, parts...)
	return h.Sum64()
}

func (d drawn) kind(e matrix.Endpoint) string {
	if d.kinds == 0 {
		return string(e)
	}
	return fmt.Sprint(hash(e) % d.kinds)
}

func (d drawn) Ports(from, to matrix.Endpoint) []oracle.Port {
	ports := []oracle.Port{{Protocol: matrix.TCP, Port: 65000}, {Protocol: matrix.UDP, Port: 65000}}
	for _, p := range d.pods {
		if p.Name == to {
			for _, have := range p.Ports {
				ports = append(ports, oracle.Port{Protocol: have.Protocol, Port: have.Port})
			}
		}
	}
	return ports
}

func (d drawn) Intent(f matrix.Flow) matrix.Intent {
	if held := func(e matrix.Endpoint) bool {
		return slices.ContainsFunc(d.pods, func(p oracle.Pod) bool { return p.Name == e })
	}; !held(f.From) || !held(f.To) {
		return matrix.Unstated
	}
	return matrix.Intent(hash("intent", d.kind(f.From), d.kind(f.To), f.Protocol, f.Port) % 3)
}

// Snapshot is false: only what a run asks is declared.
func (drawn) Snapshot() bool { return false }

func (d drawn) Alike(e matrix.Endpoint) (sender, receiver string) {
	return d.kind(e), d.kind(e)
}

// brute is the whole matrix of a World in one family, without any folding: all
// pods, those outside and nodes, some addresses, and every port near those that
// policies name.
type brute struct {
	pods, others []matrix.Endpoint // held ones first, then those outside
	receivers    []matrix.Endpoint // pods, and one more of each outside
	held         int               // of pods
	ports        []oracle.Port
}

func bruteOf(w oracle.World, elsewhere []outside.Pod, family matrix.Family) brute {
	b := brute{held: len(w.Pods)}
	for _, p := range w.Pods {
		b.pods = append(b.pods, p.Name)
	}
	for _, p := range elsewhere {
		b.pods = append(b.pods, p.Name)
	}
	b.receivers = slices.Clone(b.pods)
	for _, p := range elsewhere {
		if p.Other.Name != "" {
			b.receivers = append(b.receivers, p.Other.Name)
		}
	}
	for _, n := range w.Nodes {
		b.others = append(b.others, matrix.NodeEndpoint(n.Name))
	}
	addresses := []string{
		"1.2.3.4", "10.0.0.0", "10.0.0.3", "10.0.0.5", "10.0.1.0", "10.0.1.5", "10.0.2.9", "10.0.3.9", "10.0.9.9", "10.0.200.0", "10.0.200.9", "10.0.201.9",
		"10.1.0.9", "192.0.2.6", "192.0.2.7", "192.0.2.8", "192.0.3.9", "203.0.113.1",
	}
	if family == matrix.IPv6 {
		addresses = []string{"::2", "fd00::5", "fd00::1:0", "fd00::1:5", "fd00::2:9", "fd00::1:0:9", "fd00::2:0:9", "fe00::1", "2001:db8::7", "2001:db9::7", "2001:dba::7"}
	}
	for _, a := range addresses {
		b.others = append(b.others, matrix.WorldEndpoint(a))
	}
	for _, protocol := range []matrix.Protocol{matrix.TCP, matrix.UDP, matrix.SCTP} {
		for _, port := range []uint16{79, 80, 81, 82, 83, 84, 85, 30001, 65000} {
			b.ports = append(b.ports, oracle.Port{Protocol: protocol, Port: port})
		}
	}
	for _, p := range elsewhere[0].Ports {
		if p.Name = ""; !slices.Contains(b.ports, p) {
			b.ports = append(b.ports, p)
		}
	}
	return b
}

// matrix holds the flows between pods first.
func (b brute) matrix(t *testing.T, w oracle.World, family matrix.Family) []matrix.Intent {
	t.Helper()
	o, err := oracle.New(w)
	if err != nil {
		t.Fatal(err)
	}
	var all []matrix.Intent
	add := func(from, to []matrix.Endpoint) {
		g := o.Grid(from, to, b.ports, family)
		for i := range from {
			for j := range to {
				for k := range b.ports {
					all = append(all, g.At(i, j, k).Intent)
				}
			}
		}
	}
	add(b.pods, b.receivers)
	add(b.pods, b.others)
	add(b.others, b.pods)
	return all
}

// fate of a mutant by the whole matrix before and after: killed where a declared
// flow that the World satisfies turns round, and else by the most telling flow
// that changes.
func (b brute) fate(before, after []matrix.Intent, e mutate.Expectation, family matrix.Family) mutate.Fate {
	worst := mutate.Equivalent
	for i, x := range before {
		y, pair, p := after[i], i/len(b.ports), b.ports[i%len(b.ports)]
		if x == y {
			continue
		}
		from, to, inner := pair/len(b.receivers), pair%len(b.receivers), pair < len(b.pods)*len(b.receivers)
		asked := inner && from != to && to < b.held && slices.Contains(e.Ports(b.pods[from], b.receivers[to]), p)
		fate := mutate.Survived
		switch {
		case x == matrix.Undefined || y == matrix.Undefined:
			fate = mutate.Undecided
		case !inner || !asked && p.Protocol == matrix.SCTP:
			fate = mutate.Beyond
		case asked && from < b.held && e.Intent(matrix.Flow{From: b.pods[from], To: b.receivers[to], Protocol: p.Protocol, Port: p.Port, Family: family}) == x:
			return mutate.Killed
		}
		worst = weightier(worst, fate)
	}
	return worst
}

// weightier of two fates.
func weightier(a, b mutate.Fate) mutate.Fate {
	order := []mutate.Fate{mutate.Killed, mutate.Survived, mutate.Beyond, mutate.Undecided, mutate.Equivalent}
	return order[min(slices.Index(order, a), slices.Index(order, b))]
}

// On random worlds, the fate of every mutant is that of the whole matrix.
func TestFatesAreThoseOfTheWholeMatrix(t *testing.T) {
	t.Parallel()
	seen := map[mutate.Fate]int{}
	worlds, stride := slice()
	for n := range worlds {
		w := cases.NewRandom(7, n).World()
		all, elsewhere := mutate.Mutants(w, mutate.Operators()), outside.Pods(w)
		var mutants []mutate.Mutant
		for i := int(n) % stride; i < len(all); i += stride * (1 + len(elsewhere)/8) { //nolint:gosec // few worlds
			mutants = append(mutants, all[i])
		}
		e, families := drawn{kinds: n % 3, pods: w.Pods}, familiesOf(n)
		r, err := mutate.Score(t.Context(), w, e, families, mutants)
		if err != nil {
			t.Fatal(err)
		}
		var whole [2]brute
		var before [2][]matrix.Intent
		for _, family := range families {
			whole[family] = bruteOf(w, elsewhere, family)
			before[family] = whole[family].matrix(t, outside.Add(w, elsewhere), family)
		}
		for i, j := range r {
			want, open := mutate.Equivalent, false
			for _, family := range families {
				b := whole[family]
				after := b.matrix(t, outside.Add(mutants[i].In(w), elsewhere), family)
				want = weightier(want, b.fate(before[family], after, e, family))
				open = open || slices.Contains(before[family], matrix.Undefined)
			}
			// The matrix does not tell why a flow is undefined.
			if j.Fate != want && (j.Fate != mutate.Undecided || want != mutate.Equivalent || !open) {
				t.Errorf("world %d: %s (%s) is %s, and by the whole matrix %s", n, j.ID(), j.What, j.Fate, want)
			}
			seen[j.Fate]++
			flipsAreReal(t, outside.Add(w, elsewhere), e, j)
		}
	}
	t.Logf("%v", seen)
	for f, least := range map[mutate.Fate]int{mutate.Killed: 5, mutate.Survived: 5, mutate.Equivalent: 5, mutate.Beyond: 1, mutate.Undecided: 1} {
		if seen[f] < least {
			t.Errorf("only %d mutants are %s: the test looks at too little", seen[f], f)
		}
	}
}

// slice of all random worlds and mutants, for a test that takes a second: so many
// worlds, and every stride-th mutant of each. A thinner one with -short, which is
// how the race detector goes along.
func slice() (worlds uint64, stride int) {
	if testing.Short() {
		return 7, 7
	}
	return 24, 24
}

// flipsAreReal asks the oracle of the whole World, and of that of the mutant.
func flipsAreReal(t *testing.T, w oracle.World, e mutate.Expectation, j mutate.Judged) {
	t.Helper()
	before, err := oracle.New(w)
	if err != nil {
		t.Fatal(err)
	}
	after, err := oracle.New(j.In(w))
	if err != nil {
		t.Fatal(err)
	}
	if (len(j.Flips) > 0) != (j.Fate != mutate.Equivalent) {
		t.Errorf("%s is %s, with %d flips", j.ID(), j.Fate, len(j.Flips))
	}
	for _, f := range j.Flips {
		if x, y := before.Decide(f.Flow).Intent, after.Decide(f.Flow).Intent; x != f.Before || y != f.After || x == y && (x != matrix.Undefined || j.Fate != mutate.Undecided) {
			t.Errorf("%s flips %s from %s to %s, and the oracle says from %s to %s", j.ID(), f.Flow, f.Before, f.After, x, y)
		}
		if j.Fate == mutate.Killed && (f.Declared != f.Before || e.Intent(f.Flow) != f.Declared) {
			t.Errorf("%s is killed by %s: declared %s, before %s", j.ID(), f.Flow, f.Declared, f.Before)
		}
	}
	if has := j.Remedy != (mutate.Remedy{}); has != (j.Fate == mutate.Survived) {
		t.Errorf("%s is %s, with the remedy %+v", j.ID(), j.Fate, j.Remedy)
	}
}

// Mutants have IDs of their own, come out the same every time, and leave the
// World as it was.
func TestMutantsAreTheSameEveryTime(t *testing.T) {
	t.Parallel()
	worlds := uint64(2)
	if testing.Short() {
		worlds = 1
	}
	for n := range worlds {
		w := cases.NewRandom(8, n).World()
		was := dump(t, w)
		mutants := mutate.Mutants(w, mutate.Operators())
		if dump(t, mutants) != dump(t, mutate.Mutants(w, mutate.Operators())) {
			t.Errorf("world %d: the second list of mutants differs", n)
		}
		seen := map[string]bool{}
		for _, m := range mutants {
			if seen[m.ID()] {
				t.Errorf("world %d: %q is there twice", n, m.ID())
			}
			seen[m.ID()] = true
			if _, err := oracle.New(m.In(w)); err != nil {
				t.Errorf("world %d: %q is invalid: %v", n, m.ID(), err)
			}
			spoil(m)
		}
		if dump(t, w) != was {
			t.Errorf("world %d was written into", n)
		}
	}
}

// spoil writes into what the policy of the mutant points to.
func spoil(m mutate.Mutant) {
	selector := func(s *metav1.LabelSelector) {
		if s != nil && s.MatchLabels != nil {
			s.MatchLabels["spoilt"] = "x"
		}
		if s != nil && len(s.MatchExpressions) > 0 {
			s.MatchExpressions[0].Key = "spoilt"
		}
	}
	if m.Policy != nil {
		selector(&m.Policy.Spec.PodSelector)
		for _, r := range m.Policy.Spec.Egress {
			for _, p := range r.To {
				selector(p.NamespaceSelector)
				selector(p.PodSelector)
				if p.IPBlock != nil {
					p.IPBlock.CIDR = "spoilt"
				}
			}
			for _, p := range r.Ports {
				*p.Protocol = "spoilt"
			}
		}
	}
	if m.ClusterPolicy != nil {
		selector(m.ClusterPolicy.Spec.Subject.Namespaces)
		for _, r := range m.ClusterPolicy.Spec.Egress {
			for _, p := range r.To {
				selector(p.Namespaces)
				for i := range p.Networks {
					p.Networks[i] = "spoilt"
				}
			}
		}
	}
}

func dump(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
