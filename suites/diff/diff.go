// Package diff finds the flows that are decided otherwise in one version of a
// scenario than in another, and the rules that make the difference.
package diff

import (
	"cmp"
	"slices"

	"github.com/segtest/segtest/fixtures/revision"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/plan"
)

// Diff is what became of the flows of one version in a later one.
type Diff struct {
	Before, After Version
	Compared      int              // flows that both versions have
	Outside       int              // of these, those to and from pods and addresses that no file holds
	Flips         []Flip           // those against the scenario first, then by kind
	Added         []Workload       // pods that only the later version has, in order
	Removed       []Workload       // pods that only the earlier version has, in order
	Foreign       []oracle.Foreign // policies of the later version that are not evaluated

	pods []oracle.Pod // that both versions have
}

// Version says what was compared.
type Version struct {
	Name   string          // as people call it: a revision, "work tree", a path
	Commit revision.Commit // the zero Commit: files as they lie there
	File   string          // of the scenario, or its folder; "" where the version has none
}

// Flip is flows that are decided otherwise: from each sender to each receiver on
// each port, apart from a pod to itself. An address outside of the cluster is
// "world/BLOCK", and stands for what is in the block and in no narrower one that
// a policy names. A pod that no file holds is named as outside.AllPods does.
type Flip struct {
	From, To      []matrix.Endpoint // in order
	Ports         []Port            // in order
	Count         int               // flows
	Declared      scenario.Expectation
	Before, After matrix.Intent
	Reason        string   // why the later version leaves it undefined, "" where the changes say it all
	Changes       []Change // of the directions that are decided otherwise; none where only the reason is another
}

// Port that is asked.
type Port struct {
	Protocol matrix.Protocol `json:"protocol"`
	Port     uint16          `json:"port"`
	// Last is that of a range which begins with Port and is decided alike; 0 where the
	// receiver declares the port, and where it is the canary.
	Last   uint16        `json:"last,omitempty"`
	Family matrix.Family `json:"family,omitempty"`
	// Canary stands for all ports of the protocol that the receiver does not declare,
	// but for those that policies decide otherwise.
	Canary bool `json:"canary,omitempty"`
}

// Change is what decides one direction, before and after.
type Change struct {
	Direction     string // "egress" or "ingress"
	Before, After Half
}

// Half is the answer in one direction, and who gave it.
type Half struct {
	Intent matrix.Intent
	Reason string
	By     []Cause // none where no policy decides
}

// Cause is a rule and who wrote it.
type Cause struct {
	oracle.RuleRef
	Credit Credit
}

// Credit is who last changed a rule. The zero value is that nobody knows.
type Credit struct {
	Known  bool
	Commit revision.Commit // the zero Commit: it is not committed
}

// Kind is what a Flip means for the network.
type Kind uint8

// The kinds, in order of weight. An unclear flow is one that the later version
// leaves undefined, a decided one was undefined: nobody knows whether it changes.
const (
	Opened Kind = iota + 1
	Closed
	Unclear
	Decided
)

// Kind of the flip.
func (f Flip) Kind() Kind {
	switch {
	case f.After != matrix.Allow && f.After != matrix.Deny:
		return Unclear
	case f.Before != matrix.Allow && f.Before != matrix.Deny:
		return Decided
	case f.After == matrix.Allow:
		return Opened
	}
	return Closed
}

// String is the kind as people say it.
func (k Kind) String() string {
	switch k {
	case Opened:
		return "opened"
	case Closed:
		return "closed"
	case Decided:
		return "decided"
	case Unclear:
	}
	return "unclear"
}

// Against reports that the flows flip to what the scenario does not want, or are
// decided though it wants them left open.
func (f Flip) Against() bool {
	return f.Declared.Intent != matrix.Unstated && f.Kind() != Unclear && f.Declared.Intent != f.After
}

// Undecidable reports that the later version leaves open what the scenario allows
// or denies.
func (f Flip) Undecidable() bool {
	return f.Kind() == Unclear && (f.Declared.Intent == matrix.Allow || f.Declared.Intent == matrix.Deny)
}

