package oracle_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/oracle"
)

// lines writes steps one by line: "* Tier policy Action fits: why", with a star
// where the step decides.
func lines(steps []oracle.Step) string {
	var b strings.Builder
	for _, s := range steps {
		star, fits := " ", "-"
		if s.Decides {
			star = "*"
		}
		if s.Fits {
			fits = "fits"
		}
		name := s.Rule.Policy
		if s.Rule.Rule >= 0 {
			name += fmt.Sprintf("[%d]", s.Rule.Rule)
		}
		fmt.Fprintf(&b, "%s %s %s %s %s: %s\n", star, s.Tier, name, s.Action, fits, s.Why)
	}
	return b.String()
}

// guarded is a world with policies of every tier over x/a.
func guarded() oracle.World {
	return under(addressed(grid(
		`x/b: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}, podSelector: {}}], ports: [{port: serve-81-tcp}, {port: 90, endPort: 92}]}, {from: [{ipBlock: {cidr: 10.0.0.0/24, except: [10.0.0.4/30]}}]}]}`,
		`x/a: {podSelector: {}}`,
	)),
		in("guard", "Admin", 5, `{action: Deny, from: [{pods: {namespaceSelector: {}, podSelector: {matchLabels: {pod: c}}}}]}, {action: Pass, from: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {number: 81}}}, {destinationNamedPort: nobody}]}`),
		in("unknown", "Admin", 4, `{action: Accept, from: [{}]}`),
		in("last", "Baseline", 1, denyAll),
		`out: {tier: Admin, priority: 1, subject: {namespaces: {matchLabels: {ns: "y"}}}, egress: [{action: Accept, to: [{networks: [192.0.2.0/24, 10.0.0.0/29]}]}]}`,
	)
}

func TestExplain(t *testing.T) {
	t.Parallel()
	o := mustNew(t, guarded())
	for _, c := range []struct{ flow, egress, ingress string }{
		{"y/a → x/a TCP/81", `
* Admin out[0] Accept fits: x/a is one of: addresses of 192.0.2.0/24, 10.0.0.0/29; on every port
  default  Allow fits: policies decide
`, `
  Admin unknown[0] Accept -: peer 0 is empty or of a kind that this version does not know: the rule fits nothing
  Admin guard[0] Deny -: y/a is none of: pods with pod=c of all namespaces
  Admin guard[1] Pass fits: y/a is one of: all pods of all namespaces; and TCP/81 is one of: TCP/81, nobody (which the receiver has not)
  NetworkPolicy x/a Deny fits: it isolates x/a for ingress, and none of its rules allows the flow
* NetworkPolicy x/b[0] Allow fits: y/a is one of: all pods of namespaces with ns=y; and TCP/81 is one of: TCP/serve-81-tcp (TCP/81 there), TCP/90 to 92
  NetworkPolicy x/b[1] Allow -: y/a is none of: addresses of 10.0.0.0/24 except 10.0.0.4/30
  NetworkPolicy x/b Deny -: it isolates x/a for ingress, and a rule of it allows the flow
  Baseline last[0] Deny fits: y/a is one of: all pods of all namespaces; on every port
  default  Allow fits: policies decide
`},
		{"y/a → x/a TCP/80", `
* Admin out[0] Accept fits: x/a is one of: addresses of 192.0.2.0/24, 10.0.0.0/29; on every port
  default  Allow fits: policies decide
`, `
  Admin unknown[0] Accept -: peer 0 is empty or of a kind that this version does not know: the rule fits nothing
  Admin guard[0] Deny -: y/a is none of: pods with pod=c of all namespaces
  Admin guard[1] Pass -: y/a fits, but TCP/80 is none of: TCP/81, nobody (which the receiver has not)
* NetworkPolicy x/a Deny fits: it isolates x/a for ingress, and none of its rules allows the flow
  NetworkPolicy x/b[0] Allow -: y/a fits, but TCP/80 is none of: TCP/serve-81-tcp (TCP/81 there), TCP/90 to 92
  NetworkPolicy x/b[1] Allow -: y/a is none of: addresses of 10.0.0.0/24 except 10.0.0.4/30
* NetworkPolicy x/b Deny fits: it isolates x/a for ingress, and none of its rules allows the flow
  Baseline last[0] Deny fits: y/a is one of: all pods of all namespaces; on every port
  default  Allow fits: policies decide
`},
		{"x/b → z/b UDP/81", `
* default  Allow fits: no policy isolates x/b for egress
`, `
* default  Allow fits: no policy isolates z/b for ingress
`},
		{"x/a → x/a TCP/80", "\n", "\n"},
		{"x/a → world/192.0.2.7 TCP/80", `
* default  Allow fits: no policy isolates x/a for egress
`, "\n"},
		{"x/a → nobody/a TCP/80", "\n", "\n"},
	} {
		e := o.Explain(mustFlow(t, c.flow))
		if got := "\n" + lines(e.Egress); got != c.egress {
			t.Errorf("%s: egress: got%s\nwant%s", c.flow, got, c.egress)
		}
		if got := "\n" + lines(e.Ingress); got != c.ingress {
			t.Errorf("%s: ingress: got%s\nwant%s", c.flow, got, c.ingress)
		}
		if e.Flow != mustFlow(t, c.flow) || e.Decision.Intent != o.Decide(e.Flow).Intent {
			t.Errorf("%s: the explanation is of %s and says %s", c.flow, e.Flow, e.Decision.Intent)
		}
	}
}

