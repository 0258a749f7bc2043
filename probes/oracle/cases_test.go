package oracle_test

import (
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

const (
	allow     = matrix.Allow
	deny      = matrix.Deny
	undefined = matrix.Undefined
)

// want maps flows (in the form of matrix.Flow.String) to intents.
type want map[string]matrix.Intent

func check(t *testing.T, w oracle.World, flows want) {
	t.Helper()
	o := mustNew(t, w)
	for text, intent := range flows {
		d := o.Decide(mustFlow(t, text))
		if d.Intent != intent {
			t.Errorf("%s: got %s, want %s\n  egress  %+v\n  ingress %+v", text, d.Intent, intent, d.Egress, d.Ingress)
		}
		if d.Intent == undefined && d.Reason == "" {
			t.Errorf("%s: Undefined without a reason", text)
		}
		for _, h := range []oracle.Half{d.Egress, d.Ingress} {
			if d.Intent != undefined && h.Reason == "" {
				t.Errorf("%s: a half without a reason: %+v", text, h)
			}
		}
	}
}

// TestCornerCases goes through section A of the case catalogue; the number in a
// row's name is the number there.
func TestCornerCases(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		policies []string
		flows    want
	}{
		{"01 a pod that no policy selects is open", []string{`x/p: {podSelector: {matchLabels: {pod: a}}}`}, want{
			"y/b → x/b TCP/80": allow, "y/b → x/a TCP/80": deny, "x/a → y/b TCP/80": allow, "y/a → z/a SCTP/81": allow,
		}},
		{"01 rules of all selecting policies add up", []string{
			`x/p: {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}]}`,
			`x/q: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{podSelector: {matchLabels: {pod: c}}}]}]}`,
		}, want{"x/b → x/a TCP/80": allow, "x/c → x/a TCP/80": allow, "x/c → x/b TCP/80": deny, "y/a → x/a TCP/80": deny}},
		{"02 both ends must allow", []string{
			`x/out: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {ns: "y"}}}]}]}`,
			`y/in: {podSelector: {matchLabels: {pod: a}}, ingress: []}`,
		}, want{"x/a → y/a TCP/80": deny, "x/a → y/b TCP/80": allow, "x/a → z/a TCP/80": deny, "z/a → y/a TCP/80": deny, "z/a → x/a TCP/80": allow}},
		{"03 omitted policyTypes isolate egress only with an egress rule", []string{
			`x/p: {podSelector: {matchLabels: {pod: a}}, egress: []}`,
			`x/q: {podSelector: {matchLabels: {pod: b}}, egress: [{ports: [{port: 80}]}]}`,
		}, want{
			"x/a → y/a TCP/81": allow, "y/a → x/a TCP/80": deny, "x/b → y/a TCP/81": deny, "x/b → y/a TCP/80": allow,
			"y/a → x/b TCP/80": deny,
		}},
		{"03 an empty list of policyTypes is an omitted one", []string{`x/p: {podSelector: {}, policyTypes: [], egress: [{}]}`}, want{
			"x/a → y/a TCP/80": allow, "y/a → x/a TCP/80": deny,
		}},
		{"04 rules of the other direction are inert", []string{
			`x/p: {podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress], ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}]}`,
			`x/q: {podSelector: {matchLabels: {pod: b}}, policyTypes: [Ingress], egress: [{to: [{podSelector: {matchLabels: {pod: a}}}]}]}`,
		}, want{"y/a → x/a TCP/80": allow, "x/a → y/a TCP/80": deny, "x/b → y/a TCP/80": allow, "y/a → x/b TCP/80": deny}},
		{"05 missing ingress denies", []string{`x/p: {podSelector: {}, policyTypes: [Ingress]}`}, want{"y/a → x/a TCP/80": deny}},
		{"05 null ingress denies", []string{`x/p: {podSelector: {}, policyTypes: [Ingress], ingress: null}`}, want{"y/a → x/a TCP/80": deny}},
		{"05 an empty list of ingress denies", []string{`x/p: {podSelector: {}, policyTypes: [Ingress], ingress: []}`}, want{"y/a → x/a TCP/80": deny}},
		{"05 one empty rule allows all", []string{`x/p: {podSelector: {}, policyTypes: [Ingress], ingress: [{}]}`}, want{
			"y/a → x/a TCP/80": allow, "y/a → x/a UDP/81": allow, "y/a → x/a SCTP/9999": allow, "y/a → x/a TCP/80 ipv6": allow,
		}},
		{"06 missing from is all sources", []string{`x/p: {podSelector: {}, ingress: [{ports: [{port: 80}]}]}`}, want{"y/a → x/a TCP/80": allow, "y/a → x/a TCP/81": deny}},
		{"06 null from is all sources", []string{`x/p: {podSelector: {}, ingress: [{from: null, ports: [{port: 80}]}]}`}, want{"y/a → x/a TCP/80": allow, "y/a → x/a TCP/81": deny}},
		{"06 empty from is all sources", []string{`x/p: {podSelector: {}, ingress: [{from: [], ports: [{port: 80}]}]}`}, want{"y/a → x/a TCP/80": allow, "y/a → x/a TCP/81": deny}},
		{"06 empty ports are all ports and protocols", []string{`x/p: {podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: []}]}`}, want{
			"x/b → x/a TCP/80": allow, "x/b → x/a UDP/53": allow, "x/b → x/a SCTP/1": allow, "y/b → x/a TCP/80": deny,
		}},
		{"10 an empty podSelector is all pods of the policy's namespace", []string{`x/p: {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}`}, want{
			"x/b → x/a TCP/80": allow, "y/b → x/a TCP/80": deny, "x/b → y/a TCP/80": allow,
		}},
		{"11 an empty namespaceSelector is all namespaces", []string{`x/p: {podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}`}, want{"y/b → x/a TCP/80": allow, "x/b → x/a TCP/80": allow}},
		{"12 one item with both selectors is AND", []string{
			`x/p: {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}, podSelector: {matchLabels: {pod: b}}}]}]}`,
		}, want{"y/b → x/a TCP/80": allow, "y/a → x/a TCP/80": deny, "x/b → x/a TCP/80": deny, "z/b → x/a TCP/80": deny}},
		{"12 two items are OR", []string{
			`x/p: {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}}, {podSelector: {matchLabels: {pod: b}}}]}]}`,
		}, want{"y/b → x/a TCP/80": allow, "y/a → x/a TCP/80": allow, "x/b → x/a TCP/80": allow, "x/c → x/a TCP/80": deny, "z/b → x/a TCP/80": deny}},
		{"13 In", []string{expression("{key: pod, operator: In, values: [a, b]}")}, want{"x/a → x/c TCP/80": allow, "x/b → x/c TCP/80": allow, "x/c → x/a TCP/80": deny}},
		{"13 NotIn", []string{expression("{key: pod, operator: NotIn, values: [a]}")}, want{"x/a → x/c TCP/80": deny, "x/b → x/c TCP/80": allow}},
		{"13 NotIn matches a missing key", []string{expression("{key: tier, operator: NotIn, values: [front]}")}, want{"x/a → x/c TCP/80": allow}},
		{"13 Exists", []string{expression("{key: pod, operator: Exists}")}, want{"x/a → x/c TCP/80": allow}},
		{"13 Exists misses a missing key", []string{expression("{key: tier, operator: Exists}")}, want{"x/a → x/c TCP/80": deny}},
		{"13 DoesNotExist", []string{expression("{key: pod, operator: DoesNotExist}")}, want{"x/a → x/c TCP/80": deny}},
		{"13 matchLabels and matchExpressions are ANDed", []string{
			`x/p: {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {pod: a}, matchExpressions: [{key: pod, operator: NotIn, values: [a]}]}}]}]}`,
		}, want{"x/a → x/c TCP/80": deny, "x/b → x/c TCP/80": deny}},
		{"14 every namespace has its name as a label", []string{
			`x/p: {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: "y"}}}]}]}`,
		}, want{"y/a → x/a TCP/80": allow, "z/a → x/a TCP/80": deny, "x/b → x/a TCP/80": deny}},
		{"18 an omitted protocol is TCP", []string{ports("{port: 80}")}, want{"y/a → x/a TCP/80": allow, "y/a → x/a UDP/80": deny, "y/a → x/a SCTP/80": deny}},
		{"18 one empty port is all TCP ports", []string{ports("{}")}, want{"y/a → x/a TCP/9999": allow, "y/a → x/a UDP/80": deny, "y/a → x/a SCTP/80": deny}},
		{"18 a protocol without a port is the whole protocol", []string{ports("{protocol: UDP}")}, want{"y/a → x/a UDP/53": allow, "y/a → x/a TCP/80": deny}},
		{"19 a named port needs name and protocol", []string{ports("{port: serve-80-tcp}")}, want{"y/a → x/a TCP/80": allow, "y/a → x/a TCP/81": deny, "y/a → x/a UDP/80": deny}},
		{"19 a name of another protocol matches nothing", []string{ports("{port: serve-80-tcp, protocol: UDP}")}, want{"y/a → x/a TCP/80": deny, "y/a → x/a UDP/80": deny}},
		{"19 a name that nobody has matches nothing", []string{ports("{port: nobody}")}, want{"y/a → x/a TCP/80": deny, "y/a → x/a UDP/80": deny}},
		{"22 endPort is inclusive", []string{ports("{port: 80, endPort: 82}")}, want{
			"y/a → x/a TCP/79": deny, "y/a → x/a TCP/80": allow, "y/a → x/a TCP/81": allow, "y/a → x/a TCP/82": allow, "y/a → x/a TCP/83": deny, "y/a → x/a UDP/81": deny,
		}},
		{"22 endPort may equal port", []string{ports("{port: 80, endPort: 80}")}, want{"y/a → x/a TCP/80": allow, "y/a → x/a TCP/81": deny}},
		{"23 SCTP is not TCP and still isolates", []string{ports("{port: 80, protocol: SCTP}")}, want{"y/a → x/a SCTP/80": allow, "y/a → x/a TCP/80": deny, "y/a → x/a SCTP/81": deny}},
		{"40 deleting one of two policies keeps the isolation", []string{`x/p: {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}`}, want{"y/a → x/a TCP/80": deny}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			check(t, grid(c.policies...), c.flows)
		})
	}
}

