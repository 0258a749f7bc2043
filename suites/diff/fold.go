package diff

import (
	"fmt"
	"slices"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/outside"
)

// comparison asks each version about one flow of all that both decide alike.
type comparison struct {
	before, after table
	families      []matrix.Family // that either version asks in
	strangers     []stranger
	space         *space
	stated        bool  // the scenario may tell ports apart that no policy does
	wide          bool  // policies have a say between strangers
	later         []int // by seat of before: the seat of after, -1 where that has none
	compared      int
	outside       int    // of these, to and from strangers
	flips         []Flip // one per pair of groups and port
}

// group is endpoints that neither version tells apart.
type group struct {
	seats    []int           // of before, in order
	stranger *stranger       // the only member
	ports    []Port          // that a member declares, without family
	free     []outside.Tract // those that it does not
}

func (c *comparison) compare() {
	c.later = make([]int, len(c.before.seats))
	for i, e := range c.before.seats {
		k, ok := c.after.at[e]
		if !ok {
			k = -1
		}
		c.later[i] = k
	}
	senders, receivers := c.groups()
	for _, from := range senders {
		for _, to := range receivers {
			c.pair(from, to)
		}
	}
}

// groups of what both versions have: alike to the policies of both, and to the
// scenario of the later one.
func (c *comparison) groups() (senders, receivers []group) {
	pods := c.before.plan.Pods()
	sent, got := make([]strings.Builder, len(pods)), make([]strings.Builder, len(pods))
	for _, family := range c.families {
		for n := range c.space.sheets {
			b, a := c.before.answers[family][n], c.after.answers[family][n]
			fromB, toB := b.groups(len(c.before.seats))
			fromA, toA := a.groups(len(c.after.seats))
			for i := range pods {
				if k := c.later[i]; k >= 0 {
					fmt.Fprintf(&sent[i], "%v %v ", fromB[i], fromA[k])
					fmt.Fprintf(&got[i], "%v %v ", toB[i], toA[k])
				}
			}
		}
	}
	for i, pod := range pods {
		sender, receiver := c.after.questions.Alike(pod)
		_, earlier := c.before.questions.Alike(pod)
		sent[i].WriteString(sender)
		got[i].WriteString(receiver + "; " + earlier)
	}
	senders, receivers = c.gather(sent), c.gather(got)
	for i := range c.strangers {
		one := group{seats: []int{len(pods) + i}, stranger: &c.strangers[i]}
		if receivers = append(receivers, one); one.stranger.like == "" {
			senders = append(senders, one)
		}
	}
	known := map[string][]outside.Tract{}
	for i := range receivers {
		r := &receivers[i]
		r.ports = c.ports(*r)
		key := fmt.Sprint(r.ports)
		if _, ok := known[key]; !ok {
			known[key] = c.space.free(r.ports)
		}
		r.free = known[key]
	}
	return senders, receivers
}

// gather the pods that both versions have by key.
func (c *comparison) gather(keys []strings.Builder) []group {
	var groups []group
	known := map[string]int{}
	for i := range keys {
		if c.later[i] < 0 {
			continue
		}
		key := keys[i].String()
		n, ok := known[key]
		if !ok {
			n = len(groups)
			known[key] = n
			groups = append(groups, group{})
		}
		groups[n].seats = append(groups[n].seats, i)
	}
	return groups
}

// ports that the members of a group declare in either version.
func (c *comparison) ports(g group) []Port {
	var all []Port
	for _, t := range []*table{&c.before, &c.after} {
		var list []oracle.Port
		if g.stranger == nil {
			list = declared(t.plan, t.questions, c.before.seats[g.seats[0]])
		} else {
			list = g.stranger.ports
		}
		for _, p := range list {
			all = append(all, Port{Protocol: p.Protocol, Port: p.Port})
		}
	}
	slices.SortFunc(all, Port.Compare)
	return slices.Compact(all)
}

// pair compares the flows from one group to another.
func (c *comparison) pair(from, to group) {
	a, b, n := distinct(from.seats, to.seats)
	if n == 0 || !c.asks(from.stranger, to.stranger) {
		return
	}
	for _, family := range c.familiesBetween(from, to) {
		for _, p := range c.asked(a, b, to, family) {
			if c.compared += n; from.stranger != nil || to.stranger != nil {
				c.outside += n
			}
			if c.answer(a, b, p).flips() {
				c.flips = append(c.flips, c.flip(a, b, p, from, to, n))
			}
		}
	}
}

// asks reports that a flow between two endpoints is a question: none is between
// addresses, and who is like a stranger is asked by that one alone.
func (c *comparison) asks(from, to *stranger) bool {
	switch {
	case to != nil && to.like != "":
		return from != nil && from.endpoint == to.like
	case from == nil || to == nil:
		return true
	}
	return c.wide && (from.block == nil || to.block == nil)
}

