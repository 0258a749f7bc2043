package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// rendered is a scenario whose policies a command prints, which never ends and
// holds a pipe open.
const rendered = `apiVersion: segtest.dev/v1alpha1
kind: Scenario
metadata: {name: shop}
workloads: [{name: web, namespace: shop}]
policies: [{render: {command: [sh, -c, "exec 3> busy; echo up >&3; exec sleep 600"]}}]
`

// TestInterrupted: a verb that has nothing to clean up ends with the first signal,
// be it in a command that it waits for, or where it looks at no context.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		signal os.Signal
		args   []string
		busy   func(ctx context.Context, t *testing.T, dir string, stdout io.Reader) // waits until the verb is
	}{
		{"waits for a command", syscall.SIGINT, []string{"plan", "shop.yaml", "--allow-exec"}, childStarted},
		{"computes", syscall.SIGTERM, []string{"plan", "pods.yaml", "-o", "csv"}, writing},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, filepath.Join(dir, "shop.yaml"), rendered)
			write(t, filepath.Join(dir, "pods.yaml"), manyPods())
			if err := syscall.Mkfifo(filepath.Join(dir, "busy"), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			cmd := exec.CommandContext(ctx, "segtest", row.args...)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "GORACE=atexit_sleep_ms=0")
			out, into, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = out.Close() }()
			var stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = into, &stderr
			if err := errors.Join(cmd.Start(), into.Close()); err != nil {
				t.Fatal(err)
			}
			row.busy(ctx, t, dir, out)
			if err := cmd.Process.Signal(row.signal); err != nil {
				t.Fatal(err)
			}
			err = cmd.Wait()
			var ended *exec.ExitError
			if !errors.As(err, &ended) || ended.ExitCode() != 130 {
				t.Errorf("%v, want exit code 130", err)
			}
			if got := stderr.String(); got != "segtest: interrupted\n" {
				t.Errorf("it says %q", got)
			}
		})
	}
}

// manyPods is a plan that does not fit a pipe which nobody reads.
func manyPods() string {
	var b strings.Builder
	for i := range 60 {
		fmt.Fprintf(&b, "---\napiVersion: v1\nkind: Pod\nmetadata: {name: app%d, namespace: shop}\nspec: {containers: [{name: app, image: app}]}\n", i)
	}
	return b.String()
}

// writing waits for the first byte of what the verb prints. It is stuck in the
// others from then on.
func writing(_ context.Context, t *testing.T, _ string, stdout io.Reader) {
	t.Helper()
	if _, err := io.ReadFull(stdout, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

// childStarted waits for the command of the scenario, which is killed with
// segtest: nobody holds its pipe then.
func childStarted(ctx context.Context, t *testing.T, dir string, _ io.Reader) {
	t.Helper()
	opened := make(chan *os.File, 1)
	go func() {
		f, err := os.Open(filepath.Join(dir, "busy"))
		if err != nil {
			t.Error(err)
		}
		opened <- f
	}()
	var pipe *os.File
	select {
	case pipe = <-opened:
	case <-ctx.Done():
		t.Fatal("the command did not start")
	}
	if _, err := io.ReadFull(pipe, make([]byte, len("up\n"))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		late := pipe.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.ReadAll(pipe); err != nil || late != nil {
			t.Errorf("the command is left behind: %v", errors.Join(err, late))
		}
		_ = pipe.Close()
	})
}
