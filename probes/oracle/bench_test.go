package oracle_test

import (
	"fmt"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// BenchmarkMatrix decides all flows between 200 pods in 10 namespaces under 60
// policies, compilation included.
func BenchmarkMatrix(b *testing.B) {
	w := oracle.World{}
	for i := range 200 {
		p := server(fmt.Sprintf("ns-%d", i%10), fmt.Sprintf("pod-%d", i))
		p.Labels = map[string]string{"pod": fmt.Sprintf("%d", i%7)}
		w.Pods = append(w.Pods, p)
	}
	for i := range 60 {
		w.Policies = append(w.Policies, policy(fmt.Sprintf(`ns-%d/p%d: {podSelector: {matchLabels: {pod: "%d"}}, policyTypes: [Ingress, Egress],
			ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [ns-1, ns-%d]}]}}], ports: [{port: serve-80-tcp}]}],
			egress: [{to: [{namespaceSelector: {}, podSelector: {matchExpressions: [{key: pod, operator: NotIn, values: ["3"]}]}}], ports: [{port: 80}, {port: 81, protocol: UDP}]}]}`,
			i%10, i, i%7, i%10), i))
	}
	var flows []matrix.Flow
	for _, from := range w.Pods {
		for _, to := range w.Pods {
			flows = append(flows, matrix.Flow{From: from.Name, To: to.Name, Protocol: matrix.TCP, Port: 80})
		}
	}
	x := matrix.NewIndex(flows)
	b.ReportAllocs()
	for b.Loop() {
		o, err := oracle.New(w)
		if err != nil {
			b.Fatal(err)
		}
		o.Matrix(x)
	}
	b.ReportMetric(float64(x.Len()), "flows")
}
