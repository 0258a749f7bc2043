package oracle_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"
	"sigs.k8s.io/yaml"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// grid is the world of most tests: namespaces x, y and z, in each the pods a, b
// and c, serving ports 80 and 81 over TCP, UDP and SCTP.
func grid(policies ...string) oracle.World {
	w := oracle.World{}
	for _, ns := range []string{"x", "y", "z"} {
		w.Namespaces = append(w.Namespaces, oracle.Namespace{Name: ns, Labels: map[string]string{"ns": ns}})
		for _, name := range []string{"a", "b", "c"} {
			w.Pods = append(w.Pods, server(ns, name))
		}
	}
	for i, text := range policies {
		w.Policies = append(w.Policies, policy(text, i))
	}
	return w
}

func server(ns, name string) oracle.Pod {
	p := oracle.Pod{
		Name:     matrix.Endpoint(ns + "/" + name),
		Workload: matrix.Endpoint(ns + "/" + name),
		Labels:   map[string]string{"pod": name},
	}
	for _, protocol := range []matrix.Protocol{matrix.TCP, matrix.UDP, matrix.SCTP} {
		for _, port := range []uint16{80, 81} {
			p.Ports = append(p.Ports, oracle.Port{
				Name: fmt.Sprintf("serve-%d-%s", port, strings.ToLower(protocol.String())), Protocol: protocol, Port: port,
			})
		}
	}
	return p
}

// policy reads "namespace/name: spec", the spec as flow-style or block YAML.
// The n-th policy stands at n.yaml:1:1, its i-th rule on line 10+i (ingress) or
// 20+i (egress).
func policy(text string, n int) oracle.Policy {
	key, spec, ok := strings.Cut(text, ": ")
	ns, name, ok2 := strings.Cut(key, "/")
	if !ok || !ok2 {
		panic("a test policy is \"namespace/name: spec\", not " + text)
	}
	p := oracle.Policy{NetworkPolicy: &networkingv1.NetworkPolicy{}}
	p.Name, p.Namespace = name, ns
	if err := yaml.UnmarshalStrict([]byte(spec), &p.Spec); err != nil {
		panic(fmt.Sprintf("test policy %s: %v", text, err))
	}
	file := fmt.Sprintf("%d.yaml", n)
	p.Origin = oracle.Origin{File: file, Line: 1, Column: 1}
	for i := range p.Spec.Ingress {
		p.Ingress = append(p.Ingress, oracle.Origin{File: file, Line: 10 + i, Column: 5})
	}
	for i := range p.Spec.Egress {
		p.Egress = append(p.Egress, oracle.Origin{File: file, Line: 20 + i, Column: 5})
	}
	return p
}

// clusterPolicy reads "Kind name: spec"; the kind may be left out. The n-th one
// stands at c<n>.yaml:1:1, its rules likewise to those of policy.
func clusterPolicy(text string, n int) oracle.ClusterPolicy {
	name, spec, ok := strings.Cut(text, ": ")
	if !ok {
		panic("a test policy is \"name: spec\", not " + text)
	}
	p := oracle.ClusterPolicy{ClusterNetworkPolicy: &policyv1alpha2.ClusterNetworkPolicy{}}
	if kind, rest, ok := strings.Cut(name, " "); ok {
		p.Kind, name = kind, rest
	}
	p.Name = name
	if err := yaml.UnmarshalStrict([]byte(spec), &p.Spec); err != nil {
		panic(fmt.Sprintf("test policy %s: %v", text, err))
	}
	file := fmt.Sprintf("c%d.yaml", n)
	p.Origin = oracle.Origin{File: file, Line: 1, Column: 1}
	for i := range p.Spec.Ingress {
		p.Ingress = append(p.Ingress, oracle.Origin{File: file, Line: 10 + i, Column: 5})
	}
	for i := range p.Spec.Egress {
		p.Egress = append(p.Egress, oracle.Origin{File: file, Line: 20 + i, Column: 5})
	}
	return p
}

// under puts a world under cluster-wide policies.
func under(w oracle.World, policies ...string) oracle.World {
	for i, text := range policies {
		w.ClusterPolicies = append(w.ClusterPolicies, clusterPolicy(text, i))
	}
	return w
}

// hosted puts the pods a on node one, the pods b on node two, and leaves open
// where the pods c are. The nodes have 192.168.0.1 and .2, the pods addresses
// too.
func hosted(w oracle.World) oracle.World {
	w = addressed(w)
	for i, name := range []string{"one", "two"} {
		w.Nodes = append(w.Nodes, oracle.Node{
			Name: name, Labels: map[string]string{"node": name},
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{192, 168, 0, byte(i + 1)}), netip.MustParseAddr(fmt.Sprintf("fd01::%x", i+1))},
		})
	}
	for i := range w.Pods {
		w.Pods[i].Node = map[string]string{"a": "one", "b": "two"}[w.Pods[i].Name.Name()]
	}
	return w
}

// onHost lets pods share their node's network.
func onHost(w oracle.World, pods ...matrix.Endpoint) oracle.World {
	for _, name := range pods {
		w = tweak(w, name, func(p *oracle.Pod) { p.HostNetwork, p.Addresses = true, nil })
	}
	return w
}

// tweak changes one pod of a world.
func tweak(w oracle.World, name matrix.Endpoint, change func(*oracle.Pod)) oracle.World {
	for i := range w.Pods {
		if w.Pods[i].Name == name {
			change(&w.Pods[i])
			return w
		}
	}
	panic("no pod " + string(name))
}

// addressed gives the pods the addresses 10.0.0.1 and fd00::1 upwards, in order.
func addressed(w oracle.World) oracle.World {
	for i := range w.Pods {
		w.Pods[i].Addresses = []netip.Addr{
			netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}),
			netip.MustParseAddr(fmt.Sprintf("fd00::%x", i+1)),
		}
	}
	return w
}

func mustNew(tb testing.TB, w oracle.World) *oracle.Oracle {
	tb.Helper()
	o, err := oracle.New(w)
	if err != nil {
		tb.Fatalf("New: %v", err)
	}
	return o
}

func mustFlow(tb testing.TB, s string) matrix.Flow {
	tb.Helper()
	f, err := matrix.ParseFlow(s)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

func invalid(err error) []*oracle.InvalidError {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return nil
	}
	var all []*oracle.InvalidError
	for _, e := range joined.Unwrap() {
		var one *oracle.InvalidError
		if errors.As(e, &one) {
			all = append(all, one)
		}
	}
	return all
}
