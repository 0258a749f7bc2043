package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/plan"
)

// PlanDot writes a plan as a graph for Graphviz: an arrow for everything that
// the policies allow, and one in red for everything on which the scenario
// differs. Ports that nobody declares have none.
func PlanDot(w io.Writer, s plan.Sheet, folding Folding) error {
	c := newChart(s, folding, TextOptions{})
	out := []string{"digraph " + quoted(s.Name) + " {", "  rankdir=LR;", "  node [shape=box, fontname=\"sans-serif\"];", "  edge [fontname=\"sans-serif\", fontsize=10];"}
	nodes := c.nodes(s)
	byNamespace := map[string][]dotNode{}
	for _, n := range nodes {
		byNamespace[n.namespace()] = append(byNamespace[n.namespace()], n)
	}
	for _, namespace := range slices.Sorted(maps.Keys(byNamespace)) {
		indent := "  "
		if namespace != "" {
			out = append(out, "  subgraph "+quoted("cluster_"+namespace)+" {", "    label="+quoted(namespace)+";")
			indent = "    "
		}
		for _, n := range byNamespace[namespace] {
			out = append(out, fmt.Sprintf("%s%s [label=%s];", indent, n.id, quoted(n.label())))
		}
		if namespace != "" {
			out = append(out, "  }")
		}
	}
	for _, a := range nodes {
		for _, b := range nodes {
			if a.id != b.id || len(a.members) > 1 {
				out = append(out, c.arrows(a, b)...)
			}
		}
	}
	for i, line := range foreignText(s.Foreign) {
		out = append(out, fmt.Sprintf("  foreign%d [shape=note, style=dashed, label=%s];", i, quoted(line)))
	}
	if _, err := io.WriteString(w, strings.Join(append(out, "}"), "\n")+"\n"); err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	return nil
}

// dotNode is endpoints that share a row and a column.
type dotNode struct {
	id       string
	row, col matrix.Endpoint
	members  plan.Group
	parts    []matrix.Endpoint // members, as people name them
}

// namespace that all members share, "" where they share none.
func (n dotNode) namespace() string {
	ns := n.members[0].Namespace()
	if slices.ContainsFunc(n.members, func(e matrix.Endpoint) bool { return e.Namespace() != ns }) {
		return ""
	}
	return ns
}

// fewParts fit into a node.
const fewParts = 8

func (n dotNode) label() string {
	var lines []string
	for i, p := range n.parts {
		if i == fewParts {
			lines = append(lines, fmt.Sprintf("and %d more", len(n.parts)-i))
			break
		}
		lines = append(lines, strings.TrimPrefix(label(nil, p), n.namespace()+"/"))
	}
	return strings.Join(lines, "\n")
}

func (c *chart) nodes(s plan.Sheet) []dotNode {
	members := map[[2]matrix.Endpoint]plan.Group{}
	for _, g := range s.From {
		for _, e := range g {
			k := [2]matrix.Endpoint{c.rowOf[e], c.colOf[e]}
			members[k] = append(members[k], e)
		}
	}
	n := names(s)
	var nodes []dotNode
	for k, g := range members {
		slices.Sort(g)
		nodes = append(nodes, dotNode{row: k[0], col: k[1], members: g})
	}
	slices.SortFunc(nodes, func(a, b dotNode) int { return strings.Compare(string(a.members[0]), string(b.members[0])) })
	for i := range nodes {
		nodes[i].id, nodes[i].parts = fmt.Sprintf("n%d", i), n.parts(nodes[i].members)
	}
	return nodes
}

// arrows from one node to another: at most one for what is allowed, and one for
// each way in which scenario and policies differ.
func (c *chart) arrows(from, to dotNode) []string {
	var open, narrow, wide, unclear []string
	for _, k := range c.columns {
		if k.to != to.col {
			continue
		}
		cell, ok := c.cells[from.row][k]
		switch {
		case !ok:
		case cell.glyph == isOpen && !cell.canary:
			open = append(open, k.head())
		case cell.glyph == mistake && (cell.computed == matrix.Undefined || cell.declared == matrix.Undefined):
			unclear = append(unclear, k.head())
		case cell.glyph == mistake && cell.computed == matrix.Allow:
			wide = append(wide, k.head())
		case cell.glyph == mistake:
			narrow = append(narrow, k.head())
		}
	}
	var out []string
	for _, a := range []struct {
		ports []string
		style string
	}{
		{open, ""},
		{wide, ", color=red, fontcolor=red, style=bold, tooltip=\"allowed, and declared as denied\""},
		{narrow, ", color=red, fontcolor=red, style=dashed, tooltip=\"denied, and declared as allowed\""},
		{unclear, ", color=red, fontcolor=red, style=dotted, tooltip=\"left open by the scenario or by the policies, and not by both\""},
	} {
		if len(a.ports) > 0 {
			out = append(out, fmt.Sprintf("  %s -> %s [label=%s%s];", from.id, to.id, quoted(strings.Join(a.ports, "\n")), a.style))
		}
	}
	return out
}

// quoted is a text as a string of Graphviz.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", " ").Replace(clean(s)) + `"`
}
