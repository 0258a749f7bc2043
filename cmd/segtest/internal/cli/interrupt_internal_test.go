package cli

import (
	"io"
	"strings"
	"testing"
)

// TestCleansUp: only the verbs that make something go on after an interrupt.
func TestCleansUp(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]bool{
		"run shop.yaml --repeat 2": true, "clean --all": true, "reaper --journal j.jsonl": true,
		"": false, "nonsense": false, "plan run": false, "diff clean run": false, "explain a b:1": false, "lint .": false,
		"bisect a b:1": false, "mutate run": false, "report run": false, "doctor": false, "help run": false,
	} {
		if got := cleansUp(newRoot(stdio{strings.NewReader(""), io.Discard, io.Discard}), strings.Fields(args)); got != want {
			t.Errorf("segtest %s: %t", args, got)
		}
	}
}
