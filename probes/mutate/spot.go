package mutate

import (
	"fmt"
	"iter"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// spot is a place in a draft.
type spot struct {
	direction direction
	rule      int // -1 is the policy as a whole
	entry     int // of the rule's peers or ports
	field     field
}

// field is a selector of a peer, or of the subject where the rule is -1.
type field uint8

const (
	namespaces field = iota
	pods
	nodes
)

// whole is the policy itself.
func whole() spot { return spot{rule: -1} }

// each rule with its place.
func (d *draft) each() iter.Seq2[spot, *rule] {
	return func(yield func(spot, *rule) bool) {
		for way := range d.rules {
			for i := range d.rules[way] {
				if !yield(spot{direction: direction(way), rule: i}, &d.rules[way][i]) { //nolint:gosec // 0 or 1
					return
				}
			}
		}
	}
}

// peers of all rules.
func (d *draft) peers() iter.Seq2[spot, *peer] {
	return func(yield func(spot, *peer) bool) {
		for at, r := range d.each() {
			for at.entry = range r.peers {
				if !yield(at, &r.peers[at.entry]) {
					return
				}
			}
		}
	}
}

// ports of all rules.
func (d *draft) ports() iter.Seq2[spot, *port] {
	return func(yield func(spot, *port) bool) {
		for at, r := range d.each() {
			for at.entry = range r.ports {
				if !yield(at, &r.ports[at.entry]) {
					return
				}
			}
		}
	}
}

// selectors of the subject and of all peers.
func (d *draft) selectors() iter.Seq2[spot, *metav1.LabelSelector] {
	return func(yield func(spot, *metav1.LabelSelector) bool) {
		of := func(at spot, p *peer) bool {
			for _, at.field = range []field{namespaces, pods, nodes} {
				if s := *p.selector(at.field); s != nil && !yield(at, s) {
					return false
				}
			}
			return true
		}
		if !of(whole(), &d.subject) {
			return
		}
		for at, p := range d.peers() {
			if !of(at, p) {
				return
			}
		}
	}
}

func (p *peer) selector(f field) **metav1.LabelSelector {
	switch f {
	case namespaces:
		return &p.namespaces
	case pods:
		return &p.pods
	case nodes:
	}
	return &p.nodes
}

func (d *draft) rule(at spot) *rule { return &d.rules[at.direction][at.rule] }
func (d *draft) port(at spot) *port { return &d.rule(at).ports[at.entry] }

func (d *draft) peer(at spot) *peer {
	if at.rule < 0 {
		return &d.subject
	}
	return &d.rule(at).peers[at.entry]
}

func (d *draft) selector(at spot) *metav1.LabelSelector { return *d.peer(at).selector(at.field) }

// The paths are those of the fields in the policy's file.

func (at spot) rulePath() string { return fmt.Sprintf("%s[%d]", at.direction, at.rule) }

func (at spot) peersPath() string {
	return at.rulePath() + [...]string{ingress: ".from", egress: ".to"}[at.direction]
}

func (at spot) peerPath() string { return fmt.Sprintf("%s[%d]", at.peersPath(), at.entry) }

func (d *draft) portsPath(at spot) string {
	if d.cluster {
		return at.rulePath() + ".protocols"
	}
	return at.rulePath() + ".ports"
}

func (d *draft) portPath(at spot) string { return fmt.Sprintf("%s[%d]", d.portsPath(at), at.entry) }

func (d *draft) selectorPath(at spot) string {
	path := ""
	switch {
	case at.rule >= 0:
		path = at.peerPath() + "."
	case d.cluster:
		path = "subject."
	}
	if d.cluster && d.peer(at).pods != nil {
		path += "pods."
	}
	switch {
	case at.field == pods:
		return path + "podSelector"
	case at.field == nodes:
		return path + "nodes"
	case d.cluster && d.peer(at).pods == nil:
		return path + "namespaces"
	}
	return path + "namespaceSelector"
}
