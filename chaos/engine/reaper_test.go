package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/segtest/segtest/chaos"
	"github.com/segtest/segtest/chaos/engine"
)

// TestMain lets this binary be a reaper, and a run that is killed while a node
// is paused.
func TestMain(m *testing.M) {
	var role func() error
	if len(os.Args) > 3 {
		switch docker, journal := os.Args[2], os.Args[3]; os.Args[1] {
		case "be-a-reaper":
			role = func() error {
				return engine.ReaperMain(context.Background(), os.Stdin, journal, engine.HostUndoer{Docker: docker, Settle: 100 * time.Millisecond}, os.Stderr)
			}
		case "be-killed":
			role = func() error { return beKilled(docker, journal, os.Args[4], os.Args[5], os.Args[6]) }
		}
	}
	if role == nil {
		m.Run()
		return
	}
	if err := role(); err != nil {
		panic(err) // the exit code of a helper process
	}
}

// dockerPause is a fault that pauses a container by the docker command, and a
// cluster that knows no other way to mend it than the reaper.
type dockerPause struct {
	scripted
	docker, node string
}

func (f *dockerPause) Inject(ctx context.Context, _ chaos.Env, _ chaos.Step) error {
	return exec.CommandContext(ctx, f.docker, "pause", f.node).Run() //nolint:gosec // a test
}

// beKilled pauses a node and SIGKILLs itself at the stage that is asked for.
func beKilled(docker, journal, stage, cluster, node string) error {
	j, err := engine.OpenJournal(journal)
	if err != nil {
		return err
	}
	reaper, err := startReaper(docker, journal)
	if err != nil {
		return err
	}
	die := func() { syscall.Kill(os.Getpid(), syscall.SIGKILL) } //nolint:errcheck // then the test fails
	f := &dockerPause{docker: docker, node: node}
	f.undo = func(chaos.Undo) error { die(); return nil }
	e := engine.Engine{Journal: j, Standby: reaper, Undoer: f, Observe: func(s engine.Stage) {
		if string(s) == stage {
			die()
		}
	}}
	s := step(chaos.Undo{Op: chaos.OpUnpause, Cluster: cluster, Node: node})
	r := e.Run(context.Background(), "1-node-pause", chaos.Kind{Name: "node-pause", Fault: f}, s)
	return fmt.Errorf("lived through %s: %+v", stage, r)
}

const node = "segtest-1-worker"

// dockerHost makes a docker command that knows one node container, and returns
// the file that is there while the container is paused, and the log of commands.
func dockerHost(t *testing.T, label string) (docker, paused, log string) {
	t.Helper()
	dir := t.TempDir()
	docker, paused, log = filepath.Join(dir, "docker"), filepath.Join(dir, "paused"), filepath.Join(dir, "log")
	script := fmt.Sprintf(`#!/bin/sh
echo "$*" >> %[1]q
case "$1 $2" in
"container inspect")
  [ "$5" = %[3]q ] || { echo "Error: No such container: $5" >&2; exit 1; }
  [ -e %[2]q ] && p=true || p=false
  echo "{\"State\":{\"Paused\":$p},\"Config\":{\"Labels\":{\"io.x-k8s.kind.cluster\":\"%[4]s\"}}}" ;;
"pause "%[3]q) : > %[2]q ;;
"unpause "%[3]q) rm %[2]q ;;
*) echo "unexpected: $*" >&2; exit 9 ;;
esac
`, log, paused, node, label)
	if err := os.WriteFile(docker, []byte(script), 0o700); err != nil { //nolint:gosec // a command
		t.Fatal(err)
	}
	return docker, paused, log
}

func isThere(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline.C:
			t.Fatalf("not within 20 s: %s", what)
		case <-tick.C:
		}
	}
}

func mended(t *testing.T, journal, paused string) func() bool {
	t.Helper()
	return func() bool {
		entries, err := engine.Pending(journal)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries) == 0 && !isThere(t, paused)
	}
}

// TestReaperMendsWhatAKilledRunLeft kills a run by SIGKILL at every stage.
func TestReaperMendsWhatAKilledRunLeft(t *testing.T) {
	t.Parallel()
	for _, stage := range []string{"injecting", "effective", "healing", "undo"} {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			docker, paused, log := dockerHost(t, "segtest-1")
			journal := filepath.Join(t.TempDir(), "faults.jsonl")
			run := exec.CommandContext(t.Context(), os.Args[0], "be-killed", docker, journal, stage, "segtest-1", node) //nolint:gosec // this binary
			out, err := run.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("the run ended by %v: %s", err, out)
			}
			text, err := os.ReadFile(journal)
			if err != nil || !strings.Contains(string(text), `"1-node-pause"`) {
				t.Fatalf("the journal holds %q, %v", text, err)
			}
			eventually(t, "the node is thawed and the journal says so", mended(t, journal, paused))
			commands, err := os.ReadFile(log)
			if err != nil || strings.Contains(string(commands), "unpause") != strings.Contains("\n"+string(commands), "\npause") {
				t.Errorf("docker was asked %s (%v)", commands, err)
			}
			if stage != "injecting" && !strings.Contains(string(commands), "unpause "+node) {
				t.Errorf("the node was never paused: %s", commands)
			}
		})
	}
}

