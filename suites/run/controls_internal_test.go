package run

import (
	"fmt"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
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
