package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/segtest/segtest/cmd/segtest/internal/doctor"
)

// TestChecksWrap: lines fit the terminal, and later ones hang below the first;
// where there is no terminal, a line is a line.
func TestChecksWrap(t *testing.T) {
	t.Parallel()
	checks := []doctor.Check{
		{Name: "kernel: netem", State: doctor.Missing, Detail: "faults that delay or lose packets: there is no tc", Cure: "load sch_netem; the faults of this version do not need it"},
		{Name: "docker", State: doctor.OK, Required: true, Detail: "version 29"},
	}
	for _, row := range []struct {
		name  string
		width int
		want  string
	}{
		{"a terminal", 40, `! kernel: netem: faults that delay or
  lose packets: there is no tc
    → load sch_netem; the faults of this
      version do not need it
✓ docker: version 29
`},
		{"no terminal", 0, `! kernel: netem: faults that delay or lose packets: there is no tc
    → load sch_netem; the faults of this version do not need it
✓ docker: version 29
`},
	} {
		var b bytes.Buffer
		if err := printChecks(&b, "text", row.width, checks); err != nil || b.String() != row.want {
			t.Errorf("%s: got (%v)\n%s, want\n%s", row.name, err, b.String(), row.want)
		}
		for line := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); row.width > 0 && n > row.width {
				t.Errorf("%s: %d columns: %s", row.name, n, line)
			}
		}
	}
}

// TestDoctorInterrupted: an interrupt is one, and no misuse of a flag.
func TestDoctorInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errInterrupted)
	root := newRoot(stdio{nil, io.Discard, io.Discard})
	root.SetArgs([]string{"doctor", "--only", "docker"})
	exit := &exitError{}
	if err := root.ExecuteContext(ctx); !errors.As(err, &exit) || exit.code != exitInterrupted || !errors.Is(err, errInterrupted) {
		t.Errorf("exit %d: %v", exit.code, err)
	}
}

// TestColumns: only a terminal has any.
func TestColumns(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() }) //nolint:errcheck // nothing is written
	if a, b := columns(&bytes.Buffer{}), columns(file); a != 0 || b != 0 {
		t.Errorf("a buffer has %d columns, a file %d", a, b)
	}
}
