package oracle_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// town is a world of 50 namespaces with 1,000 pods, which bear the labels that
// controllers generate, and 300 policies that tell tiers of applications apart.
// apps is the number of different workloads per namespace.
func town(apps int) oracle.World {
	r := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // reproducible on purpose
	w := oracle.World{}
	for ns := range 50 {
		name := fmt.Sprintf("team-%d", ns)
		w.Namespaces = append(w.Namespaces, oracle.Namespace{Name: name, Labels: map[string]string{"area": fmt.Sprintf("area-%d", ns%5)}})
		for i := range 20 {
			slot := fmt.Sprintf("app-%d-%d", i%apps, i/apps)
			w.Pods = append(w.Pods, oracle.Pod{
				Name: matrix.Endpoint(name + "/" + slot), Node: fmt.Sprintf("node-%d", r.IntN(20)),
				Labels: map[string]string{
					"app": fmt.Sprintf("app-%d", i%apps), "tier": fmt.Sprintf("tier-%d", i%3), "pod-template-hash": fmt.Sprintf("%x", r.Uint32()),
					"statefulset.kubernetes.io/pod-name": slot, "apps.kubernetes.io/pod-index": fmt.Sprint(i / apps), "controller-revision-hash": fmt.Sprintf("%x", r.Uint32()),
				},
				Ports: []oracle.Port{{Name: "web", Protocol: matrix.TCP, Port: 8080}, {Name: "metrics", Protocol: matrix.TCP, Port: 9090}},
			})
		}
		w.Policies = append(w.Policies, policy(name+`/deny: {podSelector: {}, policyTypes: [Ingress, Egress]}`, ns))
		for i := range 5 {
			w.Policies = append(w.Policies, policy(fmt.Sprintf(`%s/p%d: {podSelector: {matchLabels: {app: app-%d}}, policyTypes: [Ingress, Egress],
				ingress: [
					{from: [{podSelector: {matchLabels: {app: app-%d}}}, {namespaceSelector: {matchLabels: {area: area-%d}}, podSelector: {matchLabels: {tier: tier-%d}}}], ports: [{port: web}]},
					{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: team-%d}}}], ports: [{port: metrics}]}],
				egress: [
					{to: [{namespaceSelector: {}, podSelector: {matchExpressions: [{key: tier, operator: In, values: [tier-0, tier-%d]}]}}], ports: [{port: 8080}]},
					{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}], ports: [{port: 443}]}]}`,
				name, i, r.IntN(apps), r.IntN(apps), r.IntN(5), r.IntN(3), r.IntN(50), r.IntN(3)), ns*5+i))
		}
	}
	return w
}

// BenchmarkGrid decides 3 million flows with their deciding rules: 1,000 pods
// to 1,000 pods on 3 ports, compilation included.
func BenchmarkGrid(b *testing.B) {
	for _, apps := range []int{4, 20} {
		b.Run(fmt.Sprintf("%d workloads", 50*apps), func(b *testing.B) {
			w := town(apps)
			var pods []matrix.Endpoint
			for _, p := range w.Pods {
				pods = append(pods, p.Name)
			}
			ports := []oracle.Port{{Protocol: matrix.TCP, Port: 8080}, {Protocol: matrix.TCP, Port: 9090}, {Protocol: matrix.TCP, Port: 443}}
			b.ReportAllocs()
			for b.Loop() {
				o, err := oracle.New(w)
				if err != nil {
					b.Fatal(err)
				}
				g := o.Grid(pods, pods, ports, matrix.IPv4)
				byIntent := [4]int{}
				for i := range pods {
					for j := range pods {
						for k := range ports {
							byIntent[g.At(i, j, k).Intent]++
						}
					}
				}
				if byIntent[matrix.Unstated] > 0 || byIntent[matrix.Allow] == 0 || byIntent[matrix.Deny] == 0 {
					b.Fatalf("unlikely answers: %v", byIntent)
				}
			}
		})
	}
}
