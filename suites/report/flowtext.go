package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/edit"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/plan"
	"github.com/segtest/segtest/suites/run/record"
)

// Explained is the answer to one question about two workloads: why is the one
// allowed to reach the other, or why not.
type Explained struct {
	Name, File string
	Answers    []Answer // that differ, in order; usually one
	Want       matrix.Intent
	// Search is for an edit that makes it as wanted; nil where it is, or where
	// nothing is wanted.
	Search *edit.Result
}

// Answer explains one flow.
type Answer struct {
	Flow        record.Flow
	Explanation oracle.Explanation
	Alike       int // further flows of replicas of which the same is true
}

// ExplainText writes an answer for people: what is declared, what is computed,
// every rule that was asked both ways, and the smallest edit.
func ExplainText(w io.Writer, e Explained, o TextOptions) error {
	var out []string
	for i, a := range e.Answers {
		if i > 0 {
			out = append(out, "")
		}
		out = append(out, answerText(a, o)...)
	}
	out = append(out, searchText(e, o)...)
	if _, err := io.WriteString(w, strings.Join(out, "\n")+"\n"); err != nil {
		return fmt.Errorf("writing the explanation: %w", err)
	}
	return nil
}

func answerText(a Answer, o TextOptions) []string {
	head := o.paint(bold, printable(o, a.Flow.Flow.String()))
	if a.Alike > 0 {
		head += o.paint(dim, fmt.Sprintf("  and %s like it", count(a.Alike, "flow")))
	}
	out := []string{head}
	declared := a.Flow.Declared.Intent.String()
	if a.Flow.Declared.Reason != "" {
		declared += ": " + a.Flow.Declared.Reason
	}
	if p := place(a.Flow.Declared.Origin); p != "" {
		declared += " (" + p + ")"
	}
	computed := done(a.Flow.Computed.Intent)
	if a.Flow.Computed.Reason != "" {
		computed += ": " + a.Flow.Computed.Reason
	}
	switch {
	case judge.Disagree(a.Flow):
		computed = o.symbol(mistake) + " " + computed
	case a.Flow.Declared.Intent != matrix.Unstated && a.Flow.Computed.Intent != matrix.Unstated:
		computed = o.ascii("✓") + " " + computed
	}
	out = append(out, hanging("  declared  ", declared, o)...)
	out = append(out, hanging("  computed  ", computed, o)...)
	d := a.Flow.Computed
	out = append(out, stepsText(fmt.Sprintf("out of %s (egress)", a.Flow.From), d.Egress, a.Explanation.Egress, o)...)
	return append(out, stepsText(fmt.Sprintf("into %s (ingress)", a.Flow.To), d.Ingress, a.Explanation.Ingress, o)...)
}

// stepsText is one direction: every rule in order of evaluation.
func stepsText(title string, h oracle.Half, steps []oracle.Step, o TextOptions) []string {
	if h.Intent == matrix.Unstated {
		return nil
	}
	head := title + ": " + done(h.Intent)
	if len(steps) == 0 && h.Reason != "" {
		head += ", " + h.Reason
	}
	out := append([]string{""}, hanging("  ", head, o)...)
	for _, s := range steps {
		if !s.Decides && (s.Rule.Policy == "" || s.Rule.Rule < 0 && !s.Fits) {
			continue // the default, and a policy one of whose rules has spoken
		}
		mark := "  "
		if s.Decides {
			mark = o.ascii("→ ")
		}
		name := ruleName(s)
		if p := place(s.Rule.Origin); p != "" {
			name += " (" + p + via(s.Rule.Origin.Via) + ")"
		}
		lines := hanging("    "+mark, name+stepEffect(h, s), o)
		if s.Decides {
			for i := range lines {
				lines[i] = o.paint(bold, lines[i])
			}
		}
		out = append(append(out, lines...), o.prose(dim, "        ", printable(o, s.Why))...)
	}
	return out
}

// stepEffect is what a step does to the flow; nothing where it does not fit, or
// isolates a pod for which another policy has a rule.
func stepEffect(h oracle.Half, s oracle.Step) string {
	verb, would := "allows it", "would allow it"
	switch s.Action {
	case "Deny":
		verb, would = "denies it", "would deny it"
	case "Pass":
		verb, would = "leaves it to the next tier", "leaves it to the next tier"
	}
	switch {
	case s.Decides && h.Intent == matrix.Undefined:
		return ": may decide"
	case s.Decides:
		return ": " + verb
	case s.Fits && s.Rule.Rule >= 0:
		return ": " + would
	}
	return ""
}

