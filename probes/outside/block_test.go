package outside_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/outside"
)

func TestBlocks(t *testing.T) {
	t.Parallel()
	both := []matrix.Family{matrix.IPv6, matrix.IPv4}
	for _, row := range []struct {
		name     string
		families []matrix.Family
		blocks   string
		taken    string
		want     string
	}{
		{"no block", both, "", "", "0.0.0.0/0=192.0.2.1 ::/0=2001:db8::1"},
		{"one family", both[:1], "{ipBlock: {cidr: 10.0.0.0/8}}, {ipBlock: {cidr: 'fd00::/8'}}", "", "::/0=2001:db8::1 fd00::/8=fd00::1"},
		{
			"one in another, which leaves its end", both[1:], "{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/9]}}", "",
			"0.0.0.0/0=192.0.2.1 10.0.0.0/8=10.128.0.0 10.0.0.0/9=10.0.0.1",
		},
		{
			"what is in it fills it", both[1:], "{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/9, 10.128.0.0/9]}}", "",
			"0.0.0.0/0=192.0.2.1 10.0.0.0/9=10.0.0.1 10.128.0.0/9=10.128.0.1",
		},
		{"the usual address is in a block", both[1:], "{ipBlock: {cidr: 192.0.2.0/24}}", "", "0.0.0.0/0=192.0.3.0 192.0.2.0/24=192.0.2.1"},
		{"the end of the world", both[1:], "{ipBlock: {cidr: 128.0.0.0/1}}", "", "0.0.0.0/0=0.0.0.0 128.0.0.0/1=128.0.0.1"},
		{"a pod has the address", both[1:], "{ipBlock: {cidr: 10.0.0.0/30}}", "10.0.0.1", "0.0.0.0/0=192.0.2.1 10.0.0.0/30=10.0.0.2"},
		{"a pod has the only address", both[1:], "{ipBlock: {cidr: 10.0.0.1/32}}", "10.0.0.1", "0.0.0.0/0=192.0.2.1"},
		{"a pod has all but the first", both[1:], "{ipBlock: {cidr: 10.0.0.0/31}}", "10.0.0.1", "0.0.0.0/0=192.0.2.1 10.0.0.0/31=10.0.0.0"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := world(t, from(row.blocks))
			if row.taken != "" {
				w.Pods = append(w.Pods, oracle.Pod{Name: "lab/taken-0", Addresses: []netip.Addr{netip.MustParseAddr(row.taken)}})
			}
			var got []string
			for _, b := range outside.Blocks(row.families, w) {
				got = append(got, fmt.Sprintf("%s=%s", b.CIDR, b.Address))
				if b.Name() != matrix.WorldEndpoint(b.CIDR.String()) || b.Endpoint() != matrix.WorldEndpoint(b.Address.String()) || (b.Family() == matrix.IPv4) != b.CIDR.Addr().Is4() {
					t.Errorf("%v is %s, %s, %s", b, b.Name(), b.Endpoint(), b.Family())
				}
			}
			if text := strings.Join(got, " "); text != row.want {
				t.Errorf("got %s, want %s", text, row.want)
			}
		})
	}
}

// Only what may be spoken to from inside, or by a cluster-wide policy's leave,
// counts: the beginnings of its ranges and their parts.
func TestPorts(t *testing.T) {
	t.Parallel()
	egress := func(rules string) string {
		return strings.ReplaceAll(from(""), "ports: [{port: http}, {port: metrics}]}]", "ports: [{port: 1}]}], egress: ["+rules+"]")
	}
	const canaries = "{ TCP 65000} { UDP 65000}"
	for _, row := range []struct {
		name   string
		worlds []string
		want   string
	}{
		{"no rule", []string{egress("")}, canaries},
		{"ends of ranges, where the undeclared one stands for what is beyond", []string{egress("{ports: [{port: 53, protocol: UDP}, {port: 8000, endPort: 8010}, {port: dns}]}, {}")}, "{ UDP 53} { TCP 8000} " + canaries},
		{"a range has a hole later", []string{egress("{ports: [{port: 8000, endPort: 9000}]}"), egress("{ports: [{port: 8000, endPort: 8500}, {port: 8600, endPort: 9000}]}")}, "{ TCP 8000} { TCP 8501} { TCP 8600} " + canaries},
		{"a range in another", []string{egress("{ports: [{port: 8000, endPort: 9000}]}, {ports: [{port: 8100, endPort: 8200}]}")}, "{ TCP 8000} { TCP 8100} " + canaries},
		{"the undeclared one is named", []string{egress("{ports: [{port: 1024, endPort: 65535}]}")}, "{ TCP 1} { TCP 1024} " + canaries},
		{"SCTP is left out later", []string{egress("{}"), egress("{ports: [{protocol: TCP}, {protocol: UDP}]}")}, canaries + " { SCTP 65000}"},
		{"SCTP is like UDP", []string{egress("{ports: [{protocol: TCP}]}")}, canaries},
		{
			"a cluster-wide policy names SCTP",
			[]string{strings.ReplaceAll(wide("{namespaces: {}}", "{namespaces: {}}"), "from: [{namespaces: {}}]", "from: [{namespaces: {}}], protocols: [{sctp: {destinationPort: {number: 9}}}]")},
			"{ SCTP 9} " + canaries + " { SCTP 65000}",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var worlds []oracle.World
			for _, policies := range row.worlds {
				worlds = append(worlds, world(t, policies))
			}
			if got := fmt.Sprint(outside.Ports([]uint16{65000}, worlds...)); got != "["+row.want+"]" {
				t.Errorf("got %s, want [%s]", got, row.want)
			}
		})
	}
}
