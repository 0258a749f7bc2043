package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/segtest/segtest/chaos"
	"github.com/segtest/segtest/chaos/engine"
)

// writer fills a journal and keeps the length of the file after each call.
type writer struct {
	t       *testing.T
	path    string
	journal *engine.Journal
}

func newWriter(t *testing.T) *writer {
	t.Helper()
	path := filepath.Join(t.TempDir(), "faults.jsonl")
	j, err := engine.OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	return &writer{t, path, j}
}

func (w *writer) begin(id string) {
	w.t.Helper()
	if err := w.journal.Begin(engine.Entry{ID: id, Kind: "node-pause", Target: "node of \"shop/db\"\n", Undo: unpause("segtest-1-" + id)}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *writer) done(id string) {
	w.t.Helper()
	if err := w.journal.Done(id); err != nil {
		w.t.Fatal(err)
	}
}

func (w *writer) bytes() []byte {
	w.t.Helper()
	text, err := os.ReadFile(w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

func ids(entries []engine.Entry) string {
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.ID)
	}
	return strings.Join(ids, " ")
}

// TestTornJournal cuts a random journal at every byte: what a complete line
// says must hold, and nothing else. Behind the cuts of the last two lines, a fault
// and that it is mended, the next fault is written: the disk has to confirm that.
func TestTornJournal(t *testing.T) {
	t.Parallel()
	w := newWriter(t)
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // reproducible
	var open []string
	lastTwo := 0                   // where they begin
	state := map[int]string{0: ""} // length of the file → what is pending
	for i := range 12 {
		if i == 11 || i != 10 && len(open) > 0 && rng.IntN(3) == 0 {
			n := rng.IntN(len(open))
			w.done(open[n])
			open = slices.Delete(open, n, n+1)
		} else {
			lastTwo = len(w.bytes())
			id := fmt.Sprintf("fault-%d", i)
			w.begin(id)
			open = append(open, id)
		}
		latest := slices.Clone(open)
		slices.Reverse(latest)
		state[len(w.bytes())] = strings.Join(latest, " ")
	}
	full := w.bytes()
	torn := filepath.Join(t.TempDir(), "torn.jsonl")
	want := ""
	for cut := range len(full) + 1 {
		if s, ok := state[cut]; ok {
			want = s
		}
		if err := os.WriteFile(torn, full[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		entries, err := engine.Pending(torn)
		if err != nil || ids(entries) != want {
			t.Fatalf("cut after %d bytes: pending %q, %v; want %q", cut, ids(entries), err, want)
		}
		for _, e := range entries {
			if !slices.Equal(e.Undo, unpause("segtest-1-"+e.ID)) {
				t.Fatalf("cut after %d bytes: undo of %s is %+v", cut, e.ID, e.Undo)
			}
		}
		if cut < lastTwo {
			continue
		}
		j, err := engine.OpenJournal(torn)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Begin(engine.Entry{ID: "next", Undo: unpause("segtest-1-next")}); err != nil {
			t.Fatal(err)
		}
		if entries, err := engine.Pending(torn); err != nil || ids(entries) != strings.TrimSpace("next "+want) {
			t.Fatalf("cut after %d bytes, then written to: pending %q, %v; want next %s", cut, ids(entries), err, want)
		}
	}
}

func TestDamagedLinesAreToldAndHideNothing(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, line string }{
		{"zeros", strings.Repeat("\x00", 40)},
		{"half an object", `{"fault":{"id":"x","undo":[{"op":"unpause"`},
		{"an unknown field", `{"fault":{"id":"x","kind":"k","target":"t","undo":[{"op":"unpause","shell":"reboot"}],"started":"2026-01-01T00:00:00Z"}}`},
		{"two objects", `{"done":"a"}{"done":"b"}`},
		{"neither", `{}`},
		{"both", `{"done":"a","fault":{"id":"x","undo":[{"op":"wait"}]}}`},
		{"no undo", `{"fault":{"id":"x"}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWriter(t)
			w.begin("a")
			before := w.bytes()
			if err := os.WriteFile(w.path, append(before, (tc.line+"\n")...), 0o600); err != nil {
				t.Fatal(err)
			}
			w.begin("b")
			f := &scripted{}
			entries, err := engine.Pending(w.path)
			if err == nil || !strings.Contains(err.Error(), w.path+":2") || ids(entries) != "b a" {
				t.Fatalf("pending %q, %v; want b a, and the place of the damage", ids(entries), err)
			}
			if err := engine.Heal(t.Context(), w.path, f); err == nil || !slices.Equal(f.calls, []string{"undo segtest-1-b", "undo segtest-1-a"}) {
				t.Errorf("healing did %v, %v; want both undos, and to tell the damage", f.calls, err)
			}
			if entries, _ := engine.Pending(w.path); len(entries) > 0 {
				t.Errorf("still pending: %q", ids(entries))
			}
		})
	}
}

func TestHealGoesOnAfterAnErrorAndCanBeRepeated(t *testing.T) {
	t.Parallel()
	w := newWriter(t)
	for _, id := range []string{"a", "b", "c"} {
		w.begin(id)
	}
	w.done("c")
	stuck := true
	f := &scripted{undo: func(u chaos.Undo) error {
		if stuck && u.Node == "segtest-1-b" {
			return errors.New("docker is away")
		}
		return nil
	}}
	err := engine.Heal(t.Context(), w.path, f)
	if err == nil || !strings.Contains(err.Error(), "mending b") || !slices.Equal(f.calls, []string{"undo segtest-1-b", "undo segtest-1-a"}) {
		t.Fatalf("did %v, %v", f.calls, err)
	}
	stuck = false
	for range 2 {
		if err := engine.Heal(t.Context(), w.path, f); err != nil {
			t.Fatal(err)
		}
	}
	if entries, err := engine.Pending(w.path); err != nil || len(entries) > 0 || f.looks["undo segtest-1-a"] != 1 || f.looks["undo segtest-1-b"] != 2 {
		t.Errorf("pending %q, %v; undone %v", ids(entries), err, f.looks)
	}
	if err := engine.Heal(t.Context(), filepath.Join(t.TempDir(), "none"), f); err != nil {
		t.Errorf("a journal that is not there: %v", err)
	}
}

func TestUnknownUndoIsRefusedAndKept(t *testing.T) {
	t.Parallel()
	w := newWriter(t)
	if err := w.journal.Begin(engine.Entry{ID: "a", Undo: []chaos.Undo{{Op: "reboot", Node: "segtest-1-a"}}}); err != nil {
		t.Fatal(err)
	}
	for _, u := range []chaos.Undoer{engine.HostUndoer{Docker: "false"}, engine.ClusterUndoer{}} {
		if err := engine.Heal(t.Context(), w.path, u); err == nil || !strings.Contains(err.Error(), `undo "reboot" is unknown`) {
			t.Errorf("%T: %v", u, err)
		}
	}
	if entries, err := engine.Pending(w.path); err != nil || ids(entries) != "a" {
		t.Errorf("pending %q, %v; want a", ids(entries), err)
	}
}

func TestConcurrentWritersLoseNothing(t *testing.T) {
	t.Parallel()
	w := newWriter(t)
	const writers, each = 8, 25
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			j, err := engine.OpenJournal(w.path)
			if err != nil {
				t.Error(err)
				return
			}
			for n := range each {
				id := fmt.Sprintf("%d-%d", i, n)
				if err := j.Begin(engine.Entry{ID: id, Undo: unpause(id)}); err != nil {
					t.Error(err)
				}
			}
			if err := j.Done(fmt.Sprintf("%d-0", i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if entries, err := engine.Pending(w.path); err != nil || len(entries) != writers*(each-1) {
		t.Errorf("%d are pending, %v; want %d", len(entries), err, writers*(each-1))
	}
}
