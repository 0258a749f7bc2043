package plan

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"

	"go.yaml.in/yaml/v3"

	"github.com/segtest/segtest/fixtures/scenario"
)

// Mark is in every file that Document makes. A file without it was written by
// somebody else.
const Mark = "Written by segtest plan --write"

// note stands above the expectation.
const note = "# " + Mark + `: all that the policies allow today, and what they leave open
# ("undefined", with the reason). It is about all pods and all addresses outside of the
# cluster, on all ports of TCP, UDP and SCTP. When a flow of theirs is opened, closed or left
# open, segtest plan of this file exits 1 until the file is mended or written again.
# Not part of it: pods of namespaces that the manifests do not hold, nodes, Services (their
# pods are), and policies that segtest cannot evaluate.`

// networksNote says what has to be said again whenever the file is planned.
func networksNote(n scenario.Networks) string {
	text := ""
	for _, of := range []struct {
		flag     string
		networks []netip.Prefix
	}{{"--pod-cidr", n.Pods}, {"--service-cidr", n.Services}} {
		for _, p := range of.networks {
			text += " " + of.flag + " " + p.String()
		}
	}
	if text == "" {
		return ""
	}
	return "\n# It was written with, and is to be planned with:" + text
}

// Document is a whole scenario that expects the rules of a snapshot and denies all
// else. The
// rest of it is the scenario's file, or, where source is nil, names the folder of
// manifests that the plan was made from. Every path goes through rebase, which
// gives it as seen from the new file.
func (p *Plan) Document(source []byte, rules []Statement, rebase func(path string) (string, error)) ([]byte, error) {
	var doc yaml.Node
	var err error
	if source == nil {
		err = p.fresh(&doc, rebase)
	} else {
		err = reuse(&doc, source, rebase)
	}
	if err != nil {
		return nil, fmt.Errorf("writing the expectation: %w", err)
	}
	root := doc.Content[0]
	set(root, "expect", expectation(rules)).HeadComment = note + networksNote(p.Scenario.Networks)
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(&doc), e.Close()); err != nil {
		return nil, fmt.Errorf("writing the expectation: %w", err)
	}
	return b.Bytes(), nil
}

// fresh is the scenario of a folder that has none.
func (p *Plan) fresh(doc *yaml.Node, rebase func(string) (string, error)) error {
	folder, err := rebase(p.Scenario.Source.File)
	if err != nil {
		return err
	}
	root := mapping()
	set(root, "apiVersion", text(scenario.APIVersion))
	set(root, "kind", text(scenario.Kind))
	set(root, "metadata", mapping("name", text(p.Scenario.Name)))
	set(root, "workloadsFrom", list(text(folder)))
	*doc = yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{root}}
	return nil
}

// reuse reads the scenario's file and moves its paths.
func reuse(doc *yaml.Node, source []byte, rebase func(string) (string, error)) error {
	if err := yaml.Unmarshal(source, doc); err != nil {
		return err
	}
	root := doc.Content[0]
	places := []*yaml.Node{get(root, "workloadsFrom"), get(root, "policies")}
	if cni := get(get(root, "cluster"), "cni"); cni != nil {
		places = append(places, get(cni, "manifests"))
	}
	for _, n := range places {
		if err := move(n, rebase); err != nil {
			return err
		}
	}
	return nil
}

// move the paths of an entry, or of a list of entries.
func move(n *yaml.Node, rebase func(string) (string, error)) (err error) {
	switch {
	case n == nil:
	case n.Kind == yaml.ScalarNode:
		n.Value, err = rebase(n.Value)
	case n.Kind == yaml.SequenceNode:
		for _, item := range n.Content {
			if err := move(item, rebase); err != nil {
				return err
			}
		}
	case n.Kind == yaml.MappingNode && get(n, "render") != nil:
		if here, err := rebase("."); err != nil || here != "." {
			return errors.New("a render command runs in the folder of its scenario: write the new one to the same folder")
		}
	case n.Kind == yaml.MappingNode:
		return move(get(n, "path"), rebase)
	case n.Kind == yaml.AliasNode:
		return errors.New("a path is an alias: write it out")
	}
	return err
}

func expectation(rules []Statement) *yaml.Node {
	var all []*yaml.Node
	for _, r := range rules {
		flows := mapping("from", words(r.From), "to", words(r.To), "ports", words(r.Ports))
		if r.Family != "" {
			set(flows, "family", text(r.Family))
		}
		all = append(all, mapping(r.Intent.String(), flows, "reason", text(r.Reason)))
	}
	snapshot := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: "true"}
	expect := mapping("default", text("deny"), "snapshot", snapshot)
	if len(all) > 0 {
		set(expect, "rules", list(all...))
	}
	return expect
}

// fewWords fit one line.
const fewWords = 4

func words(all []string) *yaml.Node {
	var items []*yaml.Node
	for _, word := range all {
		items = append(items, text(word))
	}
	if len(items) == 1 {
		return items[0]
	}
	n := list(items...)
	if len(items) <= fewWords {
		n.Style = yaml.FlowStyle
	}
	return n
}

func text(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}

func list(items ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: items}
}

// mapping of names and values, in turn.
func mapping(pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i := 0; i+1 < len(pairs); i += 2 {
		set(n, pairs[i].(string), pairs[i+1].(*yaml.Node))
	}
	return n
}

// get is the value of a field, nil where there is none.
func get(n *yaml.Node, field string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == field {
			return n.Content[i+1]
		}
	}
	return nil
}

// set a field, in its place or at the end, and give its key.
func set(n *yaml.Node, field string, value *yaml.Node) (key *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == field {
			n.Content[i+1] = value
			return n.Content[i]
		}
	}
	key = text(field)
	n.Content = append(n.Content, key, value)
	return key
}
