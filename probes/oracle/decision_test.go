package oracle_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

func TestStrangersAndMalformedFlowsAreUndefined(t *testing.T) {
	t.Parallel()
	w := tweak(hosted(grid()), "z/a", func(p *oracle.Pod) {
		p.HostNetwork, p.Addresses = true, []netip.Addr{netip.MustParseAddr("192.168.0.1")}
	})
	w = tweak(w, "z/b", func(p *oracle.Pod) {
		p.HostNetwork, p.Addresses = true, []netip.Addr{netip.MustParseAddr("192.168.0.9")}
	})
	w.Services = append(w.Services,
		oracle.Service{Name: "x/web", Addresses: []netip.Addr{netip.MustParseAddr("10.96.0.10"), netip.MustParseAddr("::ffff:203.0.113.5"), netip.MustParseAddr("192.168.0.2")}},
		oracle.Service{Name: "x/also", Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.5"), netip.MustParseAddr("fd00:96::1")}})
	o := mustNew(t, w)
	for _, c := range []struct {
		flow matrix.Flow
		want string
	}{
		{matrix.Flow{From: "x/nobody", To: "x/a", Protocol: matrix.TCP, Port: 80}, "x/nobody is not a pod or node of this world"},
		{matrix.Flow{From: "x/a", To: "node/nowhere", Protocol: matrix.TCP, Port: 80}, "node/nowhere is not a pod or node"},
		{matrix.Flow{From: "x/a", To: "x/web", Protocol: matrix.TCP, Port: 80}, `x/web is a Service, and a flow to it goes by the way "service"`},
		{matrix.Flow{From: "x/a", To: "x/b", Protocol: matrix.TCP, Port: 80, Way: matrix.ServiceIP}, "x/b is not a Service"},
		{matrix.Flow{From: "world/example.com", To: "x/a", Protocol: matrix.TCP, Port: 80}, "names no address"},
		{matrix.Flow{From: "x/a", To: "world/10.0.0.2", Protocol: matrix.TCP, Port: 80}, "10.0.0.2 is the address of x/b: ask about that"},
		{matrix.Flow{From: "x/a", To: "world/::ffff:192.168.0.1", Protocol: matrix.TCP, Port: 80}, "192.168.0.1 is the address of node/one"},
		{matrix.Flow{From: "x/a", To: "world/192.168.0.9", Protocol: matrix.TCP, Port: 80}, "192.168.0.9 is the address of z/b: ask about that"},
		{matrix.Flow{From: "x/a", To: "world/192.168.0.2", Protocol: matrix.TCP, Port: 80}, "192.168.0.2 is the address of node/two: ask about that"},
		{matrix.Flow{From: "x/a", To: "world/10.96.0.10", Protocol: matrix.TCP, Port: 80}, `10.96.0.10 is the address of Service x/web: ask about that by the way "service"`},
		{matrix.Flow{From: "x/a", To: "world/203.0.113.5", Protocol: matrix.TCP, Port: 80}, "203.0.113.5 is the address of Service x/web"},
		{matrix.Flow{From: "x/a", To: "world/fd00:96::1", Protocol: matrix.TCP, Port: 80, Family: matrix.IPv6}, "fd00:96::1 is the address of Service x/also"},
		{matrix.Flow{From: "world/10.96.0.10", To: "x/a", Protocol: matrix.TCP, Port: 80}, "10.96.0.10 is the address of Service x/web"},
		{matrix.Flow{From: "x/a", To: "world/2001:db8::1", Protocol: matrix.TCP, Port: 80}, "2001:db8::1 is no ipv4 address"},
		{matrix.Flow{From: "x/a", To: "x/b", Port: 80}, "a flow needs a protocol"},
		{matrix.Flow{From: "x/a", To: "x/b", Protocol: matrix.TCP}, "a port from 1 to 65535"},
		{matrix.Flow{From: "x/a", To: "x/b", Protocol: matrix.ICMP, Port: 80}, "ICMP has none"},
		{matrix.Flow{From: "x/a", To: "x/web", Protocol: matrix.ICMP, Way: matrix.ServiceIP}, "Service x/web forwards ports, and ICMP has none"},
		{matrix.Flow{From: "x/a", To: "x/b", Protocol: matrix.TCP, Port: 80, Family: 7}, "a known IP family"},
		{matrix.Flow{From: "x/a", To: "x/b", Protocol: 7, Port: 80}, "a flow needs a protocol"},
	} {
		if d := o.Decide(c.flow); d.Intent != undefined || !strings.Contains(d.Reason, c.want) {
			t.Errorf("%v: got %+v, want Undefined because %s", c.flow, d, c.want)
		}
	}
}

func TestDecidingRules(t *testing.T) {
	t.Parallel()
	o := mustNew(t, grid(
		`x/z-last: {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}`,
		`x/a-first: {podSelector: {}, ingress: [{ports: [{port: 1}]}, {from: [{podSelector: {matchLabels: {pod: b}}}], ports: [{port: 80}]}]}`,
		`y/out: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {ns: x}}}]}]}`,
	))
	for _, c := range []struct{ flow, egress, ingress string }{
		{"x/b → x/a TCP/80", "", "x/a-first rule 1 (1.yaml:11:5)"},
		{"x/b → x/a TCP/81", "", "x/z-last rule 0 (0.yaml:10:5)"},
		{"y/a → x/a TCP/81", "y/out rule 0 (2.yaml:20:5)", "x/a-first (1.yaml:1:1) x/z-last (0.yaml:1:1)"},
		{"y/a → z/a TCP/80", "y/out (2.yaml:1:1)", ""},
	} {
		d := o.Decide(mustFlow(t, c.flow))
		if got := refs(d.Egress); got != c.egress {
			t.Errorf("%s: egress decided by %q, want %q", c.flow, got, c.egress)
		}
		if got := refs(d.Ingress); got != c.ingress {
			t.Errorf("%s: ingress decided by %q, want %q", c.flow, got, c.ingress)
		}
		if d.Egress.Isolated != (c.egress != "") || d.Ingress.Isolated != (c.ingress != "") {
			t.Errorf("%s: Isolated does not say whether a policy selects the pod: %+v", c.flow, d)
		}
	}
	d := o.Decide(mustFlow(t, "x/b → x/a TCP/9"))
	if d.Intent != allow {
		t.Fatalf("x/b → x/a TCP/9: %+v", d)
	}
	d = o.Decide(mustFlow(t, "y/a → x/a TCP/81"))
	for _, part := range []string{"x/a is isolated for ingress by x/a-first, x/z-last", "no rule allows TCP/81 from y/a", "x/a-first rule 0 fits the pods but not the port"} {
		if !strings.Contains(d.Ingress.Reason, part) {
			t.Errorf("reason %q lacks %q", d.Ingress.Reason, part)
		}
	}
}

func TestReasonOfADenyNamesANearMissOnlyWhereThereIsOne(t *testing.T) {
	t.Parallel()
	o := mustNew(t, grid(`x/p: {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}], ports: [{port: 80}]}]}`))
	near := o.Decide(mustFlow(t, "x/b → x/a TCP/81")).Ingress.Reason
	far := o.Decide(mustFlow(t, "x/c → x/a TCP/80")).Ingress.Reason
	const miss = "x/p rule 0 fits the pods but not the port"
	if !strings.Contains(near, miss) || strings.Contains(far, miss) {
		t.Errorf("got %q and %q, want the near miss in the first only", near, far)
	}
}

func refs(h oracle.Half) string {
	var all []string
	for _, r := range h.By {
		all = append(all, r.String())
	}
	return strings.Join(all, " ")
}
