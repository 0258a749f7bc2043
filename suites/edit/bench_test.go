package edit_test

import (
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/edit"
	"github.com/segtest/segtest/suites/plan/plantest"
)

// BenchmarkTown searches the edit that lets four replicas speak to four others,
// among a thousand pods.
func BenchmarkTown(b *testing.B) {
	p := plantest.Town(b)
	aim := edit.Aim{Flows: between(p, "team-0/app-0", "team-1/app-1", 8021), Want: matrix.Allow}
	b.ReportAllocs()
	for b.Loop() {
		if r, err := edit.Smallest(b.Context(), p, aim); err != nil || r.Remedy == nil {
			b.Fatalf("there is no edit: %v", err)
		}
	}
}
