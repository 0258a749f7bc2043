package report

import (
	"io"

	"github.com/segtest/segtest/suites/judge"
)

// Format is one way to write a result.
type Format struct {
	Name    string // as in --report NAME=FILE
	Summary string // one line
	Write   func(io.Writer, judge.Result) error
}

// Formats lists every format, in order of name.
func Formats() []Format {
	return []Format{
		{Name: "json", Summary: "everything, for programs", Write: JSON},
		{Name: "junit", Summary: "one test case per flow and phase, for CI systems", Write: JUnit},
		{Name: "text", Summary: "one screen for people, without colour", Write: func(w io.Writer, r judge.Result) error {
			return Text(w, r, TextOptions{Width: 100})
		}},
	}
}

// Find returns the format of a name.
func Find(name string) (Format, bool) {
	for _, f := range Formats() {
		if f.Name == name {
			return f, true
		}
	}
	return Format{}, false
}
