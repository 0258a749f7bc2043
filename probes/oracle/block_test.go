package oracle_test

import (
	"net/netip"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// blockRows are about addresses, asked where they are known, where they are
// not, and where only those of IPv4 are. Pod i of the grid (x/a is 1, x/b 2, y/a
// 4, z/a 7) has 10.0.0.i and fd00::i.
func blockRows() []row {
	from := func(peers string) []string {
		return []string{`x/p: {podSelector: {}, ingress: [{from: [` + peers + `]}]}`}
	}
	var rows []row
	for _, c := range []struct {
		name            string
		policies        []string
		known, offline  want
		withoutIPv6Also want
	}{
		{
			"27 a block fits a pod's address", from(`{ipBlock: {cidr: 10.0.0.4/32}}`),
			want{"y/a → x/a TCP/80": allow, "y/b → x/a TCP/80": deny},
			want{"y/a → x/a TCP/80": undefined, "y/a → x/a TCP/80 ipv6": deny},
			nil,
		},
		{
			"34 host bits are ignored", from(`{ipBlock: {cidr: 10.0.0.6/30}}`),
			want{"y/a → x/a TCP/80": allow, "z/a → x/a TCP/80": allow, "x/b → x/a TCP/80": deny},
			nil, nil,
		},
		{
			"33 all of IPv4 says nothing about IPv6", from(`{ipBlock: {cidr: 0.0.0.0/0}}`),
			want{"y/a → x/a TCP/80": allow, "y/a → x/a TCP/80 ipv6": deny},
			want{"y/a → x/a TCP/80": allow, "y/a → x/a TCP/80 ipv6": deny},
			nil,
		},
		{
			"33 all of IPv6 says nothing about IPv4", from(`{ipBlock: {cidr: "::/0"}}`),
			want{"y/a → x/a TCP/80": deny, "y/a → x/a TCP/80 ipv6": allow},
			want{"y/a → x/a TCP/80": deny, "y/a → x/a TCP/80 ipv6": allow},
			nil,
		},
		{
			"33 IPv6 block", from(`{ipBlock: {cidr: "fd00::4/126"}}`),
			want{"y/a → x/a TCP/80 ipv6": allow, "x/b → x/a TCP/80 ipv6": deny, "y/a → x/a TCP/80": deny},
			want{"y/a → x/a TCP/80 ipv6": undefined},
			want{"y/a → x/a TCP/80 ipv6": undefined, "y/a → x/a TCP/80": deny},
		},
		{
			"07 except narrows its block", from(`{ipBlock: {cidr: 10.0.0.0/24, except: [10.0.0.4/32]}}`),
			want{"y/a → x/a TCP/80": deny, "y/b → x/a TCP/80": allow},
			want{"y/a → x/a TCP/80": undefined},
			nil,
		},
		{
			"07 a block that leaves all of itself out, in parts", from(`{ipBlock: {cidr: 0.0.0.0/0, except: [128.0.0.0/1, 0.0.0.0/2, 64.0.0.0/2]}}, {ipBlock: {cidr: "::/0", except: ["::/1", "8000::/1"]}}`),
			want{"y/a → x/a TCP/80": deny, "y/a → x/a TCP/80 ipv6": deny},
			want{"y/a → x/a TCP/80": deny, "y/a → x/a TCP/80 ipv6": deny},
			nil,
		},
		{
			"07 a block that leaves all but one address out", from(`{ipBlock: {cidr: 10.0.0.4/30, except: [10.0.0.5/32, 10.0.0.6/31]}}`),
			want{"y/a → x/a TCP/80": allow, "y/b → x/a TCP/80": deny},
			want{"y/a → x/a TCP/80": undefined, "y/b → x/a TCP/80": undefined},
			nil,
		},
		{
			"07 except does not deny what another rule allows",
			[]string{
				`x/p: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.4/32]}}]}, {from: [{namespaceSelector: {matchLabels: {ns: "y"}}}]}]}`,
			},
			want{"y/a → x/a TCP/80": allow},
			want{"y/a → x/a TCP/80": allow, "z/a → x/a TCP/80": undefined},
			nil,
		},
		{
			"08 an address in the except of one block and in another block", from(`{ipBlock: {cidr: 10.0.0.0/24, except: [10.0.0.4/32]}}, {ipBlock: {cidr: 10.0.0.4/32}}`),
			want{"y/a → x/a TCP/80": allow},
			want{"y/a → x/a TCP/80": undefined},
			nil,
		},
		{
			"27 an address that another rule's port misses stays denied",
			[]string{`x/p: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 80}]}]}`},
			want{"y/a → x/a TCP/81": deny, "y/a → x/a TCP/80": allow},
			want{"y/a → x/a TCP/81": deny, "y/a → x/a TCP/80": undefined},
			nil,
		},
		{
			"27 a selector decides where the block is open", from(`{ipBlock: {cidr: 10.0.0.0/8}}, {podSelector: {}}`),
			nil,
			want{"x/b → x/a TCP/80": allow, "y/a → x/a TCP/80": undefined},
			nil,
		},
		{
			"20 named port at a block, ingress: the receiver has the name",
			[]string{`x/p: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: serve-80-tcp}]}]}`},
			want{"y/a → x/a TCP/80": allow, "y/a → x/a TCP/81": deny},
			nil, nil,
		},
		{
			"20 named port at a block, egress: nobody says whose name",
			[]string{`x/p: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: serve-80-tcp}]}]}`},
			want{"x/a → y/a TCP/80": undefined, "x/a → y/a TCP/81": deny},
			nil, nil,
		},
		{
			"20 a number beside the name decides",
			[]string{`x/p: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: serve-80-tcp}, {port: 80}]}]}`},
			want{"x/a → y/a TCP/80": allow},
			nil, nil,
		},
	} {
		if c.known != nil {
			rows = append(rows, row{c.name, addressed(grid(c.policies...)), c.known})
		}
		if c.offline != nil {
			rows = append(rows, row{c.name + ", addresses unknown", grid(c.policies...), c.offline})
		}
		if c.withoutIPv6Also != nil {
			only4 := addressed(grid(c.policies...))
			for i := range only4.Pods {
				only4.Pods[i].Addresses = only4.Pods[i].Addresses[:1]
			}
			rows = append(rows, row{c.name + ", no IPv6 addresses", only4, c.withoutIPv6Also})
		}
	}
	return append(rows, networkRows()...)
}

// networkRows are about addresses of which no more is known than the networks.
func networkRows() []row {
	in := func(block string, networks ...string) oracle.World {
		w := grid(`x/p: {podSelector: {}, ingress: [{from: [{ipBlock: ` + block + `}]}]}`)
		for _, n := range networks {
			w.PodNetworks = append(w.PodNetworks, netip.MustParsePrefix(n))
		}
		return w
	}
	const pods = "10.244.0.0/16"
	known := in(`{cidr: 10.0.0.4/32}`, "10.1.0.0/16")
	out := tweak(grid(`x/p: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 203.0.113.0/24}}]}]}`), "y/a", func(p *oracle.Pod) { p.HostNetwork = true })
	out.PodNetworks = []netip.Prefix{netip.MustParsePrefix(pods)}
	var rows []row
	for _, c := range []struct {
		name  string
		world oracle.World
		want  want
	}{
		{"apart from a block", in(`{cidr: 203.0.113.0/24}`, pods), want{"y/a → x/a TCP/80": deny}},
		{"inside of a block", in(`{cidr: 10.0.0.0/8}`, pods), want{"y/a → x/a TCP/80": allow}},
		{"around a block", in(`{cidr: 10.244.1.0/24}`, pods), want{"y/a → x/a TCP/80": undefined}},
		{"excepted", in(`{cidr: 10.0.0.0/8, except: [10.244.0.0/15]}`, pods), want{"y/a → x/a TCP/80": deny}},
		{"excepted in part", in(`{cidr: 10.0.0.0/8, except: [10.244.1.0/24]}`, pods), want{"y/a → x/a TCP/80": undefined}},
		{"one in a block and one not", in(`{cidr: 10.0.0.0/8}`, pods, "192.168.0.0/16"), want{"y/a → x/a TCP/80": undefined}},
		{"of the other family", in(`{cidr: "fd00::/8"}`, pods), want{"y/a → x/a TCP/80 ipv6": undefined, "y/a → x/a TCP/80": deny}},
		{"of pods, asked from outside", in(`{cidr: 203.0.113.0/24}`, pods), want{"world/203.0.113.7 → x/a TCP/80": allow, "world/10.244.0.1 → x/a TCP/80": deny}},
		{"and an address that is known", addressed(known), want{"y/a → x/a TCP/80": allow, "y/b → x/a TCP/80": deny}},
		{"and a pod in its node's network", out, want{"x/a → y/a TCP/80": undefined, "x/a → y/b TCP/80": deny}},
	} {
		rows = append(rows, row{"27 a network of pods " + c.name, c.world, c.want})
	}
	return rows
}

func TestAPodSpeaksFromItsFirstAddress(t *testing.T) {
	t.Parallel()
	w := tweak(grid(`x/p: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/24}}]}]}`, `z/p: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.1.0/24}}]}]}`), "y/a", func(p *oracle.Pod) {
		p.Addresses = []netip.Addr{netip.MustParseAddr("fd00::4"), netip.MustParseAddr("10.0.0.4"), netip.MustParseAddr("10.0.1.4")}
	})
	check(t, w, want{"y/a → x/a TCP/80": allow, "y/a → z/a TCP/80": deny})
}

func TestMappedAddressesAreIPv4(t *testing.T) {
	t.Parallel()
	w := tweak(grid(`x/p: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/24}}]}]}`), "y/a", func(p *oracle.Pod) {
		p.Addresses = []netip.Addr{netip.MustParseAddr("::ffff:10.0.0.4")}
	})
	check(t, w, want{"y/a → x/a TCP/80": allow})
}

func TestTheFirstOpenQuestionIsTheReason(t *testing.T) {
	t.Parallel()
	o := mustNew(t, grid(`x/p: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.1.0.0/16}}, {ipBlock: {cidr: 10.2.0.0/16}}]}, {from: [{ipBlock: {cidr: 10.3.0.0/16}}]}]}`))
	d := o.Decide(mustFlow(t, "y/a → x/a TCP/80"))
	const want = "ipBlock 10.1.0.0/16 depends on the address of y/a, which is known only on a running cluster"
	if d.Reason != want || d.Ingress.Reason != want || refs(d.Ingress) != "x/p rule 0 (0.yaml:10:5)" {
		t.Errorf("got %q by %s, want %q by rule 0", d.Reason, refs(d.Ingress), want)
	}
	twice := tweak(grid(`x/p: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.1.0.0/16}}], ports: [{port: web}]}]}`), "x/a", func(p *oracle.Pod) {
		p.Ports = []oracle.Port{{Name: "web", Protocol: matrix.TCP, Port: 80}, {Name: "web", Protocol: matrix.TCP, Port: 81}}
	})
	if d := mustNew(t, twice).Decide(mustFlow(t, "y/a → x/a TCP/80")); d.Intent != undefined || d.Reason != want {
		t.Errorf("got %s, %q, want the peer's question first", d.Intent, d.Reason)
	}
}
