package run_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/segtest/segtest/fixtures/catalog"
	"github.com/segtest/segtest/suites/plan/plantest"
	"github.com/segtest/segtest/suites/run"
)

// TestFlowsAreThoseOfARun: a plan and a run speak of the same flows.
func TestFlowsAreThoseOfARun(t *testing.T) {
	t.Parallel()
	for _, name := range catalog.Names() {
		p := plantest.Shipped(t, name)
		want, err := run.Flows(p.Scenario, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := slices.Collect(p.Flows())
		if len(got) != len(want) {
			t.Fatalf("%s: the plan has %d flows, a run %d", name, len(got), len(want))
		}
		for i := range got {
			if fmt.Sprint(got[i]) != fmt.Sprint(want[i]) {
				t.Fatalf("%s: flow %d is\n%+v, in a run\n%+v", name, i, got[i], want[i])
			}
		}
	}
}
