package simnet_test

import (
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/simnet"
)

// TestDefects: they are in order of name, each once, and say what they are.
func TestDefects(t *testing.T) {
	t.Parallel()
	all := simnet.Defects()
	if len(all) < 12 {
		t.Errorf("%d defects", len(all))
	}
	for i, d := range all {
		if i > 0 && d.Name <= all[i-1].Name {
			t.Errorf("defect %q is not in order of name, or there twice", d.Name)
		}
		if d.Name == "" || strings.ContainsAny(d.Name, " _") || d.Summary == "" || strings.HasSuffix(d.Summary, ".") {
			t.Errorf("defect %q, %q", d.Name, d.Summary)
		}
	}
}