// ruleName is what a step asked.
func ruleName(s oracle.Step) string {
	if s.Rule.Policy == "" {
		return "by default"
	}
	kind := s.Rule.Kind
	if kind == "" {
		kind = "NetworkPolicy"
	}
	name := kind + " " + s.Rule.Policy
	if s.Rule.Tier != "" {
		name = s.Rule.Tier + " tier: " + name
	}
	if s.Rule.Rule >= 0 {
		return fmt.Sprintf("%s rule %d", name, s.Rule.Rule)
	}
	return name
}

func searchText(e Explained, o TextOptions) []string {
	switch {
	case e.Search == nil:
		return nil
	case e.Search.Remedy == nil:
		text := fmt.Sprintf("no edit was found that makes it %s and leaves all else as declared; %s tried", done(e.Want), count(e.Search.Tried, "edit"))
		if e.Search.Nearest != "" {
			text += ". For example, " + e.Search.Nearest
		}
		return append([]string{""}, o.prose(yellow, "", printable(o, text))...)
	}
	r := e.Search.Remedy
	head := fmt.Sprintf("the smallest edit that makes it %s, %s", done(e.Want), count(r.Size, "line"))
	if len(r.Edits) > 1 {
		head += fmt.Sprintf(" in %d places", len(r.Edits))
	}
	head += " (as YAML in block style):"
	out := append([]string{""}, o.prose(bold, "", head)...)
	for _, change := range r.Edits {
		out = append(out, editText(change, o)...)
	}
	switch {
	case r.Mends > 0:
		out = append(out, o.prose(plain, "  ", count(r.Mends, "other flow")+" would be as declared then, too")...)
	case len(r.Side)+len(r.Wrong) == 0:
		out = append(out, o.prose(plain, "  ", "no other flow changes that the scenario knows")...)
	}
	out = append(out, sideTexts(r.Side, "of which nothing is declared would change too", o)...)
	out = append(out, sideTexts(r.Wrong, "would change and not be as declared, now or then", o)...)
	return append(out, sideTexts(r.Opens, "to or from what the scenario does not hold would open too", o)...)
}

// sideTexts are flows that an edit changes beside those it is for; none where
// there is no such flow.
func sideTexts(changes []plan.Change, what string, o TextOptions) []string {
	if len(changes) == 0 {
		return nil
	}
	out := o.prose(yellow, "  ", count(len(changes), "flow")+" "+what+":")
	for i, c := range changes {
		if i == maxBrief {
			return append(out, o.paint(dim, o.ascii(fmt.Sprintf("    … and %d more", len(changes)-i))))
		}
		out = append(out, hanging("    ", sideText(c), o)...)
	}
	return out
}

// done is what the policies do to a flow. That they allow one is no praise.
func done(i matrix.Intent) string {
	switch i {
	case matrix.Allow:
		return "allowed"
	case matrix.Deny:
		return "denied"
	case matrix.Undefined:
		return "undefined"
	case matrix.Unstated:
	}
	return "not decided"
}

func sideText(c plan.Change) string {
	return fmt.Sprintf("%s: %s now, %s then", c.Flow, done(c.Before), done(c.After))
}

func editText(e edit.Edit, o TextOptions) []string {
	where := "new: "
	if p := place(e.Origin); p != "" && !e.New {
		where = p + via(e.Origin.Via) + ": "
	}
	out := o.prose(plain, "  ", printable(o, where+e.What))
	for _, l := range e.Diff {
		line := strings.TrimRight(fmt.Sprintf("    %c %s", l.Op, printable(o, l.Text)), " ")
		switch l.Op {
		case '+':
			line = o.paint(green, line)
		case '-':
			line = o.paint(red, line)
		default:
			line = o.paint(dim, line)
		}
		out = append(out, line)
	}
	if e.Caveat != "" {
		out = append(out, o.prose(yellow, "    ", "mind: "+printable(o, e.Caveat))...)
	}
	return out
}