func startReaper(docker, journal string) (*engine.Reaper, error) {
	return engine.StartReaper(journal+".log", os.Args[0], "be-a-reaper", docker, journal)
}

func TestReaperMendsWhenTheTimeIsOver(t *testing.T) {
	t.Parallel()
	docker, paused, _ := dockerHost(t, "segtest-1")
	w := newWriter(t)
	r, err := startReaper(docker, w.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.journal.Begin(engine.Entry{ID: "slow", Undo: unpause(node)}); err != nil {
		t.Fatal(err)
	}
	if err := w.journal.Begin(engine.Entry{ID: "other", Undo: unpause("segtest-1-gone")}); err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		id     string
		within time.Duration
	}{{"other", time.Hour}, {"slow", 50 * time.Millisecond}} {
		if err := r.Arm(f.id, f.within); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(paused, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reaper thaws the node while its parent lives", func() bool {
		entries, err := engine.Pending(w.path)
		return err == nil && ids(entries) == "other" && !isThere(t, paused)
	})
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if entries, err := engine.Pending(w.path); err != nil || len(entries) > 0 {
		t.Errorf("closing left %q, %v", ids(entries), err)
	}
}

func TestReaperEndsQuietlyWhenAllIsMended(t *testing.T) {
	t.Parallel()
	docker, _, log := dockerHost(t, "segtest-1")
	w := newWriter(t)
	r, err := startReaper(docker, w.path)
	if err != nil {
		t.Fatal(err)
	}
	w.begin("a")
	if err := r.Arm("a", time.Hour); err != nil {
		t.Fatal(err)
	}
	w.done("a")
	if err := r.Disarm("a"); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if isThere(t, log) {
		t.Error("it asked docker something")
	}
}

func TestHostUndoerTouchesOnlyItsOwn(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, label string
		undo        chaos.Undo
		problem     string
		thawed      bool
	}{
		{"its own node", "segtest-1", unpause(node)[0], "", true},
		{"a node of another cluster", "prod", unpause(node)[0], `belongs to cluster "prod"`, false},
		{"a cluster that segtest did not make", "prod", chaos.Undo{Op: chaos.OpUnpause, Cluster: "prod", Node: "prod-worker"}, "left alone", false},
		{"a container that is no node of the cluster", "segtest-1", chaos.Undo{Op: chaos.OpUnpause, Cluster: "segtest-1", Node: "postgres"}, "left alone", false},
		{"an option for a name", "segtest-1", chaos.Undo{Op: chaos.OpUnpause, Cluster: "segtest-1", Node: "--all"}, "left alone", false},
		{"a node that is gone", "segtest-1", unpause("segtest-1-worker9")[0], "", false},
		{"nothing to do", "segtest-1", wait(), "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			docker, paused, log := dockerHost(t, tc.label)
			if err := os.WriteFile(paused, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 { // it is idempotent
				err := engine.HostUndoer{Docker: docker}.Undo(t.Context(), tc.undo)
				if tc.problem == "" && err != nil || tc.problem != "" && (err == nil || !strings.Contains(err.Error(), tc.problem)) {
					t.Errorf("error %v, want %q", err, tc.problem)
				}
			}
			if isThere(t, paused) == tc.thawed {
				t.Errorf("thawed: %v, want %v", !tc.thawed, tc.thawed)
			}
			commands, err := os.ReadFile(log)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			if got := strings.Count(string(commands), "unpause"); tc.thawed && got != 1 || !tc.thawed && got != 0 {
				t.Errorf("docker was asked %s", commands)
			}
		})
	}
}

// TestSettleCatchesALatePause: the docker pause of a killed run may come into
// effect after the reaper has looked.
func TestSettleCatchesALatePause(t *testing.T) {
	t.Parallel()
	docker, paused, log := dockerHost(t, "segtest-1")
	ended := make(chan error, 1)
	go func() {
		ended <- engine.HostUndoer{Docker: docker, Settle: 2 * time.Second}.Undo(context.Background(), unpause(node)[0])
	}()
	eventually(t, "it looked once", func() bool { return isThere(t, log) })
	if err := os.WriteFile(paused, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil || isThere(t, paused) {
		t.Errorf("the late pause stays: %v, error %v", isThere(t, paused), err)
	}
}
