package outside

import (
	"net/netip"
	"slices"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// Block of addresses outside of the cluster, without the narrower blocks that
// policies name: no policy tells those that are left apart.
type Block struct {
	CIDR    netip.Prefix
	Address netip.Addr // one of them, which no pod or node has
}

// Endpoint of the address, as the oracle knows it.
func (b Block) Endpoint() matrix.Endpoint { return matrix.WorldEndpoint(b.Address.String()) }

// Name of the block as an endpoint, for people.
func (b Block) Name() matrix.Endpoint { return matrix.WorldEndpoint(b.CIDR.String()) }

// Family of the addresses.
func (b Block) Family() matrix.Family {
	if b.Address.Is4() {
		return matrix.IPv4
	}
	return matrix.IPv6
}

// Blocks are the blocks that policies of the worlds name, and what is left of the
// world in each family, in order. Those in which no address is left are not
// among them.
func Blocks(families []matrix.Family, worlds ...oracle.World) []Block {
	var found []Block
	taken := takenBy(worlds)
	named := blocksOf(worlds)
	for _, family := range slices.Compact(slices.Sorted(slices.Values(families))) {
		all := []netip.Prefix{netip.MustParsePrefix([...]string{matrix.IPv4: "0.0.0.0/0", matrix.IPv6: "::/0"}[family])}
		for _, b := range named {
			if b.Addr().BitLen() == all[0].Addr().BitLen() {
				all = append(all, b)
			}
		}
		slices.SortFunc(all, netip.Prefix.Compare)
		all = slices.Compact(all)
		for _, b := range all {
			if a, ok := inside(b, all, taken); ok {
				found = append(found, Block{b, a})
			}
		}
	}
	return found
}

// inside is an address of a block that is in none of the narrower ones and that
// nobody has; false where there is none.
func inside(block netip.Prefix, all []netip.Prefix, taken map[netip.Addr]bool) (netip.Addr, bool) {
	for _, a := range []netip.Addr{usual(block), block.Addr()} {
		for block.Contains(a) { // the zero Addr is in none
			i := slices.IndexFunc(all, func(b netip.Prefix) bool { return b.Bits() > block.Bits() && b.Contains(a) })
			switch {
			case i >= 0:
				a = last(all[i]).Next()
			case taken[a]:
				a = a.Next()
			default:
				return a, true
			}
		}
	}
	return netip.Addr{}, false
}

// usual address to begin with: the whole world is stood for by one that is kept
// for documentation, as its first one is nobody's.
func usual(block netip.Prefix) netip.Addr {
	switch {
	case block.Bits() > 0:
		return block.Addr().Next()
	case block.Addr().Is4():
		return netip.MustParseAddr("192.0.2.1")
	}
	return netip.MustParseAddr("2001:db8::1")
}

// last address of a block.
func last(b netip.Prefix) netip.Addr {
	bytes := b.Addr().AsSlice()
	for bit := b.Bits(); bit < 8*len(bytes); bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	a, _ := netip.AddrFromSlice(bytes)
	return a
}

// takenBy pods, nodes and Services.
func takenBy(worlds []oracle.World) map[netip.Addr]bool {
	taken := map[netip.Addr]bool{}
	add := func(addresses []netip.Addr) {
		for _, a := range addresses {
			taken[a.Unmap()] = true
		}
	}
	for _, w := range worlds {
		for _, p := range w.Pods {
			add(p.Addresses)
		}
		for _, n := range w.Nodes {
			add(n.Addresses)
		}
		for _, s := range w.Services {
			add(s.Addresses)
		}
	}
	return taken
}

// blocksOf are all blocks that policies name.
func blocksOf(worlds []oracle.World) []netip.Prefix {
	var blocks []netip.Prefix
	for r := range rules(worlds) {
		for _, text := range r.blocks {
			if b, err := netip.ParsePrefix(text); err == nil { // the oracle refuses others
				blocks = append(blocks, b.Masked())
			}
		}
	}
	return blocks
}