func expression(e string) string {
	return `x/p: {podSelector: {}, ingress: [{from: [{podSelector: {matchExpressions: [` + e + `]}}]}]}`
}

func ports(p string) string { return `x/p: {podSelector: {}, ingress: [{ports: [` + p + `]}]}` }

func TestCase09LabelsDecideNotNames(t *testing.T) {
	t.Parallel()
	policies := []string{`x/p: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}}]}]}`}
	check(t, grid(policies...), want{"y/a → x/a TCP/80": allow, "z/a → x/a TCP/80": deny})
	w := tweak(grid(policies...), "x/a", func(p *oracle.Pod) { p.Labels = map[string]string{"pod": "renamed"} })
	check(t, w, want{"z/a → x/a TCP/80": allow})
	w = grid(policies...)
	w.Namespaces[2].Labels = map[string]string{"ns": "y"}
	check(t, w, want{"z/a → x/a TCP/80": allow})
}

func TestCase14UnlistedNamespaceHasItsName(t *testing.T) {
	t.Parallel()
	w := grid(`x/p: {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: "y"}}}]}]}`)
	w.Namespaces = nil
	check(t, w, want{"y/a → x/a TCP/80": allow, "z/a → x/a TCP/80": deny})
}

func TestCase19NameResolvesPerPod(t *testing.T) {
	t.Parallel()
	named := func(port uint16) func(*oracle.Pod) {
		return func(p *oracle.Pod) { p.Ports = []oracle.Port{{Name: "web", Protocol: matrix.TCP, Port: port}} }
	}
	for _, direction := range []string{
		`x/p: {podSelector: {}, ingress: [{ports: [{port: web}]}]}`,
		`y/p: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: web}]}]}`, // case 20: empty to
		`y/p: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}], ports: [{port: web}]}]}`,
	} {
		w := tweak(tweak(grid(direction), "x/a", named(8080)), "x/b", named(9090))
		check(t, w, want{
			"y/a → x/a TCP/8080": allow, "y/a → x/a TCP/9090": deny,
			"y/a → x/b TCP/9090": allow, "y/a → x/b TCP/8080": deny, "y/a → x/c TCP/80": deny,
		})
	}
}

