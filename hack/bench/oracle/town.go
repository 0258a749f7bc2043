package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

const (
	namespaces       = 50
	podsPerNamespace = 20
)

// askedPorts are what every flow is asked about; the first two have names.
func askedPorts() []oracle.Port {
	return []oracle.Port{
		{Name: "web", Protocol: matrix.TCP, Port: 8080}, {Name: "metrics", Protocol: matrix.TCP, Port: 9090}, {Protocol: matrix.TCP, Port: 443},
	}
}

// town is a cluster of 1,000 pods in 50 namespaces under 300 policies, the same
// every time. Pods bear the labels that controllers give them, which are other
// ones for every pod; workloads is the number of different ones per namespace.
func town(workloads int) (oracle.World, error) {
	r := rand.New(rand.NewPCG(1, 1))
	var w oracle.World
	for ns := range namespaces {
		name := fmt.Sprintf("team-%d", ns)
		w.Namespaces = append(w.Namespaces, oracle.Namespace{Name: name, Labels: map[string]string{
			nameLabel: name, "area": fmt.Sprintf("area-%d", ns%5),
		}})
		for i := range podsPerNamespace {
			w.Pods = append(w.Pods, pod(r, ns, i, workloads))
		}
		texts := []string{`{podSelector: {}, policyTypes: [Ingress, Egress]}`}
		for range 5 {
			texts = append(texts, fmt.Sprintf(`{podSelector: {matchLabels: {app: app-%d}}, policyTypes: [Ingress, Egress],
				ingress: [
					{from: [{podSelector: {matchLabels: {app: app-%d}}}, {namespaceSelector: {matchLabels: {area: area-%d}}, podSelector: {matchLabels: {tier: tier-%d}}}], ports: [{port: web, protocol: TCP}]},
					{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: team-%d}}}], ports: [{port: metrics, protocol: TCP}]}],
				egress: [
					{to: [{namespaceSelector: {}, podSelector: {matchExpressions: [{key: tier, operator: In, values: [tier-0, tier-%d]}]}}], ports: [{port: 8080, protocol: TCP}]},
					{to: [{namespaceSelector: {matchLabels: {area: area-%d}}}], ports: [{port: 9090, protocol: TCP}]},
					{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/11]}}], ports: [{port: 443, protocol: TCP}]}]}`,
				r.IntN(workloads), r.IntN(workloads), r.IntN(5), r.IntN(3), r.IntN(namespaces), r.IntN(3), r.IntN(5)))
		}
		for i, text := range texts {
			p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: fmt.Sprintf("p-%d", i)}}
			if err := yaml.UnmarshalStrict([]byte(text), &p.Spec); err != nil {
				return w, err
			}
			w.Policies = append(w.Policies, oracle.Policy{NetworkPolicy: p, Origin: oracle.Origin{File: name + ".yaml", Line: i}})
		}
	}
	return w, nil
}

const nameLabel = "kubernetes.io/metadata.name"

func pod(r *rand.Rand, ns, i, workloads int) oracle.Pod {
	app := fmt.Sprintf("app-%d", i%workloads)
	slot := fmt.Sprintf("%s-%d", app, i/workloads)
	return oracle.Pod{
		Name: matrix.Endpoint(fmt.Sprintf("team-%d/%s", ns, slot)), Workload: matrix.Endpoint(fmt.Sprintf("team-%d/%s", ns, app)),
		Node: fmt.Sprintf("node-%d", r.IntN(20)), Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, byte(ns), 0, byte(i + 1)})},
		Labels: map[string]string{
			"app": app, "tier": fmt.Sprintf("tier-%d", i%workloads%3), "pod-template-hash": fmt.Sprintf("%x", r.Uint32()),
			"controller-revision-hash": fmt.Sprintf("%x", r.Uint32()), "apps.kubernetes.io/pod-index": fmt.Sprint(i / workloads),
			"statefulset.kubernetes.io/pod-name": slot,
		},
		Ports: askedPorts()[:2],
	}
}
