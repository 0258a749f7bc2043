package oracle_test

import (
	"net/netip"

	"github.com/segtest/segtest/probes/oracle"
)

// hostRows are about nodes, pods that share their network, loopback, and what
// is outside of the cluster.
func hostRows() []row {
	const (
		bySelector = `x/p: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}]}`
		isolated   = `x/p: {podSelector: {}, policyTypes: [Ingress, Egress]}`
		anyone     = `x/p: {podSelector: {}, ingress: [{}]}`
	)
	return []row{
		{"29 a node reaches its own pods", hosted(grid(isolated)), want{
			"node/one → x/a TCP/80": allow, "node/two → x/a TCP/80": deny, "node/one → x/b TCP/80": deny,
		}},
		{"29 a node may be that of a pod whose node is not known", hosted(grid(isolated)), want{"node/one → x/c TCP/80": undefined, "node/one → y/c TCP/80": allow}},
		{"29 a pod in its node's network reaches the pods there", onHost(hosted(grid(isolated)), "y/a", "y/c"), want{
			"y/a → x/a TCP/80": allow, "y/a → x/b TCP/80": deny, "y/c → x/a TCP/80": undefined,
		}},
		{"29 without nodes the sender may be on the receiver's", onHost(grid(bySelector), "y/c"), want{"y/c → x/a TCP/80": undefined}},
		{"29 what is open is allowed from the own node", onHost(hosted(grid(bySelector)), "x/a"), want{"node/one → x/a TCP/80": allow, "node/two → x/a TCP/80": undefined}},
		{"30 in its node's network a receiver may or may not be selected", onHost(grid(bySelector), "x/a"), want{"y/c → x/a TCP/80": undefined, "x/b → x/a TCP/80": allow}},
		{"30 in its node's network without policies it is open", onHost(grid(), "x/a"), want{"y/c → x/a TCP/80": allow}},
		{"30 in its node's network a selector may or may not fit a sender", onHost(grid(bySelector), "x/b"), want{"x/b → x/a TCP/80": undefined}},
		{"30 in its node's network a sender fits a rule for all", onHost(grid(anyone), "y/c"), want{"y/c → x/a TCP/80": allow}},
		{"30 in its node's network a selector may or may not fit a receiver", onHost(grid(`x/p: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}]}]}`), "y/c"), want{
			"x/a → y/c TCP/80": undefined, "x/a → y/b TCP/80": allow,
		}},
		{"30 in its node's network a receiver is denied where nothing fits", onHost(grid(`x/p: {podSelector: {}, policyTypes: [Egress]}`), "y/c"), want{"x/a → y/c TCP/80": deny}},
		{"30 in its node's network a named port may or may not be known", onHost(grid(`x/p: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: serve-80-tcp}]}]}`), "y/c"), want{
			"x/a → y/c TCP/80": undefined, "x/a → y/b TCP/80": allow, "x/a → y/c TCP/81": deny,
		}},
		{"30 a certain deny of one half beats an open other half", onHost(grid(`x/p: {podSelector: {}, policyTypes: [Egress]}`, `y/p: {podSelector: {}}`), "y/c"), want{"x/a → y/c TCP/80": deny}},
		{"30 in its node's network a pod has its node's address", onHost(hosted(grid(`x/p: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.168.0.2/32}}]}]}`)), "y/b", "z/a"), want{
			"y/b → x/a TCP/80": allow, "node/two → x/a TCP/80": allow, "node/one → x/b TCP/80": deny, "z/a → x/b TCP/80": deny,
		}},
		{"30 a node is nobody for selectors", hosted(grid(`x/p: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}]}]}`)), want{"x/a → node/one TCP/22": deny, "y/a → node/one TCP/22": allow}},
		{"30 a node is nobody's subject", hosted(grid(isolated)), want{"node/one → node/two TCP/22": allow, "node/one → y/a TCP/80": allow, "node/one → world/203.0.113.7 TCP/443": allow}},
		{"27 an address outside of the cluster is in a block or not", hosted(grid(`x/p: {podSelector: {}, policyTypes: [Ingress, Egress],
			ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.8/30]}}]}], egress: [{to: [{ipBlock: {cidr: 203.0.113.0/24}}], ports: [{port: 443}]}]}`)), want{
			"world/203.0.113.7 → x/a TCP/80": allow, "world/203.0.113.9 → x/a TCP/80": deny, "world/198.51.100.1 → x/a TCP/80": deny,
			"x/a → world/203.0.113.9 TCP/443": allow, "x/a → world/203.0.113.9 TCP/80": deny, "x/a → world/2001:db8::1 TCP/443 ipv6": deny,
			"world/203.0.113.7 → world/203.0.113.8 TCP/80": allow,
		}},
		{"10 who is outside of the cluster is nobody for selectors", grid(`x/p: {podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}`), want{"world/203.0.113.7 → x/a TCP/80": deny}},
		{"20 nobody outside of the cluster has names for ports", grid(`x/p: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: serve-80-tcp}]}]}`), want{"x/a → world/203.0.113.7 TCP/80": deny}},
		{"27 a node with addresses on both sides of a block is open", multihomed(hosted(grid(`x/p: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.168.0.0/24}}]}]}`))), want{
			"node/two → x/a TCP/80": undefined, "node/one → x/b TCP/80": allow,
		}},
		{"32 a pod reaches itself at its own address", onHost(hosted(grid(isolated)), "x/b"), want{
			"x/a → x/a TCP/80": allow, "x/b → x/b TCP/80": allow, "node/one → node/one TCP/22": allow, "x/a → x/c TCP/80": deny,
		}},
		{"35 the port of a node may be that of a Service", hosted(grid()), want{
			"x/a → node/one TCP/30000": undefined, "x/a → node/one TCP/32767": undefined, "x/a → node/one TCP/29999": allow, "x/a → node/one TCP/32768": allow,
			"x/a → x/b TCP/30000": allow,
		}},
	}
}

// multihomed gives node two another address.
func multihomed(w oracle.World) oracle.World {
	w.Nodes[1].Addresses = append(w.Nodes[1].Addresses, netip.MustParseAddr("172.16.0.2"))
	return w
}
