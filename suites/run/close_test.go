package run_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run"
	"github.com/segtest/segtest/suites/run/record"
)

// session is a run of the shipped shop that has not started, and its file.
func session(t *testing.T) (*run.Session, string) {
	t.Helper()
	sc, err := scenario.Load(filepath.Join("..", "..", "fixtures", "catalog", "online-shop"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "record.jsonl")
	history, err := record.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := run.New(run.Options{Scenario: sc, History: history, RunID: run.NewID(), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return s, path
}

// TestInterruptedBetweenSteps: no step saw the interruption, and yet the record
// must say that the run was interrupted.
func TestInterruptedBetweenSteps(t *testing.T) {
	t.Parallel()
	s, path := session(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupted by the test"))
	if err := s.Close(ctx, false); err != nil {
		t.Fatal(err)
	}
	rec, err := record.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if rec.End == nil || !rec.End.Interrupted || rec.End.Error != "interrupted by the test" {
		t.Errorf("the record ends with %+v", rec.End)
	}
	if code := judge.Judge(rec).ExitCode(); code != judge.ExitInterrupted {
		t.Errorf("exit %d, want %d", code, judge.ExitInterrupted)
	}
}

// full is a disk that takes so many bytes.
type full struct{ room int }

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, syscall.ENOSPC
	}
	return len(p), nil
}

func (*full) Close() error { return nil }

// TestFullDisk: a record that cannot be written is said once, and is no pass.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	sc, err := scenario.Load(filepath.Join("..", "..", "fixtures", "catalog", "online-shop"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = run.New(run.Options{Scenario: sc, History: record.NewWriter(&full{room: 4096}), RunID: run.NewID()})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a record without room for its head: %v", err)
	}

	disk := &full{room: 1 << 20}
	s, err := run.New(run.Options{Scenario: sc, History: record.NewWriter(disk), RunID: run.NewID()})
	if err != nil {
		t.Fatal(err)
	}
	disk.room = 0
	err = s.Close(t.Context(), false)
	if !errors.Is(err, syscall.ENOSPC) || strings.Count(err.Error(), "writing the record") != 1 {
		t.Errorf("a record without room for its end: %v", err)
	}
	if code := judge.Judge(s.Record()).ExitCode(); code == judge.ExitPass {
		t.Error("a run of which nothing was seen passes")
	}
}
