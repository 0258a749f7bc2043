package mutate_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/mutate"
)

// BenchmarkOnlineShop makes and judges 1,000 mutants of the online shop: all of
// them, again and again, each time from the start. The bound of a second is on
// processor time, which other work on the machine does not change.
func BenchmarkOnlineShop(b *testing.B) {
	sc := shop(b, "online-shop")
	w, e := sc.World(), declared{sc.Questions()}
	b.ReportAllocs()
	start := processorTime(b)
	for b.Loop() {
		killed := 0
		for judged := 0; judged < 1000; {
			mutants := mutate.Mutants(w, mutate.Operators())
			mutants = mutants[:min(len(mutants), 1000-judged)]
			judged += len(mutants)
			r, err := mutate.Score(b.Context(), w, e, sc.Cluster.IPs, mutants)
			if err != nil {
				b.Fatal(err)
			}
			killed += r.Count(mutate.Killed)
		}
		if killed < 500 {
			b.Fatalf("only %d of 1,000 mutants were killed", killed)
		}
	}
	mean := (processorTime(b) - start) / time.Duration(b.N)
	b.ReportMetric(mean.Seconds(), "cpu-s/op")
	if mean > time.Second {
		b.Errorf("1,000 mutants take %v of processor time, more than a second", mean)
	}
}

// processorTime of this process so far, that of all its threads.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
