package run

import (
	"fmt"
	"slices"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/run/record"
)

// What surprises is asked again with the other flows between the same two pods.
func TestWithControls(t *testing.T) {
	t.Parallel()
	s := &Session{subject: subject{index: matrix.NewIndex([]matrix.Flow{
		{From: "shop/db-0", To: "shop/web-0", Protocol: matrix.TCP, Port: 80},
		{From: "shop/web-0", To: "shop/db-0", Protocol: matrix.TCP, Port: 80},
		{From: "shop/web-0", To: "shop/db-0", Protocol: matrix.UDP, Port: 80},
		{From: "shop/web-0", To: "shop/web-0", Protocol: matrix.TCP, Port: 80},
	})}}
	if got := fmt.Sprint(s.withControls([]int{2})); got != "[1 2]" {
		t.Errorf("asked again: %s, want flows 1 and 2", got)
	}
}

func TestLostPacketsMakeEverySilenceDoubtful(t *testing.T) {
	t.Parallel()
	want := []matrix.Intent{matrix.Allow, matrix.Deny, matrix.Deny, matrix.Allow, matrix.Undefined}
	for _, row := range []struct {
		name  string
		saw   []matrix.Outcome
		again []int
	}{
		{"an allowed flow is silent", []matrix.Outcome{matrix.TimedOut, matrix.TimedOut, matrix.Refused, matrix.Connected, matrix.TimedOut}, []int{0, 1, 4, 0}},
		{"an allowed flow is refused", []matrix.Outcome{matrix.Refused, matrix.TimedOut, matrix.TimedOut, matrix.Connected, matrix.TimedOut}, []int{0}},
		{"a denied flow connects", []matrix.Outcome{matrix.Connected, matrix.Connected, matrix.TimedOut, matrix.Connected, matrix.TimedOut}, []int{1}},
	} {
		var p record.Pass
		for i, o := range row.saw {
			p.Cells = append(p.Cells, record.Cell{Flow: i, Sample: matrix.Sample{Outcome: o}})
		}
		intent := func(i int) matrix.Intent { return want[i] }
		if got := doubtful(p, surprising(p, intent), intent); !slices.Equal(got, row.again) {
			t.Errorf("%s: asks %v again, want %v", row.name, got, row.again)
		}
	}
}
