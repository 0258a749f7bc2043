package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"k8s.io/klog/v2"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/judge"
)

// TestQuiet: what the Kubernetes libraries log goes to the progress or nowhere,
// and never to standard error by itself.
func TestQuiet(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := os.Stderr
	os.Stderr = write
	t.Cleanup(func() { os.Stderr = stderr; klog.ClearLogger() })
	var said []string
	progress := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }

	quiet(false, progress)
	klog.ErrorS(errors.New("broken pipe"), "not shown")
	if len(said) != 0 {
		t.Errorf("said without being asked: %q", said)
	}
	quiet(true, progress)
	klog.ErrorS(errors.New("broken pipe"), "shown")
	if len(said) != 1 || !strings.HasPrefix(said[0], "kubernetes: ") || !strings.Contains(said[0], "broken pipe") {
		t.Errorf("said with -v: %q", said)
	}
	klog.Flush()
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	if spray, err := io.ReadAll(read); err != nil || len(spray) != 0 {
		t.Errorf("on standard error: %q (%v)", spray, err)
	}
}

// TestOutcome: what goes wrong after a run turns a pass into exit 3, and hides
// no violation.
func TestOutcome(t *testing.T) {
	t.Parallel()
	full := errors.New("writing the junit report: no space left on device")
	for _, row := range []struct {
		name   string
		result judge.Result
		err    error
		want   int
	}{
		{"pass", judge.Result{Verdict: matrix.Pass}, nil, exitOK},
		{"known gap", judge.Result{Verdict: matrix.KnownGap}, nil, exitOK},
		{"nothing known", judge.Result{}, nil, exitInconclusive},
		{"pass, disk full", judge.Result{Verdict: matrix.Pass}, full, exitEnvironment},
		{"nothing known, disk full", judge.Result{}, full, exitEnvironment},
		{"violated, disk full", judge.Result{Verdict: matrix.Fail}, full, exitViolated},
		{"interrupted, disk full", judge.Result{Interrupted: true}, full, exitInterrupted},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			err := outcome(row.result, row.err, "record.jsonl")
			exit := &exitError{}
			if err != nil && !errors.As(err, &exit) {
				t.Fatalf("%v carries no exit code", err)
			}
			if exit.code != row.want {
				t.Errorf("exit %d, want %d", exit.code, row.want)
			}
			if row.err != nil && (!errors.Is(err, row.err) || !strings.Contains(err.Error(), "segtest report record.jsonl")) {
				t.Errorf("the error does not say what is wrong and what to do: %v", err)
			}
		})
	}
}
