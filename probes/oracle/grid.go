package oracle

import (
	"encoding/binary"
	"strings"
)

// Grid holds the decisions of all flows from some endpoints to some others on
// some ports, over their own addresses, in one IP family. Its size and cost are
// those of the classes of its endpoints: endpoints that no policy tells apart
// share their decisions. Reasons therefore speak of the sender and the receiver
// and not of names; all else is as Decide says.
type Grid struct {
	from, to  []seat
	malformed []*Decision           // by port; nil for one that can be asked
	decisions [][]Decision          // in chunks
	unasked   Decision              // on a port on which the receiver is not asked
	column    [][]int               // by class of the receiver and port: its place in a row, -1 where it is not asked
	rows      [][distances][]uint32 // by class of the sender and distance: by column, in decisions
}

// chunk is how many decisions are stored at once.
const chunk = 256

// seat is an endpoint of a Grid.
type seat struct {
	*endpoint
	class int       // its number among the senders or the receivers
	alone *Decision // of an endpoint that cannot be asked about; else nil
}

// At is the decision from the i-th sender to the j-th receiver on the k-th
// port. It is shared: treat it as read-only.
func (g *Grid) At(from, to, port int) *Decision {
	a, b := &g.from[from], &g.to[to]
	switch {
	case g.malformed[port] != nil:
		return g.malformed[port]
	case a.alone != nil:
		return a.alone
	case b.alone != nil:
		return b.alone
	}
	column := g.column[b.class][port]
	if column < 0 {
		return &g.unasked
	}
	n := g.rows[a.class][distanceOf(a.endpoint, b.endpoint)][column]
	return &g.decisions[n/chunk][n%chunk]
}

// Groups numbers the senders and the receivers, so that those of one number get
// the same decision for every question of the grid. Numbers begin at 0, in
// order of first member. What an endpoint asks of itself does not count.
func (g *Grid) Groups() (from, to []int) {
	rows := make([]string, len(g.rows))
	for i := range rows {
		rows[i] = cellText(g.rows[i][apart])
	}
	onHost := false
	from = numbered(g.from, func(s *seat) string {
		if s.endpoint.class.nature.onHost() {
			onHost = true
			return s.place()
		}
		return rows[s.class]
	})
	columns := g.received()
	to = numbered(g.to, func(s *seat) string {
		if onHost { // who speaks from this receiver's node is close to it alone
			return columns[s.class] + s.node
		}
		return columns[s.class]
	})
	return from, to
}

// place tells speakers on hosts apart: their decisions depend on their node.
func (s *seat) place() string {
	var class [4]byte
	binary.LittleEndian.PutUint32(class[:], uint32(s.class)) //nolint:gosec // a grid has fewer
	return "host" + string(class[:]) + s.node
}

// numbered gives the seats numbers by key, in order of first appearance.
func numbered(seats []seat, key func(*seat) string) []int {
	known := map[string]int{}
	numbers := make([]int, len(seats))
	for i := range seats {
		k := "alone" + string(seats[i].name)
		if seats[i].alone == nil {
			k = key(&seats[i])
		}
		if _, ok := known[k]; !ok {
			known[k] = len(known)
		}
		numbers[i] = known[k]
	}
	return numbers
}

// cellText is the same for the same cells.
func cellText(cells []uint32) string {
	var b strings.Builder
	var four [4]byte
	b.Grow(4 * len(cells))
	for _, c := range cells {
		binary.LittleEndian.PutUint32(four[:], c)
		b.Write(four[:])
	}
	return b.String()
}

// received, by class of the receiver: on which ports it is asked, and the answers.
// How close a sender is does not matter here: what changes then depends on
// nothing but the answer from afar.
func (g *Grid) received() []string {
	columns := make([]string, len(g.column))
	var cells []uint32
	for c := range columns {
		cells = cells[:0]
		for port, column := range g.column[c] {
			if column < 0 {
				continue
			}
			cells = append(cells, uint32(port)) //nolint:gosec // a grid has fewer
			for _, row := range g.rows {
				cells = append(cells, row[apart][column])
			}
		}
		columns[c] = cellText(cells)
	}
	return columns
}
