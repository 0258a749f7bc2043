package oracle

import (
	"fmt"
	"net/netip"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/segtest/segtest/probes/matrix"
)

// nature is what an endpoint is, as far as policies care.
type nature uint8

const (
	ownNetwork  nature = iota // a pod with addresses of its own
	hostNetwork               // a pod that shares its node's network
	machine                   // a node
	stranger                  // an address outside of the cluster
)

// isPod reports that policies can select it at all.
func (n nature) isPod() bool { return n <= hostNetwork }

// onHost reports that it speaks from the network of a node.
func (n nature) onHost() bool { return n == hostNetwork || n == machine }

// endpoint is who can speak or listen.
type endpoint struct {
	id     int // position in Oracle.endpoints, -1 for a stranger
	name   matrix.Endpoint
	node   string // the node itself, or on which the pod runs; "" is not known
	ports  []Port
	labels map[string]string
	class  *class
	origin Origin
}

// class is a set of endpoints that no policy tells apart.
type class struct {
	nature                  nature
	home                    string // the namespace, where it holds a NetworkPolicy
	pods, namespaces, nodes bits   // nodes is "" where the machine is not known
	ports                   []Port // of the names that some policy names
	blocks                  [2][]answer
	veil                    doubtKind // what hides its address, certain where nothing does
	reach                   []reach   // by number of the rule
	sides                   [2]*side  // by direction; nil for what is no pod
}

// reach says whether a selector or a block of a rule fits a class; blocked
// depends on the family of the flow.
type reach struct {
	selected answer
	blocked  [2]answer
}

// classes interns them.
type classes struct {
	*lexicon
	rules    []*rule
	policies []*policy // in order of evaluation
	known    map[string]*class
	sides    map[string]*side
	labels   map[string]labels.Set // of namespaces
	machines map[string]*Node
}

// pod is the class of a pod.
func (c *classes) pod(p *Pod) *class {
	k := &class{nature: ownNetwork, pods: c.pods.fit(p.Labels), namespaces: c.namespaces.fit(c.labels[p.Name.Namespace()])}
	if c.homes[p.Name.Namespace()] {
		k.home = p.Name.Namespace()
	}
	addresses := p.Addresses
	if p.HostNetwork {
		k.nature = hostNetwork
		if n := c.machines[p.Node]; n != nil {
			k.nodes = c.nodes.fit(n.Labels)
			if len(addresses) == 0 {
				addresses = n.Addresses
			}
		}
	} else if len(addresses) > 0 {
		addresses = firstOfEach(addresses)
	}
	for _, port := range p.Ports {
		if c.portNames[port.Name] {
			k.ports = append(k.ports, port)
		}
	}
	return c.intern(k, addresses)
}

// firstOfEach family: a pod speaks from its first address.
func firstOfEach(all []netip.Addr) []netip.Addr {
	var first []netip.Addr
	var seen [2]bool
	for _, a := range all {
		family := matrix.IPv6
		if a.Unmap().Is4() {
			family = matrix.IPv4
		}
		if !seen[family] {
			seen[family] = true
			first = append(first, a)
		}
	}
	return first
}

func (c *classes) node(n *Node) *class {
	return c.intern(&class{nature: machine, nodes: c.nodes.fit(n.Labels)}, n.Addresses)
}

// intern gives the class that is the same as k.
func (c *classes) intern(k *class, addresses []netip.Addr) *class {
	var networks []netip.Prefix
	if k.nature == ownNetwork {
		networks = c.podNetworks
	}
	k.block(c.blocks, addresses, networks, noAddress)
	key := k.key()
	if known, ok := c.known[key]; ok {
		return known
	}
	k.meet(c.rules)
	if k.nature.isPod() {
		k.sides = c.sidesOf(k)
	}
	c.known[key] = k
	return k
}

// key is the same for classes that no policy tells apart.
func (k *class) key() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s %s %s %s %v ", k.nature, k.home, k.pods, k.namespaces, k.nodes, k.ports)
	for _, family := range k.blocks {
		for _, a := range family {
			b.WriteByte(byte(a.is))
			b.WriteByte(byte(a.why.kind))
		}
	}
	return b.String()
}

// block asks every block of the policies.
func (k *class) block(blocks []block, addresses []netip.Addr, networks []netip.Prefix, unknown doubtKind) {
	for family := range k.blocks {
		k.blocks[family] = make([]answer, len(blocks))
		for i := range blocks {
			k.blocks[family][i] = blocks[i].fits(addresses, networks, matrix.Family(family), unknown) //nolint:gosec // 0 or 1
		}
	}
}

// meet asks every rule of the policies.
func (k *class) meet(rules []*rule) {
	k.reach = make([]reach, len(rules))
	for i, r := range rules {
		k.reach[i] = r.meets(k)
	}
}

// strange is the same for strangers that no rule tells apart.
func (k *class) strange() string {
	var b strings.Builder
	for _, r := range k.reach {
		for _, a := range []answer{r.selected, r.blocked[matrix.IPv4], r.blocked[matrix.IPv6]} {
			if b.WriteByte(byte(a.is)); a.is == maybe {
				fmt.Fprint(&b, a.why)
			}
		}
	}
	return b.String()
}

// stranger is the class of an address outside of the cluster. It keeps what the
// rules made of the blocks and not the blocks: one stranger for each block would
// take memory in the square of them.
func (o *Oracle) stranger(address netip.Addr) *class {
	k := &class{nature: stranger}
	k.block(o.lexicon.blocks, []netip.Addr{address}, nil, noAddress)
	k.meet(o.rules)
	k.blocks = [2][]answer{}
	return k
}

// veiled is the class as seen by who does not see its address.
func (o *Oracle) veiled(k *class, why doubtKind) *class {
	veiled := *k
	veiled.veil = why
	var networks []netip.Prefix
	if why == rewritten {
		networks = o.lexicon.serviceNetworks
	}
	veiled.block(o.lexicon.blocks, nil, networks, why)
	veiled.meet(o.rules)
	return &veiled
}
