package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/judge"
)

// line is one labelled line of an explanation.
type line struct{ label, text string }

// grades say what an evidence grade rests on.
var grades = map[string]string{ //nolint:gochecknoglobals // constant table
	"a": "a (an allowed flow between the two connected at the same time)",
	"b": "b (the flow connected before the policies were applied)",
	"c": "c (the receiver answered itself, and the sender could send)",
}

// place is "file:line", what CI systems turn into a link; "" where it is unknown.
func place(o oracle.Origin) string {
	switch {
	case o.File == "":
		return ""
	case o.Line == 0:
		return o.File
	}
	return fmt.Sprintf("%s:%d", o.File, o.Line)
}

// title is a case in one line.
func title(c judge.Case) string {
	kind := string(c.Kind)
	if kind == "" {
		kind = c.Verdict.String()
	}
	return fmt.Sprintf("%s: expected %s, observed %s", kind, c.Expected, c.Observed)
}

// explain is what people need to know of a case that did not plainly pass.
func explain(r judge.Result, c judge.Case) []line {
	out := []line{{"expected", c.Expected}, {"observed", observed(c)}}
	for _, reason := range c.Reasons {
		out = append(out, line{"", reason})
	}
	if c.Unjudged != "" {
		out = append(out, line{"not judged", c.Unjudged})
	}
	if c.Since != 0 {
		out = append(out, line{"since", since(r, c.Since)})
	}
	for _, rule := range c.Rules {
		text := rule.Text
		if p := place(rule.Origin); p != "" && !strings.Contains(text, p) {
			text += " (" + p + ")"
		}
		out = append(out, line{rule.Source, text})
	}
	switch {
	case c.Evidence != "":
		out = append(out, line{"evidence", identified(c, grades[c.Evidence])})
	case c.Flow != judge.None && c.Verdict == matrix.Fail:
		out = append(out, line{"evidence", identified(c, "what got through is its own")})
	case c.Flow != judge.None && c.Verdict == matrix.Inconclusive && c.Unjudged == "":
		out = append(out, line{"evidence", "none"})
	}
	for _, w := range c.Windows {
		out = append(out, line{"window", window(r, w)})
	}
	if again := repeat(r, c); again != "" && c.Verdict != matrix.Pass {
		out = append(out, line{"repeat", again})
	}
	return out
}

// observed is an outcome and how the sender learnt of it, where it was blocked.
func observed(c judge.Case) string {
	if c.Denial == matrix.DenialUnknown {
		return c.Observed
	}
	return fmt.Sprintf("%s, by %s", c.Observed, c.Denial)
}

// demanded is how the scenario says that the deny of a case must show itself.
func demanded(r judge.Result, c judge.Case) matrix.Denial {
	if c.Flow == judge.None || c.Denial == matrix.DenialUnknown {
		return matrix.DenialUnknown
	}
	return r.Flows[c.Flow].Declared.By
}

// identified adds to an evidence how its peer is known, where it did not say
// itself who it is.
func identified(c judge.Case, evidence string) string {
	if c.Identity == "" {
		return evidence
	}
	return evidence + ", identity " + c.Identity
}

// since is a moment as a wall clock and as time into the run.
func since(r judge.Result, at time.Duration) string {
	into := fmt.Sprintf("%s into the run", judge.Short(r.Offset(at)))
	if r.Header.Started.IsZero() {
		return into
	}
	return r.Clock(at).Format("2006-01-02T15:04:05.000Z07:00") + ", " + into
}

func window(r judge.Result, w judge.Window) string {
	s := fmt.Sprintf("%s, %d samples from %s into the run, first %s", judge.Span(w), w.Samples, judge.Short(r.Offset(w.First)), w.Outcome)
	if w.AtResolution {
		s += "; as short as sampling can tell"
	}
	return s
}

// repeat is the command that runs just this flow again.
func repeat(r judge.Result, c judge.Case) string {
	if c.Flow == judge.None || r.Header.File == "" {
		return ""
	}
	return fmt.Sprintf("segtest run %s --select '%s'", shell(r.Header.File), ascii(r.Flows[c.Flow].Flow.Flow))
}

// ascii is a flow as one can type it.
func ascii(f matrix.Flow) string { return strings.ReplaceAll(f.String(), "→", "->") }

// shell quotes a word for a shell where it needs it.
func shell(s string) string {
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("/._-+,:@%", c)
	}
	if s != "" && strings.IndexFunc(s, func(c rune) bool { return !plain(c) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
