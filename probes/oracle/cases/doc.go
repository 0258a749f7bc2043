// Package cases is what an engine for policies is tested with: test cases that
// are written as data (a world, its policies, and which flows they let pass,
// step by step), and random worlds. Other projects' suites are written down in
// probes/oracle/testdata/catalogue, where README.md describes the format.
// Nothing here decides anything: what is expected is written by hand.
package cases
