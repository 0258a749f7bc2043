package oracle

import (
	"math"
	"slices"

	"github.com/segtest/segtest/probes/matrix"
)

// Grid decides all flows between the endpoints on the ports (of which names do
// not count), over their own addresses.
func (o *Oracle) Grid(from, to []matrix.Endpoint, ports []Port, family matrix.Family) *Grid {
	g := &Grid{malformed: make([]*Decision, len(ports))}
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
	g.width = len(f.receivers)
	f.ask()
	f.fill()
	return g
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
	sent               [][]uint32            // by class of the sender, then port and class of the receiver; in words
	got                [][distances][]uint32 // by class of the receiver and distance, then port and class of the sender
	halves             map[halfKey]uint32
	words              []Half
	pairs              map[[2]uint32]uint32 // a decision by its halves
	foregone           map[string]uint32    // a decision without halves, by its reason
	count              uint32               // of decisions
}

// viewpoint is all that the answers at one end depend on.
type viewpoint struct {
	side   *side
	nature nature
	named  *class // whose ports have names that matter; else nil
}

func viewpointOf(k *class, d direction) viewpoint {
	s := viewpoint{side: k.sides[d], nature: k.nature}
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
		v := viewpointOf(k, egress)
		if sent[v] == nil {
			sent[v] = f.askAll(f.receivers, apart, func(peer *class) (direction, *class, *class) { return egress, k, peer })
		}
		f.sent = append(f.sent, sent[v])
	}
	for _, k := range f.receivers {
		v := viewpointOf(k, ingress)
		halves, ok := got[v]
		for d := range halves {
			if !ok && reachable(distance(d), onHost) { //nolint:gosec // a distance
				halves[d] = f.askAll(f.senders, distance(d), func(peer *class) (direction, *class, *class) { return ingress, peer, k }) //nolint:gosec // a distance
			}
		}
		got[v] = halves
		f.got = append(f.got, halves)
	}
}

// reachable reports that policies are asked at this distance: only who speaks
// from a host can be close.
func reachable(d distance, onHost bool) bool { return d == apart || onHost && d != itself }

// askAll peers about all ports. Neighbours often get the same answer.
func (f *filling) askAll(peers []*class, distance distance, ends func(*class) (direction, *class, *class)) []uint32 {
	answers := make([]uint32, 0, len(peers)*len(f.ports))
	for i, p := range f.ports {
		if f.malformed[i] != nil {
			answers = append(answers, make([]uint32, len(peers))...)
			continue
		}
		var last halfKey
		var known uint32
		for _, peer := range peers {
			direction, from, to := ends(peer)
			q := ask(direction, from, to, matrix.Flow{Protocol: p.Protocol, Port: p.Port, Family: f.family}, distance)
			key := halfKey{direction, q.subject.sides[direction], q.decide(), -1}
			if key.outcome.cause == notAllowed {
				key.port = i
			}
			if key != last {
				last, known = key, f.half(key, &q)
			}
			answers = append(answers, known)
		}
	}
	return answers
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
	cells := make([]uint32, 0, len(f.receivers)*len(f.ports))
	last := [2]uint32{math.MaxUint32, math.MaxUint32}
	var known uint32
	for p := range f.ports {
		for j, to := range f.receivers {
			if d, ok := foregone(distance, to, f.ports[p].Port, anonymous()); ok {
				cells = append(cells, f.plain(d))
				continue
			}
			pair := [2]uint32{f.sent[sender][p*len(f.receivers)+j], f.got[j][distance][p*len(f.senders)+sender]}
			if pair != last {
				last, known = pair, f.pair(pair)
			}
			cells = append(cells, known)
		}
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
