package cli

import (
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
)

// A flow may be written in many ways, and a SCENARIO may follow.
func TestQuestion(t *testing.T) {
	t.Parallel()
	want := matrix.Flow{From: "shop/web", To: "shop/db", Protocol: matrix.TCP, Port: 5432}
	udp, world, service := want, want, want
	udp.Protocol = matrix.UDP
	world.To, world.Port, world.Family = "world/2001:db8::7", 443, matrix.IPv6
	service.Way, service.Family = matrix.ServiceIP, matrix.IPv6
	for _, row := range []struct {
		args   []string
		want   matrix.Flow
		target string
	}{
		{[]string{"shop/web", "shop/db:5432"}, want, ""},
		{[]string{"shop/web", "shop/db:5432", "deploy/"}, want, "deploy/"},
		{[]string{"shop/web->shop/db:5432"}, want, ""},
		{[]string{"shop/web->shop/db:5432", "deploy/"}, want, "deploy/"},
		{[]string{" shop/web → shop/db:5432 "}, want, ""},
		{[]string{"shop/web -> shop/db TCP/5432"}, want, ""},
		{[]string{"shop/web", "shop/db:5432/udp"}, udp, ""},
		{[]string{"shop/web->shop/db:UDP/5432"}, udp, ""},
		{[]string{"shop/web", "world/2001:db8::7:443"}, world, ""},
		{[]string{"shop/web → shop/db TCP/5432 service ipv6", "."}, service, "."},
	} {
		q, target, err := questionOf("verb", row.args)
		if err != nil || target != row.target {
			t.Errorf("%q: scenario %q, %v", row.args, target, err)
			continue
		}
		got := matrix.Flow{From: matrix.Endpoint(q.from), To: matrix.Endpoint(q.to), Way: q.way, Family: q.family}
		if got.Protocol, got.Port, err = portOf(q.port, nil); err != nil || got != row.want {
			t.Errorf("%q: %v, %v; want %v", row.args, got, err, row.want)
		}
	}
	for _, row := range []struct {
		args []string
		want string
	}{
		{nil, "verb needs FROM and TO:PORT"},
		{[]string{"shop/web"}, "verb needs FROM and TO:PORT"},
		{[]string{"shop/web", "shop/db"}, `"shop/db" names no port`},
		{[]string{"shop/web->shop/db"}, `"shop/db" names no port`},
		{[]string{"shop/web->shop/db TCP"}, "is not PROTOCOL/PORT"},
		{[]string{"shop/web", "shop/db:1", "a", "b"}, "not 4 arguments"},
		{[]string{"world/10.0.0.300", "shop/db:1"}, "want world/ADDRESS"},
	} {
		if _, _, err := questionOf("verb", row.args); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%q: %v, want %s", row.args, err, row.want)
		}
	}
	for _, word := range []string{"", "0", "70000", "80/ICMP", "/53", "http"} {
		if _, port, err := portOf(word, nil); err == nil {
			t.Errorf("%q is taken for %d", word, port)
		}
	}
}
