package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/diff"
)

// DiffText writes for people which flows flip between two versions, and the
// rules that decide before and after with who wrote them.
func DiffText(w io.Writer, d diff.Diff, o TextOptions) error {
	out := diffHead(d, o)
	for _, f := range d.Flips {
		out = append(out, "")
		out = append(out, flipText(d, f, o)...)
	}
	for _, part := range []struct {
		title string
		all   []diff.Workload
	}{{"new, and so in no flip", d.Added}, {"gone, and so in no flip", d.Removed}} {
		if len(part.all) > 0 {
			out = append(out, "", o.paint(bold, part.title))
		}
		for _, w := range part.all {
			out = append(out, o.prose(plain, "  ", printable(o, workloadText(w)))...)
		}
	}
	for _, line := range foreignText(d.Foreign) {
		out = append(out, o.prose(plain, "", printable(o, line))...)
	}
	if d.Compared > 0 {
		out = append(out, "")
		out = append(out, o.prose(dim, "", countedText(d))...)
	}
	if _, err := io.WriteString(w, strings.Join(out, "\n")+"\n"); err != nil {
		return fmt.Errorf("writing the difference: %w", err)
	}
	return nil
}

// diffHead counts, and says what was compared.
func diffHead(d diff.Diff, o TextOptions) []string {
	tick := o.paint(green, o.ascii("✓"))
	switch {
	case d.Against() > 0:
		tick = o.paint(red, o.ascii("✗"))
	case len(d.Flips) > 0:
		tick = o.paint(yellow, o.symbol(mistake))
	case d.Compared == 0:
		tick = o.paint(dim, o.symbol(leftOpen))
	}
	head := []string{tick + " " + o.ascii(diffCounts(d))}
	if n := d.Against(); n > 0 {
		head = append(head, o.paint(magenta, againstText(n)))
	}
	out := o.flow("", "; ", head)
	return append(out, o.prose(dim, "  ", printable(o, "before: "+versionText(d.Before)+"; after: "+versionText(d.After)))...)
}

// diffCounts is the first sentence of every form.
func diffCounts(d diff.Diff) string {
	if d.Compared == 0 {
		return "nothing was compared: no flow is in both versions"
	}
	if len(d.Flips) == 0 {
		return fmt.Sprintf("none of %s flips", count(d.Compared, "flow"))
	}
	var parts []string
	for _, kind := range []diff.Kind{diff.Opened, diff.Closed, diff.Unclear, diff.Decided} {
		if n := d.Count(kind); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, kind))
		}
	}
	verb := "flip"
	if d.Count(0) == 1 {
		verb = "flips"
	}
	return fmt.Sprintf("%d of %s %s: %s", d.Count(0), count(d.Compared, "flow"), verb, strings.Join(parts, ", "))
}

// countedText says which flows are compared.
func countedText(d diff.Diff) string {
	text := fmt.Sprintf("counted: %s between the pods that both versions have, apart from those of a pod to itself, which segtest plan counts too; a range of ports that are decided alike is one", count(d.Compared-d.Outside, "flow"))
	if d.Outside > 0 {
		text += fmt.Sprintf("; and %d to or from what no file holds: pods of other namespaces (elsewhere/any and the like), and addresses outside of the cluster (world/BLOCK)", d.Outside)
	}
	return text
}

// kindText is the kind of a flip, and what was decided where that does not say it.
func kindText(f diff.Flip) string {
	if f.Kind() == diff.Decided {
		return fmt.Sprintf("%s: %s now, undefined before", f.Kind(), intentWord(f.After))
	}
	return f.Kind().String()
}

func againstText(n int) string {
	if n == 1 {
		return "1 of them against the scenario"
	}
	return fmt.Sprintf("%d of them against the scenario", n)
}

func versionText(v diff.Version) string {
	if v.Commit.Hash == "" && strings.HasPrefix(v.File, v.Name) {
		return v.File // it was named by its path
	}
	s := v.Name
	if short := v.Commit.Short(); short != "" && !strings.HasPrefix(v.Name, short) {
		s += " (" + short + ")"
	}
	if v.File == "" {
		return s + ", which has no such file or folder"
	}
	return s + ", " + v.File
}

func workloadText(w diff.Workload) string {
	name := string(w.Name)
	switch {
	case len(w.Slots) == 1:
		name = string(w.Slots[0])
	default:
		name += fmt.Sprintf(" ×%d", len(w.Slots))
	}
	return fmt.Sprintf("%s: of the flows to it %s; of those from it %s", name, tallyWords(w.Reached), tallyWords(w.Reach))
}

func tallyWords(t diff.Tally) string {
	s := fmt.Sprintf("%d allowed, %d denied", t.Allow, t.Deny)
	if t.Undefined > 0 {
		s += fmt.Sprintf(", %d undefined", t.Undefined)
	}
	return s
}

