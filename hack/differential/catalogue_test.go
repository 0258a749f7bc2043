package differential_test

import (
	"os"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle/cases"
)

// TestEngineOnCatalogue checks the data of all cases with an engine that
// enforces policies on real clusters: what is expected is what it does.
func TestEngineOnCatalogue(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"clusternetworkpolicy", "cyclonus", "netpol"} {
		all, err := cases.Load(os.DirFS(catalogue + folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			t.Run(folder+"/"+c.Name, func(t *testing.T) {
				t.Parallel()
				for _, s := range c.Steps {
					engineOnStep(t, s)
				}
			})
		}
	}
}

func engineOnStep(t *testing.T, s cases.Step) {
	t.Helper()
	e, err := newEngine(s.World)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range s.Cells {
		passes, err := e.passes(t.Context(), c.Flow)
		if err != nil {
			t.Fatal(err)
		}
		if passes != (c.Intent() == matrix.Allow) && documented(s.World, c.Flow, c.Intent()) < 0 {
			t.Errorf("step %q: %s: the data says %s, the engine %t", s.Name, c.Flow, c.Intent(), passes)
		}
	}
}
