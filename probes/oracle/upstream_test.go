package oracle_test

import "testing"

// TestUpstream holds the policies of the Kubernetes documentation and of its
// end-to-end tests; the number is that of the test in the case catalogue.
func TestUpstream(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		policies []string
		flows    want
	}{
		{"1 default deny ingress", []string{`x/p: {podSelector: {}, policyTypes: [Ingress]}`}, want{"y/a → x/a TCP/80": deny, "x/b → x/a UDP/80": deny, "x/a → y/a TCP/80": allow}},
		{"2 default deny all", []string{`x/p: {podSelector: {}, policyTypes: [Egress, Ingress]}`}, want{"y/a → x/a TCP/80": deny, "x/a → y/a TCP/80": deny, "x/a → x/b TCP/80": deny, "y/a → y/b TCP/80": allow}},
		{"4 a pod anywhere for a target", []string{`x/p: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{podSelector: {matchLabels: {pod: b}}, namespaceSelector: {}}]}]}`}, want{
			"x/b → x/a TCP/80": allow, "y/b → x/a TCP/80": allow, "y/c → x/a TCP/80": deny, "y/c → x/b TCP/80": allow,
		}},
		{"6 only another namespace", []string{`x/p: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}}]}]}`}, want{"x/b → x/a TCP/80": deny, "y/b → x/a TCP/80": allow, "z/b → x/a TCP/80": deny}},
		{"8 namespace expressions", []string{`x/p: {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: ns, operator: NotIn, values: [x]}]}}]}]}`}, want{"x/b → x/a TCP/80": deny, "y/b → x/a TCP/80": allow, "z/b → x/a TCP/80": allow}},
		{"11 several selectors of both kinds", []string{`x/p: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{
			namespaceSelector: {matchExpressions: [{key: ns, operator: NotIn, values: [x]}]}, podSelector: {matchExpressions: [{key: pod, operator: In, values: [b, c]}]}}]}]}`}, want{
			"y/a → x/a TCP/80": deny, "y/b → x/a TCP/80": allow, "z/c → x/a TCP/80": allow, "x/b → x/a TCP/80": deny,
		}},
		{"15 stacked policies with overlapping selectors", []string{
			`x/p: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}}], ports: [{port: 80}]}]}`,
			`x/q: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}}], ports: [{port: 81}]}]}`,
		}, want{"y/a → x/a TCP/80": allow, "y/a → x/a TCP/81": allow, "y/a → x/a TCP/82": deny, "z/a → x/a TCP/81": deny}},
		{"19 egress on one named port", []string{`x/p: {podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress], egress: [{ports: [{port: serve-80-tcp}]}]}`}, want{"x/a → y/a TCP/80": allow, "x/a → y/a TCP/81": deny}},
		{"27 ingress and egress together", []string{`x/p: {podSelector: {matchLabels: {pod: a}}, policyTypes: [Ingress, Egress], ingress: [{ports: [{port: 80}]}], egress: [{ports: [{port: 80}]}]}`}, want{
			"x/a → y/a TCP/80": allow, "x/a → y/a TCP/81": deny, "y/a → x/a TCP/80": allow, "y/a → x/a TCP/81": deny,
		}},
		{"28 denied egress although the server allows", []string{
			`x/p: {podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {pod: b}}}]}]}`,
			`y/q: {podSelector: {}, ingress: [{}]}`,
		}, want{"x/a → y/a TCP/80": deny, "x/a → x/b TCP/80": allow}},
		{"31 allow-all beside deny-all", []string{`x/p: {podSelector: {}, policyTypes: [Ingress]}`, `x/q: {podSelector: {}, ingress: [{}]}`}, want{"y/a → x/a TCP/80": allow}},
		{"38 39 SCTP policy", []string{`x/p: {podSelector: {}, ingress: [{ports: [{port: 80, protocol: SCTP}]}]}`}, want{"y/a → x/a TCP/80": deny, "y/a → x/a SCTP/80": allow}},
		{"40 TCP where only UDP is named", []string{`x/p: {podSelector: {}, ingress: [{ports: [{port: 80, protocol: UDP}]}]}`}, want{"y/a → x/a TCP/80": deny, "y/a → x/a UDP/80": allow}},
		{"42 expressions over the default namespace label", []string{`x/p: {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [x]}]}}]}]}`}, want{"x/b → x/a TCP/80": deny, "y/b → x/a TCP/80": allow}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			check(t, grid(c.policies...), c.flows)
		})
	}
}