// Of two versions. Either may be nil: then it holds nothing.
func Of(before, after *plan.Plan) (Diff, error) {
	d := Diff{}
	if after != nil {
		d.Foreign = after.World.Foreign
	}
	families := familiesOf(before, after)
	strangers, pods := strangersTo(before, after, families)
	was, err := peopled(before, pods)
	if err != nil {
		return d, err
	}
	is, err := peopled(after, pods)
	if err != nil {
		return d, err
	}
	ports := spaceOf(was, is, strangers)
	b, a := newTable(was, families, ports, strangers), newTable(is, families, ports, strangers)
	d.Added, d.Removed = a.without(b), b.without(a)
	if before == nil || after == nil {
		return d, nil
	}
	c := comparison{
		before: b, after: a, families: families, strangers: strangers, space: ports,
		stated: after.Scenario.Expect.Snapshot,
		wide:   len(before.World.ClusterPolicies)+len(after.World.ClusterPolicies) > 0,
	}
	c.compare()
	d.Compared, d.Outside, d.Flips = c.compared, c.outside, c.fold()
	for _, p := range after.World.Pods {
		if _, ok := b.at[p.Name]; ok {
			d.pods = append(d.pods, p)
		}
	}
	for i := range d.Flips {
		d.Flips[i].From = d.others(d.Flips[i])
	}
	return d, nil
}

// Count adds up the flows of the flips of a kind; 0 is of all.
func (d Diff) Count(kind Kind) int {
	n := 0
	for _, f := range d.Flips {
		if kind == 0 || f.Kind() == kind {
			n += f.Count
		}
	}
	return n
}

// Against adds up the flows that flip to what the scenario does not want.
func (d Diff) Against() int {
	n := 0
	for _, f := range d.Flips {
		if f.Against() {
			n += f.Count
		}
	}
	return n
}

// Undecidable adds up the flows that the later version leaves open and the
// scenario does not.
func (d Diff) Undecidable() int {
	n := 0
	for _, f := range d.Flips {
		if f.Undecidable() {
			n += f.Count
		}
	}
	return n
}

// Causes are the rules that decide flips before and after, to be credited.
func (d Diff) Causes() (before, after []*Cause) {
	for _, f := range d.Flips {
		for i := range f.Changes {
			c := &f.Changes[i]
			for k := range c.Before.By {
				before = append(before, &c.Before.By[k])
			}
			for k := range c.After.By {
				after = append(after, &c.After.By[k])
			}
		}
	}
	return before, after
}

// Changes between two decisions, in the directions that differ.
func Changes(before, after oracle.Decision) []Change {
	var out []Change
	for _, c := range []struct {
		direction     string
		before, after oracle.Half
	}{{"egress", before.Egress, after.Egress}, {"ingress", before.Ingress, after.Ingress}} {
		if c.before.Intent != c.after.Intent {
			out = append(out, Change{c.direction, half(c.before), half(c.after)})
		}
	}
	return out
}

func half(h oracle.Half) Half {
	out := Half{Intent: h.Intent, Reason: h.Reason}
	for _, by := range h.By {
		out.By = append(out.By, Cause{RuleRef: by})
	}
	return out
}

// order of flips.
func order(a, b Flip) int {
	weight := func(f Flip) int {
		if f.Against() {
			return 0
		}
		return int(f.Kind())
	}
	return cmp.Or(
		cmp.Compare(weight(a), weight(b)), slices.Compare(a.From, b.From), slices.Compare(a.To, b.To),
		slices.CompareFunc(a.Ports, b.Ports, Port.Compare), cmp.Compare(a.Before, b.Before),
	)
}

// Compare puts ports in the order of a Flip: by number, and those that stand for
// all others last.
func (p Port) Compare(q Port) int {
	canary := func(p Port) int {
		if p.Canary {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(canary(p), canary(q)), cmp.Compare(p.Port, q.Port), cmp.Compare(p.Last, q.Last), cmp.Compare(p.Protocol, q.Protocol), cmp.Compare(p.Family, q.Family))
}
