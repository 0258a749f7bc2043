package oracle_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// serving puts Services before the pods of a world: x/web leads from port 80
// to port 80 of x/a, x/shift from 8080 to 80, x/name from 80 to the port that
// is named serve-81-tcp, x/all from 80 to all pods of x, x/direct is headless,
// x/none has no selector and x/lost no pods.
func serving(w oracle.World) oracle.World {
	only := map[string]string{"pod": "a"}
	port := func(from, to uint16) []oracle.ServicePort {
		return []oracle.ServicePort{{Protocol: matrix.TCP, Port: from, TargetPort: to}}
	}
	w.Services = []oracle.Service{
		{Name: "x/web", Selector: only, Ports: port(80, 80)},
		{Name: "x/shift", Selector: only, Ports: port(8080, 80)},
		{Name: "x/same", Selector: only, Ports: port(80, 0)},
		{Name: "x/name", Selector: only, Ports: []oracle.ServicePort{{Protocol: matrix.TCP, Port: 80, TargetName: "serve-81-tcp"}, {Protocol: matrix.TCP, Port: 81, TargetName: "nobody"}}},
		{Name: "x/direct", Selector: only, Ports: port(80, 80), Headless: true},
		{Name: "x/none", Ports: port(80, 80)},
		{Name: "x/lost", Selector: map[string]string{"pod": "d"}, Ports: port(80, 80)},
	}
	for i := range w.Pods {
		w.Pods[i].Labels["ns"] = w.Pods[i].Name.Namespace()
	}
	w.Services = append(w.Services, oracle.Service{Name: "x/all", Selector: map[string]string{"ns": "x"}, Ports: port(80, 80)})
	return w
}

func serviceRows() []row {
	const ingress81 = `x/p: {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}}], ports: [{port: 81}]}]}`
	egress := func(rule string) string {
		return `y/p: {podSelector: {}, policyTypes: [Egress], egress: [` + rule + `]}`
	}
	services := func(network, rule string) oracle.World {
		w := addressed(serving(grid(egress(rule))))
		if network != "" {
			w.ServiceNetworks = []netip.Prefix{netip.MustParsePrefix(network)}
		}
		return w
	}
	return []row{
		{"21 a Service is judged at the port of its pods", serving(grid(ingress81)), want{
			"y/a → x/name TCP/80 service": allow, "y/a → x/web TCP/80 service": deny, "z/a → x/name TCP/80 service": deny, "y/a → x/shift TCP/8080 service": deny,
		}},
		{"21 without a target port it is the same port", serving(grid(ingress81)), want{"y/a → x/same TCP/80 service": deny}},
		{"21 egress to the port of the pods is open where the Service has another", serving(grid(egress(`{ports: [{port: 80}]}`))), want{
			"y/a → x/web TCP/80 service": allow, "y/a → x/shift TCP/8080 service": undefined,
		}},
		{"21 egress to the port of the Service is open where the pods have another", serving(grid(egress(`{ports: [{port: 8080}]}`))), want{
			"y/a → x/web TCP/80 service": deny, "y/a → x/shift TCP/8080 service": undefined,
		}},
		{"21 egress to both ports is decided", serving(grid(egress(`{ports: [{port: 80}, {port: 8080}]}`))), want{"y/a → x/shift TCP/8080 service": allow}},
		{"21 a rule that selects pods means their port", serving(grid(egress(`{to: [{namespaceSelector: {matchLabels: {ns: x}}}], ports: [{port: 80}]}`))), want{
			"y/a → x/shift TCP/8080 service": allow, "y/a → x/web TCP/80 service": allow, "y/a → x/name TCP/80 service": deny,
		}},
		{"21 a rule that selects pods does not mean the port of their Service", serving(grid(egress(`{to: [{namespaceSelector: {matchLabels: {ns: x}}}], ports: [{port: 8080}]}`))), want{
			"y/a → x/shift TCP/8080 service": deny,
		}},
		{"21 a rule with a block may mean either port", serving(grid(egress(`{to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 80}]}`))), want{"y/a → x/shift TCP/8080 service": undefined, "y/a → x/web TCP/80 service": allow}},
		{"21 a rule that selects pods decides beside one with a block", serving(grid(egress(`{to: [{ipBlock: {cidr: 0.0.0.0/0}}, {namespaceSelector: {matchLabels: {ns: x}}}], ports: [{port: 80}]}`))), want{"y/a → x/shift TCP/8080 service": allow}},
		{"27 a block apart from the networks of Services and pods", services("10.96.0.0/16", `{to: [{ipBlock: {cidr: 203.0.113.0/24}}]}`), want{"y/a → x/web TCP/80 service": deny}},
		{"27 a block around the networks of Services and pods", services("10.96.0.0/16", `{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}`), want{"y/a → x/web TCP/80 service": allow}},
		{"27 a block that holds Services and no pods", services("10.96.0.0/16", `{to: [{ipBlock: {cidr: 10.96.0.0/16}}]}`), want{"y/a → x/web TCP/80 service": undefined}},
		{"27 a block where no network of Services is known", services("", `{to: [{ipBlock: {cidr: 203.0.113.0/24}}]}`), want{"y/a → x/web TCP/80 service": undefined}},
		{"21 egress by selector is decided", serving(grid(egress(`{to: [{namespaceSelector: {matchLabels: {ns: x}}}]}`))), want{
			"y/a → x/shift TCP/8080 service": allow, "y/a → x/web TCP/80 service": allow,
		}},
		{"21 a certain deny at the pod beats what the rewriting leaves open", serving(grid(ingress81, egress(`{ports: [{port: 80}]}`))), want{"y/a → x/shift TCP/8080 service": deny}},
		{"21 a headless Service rewrites nothing", serving(grid(egress(`{ports: [{port: 80}]}`))), want{"y/a → x/direct TCP/80 service": allow, "y/a → x/direct TCP/81 service": deny}},
		{"21 all pods behind a Service must come to the same", serving(grid(`x/p: {podSelector: {matchLabels: {pod: c}}}`)), want{"y/a → x/all TCP/80 service": undefined, "y/a → x/web TCP/80 service": allow}},
		{"21 all pods behind a Service deny", serving(grid(`x/p: {podSelector: {}}`)), want{"y/a → x/all TCP/80 service": deny}},
		{"21 a Service that leads nowhere is open", serving(grid()), want{
			"y/a → x/none TCP/80 service": undefined, "y/a → x/lost TCP/80 service": undefined, "y/a → x/name TCP/81 service": undefined, "y/a → x/web TCP/81 service": undefined,
		}},
		{"27 a block does not know the address of a Service", addressed(serving(grid(egress(`{to: [{ipBlock: {cidr: 10.0.0.1/32}}]}`)))), want{
			"y/a → x/web TCP/80 service": undefined, "y/a → x/a TCP/80": allow, "y/a → x/direct TCP/80 service": allow,
		}},
		{"27 a block of all addresses knows that of a Service", serving(grid(egress(`{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}`))), want{"y/a → x/web TCP/80 service": allow}},
		{"28 whose address a pod behind a Service sees is open", serving(grid(`x/p: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24}}]}]}`)), want{
			"world/203.0.113.7 → x/a TCP/80": allow, "world/203.0.113.7 → x/web TCP/80 service": undefined, "world/198.51.100.1 → x/web TCP/80 service": undefined,
		}},
		{"28 a node may stand in for who is outside, and reaches its own pods", serving(grid(`x/p: {podSelector: {}}`)), want{
			"world/203.0.113.7 → x/web TCP/80 service": undefined, "world/203.0.113.7 → x/a TCP/80": deny, "y/a → x/web TCP/80 service": deny,
		}},
		{"28 a pod that is open is open to everybody", serving(grid(`x/p: {podSelector: {matchLabels: {pod: b}}}`)), want{"world/203.0.113.7 → x/web TCP/80 service": allow}},
		{"32 a pod behind its own Service is open", serving(grid(`x/p: {podSelector: {}, policyTypes: [Ingress, Egress]}`)), want{
			"x/a → x/web TCP/80 service": undefined, "x/a → x/all TCP/80 service": undefined, "x/b → x/web TCP/80 service": deny, "x/a → x/direct TCP/80 service": allow,
		}},
	}
}

