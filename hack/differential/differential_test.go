package differential_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/oracle/cases"
)

const (
	worlds          = 500
	packetsPerWorld = 2000 // a million in all
)

// TestDifferential asks the oracle and kube-network-policies about random
// packets in random worlds. Where they disagree, and where the oracle says that
// the specification leaves the answer open, one of the documented differences
// has to apply. $SEGTEST_SEED draws other worlds than those of every day.
func TestDifferential(t *testing.T) {
	t.Parallel()
	seed := uint64(1)
	if text := os.Getenv("SEGTEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("reading $SEGTEST_SEED: %v", err)
		}
	}
	n := worlds
	if testing.Short() {
		n /= 20
	}
	numbers := make(chan int)
	var total tally
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range numbers {
				found := compare(t, seed, uint64(i)) //nolint:gosec // not negative
				mu.Lock()
				total.add(found)
				mu.Unlock()
			}
		})
	}
	for i := range n {
		if t.Failed() {
			break // one disagreement is enough to read
		}
		numbers <- i
	}
	close(numbers)
	workers.Wait()
	t.Logf("seed %d: %s", seed, total)
	if total.packets == n*packetsPerWorld && (total.agreed[0] < total.packets/10 || total.agreed[1] < total.packets/10) {
		t.Errorf("too little of it was agreed upon to say anything")
	}
}

// tally counts packets.
type tally struct {
	packets int
	agreed  [2]int // denied, allowed
	differ  [differenceCount]int
}

func (t *tally) add(u tally) {
	t.packets += u.packets
	for i := range t.agreed {
		t.agreed[i] += u.agreed[i]
	}
	for i := range t.differ {
		t.differ[i] += u.differ[i]
	}
}

func (t tally) String() string {
	s := fmt.Sprintf("%d packets, both deny %d, both allow %d", t.packets, t.agreed[0], t.agreed[1])
	for i, d := range differences() {
		s += fmt.Sprintf("\n  %-24s %6d times %s", d.name, t.differ[i], d.ours)
	}
	return s
}

// compare draws one world and its packets.
func compare(t *testing.T, seed, number uint64) tally {
	t.Helper()
	r := cases.NewRandom(seed, number)
	w := r.World()
	both, err := newPair(w)
	if err != nil {
		t.Errorf("seed %d, world %d: %v", seed, number, err)
		return tally{}
	}
	var count tally
	for range packetsPerWorld {
		f := r.Flow(w)
		decision, passes, err := both.ask(t, f)
		if err != nil {
			t.Errorf("seed %d, world %d: %s: %v", seed, number, f, err)
			return count
		}
		count.packets++
		if agrees(decision, passes) {
			count.agreed[btoi(passes)]++
			continue
		}
		i := documented(w, f, decision.Intent)
		if i < 0 {
			t.Errorf("seed %d, world %d: %s", seed, number, report(t, w, f))
			return count
		}
		count.differ[i]++
	}
	return count
}

func agrees(d oracle.Decision, passes bool) bool {
	return d.Intent == matrix.Allow && passes || d.Intent == matrix.Deny && !passes
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// pair is both engines over one World.
type pair struct {
	ours   *oracle.Oracle
	theirs *engine
}

func newPair(w oracle.World) (pair, error) {
	ours, err := oracle.New(w)
	if err != nil {
		return pair{}, fmt.Errorf("the oracle: %w", err)
	}
	theirs, err := newEngine(w)
	if err != nil {
		return pair{}, fmt.Errorf("the engine: %w", err)
	}
	return pair{ours, theirs}, nil
}

func (p pair) ask(t *testing.T, f matrix.Flow) (oracle.Decision, bool, error) {
	t.Helper()
	passes, err := p.theirs.passes(t.Context(), f)
	return p.ours.Decide(f), passes, err
}

// report is the smallest world that we find in which they still disagree.
func report(t *testing.T, w oracle.World, f matrix.Flow) string {
	t.Helper()
	var d oracle.Decision
	var passes bool
	disagree := func(w oracle.World) bool {
		both, err := newPair(w)
		if err != nil {
			return false
		}
		d, passes, err = both.ask(t, f)
		return err == nil && !agrees(d, passes) && documented(w, f, d.Intent) < 0
	}
	w = shrink(w, disagree)
	disagree(w)
	text, err := yaml.Marshal(map[string]any{
		"policies": w.Policies, "clusterPolicies": w.ClusterPolicies, "pods": []oracle.Pod{podOf(w, f.From), podOf(w, f.To)},
		"namespaces": w.Namespaces, "nodes": w.Nodes,
	})
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s: the oracle says %s (%s; egress: %s; ingress: %s), the engine lets it pass: %t\n%s",
		f, d.Intent, d.Reason, d.Egress.Reason, d.Ingress.Reason, passes, text)
}

// shrink leaves out policies and rules as long as the world stays bad.
func shrink(w oracle.World, bad func(oracle.World) bool) oracle.World {
	for again := true; again; {
		again = false
		for _, smaller := range smallerWorlds(w) {
			if bad(smaller) {
				w, again = smaller, true
				break
			}
		}
	}
	return w
}

func smallerWorlds(w oracle.World) []oracle.World {
	var all []oracle.World
	for i, p := range w.Policies {
		all = append(all, withPolicies(w, slices.Delete(slices.Clone(w.Policies), i, i+1)))
		for j := range p.Spec.Ingress {
			q := oracle.Policy{NetworkPolicy: p.DeepCopy()}
			q.Spec.Ingress = slices.Delete(q.Spec.Ingress, j, j+1)
			all = append(all, withPolicies(w, slices.Replace(slices.Clone(w.Policies), i, i+1, q)))
		}
		for j := range p.Spec.Egress {
			q := oracle.Policy{NetworkPolicy: p.DeepCopy()}
			q.Spec.Egress = slices.Delete(q.Spec.Egress, j, j+1)
			all = append(all, withPolicies(w, slices.Replace(slices.Clone(w.Policies), i, i+1, q)))
		}
	}
	for i, p := range w.ClusterPolicies {
		all = append(all, withClusterPolicies(w, slices.Delete(slices.Clone(w.ClusterPolicies), i, i+1)))
		for j := range p.Spec.Ingress {
			q := oracle.ClusterPolicy{ClusterNetworkPolicy: p.DeepCopy(), Kind: p.Kind}
			q.Spec.Ingress = slices.Delete(q.Spec.Ingress, j, j+1)
			all = append(all, withClusterPolicies(w, slices.Replace(slices.Clone(w.ClusterPolicies), i, i+1, q)))
		}
		for j := range p.Spec.Egress {
			q := oracle.ClusterPolicy{ClusterNetworkPolicy: p.DeepCopy(), Kind: p.Kind}
			q.Spec.Egress = slices.Delete(q.Spec.Egress, j, j+1)
			all = append(all, withClusterPolicies(w, slices.Replace(slices.Clone(w.ClusterPolicies), i, i+1, q)))
		}
	}
	return all
}

func withPolicies(w oracle.World, p []oracle.Policy) oracle.World {
	w.Policies = p
	return w
}

func withClusterPolicies(w oracle.World, p []oracle.ClusterPolicy) oracle.World {
	w.ClusterPolicies = p
	return w
}
