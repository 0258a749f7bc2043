package diff_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/segtest/segtest/suites/diff"
	"github.com/segtest/segtest/suites/plan"
	"github.com/segtest/segtest/suites/plan/plantest"
)

// large is 1,000 pods of 1,000 workloads in 50 namespaces with 300 policies. With
// extra, one of them lets in more; with ports, each is also about egress, and they
// name that many ports and ranges of ports that nobody declares.
func large(t testing.TB, ports int, extra string) *plan.Plan {
	t.Helper()
	var w, p strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&w, "---\napiVersion: v1\nkind: Pod\nmetadata: {name: app%d, namespace: ns%d, labels: {app: app%d, tier: t%d}}\n", i%20, i/20, i%20, i%3)
		w.WriteString("spec: {containers: [{name: app, image: app, ports: [{containerPort: 8080}]}]}\n")
	}
	for i := range 300 {
		more := ""
		if i == 0 {
			more = extra
		}
		fmt.Fprintf(&p, "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p%d, namespace: ns%d}\nspec:\n  podSelector: {matchLabels: {app: app%d}}\n", i, i/6, i%20)
		fmt.Fprintf(&p, "  ingress: [{from: [{podSelector: {matchLabels: {tier: t%d}}}%s]}]\n", i%3, more)
		if ports > 0 {
			low := 9000 + 10*(i%ports)
			fmt.Fprintf(&p, "  egress: [{ports: [{port: 53, protocol: UDP}, {port: %d}, {port: %d, endPort: %d}]}]\n", 5000+i%ports, low, low+5)
		}
	}
	return plantest.Of(t, "shop.yaml", map[string]string{"shop.yaml": w.String() + p.String()})
}

// BenchmarkLarge compares all 3 million flows, and those on ports that policies
// tell apart.
func BenchmarkLarge(b *testing.B) {
	for _, ports := range []int{0, 20} {
		b.Run(fmt.Sprintf("%d ports", ports), func(b *testing.B) {
			before, after := large(b, ports, ""), large(b, ports, ", {namespaceSelector: {}}")
			for b.Loop() {
				if d := of(b, before, after); d.Count(diff.Opened) < 1000 || d.Compared < 2_900_000 {
					b.Fatalf("%d flows compared, %d opened", d.Compared, d.Count(diff.Opened))
				}
			}
		})
	}
}