// familiesBetween two groups.
func (c *comparison) familiesBetween(from, to group) []matrix.Family {
	for _, s := range []*stranger{from.stranger, to.stranger} {
		if s != nil && s.block != nil {
			return []matrix.Family{s.block.Family()}
		}
	}
	return c.families
}

// distinct members of two groups, and how many pairs of such there are.
func distinct(from, to []int) (a, b, n int) {
	n = len(from) * len(to)
	for _, e := range from {
		if _, ok := slices.BinarySearch(to, e); ok {
			n--
		}
	}
	switch {
	case n == 0:
		return 0, 0, 0
	case from[0] != to[0]:
		return from[0], to[0], n
	case len(to) > 1:
		return from[0], to[1], n
	}
	return from[1], to[0], n
}

// flip of the flows between two groups on a port, of which that from a to b is
// one.
func (c *comparison) flip(a, b int, p Port, from, to group, n int) Flip {
	f := c.flow(a, b, p)
	before, after := c.before.plan.Oracle.Decide(f), c.after.plan.Oracle.Decide(f)
	flip := Flip{
		From: c.names(from), To: c.names(to), Ports: []Port{p}, Count: n,
		Declared: c.after.plan.Expect(f), Before: before.Intent, After: after.Intent, Reason: after.Reason, Changes: Changes(before, after),
	}
	for _, g := range []group{from, to} {
		if g.stranger != nil {
			flip.reword(string(g.stranger.endpoint), string(g.stranger.name))
		}
	}
	return flip
}

// reword what reasons call an endpoint.
func (f *Flip) reword(was, name string) {
	for i := range f.Changes {
		for _, h := range []*Half{&f.Changes[i].Before, &f.Changes[i].After} {
			h.Reason = strings.ReplaceAll(h.Reason, was, name)
		}
	}
	f.Reason = strings.ReplaceAll(f.Reason, was, name)
}

func (c *comparison) names(g group) []matrix.Endpoint {
	if g.stranger != nil {
		return []matrix.Endpoint{g.stranger.name}
	}
	names := make([]matrix.Endpoint, len(g.seats))
	for i, seat := range g.seats {
		names[i] = c.before.seats[seat]
	}
	return names
}

// fold puts flips together that differ in nothing but ports, then in nothing but
// senders, then in nothing but receivers.
func (c *comparison) fold() []Flip {
	all := merge(c.flips, func(f *Flip) string { return fmt.Sprint(f.From, f.To) }, func(into *Flip, f Flip) {
		into.Ports = append(slices.Clip(into.Ports), f.Ports...)
		slices.SortFunc(into.Ports, Port.Compare)
	})
	all = merge(all, func(f *Flip) string { return fmt.Sprint(f.To, f.Ports) }, joinEnds)
	all = merge(all, func(f *Flip) string { return fmt.Sprint(f.From, f.Ports) }, joinEnds)
	all = merge(all, func(f *Flip) string { return fmt.Sprint(f.senders(), f.Ports) }, joinEnds)
	slices.SortStableFunc(all, order)
	return all
}

func joinEnds(into *Flip, f Flip) { into.From, into.To = join(into.From, f.From), join(into.To, f.To) }

func join(a, b []matrix.Endpoint) []matrix.Endpoint {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b))))
}

// senders of the flip. As a pod's flow to itself is none of its flows, a single
// receiver makes no difference among them.
func (f *Flip) senders() []matrix.Endpoint {
	if len(f.To) > 1 {
		return f.From
	}
	return join(f.From, f.To)
}

// merge flips with the same key and the same causes.
func merge(flips []Flip, key func(*Flip) string, with func(into *Flip, f Flip)) []Flip {
	var out []Flip
	known := map[string]int{}
	for _, f := range flips {
		k := key(&f) + f.causes()
		i, ok := known[k]
		if !ok {
			known[k] = len(out)
			out = append(out, f)
			continue
		}
		with(&out[i], f)
		out[i].Count += f.Count
	}
	return out
}

// causes are the same for flips that the same rules make.
func (f *Flip) causes() string {
	var b strings.Builder
	fmt.Fprint(&b, f.Before, f.After, f.Declared.Intent, f.Declared.Origin)
	for _, c := range f.Changes {
		b.WriteString(c.Direction)
		for _, h := range []Half{c.Before, c.After} {
			fmt.Fprint(&b, h.Intent, refs(h))
		}
	}
	return b.String()
}

func refs(h Half) []oracle.RuleRef {
	var out []oracle.RuleRef
	for _, by := range h.By {
		out = append(out, by.RuleRef)
	}
	return out
}
