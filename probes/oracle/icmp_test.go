package oracle_test

import "testing"

// icmpRows are about the protocol that NetworkPolicies cannot name.
func icmpRows() []row {
	ping := func(y, z int) want { return want{"y/a → x/a ICMP": intents[y], "z/a → x/a ICMP": intents[z]} }
	const port80 = `, protocols: [{tcp: {destinationPort: {number: 80}}}, {destinationNamedPort: serve-80-tcp}]}`
	return []row{
		{"25 where nothing selects, ICMP passes", grid(), ping(1, 1)},
		{"25 NetworkPolicies that deny all say nothing of ICMP", grid(isolateX), ping(2, 2)},
		{"25 NetworkPolicies that allow all say nothing of ICMP", grid(openX), want{
			"y/a → x/a ICMP": undefined, "x/a → y/a ICMP": allow, "y/a → z/a ICMP": allow, "x/a → x/a ICMP": allow,
		}},
		{"25 nor do those of the sender", grid(`x/p: {podSelector: {}, policyTypes: [Egress], egress: [{}]}`), want{"x/a → y/a ICMP": undefined, "y/a → x/a ICMP": allow}},
		{"25 the other end may deny it all the same", under(grid(`y/p: {podSelector: {}, policyTypes: [Egress]}`), in("p", "Admin", 1, denyY)), ping(0, 1)},
		{"25 networks hold for ICMP, in one family", under(addressed(grid()), out("p", "Admin", 1, `{action: Deny, to: [{networks: [0.0.0.0/0]}]}`)), want{
			"x/a → y/a ICMP": deny, "x/a → world/203.0.113.7 ICMP": deny, "x/a → y/a ICMP ipv6": allow,
		}},
		{"25 Admin decides before NetworkPolicies", under(grid(isolateX), in("p", "Admin", 1, acceptY)), ping(1, 2)},
		{"25 what Admin passes on is as open as without it", under(grid(openX), in("p", "Admin", 1, passY+","+denyAll)), ping(2, 0)},
		{"25 Baseline decides where no NetworkPolicy selects", under(grid(), in("p", "Baseline", 1, denyY)), ping(0, 1)},
		{"25 Baseline does not where one selects", under(grid(isolateX), in("p", "Baseline", 1, denyY)), ping(2, 2)},
		{"25 rules with protocols do not hold for ICMP", under(grid(), in("p", "Admin", 1, denyAll[:len(denyAll)-1]+port80)), ping(1, 1)},
		{"25 a rule that fails closed denies ICMP too", under(grid(), in("p", "Admin", 1, `{action: Deny, from: [{}]`+port80)), ping(0, 0)},
		{"25 a node pings its own pods", hosted(grid(isolateX)), want{"node/one → x/a ICMP": allow, "node/two → x/a ICMP": undefined}},
	}
}

func TestExplainICMP(t *testing.T) {
	t.Parallel()
	o := mustNew(t, guarded())
	for flow, want := range map[string]string{
		"y/a → x/a ICMP": `  Admin unknown[0] Accept -: peer 0 is empty or of a kind that this version does not know: the rule fits nothing
  Admin guard[0] Deny -: y/a is none of: pods with pod=c of all namespaces
  Admin guard[1] Pass -: y/a fits, but ICMP is none of: TCP/81, nobody (which the receiver has not)
* NetworkPolicy x/a Deny -: NetworkPolicies say nothing of ICMP
  NetworkPolicy x/b[0] Allow -: NetworkPolicies say nothing of ICMP
  NetworkPolicy x/b[1] Allow -: NetworkPolicies say nothing of ICMP
* NetworkPolicy x/b Deny -: NetworkPolicies say nothing of ICMP
  Baseline last[0] Deny fits: y/a is one of: all pods of all namespaces; on every port
  default  Allow fits: policies decide
`,
	} {
		e := o.Explain(mustFlow(t, flow))
		if got := lines(e.Ingress); got != want || e.Decision.Reason != "NetworkPolicies say nothing of ICMP" {
			t.Errorf("%s: %q, got\n%s\nwant\n%s", flow, e.Decision.Reason, got, want)
		}
	}
}
