package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/plan"
)

// ReachSchema is the version of the JSON form of a blast radius. Fields are only
// ever added to it.
const ReachSchema = "segtest.dev/reach/v1alpha1"

type (
	jsonBlast struct {
		Schema   string      `json:"schema"`
		Scenario string      `json:"scenario"`
		File     string      `json:"file"`
		Pods     int         `json:"pods"`
		Reaches  []jsonReach `json:"reaches"`
	}
	// jsonReach counts pods. Several senders under from reach as many each; targets
	// and chains are those of the first.
	jsonReach struct {
		From    []matrix.Endpoint `json:"from"`
		Direct  int               `json:"direct"`
		All     int               `json:"all"`
		Unsure  int               `json:"unsure"`
		Targets []jsonTarget      `json:"targets,omitempty"`
	}
	jsonTarget struct {
		To   []matrix.Endpoint `json:"to"`
		Hops int               `json:"hops"`
		Via  []jsonHop         `json:"via"` // to the first of to
	}
	jsonHop struct {
		From  matrix.Endpoint `json:"from"`
		To    matrix.Endpoint `json:"to"`
		Ports []string        `json:"ports"`
	}
)

// ReachJSON writes a blast radius for programs.
func ReachJSON(w io.Writer, b plan.Blast) error {
	out := jsonBlast{Schema: ReachSchema, Scenario: b.Name, File: b.File, Pods: len(b.Pods), Reaches: []jsonReach{}}
	for _, r := range b.Reaches {
		j := jsonReach{From: r.From, Direct: r.Direct, All: r.All, Unsure: r.Unsure}
		for _, t := range r.Targets {
			target := jsonTarget{To: t.To, Hops: len(t.Via)}
			for _, h := range t.Via {
				target.Via = append(target.Via, jsonHop{h.From, h.To, portTexts(h.Ports)})
			}
			j.Targets = append(j.Targets, target)
		}
		out.Reaches = append(out.Reaches, j)
	}
	return writeJSON(w, out)
}

func portTexts(ports []oracle.Port) []string {
	texts := make([]string, len(ports))
	for i, p := range ports {
		texts[i] = fmt.Sprintf("%s/%d", p.Protocol, p.Port)
	}
	return texts
}

// ReachTable writes a blast radius for people.
func ReachTable(w io.Writer, b plan.Blast, o TextOptions) error {
	n := namesOf(b.Pods)
	var out []string
	if !b.Named {
		out = reachSummary(b, n, o)
	}
	for _, r := range b.Reaches {
		if b.Named {
			out = append(out, reachText(r, b, n, o)...)
		}
	}
	if _, err := io.WriteString(w, strings.Join(out, "\n")+"\n"); err != nil {
		return fmt.Errorf("writing the blast radius: %w", err)
	}
	return nil
}

// reachSummary is one line for equal pods, the largest radius first.
func reachSummary(b plan.Blast, n naming, o TextOptions) []string {
	out := o.prose(plain, "", fmt.Sprintf("how many of %s each may reach, by itself and in all from there on:", count(len(b.Pods), "pod")))
	out = append(out, o.paint(bold, "  directly  in all  perhaps  from"))
	for _, r := range b.Reaches {
		numbers := fmt.Sprintf("  %8d  %6d  %7d  ", r.Direct, r.All, r.Unsure)
		out = append(out, hanging(numbers, n.text(r.From), o)...)
	}
	return out
}

// reachText is the blast radius of one endpoint, target by target.
func reachText(r plan.Reach, b plan.Blast, n naming, o TextOptions) []string {
	others := len(b.Pods)
	if slices.Contains(b.Pods, r.From[0]) {
		others--
	}
	head := string(r.From[0])
	if more := len(r.From) - 1; more > 0 {
		head += fmt.Sprintf(" (and %d like it)", more)
	}
	head += fmt.Sprintf(" may reach %d of %s directly, %d in all", r.Direct, count(others, "other pod"), r.All)
	if r.Unsure > 0 {
		head += fmt.Sprintf(", and perhaps %d more", r.Unsure)
	}
	out := o.prose(bold, "", printable(o, head))
	width := 0
	for _, t := range r.Targets {
		width = max(width, min(length(n.text(t.To)), o.width()/2))
	}
	for _, t := range r.Targets {
		var hops []string
		for _, h := range t.Via {
			hops = append(hops, strings.Join(portTexts(h.Ports), " or ")+" to "+string(h.To))
		}
		last := len(hops) - 1
		hops[last] = strings.TrimSuffix(hops[last], " to "+string(t.To[0]))
		indent := "  " + pad(count(len(hops), "hop"), 6) + "  "
		to := hanging(indent, pad(n.text(t.To), width), o)
		if lines := len(to); lines > 1 || length(to[0])+2+length(strings.Join(hops, ", then ")) > o.width() {
			out = append(append(out, to...), o.prose(dim, pad("", length(indent)+2), printable(o, strings.Join(hops, ", then ")))...)
			continue
		}
		out = append(out, pad(to[0], length(indent)+width)+"  "+printable(o, strings.Join(hops, ", then ")))
	}
	return out
}

// text of a group: its parts, one after the other.
func (n naming) text(g plan.Group) string {
	var parts []string
	for _, p := range n.parts(g) {
		parts = append(parts, label(nil, p))
	}
	return strings.Join(parts, ", ")
}

// hanging is a text with something before its first line.
func hanging(first, text string, o TextOptions) []string {
	lines := o.prose(plain, pad("", length(first)), printable(o, text))
	if len(lines) > 0 {
		lines[0] = first + strings.TrimLeft(lines[0], " ")
	}
	return lines
}
