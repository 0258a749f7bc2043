// Package golden compares what tests make with files that people have read. Only
// tests import it.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The flag of every test that imports this package.
var update = flag.Bool("update", false, "write the golden files") //nolint:gochecknoglobals // set by go test alone

// Check fails the test where got is not what stands in the file, whose path counts
// from the package of the test. With -update it writes the file instead: read what
// became of it.
func Check(t testing.TB, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if string(want) != got {
		t.Errorf("%s differs (go test -update writes it, then read what changed):\n%s", file, changed(string(want), got))
	}
}

// changed are the lines that only one of the texts has.
func changed(want, got string) string {
	before, after := strings.Split(want, "\n"), strings.Split(got, "\n")
	var out []string
	for _, line := range before {
		if !slices.Contains(after, line) {
			out = append(out, "- "+line)
		}
	}
	for _, line := range after {
		if !slices.Contains(before, line) {
			out = append(out, "+ "+line)
		}
	}
	if len(out) == 0 {
		return "the same lines, in another order or number"
	}
	return strings.Join(out, "\n")
}
