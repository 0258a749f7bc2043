package oracle

import (
	"fmt"
	"math"
	"slices"

	"github.com/segtest/segtest/probes/matrix"
)

// Grid decides all flows between the endpoints on the ports (of which names do
// not count), over their own addresses.
func (o *Oracle) Grid(from, to []matrix.Endpoint, ports []Port, family matrix.Family) *Grid {
	every := make([]int, len(ports))
	for i := range every {
		every[i] = i
	}
	return o.GridOn(from, to, ports, slices.Repeat([][]int{every}, len(to)), family)
}

// GridOn decides those flows of a Grid that are asked: of each receiver, those on
// the ports at these positions. All others are Undefined. It costs what is asked,
// not all ports for each of the receivers.
func (o *Oracle) GridOn(from, to []matrix.Endpoint, ports []Port, asked [][]int, family matrix.Family) *Grid {
	g := &Grid{malformed: make([]*Decision, len(ports)), unasked: undefined("the receiver is not asked on this port")}
	for i, p := range ports {
		if why := malformed(p.Protocol, p.Port, family); why != "" {
			d := undefined(why)
			g.malformed[i] = &d
		}
	}
	f := filling{
		Oracle: o, Grid: g, ports: ports, family: family,
		halves: map[halfKey]uint32{}, pairs: map[[2]uint32]uint32{}, foregone: map[string]uint32{},
	}
	g.from, f.senders = o.seats(from, family)
	g.to, f.receivers = o.seats(to, family)
	f.columns(asked)
	f.ask()
	f.fill()
	return g
}

// columns are the questions that a row answers, in order of port and receiver. A
// class is asked what any of its endpoints is asked.
func (f *filling) columns(asked [][]int) {
	f.column = make([][]int, len(f.receivers))
	for c := range f.column {
		f.column[c] = slices.Repeat([]int{-1}, len(f.ports))
	}
	for j, to := range f.to {
		for _, port := range asked[j] {
			if to.alone == nil {
				f.column[to.class][port] = 0
			}
		}
	}
	f.asked = make([]set, len(f.receivers))
	for port := range f.ports {
		for c, columns := range f.column {
			if columns[port] >= 0 {
				columns[port] = len(f.questions)
				f.questions = append(f.questions, cell{port, c, len(f.asked[c].ports)})
				f.asked[c].ports = append(f.asked[c].ports, port)
			}
		}
	}
	known := map[string]int{}
	for c := range f.asked {
		key := fmt.Sprint(f.asked[c].ports)
		if _, ok := known[key]; !ok {
			known[key] = len(known)
		}
		f.asked[c].number = known[key]
	}
}

// seats finds the endpoints and numbers their classes.
func (o *Oracle) seats(names []matrix.Endpoint, family matrix.Family) ([]seat, []*class) {
	seats := make([]seat, len(names))
	var classes []*class
	numbers := map[*class]int{}
	strangers := map[string]*class{}
	for i, name := range names {
		e, why := o.find(name, family)
		if why != "" {
			d := undefined(why)
			seats[i] = seat{endpoint: &endpoint{name: name}, alone: &d}
			continue
		}
		if e.class.nature == stranger {
			key := e.class.strange()
			if strangers[key] == nil {
				strangers[key] = e.class
			}
			e.class = strangers[key] // e is of this call alone
		}
		n, ok := numbers[e.class]
		if !ok {
			n = len(classes)
			numbers[e.class] = n
			classes = append(classes, e.class)
		}
		seats[i] = seat{endpoint: e, class: n}
	}
	return seats, classes
}

// filling makes the cells of a Grid. Each half is asked once for all classes
// whose policies are the same.
type filling struct {
	*Oracle
	*Grid
	ports              []Port
	family             matrix.Family
	senders, receivers []*class
	asked              []set                 // by class of the receiver
	questions          []cell                // of a row
	sent               [][]uint32            // by class of the sender, then as the questions; in words
	got                [][distances][]uint32 // by class of the receiver and distance, then its ports and class of the sender
	halves             map[halfKey]uint32
	words              []Half
	pairs              map[[2]uint32]uint32 // a decision by its halves
	foregone           map[string]uint32    // a decision without halves, by its reason
	count              uint32               // of decisions
}

// set of the ports on which a receiver is asked, by position and in order.
type set struct {
	ports  []int
	number int // the same for the same ports
}

// cell of a row: a port and the class of a receiver that is asked on it.
type cell struct {
	port, to int
	nth      int // of the ports of this receiver
}

// viewpoint is all that the answers at one end depend on.
type viewpoint struct {
	side   *side
	nature nature
	named  *class // whose ports have names that matter; else nil
	asked  int    // the number of the ports that a receiver is asked on; of a sender 0
}

func viewpointOf(k *class, d direction, asked int) viewpoint {
	s := viewpoint{side: k.sides[d], nature: k.nature, asked: asked}
	if d == ingress && len(k.ports) > 0 {
		s.named = k
	}
	return s
}

// halfKey is the same for halves that are the same, words included.
type halfKey struct {
	direction direction
	side      *side
	outcome   outcome
	port      int // -1 where it makes no difference
}

