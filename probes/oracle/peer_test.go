package oracle_test

import (
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/oracle"
)

// to is an Admin policy over namespace x with one egress rule after which
// everything is denied.
func to(peers, protocols string) string {
	if protocols != "" {
		protocols = ", protocols: [" + protocols + "]"
	}
	return out("p", "Admin", 1, `{action: Accept, to: [`+peers+`]`+protocols+`}, {action: Deny, to: [{namespaces: {}}, {networks: [0.0.0.0/0, "::/0"]}]}`)
}

// clusterPeerRows are about the peers and protocols of cluster-wide policies.
func clusterPeerRows() []row {
	return []row{
		{"46 pods of namespaces", under(grid(), to(`{namespaces: {matchLabels: {ns: "y"}}}`, "")), want{"x/a → y/a TCP/80": allow, "x/a → z/a TCP/80": deny, "y/a → z/a TCP/80": allow}},
		{"46 pods by both selectors", under(grid(), to(`{pods: {namespaceSelector: {matchLabels: {ns: "y"}}, podSelector: {matchLabels: {pod: b}}}}`, "")), want{
			"x/a → y/b TCP/80": allow, "x/a → y/a TCP/80": deny, "x/a → z/b TCP/80": deny,
		}},
		{"46 pods by an omitted namespaceSelector are all", under(grid(), to(`{pods: {podSelector: {matchLabels: {pod: b}}}}`, "")), want{"x/a → y/b TCP/80": allow, "x/a → z/b TCP/80": allow, "x/a → z/a TCP/80": deny}},
		{"46 networks fit pods", under(addressed(grid()), to(`{networks: [10.0.0.4/32, "fd00::5/128"]}`, "")), want{
			"x/a → y/a TCP/80": allow, "x/a → y/b TCP/80": deny, "x/a → y/b TCP/80 ipv6": allow, "x/a → y/a TCP/80 ipv6": deny,
		}},
		{"46 networks need the addresses of pods", under(grid(), to(`{networks: [10.0.0.4/32]}`, "")), want{"x/a → y/a TCP/80": undefined, "x/a → y/a TCP/80 ipv6": deny}},
		{"46 a doubt makes no difference where all comes to the same", under(grid(), out("p", "Admin", 1, `{action: Deny, to: [{networks: [10.0.0.4/32]}]}, {action: Deny, to: [{namespaces: {}}]}`)), want{"x/a → y/a TCP/80": deny}},
		{"46 a doubt makes no difference before an accept that comes to the same", under(grid(), out("p", "Admin", 1, `{action: Pass, to: [{networks: [10.0.0.4/32]}]}, {action: Accept, to: [{namespaces: {}}]}`)), want{"x/a → y/a TCP/80": allow}},
		{"46 a doubt about passing on", under(grid(`x/p: {podSelector: {}, policyTypes: [Egress]}`), out("p", "Admin", 1, `{action: Pass, to: [{networks: [10.0.0.4/32]}]}, {action: Accept, to: [{namespaces: {}}]}`)), want{"x/a → y/a TCP/80": undefined}},
		{"46 a doubt of one policy and another of its priority", under(grid(), out("p", "Admin", 1, `{action: Accept, to: [{networks: [10.0.0.4/32]}]}`), out("q", "Admin", 1, `{action: Deny, to: [{namespaces: {}}]}`)), want{"x/a → y/a TCP/80": undefined}},
		{"46 networks fit what is outside of the cluster", under(grid(), to(`{networks: [203.0.113.0/24]}`, "")), want{"x/a → world/203.0.113.7 TCP/80": allow, "x/a → world/203.0.114.7 TCP/80": deny}},
		{"46 all of IPv4 says nothing about IPv6", under(grid(), out("p", "Admin", 1, `{action: Deny, to: [{networks: [0.0.0.0/0]}]}`)), want{"x/a → y/a TCP/80": deny, "x/a → y/a TCP/80 ipv6": allow}},
		{"46 nodes by label", under(hosted(grid()), to(`{nodes: {matchLabels: {node: one}}}`, "")), want{"x/a → node/one TCP/80": allow, "x/a → node/two TCP/80": deny, "x/a → y/a TCP/80": deny}},
		{"46 nodes are the pods in their networks", onHost(under(hosted(grid()), to(`{nodes: {matchLabels: {node: one}}}`, "")), "y/a", "y/b", "y/c"), want{
			"x/a → y/a TCP/80": allow, "x/a → y/b TCP/80": deny, "x/a → y/c TCP/80": undefined,
		}},
		{"46 domain names are open", under(hosted(grid()), to(`{domainNames: ["*.example.com"]}`, "")), want{
			"x/a → world/203.0.113.7 TCP/80": undefined, "x/a → node/one TCP/80": undefined, "x/a → y/a TCP/80": deny,
		}},
		{"46 domain names of the cluster may be those of pods", under(grid(), to(`{domainNames: [db.shop.svc.cluster.local]}`, "")), want{"x/a → y/a TCP/80": undefined}},
		{"46 domain names that make no difference", under(grid(), out("p", "Admin", 1, `{action: Accept, to: [{domainNames: [a.example.com.]}]}`)), want{"x/a → world/203.0.113.7 TCP/80": allow}},
		{"46 tcp, udp and sctp by number", under(grid(), to(`{namespaces: {}}`, `{tcp: {destinationPort: {number: 80}}}, {udp: {destinationPort: {number: 81}}}, {sctp: {destinationPort: {number: 82}}}`)), want{
			"x/a → y/a TCP/80": allow, "x/a → y/a UDP/81": allow, "x/a → y/a SCTP/82": allow, "x/a → y/a UDP/80": deny, "x/a → y/a TCP/81": deny, "x/a → y/a TCP/82": deny,
		}},
		{"46 a range is inclusive", under(grid(), to(`{namespaces: {}}`, `{tcp: {destinationPort: {range: {start: 80, end: 82}}}}`)), want{
			"x/a → y/a TCP/79": deny, "x/a → y/a TCP/80": allow, "x/a → y/a TCP/81": allow, "x/a → y/a TCP/82": allow, "x/a → y/a TCP/83": deny, "x/a → y/a UDP/81": deny,
		}},
		{"46 a name brings its protocol", under(grid(), to(`{namespaces: {}}`, `{destinationNamedPort: serve-80-udp}`)), want{"x/a → y/a UDP/80": allow, "x/a → y/a TCP/80": deny, "x/a → y/a UDP/81": deny}},
		{"46 a name at the receiver, ingress", under(grid(), in("p", "Admin", 1, `{action: Deny, from: [{namespaces: {}}], protocols: [{destinationNamedPort: serve-80-tcp}]}`)), want{"y/a → x/a TCP/80": deny, "y/a → x/a TCP/81": allow}},
		{"46 a name that nobody has", under(grid(), to(`{namespaces: {}}`, `{destinationNamedPort: nobody}`)), want{"x/a → y/a TCP/80": deny}},
		{"43 one priority at another port", under(grid(),
			in("p", "Admin", 5, `{action: Accept, from: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {number: 80}}}]}`),
			in("q", "Admin", 5, `{action: Deny, from: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {number: 81}}}]}`)), want{"y/a → x/a TCP/80": allow, "y/a → x/a TCP/81": deny, "y/a → x/a TCP/82": allow}},
		{"42 a subject of pods", under(grid(), `p: {tier: Admin, priority: 1, subject: {pods: {namespaceSelector: {matchLabels: {ns: x}}, podSelector: {matchLabels: {pod: a}}}}, ingress: [`+denyAll+`]}`), want{
			"y/a → x/a TCP/80": deny, "y/a → x/b TCP/80": allow, "y/b → y/a TCP/80": allow,
		}},
		{"27 a cluster-wide rule by node does not know the address of a Service", serving(onHost(under(hosted(grid()), strings.ReplaceAll(to(`{nodes: {}}`, ""), "ns: x", "ns: \"y\"")), "x/a")), want{
			"y/b → x/web TCP/80 service": undefined, "y/b → x/a TCP/80": allow,
		}},
		{"27 a cluster-wide rule by network does not know the address of a Service", serving(under(addressed(grid()), strings.ReplaceAll(to(`{networks: [10.0.0.1/32]}`, ""), "ns: x", "ns: \"y\""))), want{
			"y/a → x/web TCP/80 service": undefined, "y/a → x/direct TCP/80 service": allow,
		}},
	}
}