// flipText is one flip: what, and which rules make it.
func flipText(d diff.Diff, f diff.Flip, o TextOptions) []string {
	symbol, colour := o.symbol(isClosed), dim
	switch f.Kind() {
	case diff.Opened:
		symbol, colour = o.symbol(isOpen), green
	case diff.Closed:
	case diff.Unclear, diff.Decided:
		symbol, colour = o.symbol(leftOpen), yellow
	}
	parts := []string{o.paint(colour, symbol+" "+kindText(f)), o.paint(bold, printable(o, flowsText(d, f, mostNames))), printable(o, portsText(f.Ports)), count(f.Count, "flow")}
	switch {
	case f.Against():
		parts = append(parts, o.paint(magenta, "against the scenario: "+declaredText(f)))
	case f.Declared.Intent == f.After:
		parts = append(parts, o.paint(dim, "as the scenario declares: "+declaredText(f)))
	case f.Declared.Intent != matrix.Unstated:
		parts = append(parts, o.paint(magenta, "the scenario declares: "+declaredText(f)))
	}
	out := o.flow("", "  ", parts)
	for _, c := range f.Changes {
		out = append(out, halfText(c.Direction+" before", c.Before, o)...)
		out = append(out, halfText(c.Direction+" after", c.After, o)...)
	}
	if len(f.Changes) == 0 && f.Reason != "" {
		out = append(out, o.prose(plain, "    ", printable(o, f.Reason))...)
	}
	return out
}

func declaredText(f diff.Flip) string {
	s := f.Declared.Intent.String()
	if p := place(f.Declared.Origin); p != "" {
		s += " at " + p
	}
	return clean(s)
}

// mostNames of a list are shown where there is no room for more.
const mostNames = 6

// flowsText is "senders → receivers".
func flowsText(d diff.Diff, f diff.Flip, most int) string {
	return listText(d.Names(f.From), most) + " → " + listText(d.Names(f.To), most)
}

func listText(names []string, most int) string {
	if len(names) <= most+1 { // "and 1 more" is no shorter
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// mostPorts of a flip are shown for people.
const mostPorts = 8

// portsText is the ports by number, those that lie side by side as a range, and
// then that they may be any.
func portsText(ports []diff.Port) string {
	var numbers, others []string
	for _, p := range ranges(ports) {
		switch {
		case p.Canary:
			others = append(others, "any other "+p.Protocol.String()+familyText(p))
		case p.Last > p.Port:
			numbers = append(numbers, fmt.Sprintf("%s/%d-%d%s", p.Protocol, p.Port, p.Last, familyText(p)))
		default:
			numbers = append(numbers, fmt.Sprintf("%s/%d%s", p.Protocol, p.Port, familyText(p)))
		}
	}
	if len(numbers) > 0 {
		numbers = []string{listText(numbers, mostPorts)}
	}
	return strings.Join(append(numbers, others...), ", ")
}

// ranges of ports in the order of a flip, each as long as it can be.
func ranges(ports []diff.Port) []diff.Port {
	ordered := slices.SortedFunc(slices.Values(ports), func(p, q diff.Port) int {
		return cmp.Or(cmp.Compare(p.Protocol, q.Protocol), cmp.Compare(p.Family, q.Family), p.Compare(q))
	})
	var out []diff.Port
	for _, p := range ordered {
		last := len(out) - 1
		if last >= 0 && !p.Canary && !out[last].Canary && out[last].Protocol == p.Protocol && out[last].Family == p.Family && max(out[last].Port, out[last].Last) == p.Port-1 {
			out[last].Last = max(p.Port, p.Last)
			continue
		}
		out = append(out, p)
	}
	slices.SortFunc(out, diff.Port.Compare)
	return out
}

// familyText is " ipv6", and nothing for IPv4.
func familyText(p diff.Port) string {
	if p.Family == matrix.IPv4 {
		return ""
	}
	return " " + p.Family.String()
}

// mostCauses of a half are shown for people.
const mostCauses = 3

// halfText is one direction before or after: the answer, and the rules that gave
// it.
func halfText(label string, h diff.Half, o TextOptions) []string {
	head := label + ": " + halfWords(h)
	out := o.prose(plain, "    ", printable(o, head))
	for i, c := range h.By {
		if i == mostCauses {
			out = append(out, o.prose(dim, "      ", fmt.Sprintf("and %d more", len(h.By)-mostCauses))...)
			break
		}
		parts := []string{printable(o, ruleText(c)), o.paint(cyan, printable(o, placeText(c)))}
		if who := creditText(c.Credit); who != "" {
			parts = append(parts, o.paint(dim, printable(o, who)))
		}
		out = append(out, o.flow("      ", "  ", parts)...)
	}
	return out
}

// halfWords is the answer, with the reason where the rules do not say it.
func halfWords(h diff.Half) string {
	word := done(h.Intent)
	switch {
	case h.Intent == matrix.Allow && len(h.By) > 0:
		return word + " by"
	case h.Reason != "":
		return word + ": " + h.Reason
	}
	return word
}

// intentWord says what an answer means for a flow.
func intentWord(i matrix.Intent) string {
	return map[matrix.Intent]string{matrix.Allow: "allowed", matrix.Deny: "denied", matrix.Undefined: "undefined", matrix.Unstated: "not decided"}[i]
}

// ruleText is a rule by name.
func ruleText(c diff.Cause) string {
	s := c.Policy
	if c.Kind != "" {
		s = c.Kind + " " + s
	}
	if c.Rule >= 0 {
		s += fmt.Sprintf(" rule %d", c.Rule)
	}
	return s
}

// placeText is where a rule is, and that this is not exact where it is not.
func placeText(c diff.Cause) string { return place(c.Origin) + via(c.Origin.Via) }

// creditText is who last changed a rule, "" where nobody knows.
func creditText(c diff.Credit) string {
	switch {
	case !c.Known:
		return ""
	case c.Commit.Hash == "":
		return "not committed"
	}
	return fmt.Sprintf("%s %s, %s", c.Commit.Short(), c.Commit.Author, c.Commit.Date.Format("2006-01-02"))
}