func TestCase19OneNameForTwoPortsIsOpen(t *testing.T) {
	t.Parallel()
	twice := func(p *oracle.Pod) {
		p.Ports = []oracle.Port{{Name: "web", Protocol: matrix.TCP, Port: 80}, {Name: "web", Protocol: matrix.TCP, Port: 81}, {Name: "web", Protocol: matrix.UDP, Port: 81}}
	}
	w := tweak(grid(ports("{port: web}")), "x/a", twice)
	check(t, w, want{"y/a → x/a TCP/80": undefined, "y/a → x/a TCP/82": deny, "y/a → x/a UDP/81": deny})
}

func TestCase30HostNetwork(t *testing.T) {
	t.Parallel()
	host := func(p *oracle.Pod) { p.HostNetwork = true }
	bySelector := `x/p: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}]}`
	for _, c := range []struct {
		name  string
		w     oracle.World
		flows want
	}{
		{"as receiver it may or may not be selected", tweak(grid(bySelector), "x/a", host), want{"y/c → x/a TCP/80": undefined, "x/b → x/a TCP/80": allow}},
		{"as receiver without policies it is open", tweak(grid(), "x/a", host), want{"y/c → x/a TCP/80": allow}},
		{"as sender a selector may or may not fit", tweak(grid(bySelector), "x/b", host), want{"x/b → x/a TCP/80": undefined}},
		{"29 as sender it may be on the receiver's node", tweak(grid(bySelector), "y/c", host), want{"y/c → x/a TCP/80": undefined}},
		{"as sender an allow-all rule fits", tweak(grid(`x/p: {podSelector: {}, ingress: [{}]}`), "y/c", host), want{"y/c → x/a TCP/80": allow}},
		{"egress of a pod to it by selector", tweak(grid(`x/p: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}]}]}`), "y/c", host), want{"x/a → y/c TCP/80": undefined, "x/a → y/b TCP/80": allow}},
		{"egress of a pod to it is denied where nothing fits", tweak(grid(`x/p: {podSelector: {}, policyTypes: [Egress]}`), "y/c", host), want{"x/a → y/c TCP/80": deny}},
		{"a certain deny of one half beats an open other half", tweak(grid(
			`x/p: {podSelector: {}, policyTypes: [Egress]}`, `y/p: {podSelector: {}}`), "y/c", host), want{"x/a → y/c TCP/80": deny}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			check(t, c.w, c.flows)
		})
	}
}

func TestCase32Loopback(t *testing.T) {
	t.Parallel()
	w := grid(`x/p: {podSelector: {}, policyTypes: [Ingress, Egress]}`)
	check(t, w, want{"x/a → x/a TCP/80": allow, "x/a → x/a TCP/80 service": undefined, "x/a → x/b TCP/80 service": undefined, "x/a → x/b TCP/80": deny})
}

func TestStrangersAndMalformedFlowsAreUndefined(t *testing.T) {
	t.Parallel()
	o := mustNew(t, grid())
	for _, f := range []matrix.Flow{
		{From: "x/nobody", To: "x/a", Protocol: matrix.TCP, Port: 80},
		{From: "x/a", To: "world/1.1.1.1", Protocol: matrix.TCP, Port: 80},
		{From: "x/a", To: "x/b", Port: 80},
		{From: "x/a", To: "x/b", Protocol: matrix.TCP},
		{From: "x/a", To: "x/b", Protocol: matrix.TCP, Port: 80, Family: 7},
	} {
		if d := o.Decide(f); d.Intent != undefined || d.Reason == "" {
			t.Errorf("%v: got %+v, want Undefined with a reason", f, d)
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
