package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/segtest/segtest/probes/matrix"
)

// ReadFile reads the record in a file.
func ReadFile(path string) (Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return Record{}, fmt.Errorf("reading the record: %w", err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	return Read(f)
}

// Read reads a whole record. A last line that was torn off, as a full disk or a
// killed run leaves it, is dropped and said so in Notes; anything else that is
// not an event of this schema is an error that names file and line. The file's
// name is in.Name() where there is one, as with an *os.File.
func Read(in io.Reader) (Record, error) {
	name := "record"
	if n, ok := in.(interface{ Name() string }); ok {
		name = n.Name()
	}
	var rec Record
	seen := map[matrix.Flow]bool{}
	lines := bufio.NewReader(in)
	for number := 1; ; number++ {
		line, readErr := lines.ReadBytes('\n')
		if readErr != nil && !errors.Is(readErr, io.EOF) {
			return rec, fmt.Errorf("%s:%d: reading the record: %w", name, number, readErr)
		}
		whole := readErr == nil
		if len(bytes.TrimSpace(line)) > 0 {
			err := rec.addLine(line, whole, number, seen)
			if err != nil {
				return rec, fmt.Errorf("%s:%d: %w", name, number, err)
			}
		}
		if !whole {
			break
		}
	}
	if rec.Header.Schema == "" {
		return rec, fmt.Errorf("%s:1: this is not a record: it holds no whole header line", name)
	}
	return rec, nil
}

func (r *Record) addLine(line []byte, whole bool, number int, seen map[matrix.Flow]bool) error {
	if !whole && !json.Valid(line) {
		r.Notes = append(r.Notes, fmt.Sprintf("line %d of the record was torn off and is not read", number))
		return nil
	}
	if r.Header.Schema == "" {
		if err := checkSchema(line); err != nil {
			return err
		}
	}
	var e Event
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return fmt.Errorf("reading an event: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("a line holds one event, this one holds more")
	}
	if e.Flow != nil {
		if seen[e.Flow.Flow] {
			return fmt.Errorf("flow %s is listed twice", e.Flow.Flow)
		}
		seen[e.Flow.Flow] = true
	}
	return r.Add(e)
}

// checkSchema looks at the version before anything else, so that the record of
// another version is refused for that and not for a field that it has more.
func checkSchema(line []byte) error {
	var first struct {
		Header *struct {
			Schema string `json:"schema"`
		} `json:"header"`
	}
	if err := json.Unmarshal(line, &first); err != nil || first.Header == nil {
		return errors.New("this is not a record: its first line is not a header")
	}
	return Event{Header: &Header{Schema: first.Header.Schema}}.check(false)
}
