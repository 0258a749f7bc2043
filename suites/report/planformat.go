package report

import (
	"io"

	"github.com/segtest/segtest/suites/plan"
)

// PlanFormat is one way to write a plan.
type PlanFormat struct {
	Name    string // as in plan --output NAME
	Summary string // one line
	Folds   bool   // whether it shows rows and columns, and not every flow
	Write   func(io.Writer, plan.Sheet, Folding, TextOptions) error
}

// PlanFormats lists every format of a plan, in order of name.
func PlanFormats() []PlanFormat {
	return []PlanFormat{
		{"csv", "every flow, for spreadsheets", false, func(w io.Writer, s plan.Sheet, _ Folding, _ TextOptions) error { return PlanCSV(w, s) }},
		{"dot", "a graph, for Graphviz", true, func(w io.Writer, s plan.Sheet, f Folding, _ TextOptions) error { return PlanDot(w, s, f) }},
		{"json", "every flow with its rules, for programs", false, func(w io.Writer, s plan.Sheet, _ Folding, _ TextOptions) error { return PlanJSON(w, s) }},
		{"md", "a page for pull requests", true, func(w io.Writer, s plan.Sheet, f Folding, _ TextOptions) error { return PlanMarkdown(w, s, f) }},
		{"svg", "a picture of the matrix", true, func(w io.Writer, s plan.Sheet, f Folding, _ TextOptions) error { return PlanSVG(w, s, f) }},
		{"table", "for people", true, PlanTable},
	}
}