func TestExplainWhatIsOpen(t *testing.T) {
	t.Parallel()
	o := mustNew(t, serving(under(onHost(hosted(grid(
		`x/p: {podSelector: {matchLabels: {pod: a}}, ingress: [{ports: [{port: 1}]}, {from: [{podSelector: {}}, {namespaceSelector: {matchExpressions: [{key: ns, operator: NotIn, values: ["y"]}]}}]}]}`,
	)), "z/c"), `out: {tier: Admin, priority: 1, subject: {namespaces: {matchLabels: {ns: "y"}}}, egress: [{action: Accept, to: [{domainNames: [a.example.com]}, {nodes: {matchLabels: {node: one}}}]}, {action: Deny, to: [{networks: [203.0.113.7/32]}, {nodes: {}}]}]}`)))
	for _, c := range []struct{ flow, egress, ingress string }{
		{"y/b → world/203.0.113.7 TCP/443", `
* Admin out[0] Accept -: whether the domain names a.example.com lead to world/203.0.113.7 is known only once they are resolved
  Admin out[1] Deny fits: world/203.0.113.7 is one of: addresses of 203.0.113.7/32, or all nodes; on every port
  default  Allow fits: policies decide
`, "\n"},
		{"y/b → node/two TCP/443", `
* Admin out[0] Accept -: whether the domain names a.example.com lead to node/two is known only once they are resolved
  Admin out[1] Deny fits: node/two is one of: addresses of 203.0.113.7/32, or all nodes; on every port
  default  Allow fits: policies decide
`, "\n"},
		{"z/c → x/web TCP/80 service", `
* default  Allow fits: no policy isolates z/c for egress
`, `
  NetworkPolicy x/p[0] Allow -: z/c fits, but TCP/80 is none of: TCP/1
* NetworkPolicy x/p[1] Allow -: z/c shares its node's network, and the specification leaves open whether a selector fits it
  NetworkPolicy x/p Deny -: it isolates x/a for ingress, and a rule of it may or may not allow the flow
  default  Allow fits: policies decide
`},
	} {
		e := o.Explain(mustFlow(t, c.flow))
		if got := "\n" + lines(e.Egress); got != c.egress {
			t.Errorf("%s: egress: got%s\nwant%s", c.flow, got, c.egress)
		}
		if got := "\n" + lines(e.Ingress); got != c.ingress {
			t.Errorf("%s: ingress: got%s\nwant%s", c.flow, got, c.ingress)
		}
		if e.Decision.Intent != undefined {
			t.Errorf("%s: got %s, want it open", c.flow, e.Decision.Intent)
		}
	}
}
