package mutate_test

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/hack/golden"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/mutate"
)

// declared is what a scenario declares.
type declared struct{ *scenario.Questions }

func (d declared) Intent(f matrix.Flow) matrix.Intent { return d.Expect(f).Intent }

// shop loads a shipped scenario.
func shop(tb testing.TB, name string) *scenario.Scenario {
	tb.Helper()
	sc, err := scenario.Load(filepath.Join("..", "..", "fixtures", "catalog", name, "scenario.yaml"))
	if err != nil {
		tb.Fatal(err)
	}
	return sc
}

// score judges all mutants of a scenario.
func score(tb testing.TB, sc *scenario.Scenario) mutate.Result {
	tb.Helper()
	w := sc.World()
	r, err := mutate.Score(tb.Context(), w, declared{sc.Questions()}, sc.Cluster.IPs, mutate.Mutants(w, mutate.Operators()))
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// Every mutant of the online shop with its fate and what it flips.
func TestOnlineShop(t *testing.T) {
	t.Parallel()
	r := score(t, shop(t, "online-shop"))
	var b strings.Builder
	share, ok := r.Score()
	fmt.Fprintf(&b, "%d mutants: %d killed, %d survived, %d equivalent, %d beyond, %d undecided; score %.4f %t\n",
		len(r), r.Count(mutate.Killed), r.Count(mutate.Survived), r.Count(mutate.Equivalent), r.Count(mutate.Beyond), r.Count(mutate.Undecided), share, ok)
	for _, j := range r {
		fmt.Fprintf(&b, "%-10s %s: %s\n", j.Fate, j.ID(), j.What)
		for _, f := range j.Flips {
			fmt.Fprintf(&b, "           %s: %s → %s, declared %s\n", f.Flow, f.Before, f.After, f.Declared)
		}
		if line := cmp.Or(j.Remedy.Paste, j.Remedy.Hint); line != "" {
			fmt.Fprintf(&b, "           (%d flows) %s\n", j.Flows, strings.TrimSpace(j.Remedy.Workloads+" "+line))
		}
	}
	golden.Check(t, filepath.Join("testdata", "online-shop.golden"), b.String())
}
