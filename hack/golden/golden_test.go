package golden_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/segtest/segtest/hack/golden"
)

// spy is a test that remembers how it failed.
type spy struct {
	testing.TB
	said string
}

func (s *spy) Helper()                           {}
func (s *spy) Errorf(format string, args ...any) { s.said += fmt.Sprintf(format, args...) }
func (s *spy) Fatalf(format string, args ...any) { s.Errorf(format, args...); panic(s) }

// check a text against a file, and say how the test failed.
func check(t *testing.T, file, got string) (said string) {
	s := &spy{TB: t}
	defer func() {
		if r := recover(); r != nil && r != s {
			panic(r)
		}
		said = s.said
	}()
	golden.Check(s, file, got)
	return s.said
}

func TestCheck(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.golden")
	if err := os.WriteFile(file, []byte("one\ntwo\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, file, got, want string }{
		{"the same", file, "one\ntwo\n", ""},
		{"another line", file, "one\nthree\n", "- two\n+ three"},
		{"another order", file, "two\none\n", "the same lines"},
		{"no file", file + "x", "one\n", "-update writes it"},
	} {
		if said := check(t, c.file, c.got); !strings.Contains(said, c.want) || (said == "") != (c.want == "") {
			t.Errorf("%s: %q, want %q", c.name, said, c.want)
		}
	}
}
