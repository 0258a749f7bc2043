package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/segtest/segtest/fixtures/manifest"
)

// TestWarningsAreBounded: one for every policy of a folder would hide what follows.
func TestWarningsAreBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		warnings, lines int
		last            string
	}{
		{0, 0, ""},
		{1, 1, "warning: (unknown place): number 0"},
		{20, 20, "warning: (unknown place): number 19"},
		{21, 21, "warning: 1 more are not shown"},
		{500, 21, "warning: 480 more are not shown"},
	} {
		var all manifest.Problems
		for i := range c.warnings {
			all = append(all, manifest.Problem{Message: fmt.Sprintf("number %d", i)})
		}
		var b strings.Builder
		warn(&b, all)
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if strings.Count(b.String(), "\n") != c.lines || lines[len(lines)-1] != c.last {
			t.Errorf("%d warnings are\n%s", c.warnings, b.String())
		}
	}
}
