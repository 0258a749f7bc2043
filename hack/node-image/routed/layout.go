package main

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// layout is what one node's network should look like. Its slices are sorted, so
// that equal clusters give equal layouts.
type layout struct {
	routes []route        // to the pod networks of the other nodes
	local  []netip.Prefix // this node's own pod networks
	inside []netip.Prefix // all pod networks and node addresses: never masqueraded
}

// route sends one node's pod network to that node's address of the same family.
type route struct {
	to  netip.Prefix
	via netip.Addr
}

// layoutOf derives the layout of the node called self. What a Node object does not
// say yet, or says in a form that does not parse, is left out until it does.
func layoutOf(nodes []*corev1.Node, self string) layout {
	var l layout
	for _, node := range nodes {
		addresses := addressesOf(node)
		for _, address := range addresses {
			l.inside = append(l.inside, netip.PrefixFrom(address, address.BitLen()))
		}
		for _, cidr := range node.Spec.PodCIDRs {
			prefix, err := netip.ParsePrefix(cidr)
			if err != nil {
				continue
			}
			l.inside = append(l.inside, prefix.Masked())
			if node.Name == self {
				l.local = append(l.local, prefix.Masked())
				continue
			}
			for _, address := range addresses {
				if address.Is4() == prefix.Addr().Is4() {
					l.routes = append(l.routes, route{to: prefix.Masked(), via: address})
					break
				}
			}
		}
	}
	slices.SortFunc(l.routes, func(a, b route) int { return comparePrefix(a.to, b.to) })
	slices.SortFunc(l.local, comparePrefix)
	slices.SortFunc(l.inside, comparePrefix)
	return l
}

func addressesOf(node *corev1.Node) []netip.Addr {
	var addresses []netip.Addr
	for _, a := range node.Status.Addresses {
		if a.Type != corev1.NodeInternalIP {
			continue
		}
		if address, err := netip.ParseAddr(a.Address); err == nil {
			addresses = append(addresses, address.Unmap())
		}
	}
	return addresses
}

func comparePrefix(a, b netip.Prefix) int {
	if c := a.Addr().Compare(b.Addr()); c != 0 {
		return c
	}
	return a.Bits() - b.Bits()
}