func TestNewRefusesClusterPolicies(t *testing.T) {
	t.Parallel()
	many := func(n int, entry string) string { return strings.TrimSuffix(strings.Repeat(entry+",", n), ",") }
	for _, c := range []struct{ name, policy, want string }{
		{"tier", in("p", "Default", 1, denyAll), `c0.yaml:1:1: ClusterNetworkPolicy p: tier "Default" is unknown: write Admin or Baseline`},
		{"no tier", in("p", `""`, 1, denyAll), "c0.yaml:1:1: ClusterNetworkPolicy p: has no tier: write tier: Admin or tier: Baseline"},
		{"priority", in("p", "Admin", 1001, denyAll), "priority 1001 is out of range"},
		{"negative priority", in("p", "Admin", -1, denyAll), "priority -1 is out of range"},
		{"no subject", `p: {tier: Admin, priority: 1, subject: {}}`, "ClusterNetworkPolicy p: subject: is empty: set namespaces or pods"},
		{"two subjects", `p: {tier: Admin, priority: 1, subject: {namespaces: {}, pods: {}}}`, "subject: has namespaces and pods"},
		{"selector of the subject", `p: {tier: Admin, priority: 1, subject: {namespaces: {matchExpressions: [{key: a, operator: Like}]}}}`, "subject: namespaces is invalid"},
		{"unknown action", in("p", "Admin", 1, `{action: Allow, from: [{namespaces: {}}]}`), `c0.yaml:10:5: ClusterNetworkPolicy p: ingress[0]: action "Allow" is unknown: write Accept, Deny or Pass`},
		{"no action", out("p", "Admin", 1, `{to: [{namespaces: {}}]}`), `c0.yaml:20:5: ClusterNetworkPolicy p: egress[0]: has no action: write Accept, Deny or Pass`},
		{"Accept of an old kind", "BaselineAdminNetworkPolicy " + in("default", "Baseline", 1, passAll), `action "Pass" is unknown: write Allow or Deny`},
		{"name of a Baseline", "BaselineAdminNetworkPolicy " + in("p", "Baseline", 1, denyAll), "is not named default"},
		{"kind", "NetworkPolicy " + in("p", "Admin", 1, denyAll), "is of an unknown kind"},
		{"no name", in("", "Admin", 1, denyAll), "has no name"},
		{"no peers", in("p", "Admin", 1, `{action: Deny, from: []}`), "ingress[0]: has no peer"},
		{"two fields", out("p", "Admin", 1, `{action: Deny, to: [{namespaces: {}, nodes: {}}]}`), "egress[0]: peer 0: has several fields"},
		{"pods and namespaces", in("p", "Admin", 1, `{action: Deny, from: [{namespaces: {}, pods: {}}]}`), "peer 0: has namespaces and pods"},
		{"selector of a peer", in("p", "Admin", 1, `{action: Deny, from: [{pods: {podSelector: {matchLabels: {a: "b c"}}}}]}`), "peer 0: pods.podSelector is invalid"},
		{"network", out("p", "Admin", 1, `{action: Deny, to: [{networks: [10.0.0.0]}]}`), `peer 0: networks "10.0.0.0" is not a CIDR`},
		{"no networks", out("p", "Admin", 1, `{action: Deny, to: [{networks: []}]}`), "peer 0: has no networks"},
		{"many networks", out("p", "Admin", 1, `{action: Deny, to: [{networks: [`+many(26, "10.0.0.0/8")+`]}]}`), "has 26 networks: write at most 25"},
		{"denied domain", out("p", "Admin", 1, `{action: Deny, to: [{domainNames: [a.example.com]}]}`), "peer 0: has domainNames in a rule that does not accept"},
		{"bad domain", out("p", "Admin", 1, `{action: Accept, to: [{domainNames: ["a.*.com"]}]}`), `"a.*.com" is not a domain name`},
		{"top domain", out("p", "Admin", 1, `{action: Accept, to: [{domainNames: [com]}]}`), `"com" is not a domain name`},
		{"no domains", out("p", "Admin", 1, `{action: Accept, to: [{domainNames: []}]}`), "has no domainNames"},
		{"empty protocols", in("p", "Admin", 1, `{action: Deny, from: [{namespaces: {}}], protocols: []}`), "has an empty list of protocols"},
		{"empty protocol", ruled(`{}`), "ingress[0]: protocol 0: has 0 fields: write exactly one of tcp, udp, sctp and destinationNamedPort"},
		{"two protocols", ruled(`{tcp: {destinationPort: {number: 1}}, destinationNamedPort: a}`), "protocol 0: has 2 fields"},
		{"no port", ruled(`{tcp: {}}`), "protocol 0: has no destinationPort"},
		{"number and range", ruled(`{udp: {destinationPort: {number: 1, range: {start: 1, end: 2}}}}`), "has a number and a range"},
		{"port too high", ruled(`{sctp: {destinationPort: {number: 65536}}}`), "port 65536 is out of range"},
		{"range of one", ruled(`{tcp: {destinationPort: {range: {start: 2, end: 2}}}}`), "range from 2 to 2 does not run upwards"},
		{"range from 0", ruled(`{tcp: {destinationPort: {range: {start: 0, end: 2}}}}`), "port 0 is out of range"},
		{"port name", ruled(`{destinationNamedPort: "80"}`), `"80" is not a port name`},
		{"port name and networks", out("p", "Admin", 1, `{action: Deny, to: [{networks: [10.0.0.0/8]}], protocols: [{destinationNamedPort: web}]}`), "has the port name web beside networks, nodes or domainNames"},
		{"long name", in("p", "Admin", 1, `{name: `+strings.Repeat("n", 101)+`, action: Deny, from: [{namespaces: {}}]}`), "has a name of 101 characters"},
		{"many rules", in("p", "Admin", 1, many(26, denyAll)), "has 26 ingress rules: write at most 25"},
		{"many peers", in("p", "Admin", 1, `{action: Deny, from: [`+many(26, `{namespaces: {}}`)+`]}`), "ingress[0]: has 26 peers"},
		{"many protocols", ruled(many(26, `{destinationNamedPort: a}`)), "ingress[0]: has 26 protocols"},
		{"many rules of an old kind", "AdminNetworkPolicy " + in("p", "Admin", 1, many(101, denyAll)), "has 101 ingress rules: write at most 100"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := oracle.New(under(grid(), c.policy))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v\nwant an error with %q", err, c.want)
			}
			if got := len(invalid(err)); got != 1 {
				t.Errorf("got %d problems, want 1: %v", got, err)
			}
		})
	}
	if o, err := oracle.New(under(grid(), in("p", "Admin", 1, many(25, denyAll)), "AdminNetworkPolicy "+in("p", "Admin", 1, many(100, denyAll)))); err != nil || o == nil {
		t.Errorf("got %v for policies at their limits", err)
	}
}

