package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/segtest/segtest/chaos"
)

// Entry is what a journal holds about one fault: how to mend it.
type Entry struct {
	ID      string       `json:"id"` // unique in the journal
	Kind    string       `json:"kind"`
	Target  string       `json:"target"`
	Undo    []chaos.Undo `json:"undo"`
	Started time.Time    `json:"started"` // wall clock, for people
}

// line is one line of a journal. Exactly one field is set.
type line struct {
	Fault *Entry `json:"fault,omitempty"`
	Done  string `json:"done,omitempty"` // id of a fault that is mended
}

// Journal is the file in which the undo of every fault stands before the fault
// happens: one JSON object a line, on disk before a call returns. Several
// processes may append to one journal.
type Journal struct{ path string }

// OpenJournal makes the journal if there is none.
func OpenJournal(path string) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the journal of faults: %w", err)
	}
	err = errors.Join(f.Sync(), f.Close(), syncFolder(path))
	if err != nil {
		return nil, fmt.Errorf("opening the journal of faults %s: %w", path, err)
	}
	return &Journal{path: path}, nil
}

// Path of the file.
func (j *Journal) Path() string { return j.path }

// Begin writes down how to mend a fault that is about to happen.
func (j *Journal) Begin(e Entry) error {
	if e.ID == "" || len(e.Undo) == 0 {
		return fmt.Errorf("journalling fault %q: it has no id or no undo", e.ID)
	}
	return j.append(line{Fault: &e})
}

// Done writes down that a fault is mended.
func (j *Journal) Done(id string) error { return j.append(line{Done: id}) }

func (j *Journal) append(l line) (err error) {
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("journalling: %w", err)
	}
	f, err := os.OpenFile(j.path, os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("journalling: %w", err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = fmt.Errorf("journalling in %s: %w", j.path, err)
		}
	}()
	if err := lock(f); err != nil { // until the file is closed
		return err
	}
	end, err := dropTorn(f)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(append(text, '\n'), end); err != nil {
		return err
	}
	return f.Sync()
}

// dropTorn cuts off a last line that was never written to its end, and returns
// where the next one belongs. What the line was about had not begun, because
// its writer had not come back from writing it.
func dropTorn(f *os.File) (end int64, err error) {
	text, err := io.ReadAll(f)
	if err != nil {
		return 0, err
	}
	end = int64(bytes.LastIndexByte(text, '\n') + 1)
	if end < int64(len(text)) {
		return end, f.Truncate(end)
	}
	return end, nil
}

// syncFolder puts the name of a new file on disk.
func syncFolder(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Pending lists the faults of a journal that are not mended, the latest first:
// the order in which to mend them. A file that is not there has none. A last
// line without its end is passed over; any other line that cannot be read is
// an error, and the faults of all other lines are returned with it.
func Pending(path string) ([]Entry, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the journal of faults: %w", err)
	}
	var pending []Entry
	var errs []error
	number := 0
	for raw := range bytes.Lines(text) {
		number++
		if !bytes.HasSuffix(raw, []byte("\n")) {
			break
		}
		l, err := readLine(raw)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("reading the journal of faults: %s:%d: %w", path, number, err))
		case l.Fault != nil:
			pending = append(pending, *l.Fault)
		default:
			pending = slices.DeleteFunc(pending, func(e Entry) bool { return e.ID == l.Done })
		}
	}
	slices.Reverse(pending)
	return pending, errors.Join(errs...)
}

func readLine(raw []byte) (line, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	var l line
	if err := dec.Decode(&l); err != nil {
		return line{}, err
	}
	if dec.InputOffset() != int64(len(bytes.TrimRight(raw, "\n"))) {
		return line{}, errors.New("more than one object in a line")
	}
	if (l.Fault == nil) == (l.Done == "") {
		return line{}, errors.New("neither the beginning nor the end of a fault")
	}
	if l.Fault != nil && (l.Fault.ID == "" || len(l.Fault.Undo) == 0) {
		return line{}, errors.New("a fault without id or undo")
	}
	return l, nil
}

// Heal mends every fault of a journal that is not mended, the latest first. It
// goes on after an error and joins them all; what succeeded is written down.
// Calling it again, or while the fault's own run mends it, does no harm.
func Heal(ctx context.Context, path string, undoer chaos.Undoer) error {
	pending, err := Pending(path)
	errs := []error{err}
	for _, e := range pending {
		errs = append(errs, healEntry(ctx, path, e, undoer))
	}
	return errors.Join(errs...)
}

func healEntry(ctx context.Context, path string, e Entry, undoer chaos.Undoer) error {
	if err := undoAll(ctx, e.Undo, undoer); err != nil {
		return fmt.Errorf("mending %s (%s): %w", e.ID, e.Target, err)
	}
	return (&Journal{path: path}).Done(e.ID)
}

// undoAll executes every operation, also after an error.
func undoAll(ctx context.Context, undo []chaos.Undo, undoer chaos.Undoer) error {
	var errs []error
	for _, u := range undo {
		if u.Op == chaos.OpWait {
			continue
		}
		errs = append(errs, undoer.Undo(ctx, u))
	}
	return errors.Join(errs...)
}