// anonymous names: a Grid's decisions are those of many.
func anonymous() names { return names{"the sender", "the receiver"} }

// ask all halves.
func (f *filling) ask() {
	sent, got := map[viewpoint][]uint32{}, map[viewpoint][distances][]uint32{}
	onHost := slices.ContainsFunc(f.senders, func(k *class) bool { return k.nature.onHost() })
	for _, k := range f.senders {
		v := viewpointOf(k, egress, 0)
		if sent[v] == nil {
			sent[v] = f.leave(k)
		}
		f.sent = append(f.sent, sent[v])
	}
	for i, k := range f.receivers {
		v := viewpointOf(k, ingress, f.asked[i].number)
		halves, ok := got[v]
		for d := range halves {
			if !ok && reachable(distance(d), onHost) { //nolint:gosec // a distance
				halves[d] = f.enter(k, f.asked[i].ports, distance(d)) //nolint:gosec // a distance
			}
		}
		got[v] = halves
		f.got = append(f.got, halves)
	}
}

// reachable reports that policies are asked at this distance: only who speaks
// from a host can be close.
func reachable(d distance, onHost bool) bool { return d == apart || onHost && d != itself }

// leave asks the egress halves of a sender.
func (f *filling) leave(from *class) []uint32 {
	a := asking{filling: f, direction: egress, answers: make([]uint32, 0, len(f.questions))}
	for _, q := range f.questions {
		a.about(q.port, from, f.receivers[q.to])
	}
	return a.answers
}

// enter asks the ingress halves of a receiver on some ports.
func (f *filling) enter(to *class, ports []int, distance distance) []uint32 {
	a := asking{filling: f, direction: ingress, distance: distance, answers: make([]uint32, 0, len(ports)*len(f.senders))}
	for _, port := range ports {
		for _, from := range f.senders {
			a.about(port, from, to)
		}
	}
	return a.answers
}

// asking is many questions in a row. Neighbours often get the same answer.
type asking struct {
	*filling
	direction direction
	distance  distance
	answers   []uint32
	last      halfKey
	known     uint32
}

func (a *asking) about(port int, from, to *class) {
	if a.malformed[port] != nil {
		a.answers = append(a.answers, 0)
		return
	}
	p := a.ports[port]
	q := ask(a.direction, from, to, matrix.Flow{Protocol: p.Protocol, Port: p.Port, Family: a.family}, a.distance)
	key := halfKey{a.direction, q.subject.sides[a.direction], q.decide(), -1}
	if key.outcome.cause == notAllowed {
		key.port = port
	}
	if key != a.last {
		a.last, a.known = key, a.half(key, &q)
	}
	a.answers = append(a.answers, a.known)
}

// half is the number of the half.
func (f *filling) half(key halfKey, q *question) uint32 {
	n, ok := f.halves[key]
	if !ok {
		n = uint32(len(f.words)) //nolint:gosec // memory ends sooner
		f.halves[key] = n
		f.words = append(f.words, f.lexicon.half(q, key.outcome, anonymous()))
	}
	return n
}

// fill the rows.
func (f *filling) fill() {
	f.rows = make([][distances][]uint32, len(f.senders))
	own := f.row(itself, 0)
	for i, k := range f.senders {
		f.rows[i][itself] = own
		for d := range f.rows[i] {
			if reachable(distance(d), k.nature.onHost()) { //nolint:gosec // a distance
				f.rows[i][d] = f.row(distance(d), i) //nolint:gosec // a distance
			}
		}
	}
}

// row of a class of senders at one distance.
func (f *filling) row(distance distance, sender int) []uint32 {
	cells := make([]uint32, 0, len(f.questions))
	last := [2]uint32{math.MaxUint32, math.MaxUint32}
	var known uint32
	for i, q := range f.questions {
		if d, ok := foregone(distance, f.receivers[q.to], f.ports[q.port].Port, anonymous()); ok {
			cells = append(cells, f.plain(d))
			continue
		}
		pair := [2]uint32{f.sent[sender][i], f.got[q.to][distance][q.nth*len(f.senders)+sender]}
		if pair != last {
			last, known = pair, f.pair(pair)
		}
		cells = append(cells, known)
	}
	return cells
}

// pair is the number of the decision of two halves.
func (f *filling) pair(halves [2]uint32) uint32 {
	n, ok := f.pairs[halves]
	if !ok {
		n = f.add(join(f.words[halves[egress]], f.words[halves[ingress]]))
		f.pairs[halves] = n
	}
	return n
}

// plain is the number of a decision that no policy was asked about.
func (f *filling) plain(d Decision) uint32 {
	n, ok := f.foregone[d.Reason]
	if !ok {
		n = f.add(d)
		f.foregone[d.Reason] = n
	}
	return n
}

func (f *filling) add(d Decision) uint32 {
	if f.count%chunk == 0 {
		f.decisions = append(f.decisions, make([]Decision, 0, chunk))
	}
	last := &f.decisions[len(f.decisions)-1]
	*last = append(*last, d)
	f.count++
	return f.count - 1
}
