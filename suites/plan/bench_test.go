package plan_test

import (
	"testing"

	"github.com/segtest/segtest/suites/plan"
	"github.com/segtest/segtest/suites/plan/plantest"
)

// BenchmarkTown takes the snapshot of a thousand pods, and reads one as a sheet.
func BenchmarkTown(b *testing.B) {
	p := plantest.Town(b)
	b.Run("snapshot", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if len(p.Snapshot()) == 0 {
				b.Fatal("nothing is allowed")
			}
		}
	})
	b.Run("sheet", func(b *testing.B) {
		b.ReportAllocs()
		var s plan.Sheet
		for b.Loop() {
			s = p.Sheet(true)
		}
		if s.Tally.Flows < 1_000_000 {
			b.Fatalf("%d flows of a thousand pods", s.Tally.Flows)
		}
	})
}
