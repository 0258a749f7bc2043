package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// Writer appends events to a record, one JSON line each, in one write, so that
// a run that is killed leaves whole lines and at most one torn one. The first
// error is kept: every later call returns it and writes nothing, because a
// history with a hole must not look like a whole one. It may be used by several
// goroutines at once.
type Writer struct {
	mu     sync.Mutex
	out    io.WriteCloser
	opened bool
	closed bool
	err    error
}

// NewWriter writes to out, which Close closes. out must not buffer.
func NewWriter(out io.WriteCloser) *Writer { return &Writer{out: out} }

// Create makes the file, or empties it, and writes to it.
func Create(path string) (*Writer, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("creating the record: %w", err)
	}
	return NewWriter(f), nil
}

// Append writes one event. A header without a schema gets this package's.
func (w *Writer) Append(e Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	if w.closed {
		return w.fail(errors.New("it is closed already"))
	}
	if e.Header != nil && e.Header.Schema == "" {
		h := *e.Header
		h.Schema = Schema
		e.Header = &h
	}
	if err := e.check(w.opened); err != nil {
		return w.fail(err)
	}
	line, err := json.Marshal(e)
	if err != nil {
		return w.fail(err)
	}
	if _, err := w.out.Write(append(line, '\n')); err != nil {
		return w.fail(err)
	}
	w.opened = true
	return nil
}

func (w *Writer) fail(err error) error {
	w.err = fmt.Errorf("writing the record: %w", err)
	return w.err
}

// Close brings the record to the disk and closes it. It returns the first error
// of the Writer's life; a second Close does nothing more.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return w.err
	}
	w.closed = true
	var syncErr error
	if s, ok := w.out.(interface{ Sync() error }); ok {
		syncErr = s.Sync()
	}
	if err := errors.Join(syncErr, w.out.Close()); err != nil && w.err == nil {
		w.err = fmt.Errorf("closing the record: %w", err)
	}
	return w.err
}
