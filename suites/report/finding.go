package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/judge"
)

const (
	maxFull  = 4  // findings that are explained in full
	maxBrief = 12 // further findings, one line each
)

// finding is cases that tell the same: of replicas, or with one cause.
type finding struct {
	judge.Case
	more []string // names of further cases
}

// rank orders findings: what the authors can mend, what got through, what broke,
// what nobody knows, what is known.
func rank(r judge.Result, c judge.Case) int {
	if c.Verdict == matrix.Fail && c.Flow != judge.None {
		switch glyphOf(r, c) { //nolint:exhaustive // the others are no findings
		case mistake:
			return 0
		case leak:
			return 1
		default:
			return 2
		}
	}
	switch c.Verdict {
	case matrix.Fail:
		return 2
	case matrix.Inconclusive:
		return 3
	case matrix.KnownGap, matrix.Pass:
	}
	return 4
}

// findings groups the cases that failed or are inconclusive.
func findings(r judge.Result) []finding {
	type key struct {
		phase, kind, from, to, reason string
		column                        column
	}
	var out []finding
	at := map[key]int{}
	for _, c := range r.Cases {
		if c.Unjudged != "" || c.Verdict == matrix.Pass || c.Verdict == matrix.KnownGap {
			continue
		}
		k := key{phase: c.Phase, kind: string(c.Kind), reason: c.Name}
		switch {
		case c.Flow == judge.None:
		case c.Verdict == matrix.Inconclusive:
			k.reason = strings.Join(c.Reasons, "\n")
		default:
			f := r.Flows[c.Flow]
			k.from, k.to, k.reason = string(base(f.From)), string(base(f.To)), place(c.Origin)
			k.column = column{protocol: f.Protocol, port: f.Port, way: f.Way, family: f.Family}
		}
		if i, ok := at[k]; ok {
			out[i].more = append(out[i].more, c.Name)
			continue
		}
		at[k] = len(out)
		out = append(out, finding{Case: c})
	}
	slices.SortStableFunc(out, func(a, b finding) int { return rank(r, a.Case) - rank(r, b.Case) })
	return out
}

// findingsText explains the first findings and names the others.
func findingsText(r judge.Result, o TextOptions) []string {
	var out []string
	all := findings(r)
	for i, f := range all {
		switch {
		case i >= maxFull+maxBrief:
			return append(out, o.paint(dim, o.ascii(fmt.Sprintf("  … and %s more: the junit and json reports have them", count(len(all)-i, "finding")))))
		case i >= maxFull:
			if i == maxFull {
				out = append(out, "")
			}
			out = append(out, "  "+o.tick(f.Verdict, false)+" "+o.cut(printable(o, f.head()+"  "+title(f.Case)), o.width()-4))
		default:
			out = append(out, f.full(r, o)...)
		}
	}
	return out
}

// head names the flow, or what else a finding is about, and its phase.
func (f finding) head() string { return f.Name + "  (" + f.Phase + ")" }

// full is a finding with all that is known of it.
func (f finding) full(r judge.Result, o TextOptions) []string {
	kind, colour := string(f.Kind), red
	if f.Verdict == matrix.Inconclusive {
		kind, colour = "inconclusive", yellow
	}
	name := o.tick(f.Verdict, false) + " " + o.paint(bold, printable(o, f.Name))
	head := o.flow("", "  ", []string{name, o.paint(colour, kind), o.paint(dim, printable(o, f.Phase))})
	out := append([]string{""}, head...)
	if p := place(f.Origin); p != "" {
		out = append(out, "    "+o.paint(cyan, printable(o, p)))
	}
	for _, l := range explain(r, f.Case) {
		if l.label == "window" && len(f.Windows) > 1 {
			continue // the reasons tell them
		}
		parts := []string{printable(o, l.text)}
		if l.label != "repeat" { // a command, which one copies, is left whole
			parts = Wrap(parts[0], o.width()-15)
		}
		label := pad(l.label, 10)
		for _, part := range parts {
			out = append(out, "    "+o.paint(dim, label)+" "+part)
			label = pad("", 10)
		}
	}
	if len(f.more) > 0 {
		shown := f.more[:min(3, len(f.more))]
		text := "the same: " + strings.Join(shown, ", ")
		if n := len(f.more) - len(shown); n > 0 {
			text += fmt.Sprintf(" and %d more", n)
		}
		for _, part := range Wrap(printable(o, text), o.width()-4) {
			out = append(out, "    "+part)
		}
	}
	return out
}
