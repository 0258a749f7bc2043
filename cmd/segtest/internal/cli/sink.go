package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/report"
)

// sink is one --report.
type sink struct {
	format report.Format
	path   string
}

func parseReports(texts []string) ([]sink, error) {
	var sinks []sink
	for _, text := range texts {
		name, path, ok := strings.Cut(text, "=")
		if !ok || path == "" {
			return nil, misuse("--report %q: want FORMAT=FILE, for example junit=out/junit.xml", text)
		}
		format, ok := report.Find(name)
		if !ok {
			var known []string
			for _, f := range report.Formats() {
				known = append(known, f.Name)
			}
			return nil, misuse("--report %q: %q is not a report format; want %s", text, name, or(known))
		}
		sinks = append(sinks, sink{format, path})
	}
	return sinks, nil
}

// standardOutput as a path stands for the standard output, and takes the place
// of the page for people.
const standardOutput = "-"

// apart refuses sinks that would write over the record of a run, over what
// mends its faults, or over each other. Nothing has been written then.
func apart(sinks []sink, record string) error {
	for i, s := range sinks {
		for _, other := range sinks[:i] {
			switch {
			case s.path == standardOutput && other.path == standardOutput:
				return misuse("--report %s=-: the %s report goes to the standard output already; give one of the two a file", s.format.Name, other.format.Name)
			case s.path != standardOutput && other.path != standardOutput && sameFile(s.path, other.path):
				return misuse("--report %s=%s: the %s report goes to this file already; give one of the two another", s.format.Name, s.path, other.format.Name)
			}
		}
		if s.path == standardOutput {
			continue
		}
		if sameFile(s.path, record) {
			return misuse("--report %s=%s: this is the record itself; give the report another file", s.format.Name, s.path)
		}
		journals, err := filepath.Match("faults-*.jsonl", filepath.Base(s.path))
		if err == nil && journals && sameFile(filepath.Dir(s.path), filepath.Dir(record)) {
			return misuse("--report %s=%s: this is a journal of the run's faults; give the report another file", s.format.Name, s.path)
		}
	}
	return nil
}

// sameFile reports that two paths lead to one file, be it there or not.
func sameFile(a, b string) bool {
	one, errOne := os.Stat(a)
	two, errTwo := os.Stat(b)
	if errOne == nil && errTwo == nil {
		return os.SameFile(one, two)
	}
	return resolved(a) == resolved(b)
}

// resolved is an absolute path without links, as far as it is there.
func resolved(name string) string {
	name, err := filepath.Abs(name)
	if err != nil {
		return name
	}
	if real, err := filepath.EvalSymlinks(name); err == nil || filepath.Dir(name) == name {
		return cmp.Or(real, name)
	}
	return filepath.Join(resolved(filepath.Dir(name)), filepath.Base(name))
}

// writeAll writes the result to the terminal and to every sink. One that
// cannot be written does not keep the others from it.
func writeAll(out io.Writer, sinks []sink, result judge.Result) error {
	var errs []error
	if !slices.ContainsFunc(sinks, func(s sink) bool { return s.path == standardOutput }) {
		errs = append(errs, report.Text(out, result, terminal(out)))
	}
	for _, s := range sinks {
		if err := s.write(out, result); err != nil {
			errs = append(errs, fmt.Errorf("writing the %s report: %w", s.format.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (s sink) write(out io.Writer, result judge.Result) (err error) {
	if s.path == standardOutput {
		return s.format.Write(out, result)
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(s.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return s.format.Write(f, result)
}

// terminal says how to write text for whoever reads out.
func terminal(out io.Writer) report.TextOptions {
	o := report.TextOptions{Color: colour(out), Width: cmp.Or(columns(out), 100)}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(name); v != "" {
			o.ASCII = !strings.Contains(strings.ToUpper(strings.ReplaceAll(v, "-", "")), "UTF8")
			break
		}
	}
	return o
}
