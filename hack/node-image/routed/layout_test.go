package main

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func node(name string, addresses []string, podCIDRs ...string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{PodCIDRs: podCIDRs}}
	for _, a := range addresses {
		n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: a})
	}
	return n
}

func TestLayoutOf(t *testing.T) {
	t.Parallel()
	a := node("a", []string{"172.18.0.2", "fc00::2"}, "10.244.0.0/24", "fd00:10:244::/64")
	b := node("b", []string{"172.18.0.3", "fc00::3"}, "10.244.1.0/24", "fd00:10:244:1::/64")
	for _, test := range []struct {
		name   string
		nodes  []*corev1.Node
		routes string
	}{
		{"dual stack", []*corev1.Node{b, a}, "10.244.1.0/24>172.18.0.3 fd00:10:244:1::/64>fc00::3"},
		{"alone", []*corev1.Node{a}, ""},
		{"no pod network yet", []*corev1.Node{a, node("b", []string{"172.18.0.3"})}, ""},
		{"no address of the family", []*corev1.Node{a, node("b", []string{"172.18.0.3"}, "fd00::/64")}, ""},
		{"network that does not parse", []*corev1.Node{a, node("b", []string{"172.18.0.3"}, "ten")}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, r := range layoutOf(test.nodes, "a").routes {
				got = append(got, r.to.String()+">"+r.via.String())
			}
			if s := strings.Join(got, " "); s != test.routes {
				t.Errorf("routes = %q, want %q", s, test.routes)
			}
		})
	}
}

func TestLayoutDoesNotDependOnOrder(t *testing.T) {
	t.Parallel()
	a := node("a", []string{"172.18.0.2"}, "10.244.0.0/24")
	b := node("b", []string{"172.18.0.3"}, "10.244.1.0/24")
	if x, y := layoutOf([]*corev1.Node{a, b}, "a"), layoutOf([]*corev1.Node{b, a}, "a"); !reflect.DeepEqual(x, y) {
		t.Errorf("%+v differs from %+v", x, y)
	}
}

func TestRulesetKeepsFamiliesApart(t *testing.T) {
	t.Parallel()
	got := ruleset(layout{
		local:  []netip.Prefix{netip.MustParsePrefix("10.244.0.0/24"), netip.MustParsePrefix("fd00::/64")},
		inside: []netip.Prefix{netip.MustParsePrefix("10.244.0.0/24"), netip.MustParsePrefix("fd00::/64")},
	})
	for _, line := range []string{
		"ip saddr 10.244.0.0/24 ip daddr != @inside4 masquerade",
		"ip6 saddr fd00::/64 ip6 daddr != @inside6 masquerade",
		"elements = { 10.244.0.0/24 }",
		"elements = { fd00::/64 }",
	} {
		if !strings.Contains(got, line) {
			t.Errorf("ruleset lacks %q:\n%s", line, got)
		}
	}
}
