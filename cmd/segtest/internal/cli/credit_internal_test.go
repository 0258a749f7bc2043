package cli

import (
	"testing"

	"github.com/segtest/segtest/fixtures/revision"
	"github.com/segtest/segtest/probes/matrix"
)

// A rule is all of its lines, and none of the next rule.
func TestExtent(t *testing.T) {
	t.Parallel()
	const text = `# comment
kind: NetworkPolicy
spec:
  ingress:
  - from:
    - podSelector: {}

    ports: [{port: 80}]
    # of this rule
  - ports: [{port: 81}]
  egress: []
---
kind: Other
`
	for _, row := range []struct {
		name         string
		line, column int
		want         revision.Span
	}{
		{"a rule", 5, 5, revision.Span{First: 5, Last: 9}},
		{"the next rule", 10, 5, revision.Span{First: 10, Last: 10}},
		{"a policy", 2, 1, revision.Span{First: 2, Last: 11}},
		{"the last document", 13, 1, revision.Span{First: 13, Last: 13}},
	} {
		if got := extent([]byte(text), row.line, row.column); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
}

func TestFlowOf(t *testing.T) {
	t.Parallel()
	want := matrix.Flow{From: "shop/web", To: "shop/db", Protocol: matrix.TCP, Port: 5432}
	udp, world := want, want
	udp.Protocol = matrix.UDP
	world.To, world.Port = "world/2001:db8::7", 443
	service := want
	service.Way = matrix.ServiceIP
	for text, want := range map[string]matrix.Flow{
		"shop/web->shop/db:5432":               want,
		" shop/web → shop/db:5432 ":            want,
		"shop/web -> shop/db TCP/5432":         want,
		"shop/web->shop/db:5432/udp":           udp,
		"shop/web->world/2001:db8::7:443":      world,
		"shop/web → shop/db TCP/5432 service":  service,
		"shop/web->shop/db   tcp/5432 service": service,
	} {
		if got, err := flowOf(text); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "shop/web", "shop/web->shop/db", "shop/web->shop/db:0", "shop/web->shop/db:70000", "shop/web->shop/db:80/ICMP"} {
		if got, err := flowOf(text); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}
