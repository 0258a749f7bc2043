package oracle

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/segtest/segtest/probes/matrix"
)

// lexicon is everything that the policies of a World can tell endpoints apart
// by. What no policy names makes no difference and costs nothing.
type lexicon struct {
	pods, namespaces, nodes selectors
	blocks                  []block
	blockIDs                map[string]int
	named                   int // blocks and excepts
	portNames               map[string]bool
	homes                   map[string]bool // namespaces that hold a NetworkPolicy

	podNetworks, serviceNetworks []netip.Prefix // of addresses that are not known; none where nobody knows
}

// bits holds one byte per selector, 1 where it fits.
type bits string

func (b bits) has(selector int) bool { return b[selector] == 1 }

// selectors are the different selectors over one sort of labels, by number.
type selectors struct {
	list []labels.Selector
	ids  map[string]int
	keys []string        // that some selector names, sorted; made on first use
	memo map[string]bits // by the values of keys
}

// id of a selector, the same for the same requirements.
func (s *selectors) id(sel labels.Selector) int {
	text := sel.String()
	id, ok := s.ids[text]
	if !ok {
		if s.ids == nil {
			s.ids = map[string]int{}
		}
		id = len(s.list)
		s.ids[text] = id
		s.list = append(s.list, sel)
	}
	return id
}

// fit asks all selectors, once for all sets that differ only in labels that no
// selector names. No selector may be added afterwards.
func (s *selectors) fit(set map[string]string) bits {
	if s.memo == nil {
		s.prepare()
	}
	var key strings.Builder
	for _, k := range s.keys {
		if v, ok := set[k]; ok {
			key.WriteString("=" + v)
		}
		key.WriteByte(0)
	}
	known, ok := s.memo[key.String()]
	if !ok {
		fits := make([]byte, len(s.list))
		for i, sel := range s.list {
			if sel.Matches(labels.Set(set)) {
				fits[i] = 1
			}
		}
		known = bits(fits)
		s.memo[key.String()] = known
	}
	return known
}

func (s *selectors) prepare() {
	s.memo = map[string]bits{}
	keys := map[string]bool{}
	for _, sel := range s.list {
		requirements, _ := sel.Requirements()
		for _, r := range requirements {
			keys[r.Key()] = true
		}
	}
	s.keys = slices.Sorted(maps.Keys(keys))
}

// block is a compiled ipBlock, or one entry of networks.
type block struct {
	cidr   netip.Prefix
	except []netip.Prefix
}

// block is the number of the block, the same for equal ones.
func (l *lexicon) block(b block) int {
	text := fmt.Sprint(b.cidr, b.except)
	n, ok := l.blockIDs[text]
	if !ok {
		n = len(l.blocks)
		l.blockIDs[text] = n
		l.blocks = append(l.blocks, b)
		l.named += 1 + len(b.except)
	}
	return n
}

// speaksOf reports that the block says anything about the family.
func (b *block) speaksOf(family matrix.Family) bool {
	return b.cidr.IsValid() && b.cidr.Addr().Is4() == (family == matrix.IPv4)
}

// holdsAll reports that the block holds every address of its family.
func (b *block) holdsAll() bool { return b.cidr.Bits() == 0 && len(b.except) == 0 }

// holdsNone reports that what the block leaves out is all of it.
func (b *block) holdsNone() bool { return b.cidr.IsValid() && b.leavesOut(b.cidr.Masked()) }

// leavesOut reports that no address of a part of the block is in it.
func (b *block) leavesOut(part netip.Prefix) bool {
	if slices.ContainsFunc(b.except, func(e netip.Prefix) bool { return e.Bits() <= part.Bits() && e.Contains(part.Addr()) }) {
		return true
	}
	if !slices.ContainsFunc(b.except, part.Overlaps) {
		return false
	}
	lower, upper := halves(part)
	return b.leavesOut(lower) && b.leavesOut(upper)
}

// halves of a prefix of more than one address.
func halves(p netip.Prefix) (lower, upper netip.Prefix) {
	bits := p.Bits() + 1
	second := p.Addr().AsSlice()
	second[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
	middle, _ := netip.AddrFromSlice(second) // of the length of an address
	return netip.PrefixFrom(p.Addr(), bits), netip.PrefixFrom(middle, bits)
}

func (b *block) holds(a netip.Addr) bool {
	a = a.WithZone("")
	return b.cidr.Contains(a) && !slices.ContainsFunc(b.except, func(e netip.Prefix) bool { return e.Contains(a) })
}

// fits says whether the block holds what speaks from these addresses, or, where
// there are none, from one in these networks. unknown is the doubt where they do
// not tell.
func (b *block) fits(addresses []netip.Addr, networks []netip.Prefix, family matrix.Family, unknown doubtKind) answer {
	switch {
	case !b.speaksOf(family):
		return answer{} // a block says nothing about the other family
	case b.holdsAll():
		return answer{is: yes}
	case b.holdsNone():
		return answer{}
	case len(addresses) == 0:
		return b.fitsIn(networks, family, unknown)
	}
	in, out := false, false
	for _, a := range addresses {
		if a = a.Unmap(); a.Is4() == (family == matrix.IPv4) {
			in, out = in || b.holds(a), out || !b.holds(a)
		}
	}
	switch {
	case in && out:
		return answer{maybe, doubt{kind: severalSides}}
	case in:
		return answer{is: yes}
	case out:
		return answer{}
	}
	return answer{maybe, doubt{kind: noSuchFamily}}
}

// fitsIn says whether the block holds an address of which nothing is known but
// that one of the networks holds it.
func (b *block) fitsIn(networks []netip.Prefix, family matrix.Family, unknown doubtKind) answer {
	all, none, known := true, true, false
	for _, n := range networks {
		if n.Addr().Is4() != (family == matrix.IPv4) {
			continue
		}
		known = true
		excepts := func(test func(netip.Prefix) bool) bool { return slices.ContainsFunc(b.except, test) }
		all = all && within(n, b.cidr) && !excepts(n.Overlaps)
		none = none && (!n.Overlaps(b.cidr) || excepts(func(e netip.Prefix) bool { return within(n, e) }))
	}
	switch {
	case known && all:
		return answer{is: yes}
	case known && none:
		return answer{}
	}
	return answer{maybe, doubt{kind: unknown}}
}

// within reports that the outer network holds all of the inner one.
func within(inner, outer netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}
