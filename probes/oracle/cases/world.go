package cases

import (
	"maps"
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// world is the content of world.yaml, and what the steps of a case change.
type world struct {
	change
	Serve map[string]portTexts `json:"serve"` // by name: what every pod serves that names no ports
	Ask   []portText           `json:"ask"`   // of every receiver
}

// change adds objects by name, replaces them, or removes those that are null.
type change struct {
	Namespaces      map[string]map[string]string                        `json:"namespaces"` // their labels
	Nodes           map[string]*nodeText                                `json:"nodes"`
	Pods            map[matrix.Endpoint]*podText                        `json:"pods"`
	Policies        map[matrix.Endpoint]*networkingv1.NetworkPolicySpec `json:"policies"`
	ClusterPolicies map[string]*policyv1alpha2.ClusterNetworkPolicySpec `json:"clusterPolicies"`
}

type nodeText struct {
	Labels    map[string]string `json:"labels"`
	Addresses []netip.Addr      `json:"addresses"`
}

type podText struct {
	Labels      map[string]string    `json:"labels"`
	Addresses   []netip.Addr         `json:"addresses"`
	Ports       map[string]portTexts `json:"ports"` // by name
	HostNetwork bool                 `json:"hostNetwork"`
	Node        string               `json:"node"`
}

func (c change) isZero() bool {
	return c.Namespaces == nil && c.Nodes == nil && c.Pods == nil && c.Policies == nil && c.ClusterPolicies == nil
}

// clone lets a case change the world without the next one seeing it.
func (w world) clone() world {
	w.change = change{
		Namespaces: maps.Clone(w.Namespaces), Nodes: maps.Clone(w.Nodes), Pods: maps.Clone(w.Pods),
		Policies: maps.Clone(w.Policies), ClusterPolicies: maps.Clone(w.ClusterPolicies),
	}
	return w
}

// apply makes the changes of one step. A namespace takes along what is in it.
func (w *world) apply(c change) {
	for name, labels := range c.Namespaces {
		if labels == nil {
			maps.DeleteFunc(w.Pods, func(e matrix.Endpoint, _ *podText) bool { return e.Namespace() == name })
			maps.DeleteFunc(w.Policies, func(e matrix.Endpoint, _ *networkingv1.NetworkPolicySpec) bool { return e.Namespace() == name })
		}
	}
	w.Namespaces = merge(w.Namespaces, c.Namespaces, func(v map[string]string) bool { return v == nil })
	w.Nodes = merge(w.Nodes, c.Nodes, func(v *nodeText) bool { return v == nil })
	w.Pods = merge(w.Pods, c.Pods, func(v *podText) bool { return v == nil })
	w.Policies = merge(w.Policies, c.Policies, func(v *networkingv1.NetworkPolicySpec) bool { return v == nil })
	w.ClusterPolicies = merge(w.ClusterPolicies, c.ClusterPolicies, func(v *policyv1alpha2.ClusterNetworkPolicySpec) bool { return v == nil })
}

func merge[K comparable, V any](into, from map[K]V, gone func(V) bool) map[K]V {
	if into == nil {
		into = map[K]V{}
	}
	maps.Copy(into, from)
	maps.DeleteFunc(into, func(_ K, v V) bool { return gone(v) })
	return into
}

// world is the World of the present state, everything in order of name.
func (w *world) world() oracle.World {
	var out oracle.World
	for _, name := range slices.Sorted(maps.Keys(w.Namespaces)) {
		out.Namespaces = append(out.Namespaces, oracle.Namespace{Name: name, Labels: w.Namespaces[name]})
	}
	for _, name := range slices.Sorted(maps.Keys(w.Nodes)) {
		n := w.Nodes[name]
		out.Nodes = append(out.Nodes, oracle.Node{Name: name, Labels: n.Labels, Addresses: n.Addresses})
	}
	for _, name := range slices.Sorted(maps.Keys(w.Pods)) {
		out.Pods = append(out.Pods, w.pod(name))
	}
	for _, name := range slices.Sorted(maps.Keys(w.Policies)) {
		p := &networkingv1.NetworkPolicy{Spec: *w.Policies[name]}
		p.Namespace, p.Name = name.Namespace(), name.Name()
		out.Policies = append(out.Policies, oracle.Policy{NetworkPolicy: p})
	}
	for _, name := range slices.Sorted(maps.Keys(w.ClusterPolicies)) {
		p := &policyv1alpha2.ClusterNetworkPolicy{Spec: *w.ClusterPolicies[name]}
		p.Name = name
		out.ClusterPolicies = append(out.ClusterPolicies, oracle.ClusterPolicy{ClusterNetworkPolicy: p, Kind: "ClusterNetworkPolicy"})
	}
	return out
}

func (w *world) pod(name matrix.Endpoint) oracle.Pod {
	text := w.Pods[name]
	p := oracle.Pod{
		Name: name, Workload: name, Labels: text.Labels, Addresses: text.Addresses,
		HostNetwork: text.HostNetwork, Node: text.Node,
	}
	serve := text.Ports
	if serve == nil {
		serve = w.Serve
	}
	for _, portName := range slices.Sorted(maps.Keys(serve)) {
		for _, port := range serve[portName] {
			p.Ports = append(p.Ports, oracle.Port{Name: portName, Protocol: port.Protocol, Port: port.Port})
		}
	}
	return p
}