// ruled is a policy with protocols.
func ruled(protocols string) string {
	return in("p", "Admin", 1, `{action: Deny, from: [{namespaces: {}}], protocols: [`+protocols+`]}`)
}

func TestNewRefusesDoublesAndStrangeNames(t *testing.T) {
	t.Parallel()
	w := hosted(under(grid(), in("p", "Admin", 1, denyAll), in("p", "Baseline", 1, denyAll), "AdminNetworkPolicy "+in("p", "Admin", 1, denyAll)))
	w.ClusterPolicies = append(w.ClusterPolicies, oracle.ClusterPolicy{Origin: oracle.Origin{File: "e.yaml"}})
	w.Nodes = append(w.Nodes, oracle.Node{Name: "one"}, oracle.Node{})
	w.Pods = append(w.Pods, oracle.Pod{Name: "node/three"}, oracle.Pod{Name: "world/three"}, oracle.Pod{Name: "x/"})
	_, err := oracle.New(w)
	for _, want := range []string{
		"c1.yaml:1:1: ClusterNetworkPolicy p: is declared twice: rename or remove one, the first is at c0.yaml:1:1", "e.yaml: cluster policy: is empty",
		"node one: is there twice", "node: has no name", "pod node/three: is in a namespace that stands for something else", "pod world/three: is in a namespace", "pod x/: has no name",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant an error with %q", err, want)
		}
	}
	if got := len(invalid(err)); got != 7 {
		t.Errorf("got %d problems, want 7: %v", got, err)
	}
}
