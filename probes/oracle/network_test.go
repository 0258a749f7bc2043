package oracle_test

import (
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// isolationRows are about isolation and union.
func isolationRows() []row {
	return []row{
		{"01 a pod that no policy selects is open", grid(`x/p: {podSelector: {matchLabels: {pod: a}}}`), want{
			"y/b → x/b TCP/80": allow, "y/b → x/a TCP/80": deny, "x/a → y/b TCP/80": allow, "y/a → z/a SCTP/81": allow,
		}},
		{"01 rules of all selecting policies add up", grid(
			`x/p: {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}]}`,
			`x/q: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{podSelector: {matchLabels: {pod: c}}}]}]}`,
		), want{"x/b → x/a TCP/80": allow, "x/c → x/a TCP/80": allow, "x/c → x/b TCP/80": deny, "y/a → x/a TCP/80": deny}},
		{"02 both ends must allow", grid(
			`x/out: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {ns: "y"}}}]}]}`,
			`y/in: {podSelector: {matchLabels: {pod: a}}, ingress: []}`,
		), want{"x/a → y/a TCP/80": deny, "x/a → y/b TCP/80": allow, "x/a → z/a TCP/80": deny, "z/a → y/a TCP/80": deny, "z/a → x/a TCP/80": allow}},
		{"03 omitted policyTypes isolate egress only with an egress rule", grid(
			`x/p: {podSelector: {matchLabels: {pod: a}}, egress: []}`,
			`x/q: {podSelector: {matchLabels: {pod: b}}, egress: [{ports: [{port: 80}]}]}`,
		), want{
			"x/a → y/a TCP/81": allow, "y/a → x/a TCP/80": deny, "x/b → y/a TCP/81": deny, "x/b → y/a TCP/80": allow,
			"y/a → x/b TCP/80": deny,
		}},
		{"03 an empty list of policyTypes is an omitted one", grid(`x/p: {podSelector: {}, policyTypes: [], egress: [{}]}`), want{
			"x/a → y/a TCP/80": allow, "y/a → x/a TCP/80": deny,
		}},
		{"04 rules of the other direction are inert", grid(
			`x/p: {podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress], ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}]}`,
			`x/q: {podSelector: {matchLabels: {pod: b}}, policyTypes: [Ingress], egress: [{to: [{podSelector: {matchLabels: {pod: a}}}]}]}`,
		), want{"y/a → x/a TCP/80": allow, "x/a → y/a TCP/80": deny, "x/b → y/a TCP/80": allow, "y/a → x/b TCP/80": deny}},
		{"05 missing ingress denies", grid(`x/p: {podSelector: {}, policyTypes: [Ingress]}`), want{"y/a → x/a TCP/80": deny}},
		{"05 null ingress denies", grid(`x/p: {podSelector: {}, policyTypes: [Ingress], ingress: null}`), want{"y/a → x/a TCP/80": deny}},
		{"05 an empty list of ingress denies", grid(`x/p: {podSelector: {}, policyTypes: [Ingress], ingress: []}`), want{"y/a → x/a TCP/80": deny}},
		{"05 one empty rule allows all", grid(`x/p: {podSelector: {}, policyTypes: [Ingress], ingress: [{}]}`), want{
			"y/a → x/a TCP/80": allow, "y/a → x/a UDP/81": allow, "y/a → x/a SCTP/9999": allow, "y/a → x/a TCP/80 ipv6": allow,
		}},
		{"06 missing from is all sources", grid(`x/p: {podSelector: {}, ingress: [{ports: [{port: 80}]}]}`), want{"y/a → x/a TCP/80": allow, "y/a → x/a TCP/81": deny}},
		{"06 null from is all sources", grid(`x/p: {podSelector: {}, ingress: [{from: null, ports: [{port: 80}]}]}`), want{"y/a → x/a TCP/80": allow, "y/a → x/a TCP/81": deny}},
		{"06 empty from is all sources", grid(`x/p: {podSelector: {}, ingress: [{from: [], ports: [{port: 80}]}]}`), want{"y/a → x/a TCP/80": allow, "y/a → x/a TCP/81": deny}},
		{"06 empty ports are all ports and protocols", grid(`x/p: {podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: []}]}`), want{
			"x/b → x/a TCP/80": allow, "x/b → x/a UDP/53": allow, "x/b → x/a SCTP/1": allow, "y/b → x/a TCP/80": deny,
		}},
		{"40 deleting one of two policies keeps the isolation", grid(`x/p: {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}`), want{"y/a → x/a TCP/80": deny}},
		{"09 a policy selects by the labels of now", grid(byLabels), want{"y/a → x/a TCP/80": allow, "z/a → x/a TCP/80": deny}},
		{"09 a pod that is relabelled is no longer selected", tweak(grid(byLabels), "x/a", func(p *oracle.Pod) { p.Labels = map[string]string{"pod": "renamed"} }), want{"z/a → x/a TCP/80": allow}},
		{"09 a namespace that is relabelled becomes a peer", labelled(grid(byLabels), "z", map[string]string{"ns": "y"}), want{"z/a → x/a TCP/80": allow}},
		{"40 deleting the last policy opens", grid(), want{"y/a → x/a TCP/80": allow}},
	}
}

// selectorRows are about who is selected.
func selectorRows() []row {
	return []row{
		{"10 an empty podSelector is all pods of the policy's namespace", grid(`x/p: {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}`), want{
			"x/b → x/a TCP/80": allow, "y/b → x/a TCP/80": deny, "x/b → y/a TCP/80": allow,
		}},
		{"11 an empty namespaceSelector is all namespaces", grid(`x/p: {podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}`), want{"y/b → x/a TCP/80": allow, "x/b → x/a TCP/80": allow}},
		{"12 one item with both selectors is AND", grid(
			`x/p: {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}, podSelector: {matchLabels: {pod: b}}}]}]}`,
		), want{"y/b → x/a TCP/80": allow, "y/a → x/a TCP/80": deny, "x/b → x/a TCP/80": deny, "z/b → x/a TCP/80": deny}},
		{"12 two items are OR", grid(
			`x/p: {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}}, {podSelector: {matchLabels: {pod: b}}}]}]}`,
		), want{"y/b → x/a TCP/80": allow, "y/a → x/a TCP/80": allow, "x/b → x/a TCP/80": allow, "x/c → x/a TCP/80": deny, "z/b → x/a TCP/80": deny}},
		{"13 In", grid(expression("{key: pod, operator: In, values: [a, b]}")), want{"x/a → x/c TCP/80": allow, "x/b → x/c TCP/80": allow, "x/c → x/a TCP/80": deny}},
		{"13 NotIn", grid(expression("{key: pod, operator: NotIn, values: [a]}")), want{"x/a → x/c TCP/80": deny, "x/b → x/c TCP/80": allow}},
		{"13 NotIn matches a missing key", grid(expression("{key: tier, operator: NotIn, values: [front]}")), want{"x/a → x/c TCP/80": allow}},
		{"13 Exists", grid(expression("{key: pod, operator: Exists}")), want{"x/a → x/c TCP/80": allow}},
		{"13 Exists misses a missing key", grid(expression("{key: tier, operator: Exists}")), want{"x/a → x/c TCP/80": deny}},
		{"13 DoesNotExist", grid(expression("{key: pod, operator: DoesNotExist}")), want{"x/a → x/c TCP/80": deny}},
		{"13 matchLabels and matchExpressions are ANDed", grid(
			`x/p: {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {pod: a}, matchExpressions: [{key: pod, operator: NotIn, values: [a]}]}}]}]}`,
		), want{"x/a → x/c TCP/80": deny, "x/b → x/c TCP/80": deny}},
		{"14 every namespace has its name as a label", grid(
			`x/p: {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: "y"}}}]}]}`,
		), want{"y/a → x/a TCP/80": allow, "z/a → x/a TCP/80": deny, "x/b → x/a TCP/80": deny}},
		{"14 a namespace that nobody declares has its name as a label", unlisted(grid(byName)), want{"y/a → x/a TCP/80": allow, "z/a → x/a TCP/80": deny}},
		{"17 a ServiceAccount makes no difference", tweak(grid(byLabels), "z/a", func(p *oracle.Pod) { p.ServiceAccount = "y" }), want{"y/a → x/a TCP/80": allow, "z/a → x/a TCP/80": deny}},
	}
}

// portRows are about ports and protocols.
func portRows() []row {
	byPod := want{
		"y/a → x/a TCP/8080": allow, "y/a → x/a TCP/9090": deny,
		"y/a → x/b TCP/9090": allow, "y/a → x/b TCP/8080": deny, "y/a → x/c TCP/80": deny,
	}
	return []row{
		{"18 an omitted protocol is TCP", grid(ports("{port: 80}")), want{"y/a → x/a TCP/80": allow, "y/a → x/a UDP/80": deny, "y/a → x/a SCTP/80": deny}},
		{"18 one empty port is all TCP ports", grid(ports("{}")), want{"y/a → x/a TCP/9999": allow, "y/a → x/a UDP/80": deny, "y/a → x/a SCTP/80": deny}},
		{"18 a protocol without a port is the whole protocol", grid(ports("{protocol: UDP}")), want{"y/a → x/a UDP/53": allow, "y/a → x/a TCP/80": deny}},
		{"19 a named port needs name and protocol", grid(ports("{port: serve-80-tcp}")), want{"y/a → x/a TCP/80": allow, "y/a → x/a TCP/81": deny, "y/a → x/a UDP/80": deny}},
		{"19 a name of another protocol matches nothing", grid(ports("{port: serve-80-tcp, protocol: UDP}")), want{"y/a → x/a TCP/80": deny, "y/a → x/a UDP/80": deny}},
		{"19 a name that nobody has matches nothing", grid(ports("{port: nobody}")), want{"y/a → x/a TCP/80": deny, "y/a → x/a UDP/80": deny}},
		{"22 endPort is inclusive", grid(ports("{port: 80, endPort: 82}")), want{
			"y/a → x/a TCP/79": deny, "y/a → x/a TCP/80": allow, "y/a → x/a TCP/81": allow, "y/a → x/a TCP/82": allow, "y/a → x/a TCP/83": deny, "y/a → x/a UDP/81": deny,
		}},
		{"22 endPort may equal port", grid(ports("{port: 80, endPort: 80}")), want{"y/a → x/a TCP/80": allow, "y/a → x/a TCP/81": deny}},
		{"23 SCTP is not TCP and still isolates", grid(ports("{port: 80, protocol: SCTP}")), want{"y/a → x/a SCTP/80": allow, "y/a → x/a TCP/80": deny, "y/a → x/a SCTP/81": deny}},
		{"19 a name is looked up at each receiver, ingress", named(`x/p: {podSelector: {}, ingress: [{ports: [{port: web}]}]}`), byPod},
		{"19 a name is looked up at each receiver, egress", named(`y/p: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}], ports: [{port: web}]}]}`), byPod},
		{"19 a name that a receiver has twice is open", tweak(grid(ports("{port: web}")), "x/a", func(p *oracle.Pod) {
			p.Ports = []oracle.Port{{Name: "web", Protocol: matrix.TCP, Port: 80}, {Name: "web", Protocol: matrix.TCP, Port: 81}, {Name: "web", Protocol: matrix.UDP, Port: 81}}
		}), want{"y/a → x/a TCP/80": undefined, "y/a → x/a TCP/82": deny, "y/a → x/a UDP/81": deny}},
		{"20 a name in egress to everybody", named(`y/p: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: web}]}]}`), byPod},
	}
}

const (
	byLabels = `x/p: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}}]}]}`
	byName   = `x/p: {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: "y"}}}]}]}`
)

func labelled(w oracle.World, namespace string, labels map[string]string) oracle.World {
	for i := range w.Namespaces {
		if w.Namespaces[i].Name == namespace {
			w.Namespaces[i].Labels = labels
		}
	}
	return w
}

func unlisted(w oracle.World) oracle.World {
	w.Namespaces = nil
	return w
}

// named is a grid in which the port named web is 8080 at x/a and 9090 at x/b.
func named(policies ...string) oracle.World {
	web := func(port uint16) func(*oracle.Pod) {
		return func(p *oracle.Pod) { p.Ports = []oracle.Port{{Name: "web", Protocol: matrix.TCP, Port: port}} }
	}
	return tweak(tweak(grid(policies...), "x/a", web(8080)), "x/b", web(9090))
}

func expression(e string) string {
	return `x/p: {podSelector: {}, ingress: [{from: [{podSelector: {matchExpressions: [` + e + `]}}]}]}`
}

func ports(p string) string { return `x/p: {podSelector: {}, ingress: [{ports: [` + p + `]}]}` }
