// Package report renders a judge.Result. Every renderer is pure: the same
// result gives the same bytes. The formats are:
//
//   - json: everything, for programs; the schema has a version of its own.
//   - junit: one test case per flow and phase, for CI systems.
//   - text: one screen for people: verdict, matrix, failing flows, faults.
//
// Text takes options for terminals. PlanFormats lists the forms of a plan: what
// scenario and policies say before any cluster exists; ReachTable and ReachJSON
// render a blast radius, ExplainText and ExplainJSON the answer about one flow,
// LintText, LintJSON and SARIF findings, DiffText, DiffMarkdown and DiffJSON what
// a change does, Bisected and BisectJSON which commit did it.
//
// To add a format: a file with its writer, a line in Formats, a line above, and
// a golden file per result of the tests (go test ./suites/report -update).
package report
