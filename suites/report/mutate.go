package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/segtest/segtest/probes/mutate"
	"github.com/segtest/segtest/probes/oracle"
)

// Mutation is a scenario with what became of its mutants.
type Mutation struct {
	Name, File string
	Result     mutate.Result
	Foreign    []oracle.Foreign // policies that are not evaluated
}

// MutateText writes the score, and then each mutant that survives with what it
// flips and what would kill it.
func MutateText(w io.Writer, m Mutation, o TextOptions) error {
	out := []string{printable(o, fmt.Sprintf("%s (%s)", m.Name, m.File))}
	out = append(out, o.prose(plain, "", scoreText(m.Result))...)
	for _, line := range apartText(m.Result) {
		out = append(out, o.prose(dim, "  ", line)...)
	}
	for _, j := range m.Result {
		if j.Fate == mutate.Survived {
			out = append(out, survivorText(j, o)...)
		}
	}
	if more := foreignText(m.Foreign); len(more) > 0 {
		out = append(out, "")
		for _, line := range more {
			out = append(out, printable(o, line))
		}
	}
	if _, err := io.WriteString(w, strings.Join(out, "\n")+"\n"); err != nil {
		return fmt.Errorf("writing the mutants: %w", err)
	}
	return nil
}

func scoreText(r mutate.Result) string {
	killed, survived := r.Count(mutate.Killed), r.Count(mutate.Survived)
	score, ok := r.Score()
	text := fmt.Sprintf("no score: %s", count(len(r), "mutant"))
	if ok {
		text = fmt.Sprintf("score %.1f %%: %d of %s killed, %d survived", percent(score), killed, count(killed+survived, "mutant"), survived)
	}
	var apart []string
	for _, f := range []mutate.Fate{mutate.Equivalent, mutate.Beyond, mutate.Undecided} {
		if n := r.Count(f); n > 0 {
			apart = append(apart, fmt.Sprintf("%d %s", n, f))
		}
	}
	if len(apart) > 0 {
		text += "; " + strings.Join(apart, ", ") + " not counted"
	}
	return text
}

// apartText says of each fate that does not count, and that not everybody knows,
// what it is.
func apartText(r mutate.Result) []string {
	var out []string
	for _, x := range []struct {
		fate mutate.Fate
		text string
	}{
		{mutate.Beyond, "beyond: only flows of nodes, of addresses outside of the cluster, of namespaces that the cluster itself brings, or by SCTP change, of which no rule but a snapshot's can state anything"},
		{mutate.Undecided, "undecided: only flows change that the specification leaves open before or after, so that no expectation is judged"},
	} {
		if r.Count(x.fate) > 0 {
			out = append(out, x.text)
		}
	}
	return out
}

// percent of a score. It is cut, not rounded, to one place: 99.96 is not 100.
func percent(score float64) float64 { return float64(int(score*1000+1e-9)) / 10 }

// survivorText is where the mistake is, what it flips, and what would kill it.
func survivorText(j mutate.Judged, o TextOptions) []string {
	place := o.paint(bold, printable(o, j.At.Origin.String()+":"))
	out := []string{"", place + " " + o.paint(yellow, j.Operator) + " " + printable(o, objectOf(j))}
	out = append(out, o.prose(plain, "    ", printable(o, j.What))...)
	var flips []string
	for _, f := range j.Flips {
		flips = append(flips, printable(o, fmt.Sprintf("%s: %s → %s", f.Flow, f.Before, f.After)))
	}
	if j.Flows > len(j.Flips) {
		flips = append(flips, "and "+count(j.Flows-len(j.Flips), "more flow"))
	}
	out = append(out, labelled(o.paint(dim, "flips: "), flips)...)
	if j.Remedy.Hint != "" {
		return append(out, labelled(o.paint(green, "kill:  "), Wrap(printable(o, j.Remedy.Hint), o.width()-labelWidth))...)
	}
	label := o.paint(green, "kill:  ")
	for _, part := range []struct{ under, lines string }{
		{"namespaces", j.Remedy.Namespaces}, {"workloads", j.Remedy.Workloads}, {j.Remedy.Under, j.Remedy.Paste},
	} {
		if part.lines == "" {
			continue
		}
		out = append(out, "    "+label+"add to "+part.under+":")
		for _, line := range strings.Split(part.lines, "\n") {
			out = append(out, "      "+printable(o, line))
		}
		label = pad("", labelWidth-4)
	}
	return out
}

// labelWidth is the room before the lines of labelled.
const labelWidth = len("    flips: ")

// labelled puts a label in front of the first line, and indents the others.
func labelled(label string, lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = "    " + label + line
		label = pad("", labelWidth-4)
	}
	return out
}

// objectOf a mutant: the policy and the field that is changed.
func objectOf(j mutate.Judged) string {
	object := j.At.Policy
	if j.At.Kind != "" {
		object = j.At.Kind + " " + object
	}
	return strings.TrimSpace(object + " " + j.Path)
}

// MutateOperators lists all operators with their examples.
func MutateOperators(w io.Writer, operators []mutate.Operator, o TextOptions) error {
	var b strings.Builder
	for _, op := range operators {
		fmt.Fprintf(&b, "%s %s\n%s %s\n", o.paint(bold, pad(op.ID, 24)), o.ascii(op.What), pad("", 24), o.paint(dim, o.ascii(op.Example)))
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("writing the operators: %w", err)
	}
	return nil
}