func TestReasonsOfServices(t *testing.T) {
	t.Parallel()
	w := serving(grid(`x/p: {podSelector: {matchLabels: {pod: c}}}`, `z/p: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 80}]}]}`))
	o := mustNew(t, w)
	for flow, reason := range map[string]string{
		"y/a → x/web TCP/80 service":     "Service x/web leads to x/a port 80",
		"y/a → x/name TCP/80 service":    "Service x/name leads to x/a port 81",
		"y/a → x/none TCP/80 service":    "Service x/none has no selector: where it leads is not part of this world",
		"y/a → x/lost TCP/80 service":    "no pod is behind Service x/lost: its selector fits none",
		"y/a → x/name TCP/81 service":    "no pod behind Service x/name has a port named nobody for TCP/81",
		"y/a → x/web UDP/80 service":     "Service x/web has no port UDP/80",
		"y/a → x/all TCP/80 service":     "Service x/all leads to x/a port 80 (allow) and to x/c port 80 (not), and nobody knows which one is chosen",
		"x/a → x/web TCP/80 service":     "Service x/web leads to x/a port 80: the specification leaves open whether a pod may reach itself through its own Service",
		"z/a → x/shift TCP/8080 service": "Service x/shift leads to x/a port 80: allow after the Service's address and port are rewritten, deny before, and the specification leaves open which policies see",
	} {
		if got := o.Decide(mustFlow(t, flow)).Reason; got != reason {
			t.Errorf("%s: got %q, want %q", flow, got, reason)
		}
	}
}

func TestNewRefusesServices(t *testing.T) {
	t.Parallel()
	w := grid()
	at := oracle.Origin{File: "s.yaml", Line: 3}
	w.Services = []oracle.Service{{Name: "x/web", Origin: at}, {Name: "x/web", Origin: oracle.Origin{File: "t.yaml"}}, {Name: "web", Origin: at}}
	_, err := oracle.New(w)
	for _, want := range []string{"t.yaml: service x/web: is there twice: rename one, the other is at s.yaml:3", "s.yaml:3: service web: has no namespace"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
