package run

import (
	"testing"
	"time"

	"github.com/segtest/segtest/suites/run/record"
)

// TestSettling: a matrix has settled at the end of the first of two passes in a
// row that were as expected.
func TestSettling(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		wrong []int // flows, pass by pass; pass k takes from k to k+0.5 s
		want  record.Convergence
	}{
		{"nobody looked", nil, record.Convergence{Error: "within 20s never 2 passes in a row as expected; flows that were not in the last: 0"}},
		{"at once", []int{0, 0}, record.Convergence{Upper: 1500 * time.Millisecond, Resolution: time.Second}},
		{"later", []int{7, 2, 0, 0}, record.Convergence{Lower: 2 * time.Second, Upper: 3500 * time.Millisecond, Resolution: time.Second}},
		{"in two goes", []int{7, 0, 1, 0, 0}, record.Convergence{Lower: 3 * time.Second, Upper: 4500 * time.Millisecond, Resolution: time.Second}},
		{"once only", []int{7, 0}, record.Convergence{Lower: time.Second, Resolution: time.Second, Error: "within 20s never 2 passes in a row as expected; flows that were not in the last: 0"}},
		{"never", []int{7, 3}, record.Convergence{Lower: 2 * time.Second, Resolution: time.Second, Error: "within 20s never 2 passes in a row as expected; flows that were not in the last: 3"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			const applied = 100 * time.Second
			var how settling
			for k, wrong := range row.wrong {
				start := applied + time.Duration(k+1)*time.Second
				how.look(record.Pass{Start: start, End: start + time.Second/2}, wrong)
			}
			row.want.What = "matrix settled"
			if got := how.convergence(applied); got != row.want {
				t.Errorf("%+v, want %+v", got, row.want)
			}
		})
	}
}
