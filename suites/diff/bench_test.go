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
// extra, one of them lets in more.
func large(t testing.TB, extra string) *plan.Plan {
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
	}
	return plantest.Of(t, "shop.yaml", map[string]string{"shop.yaml": w.String() + p.String()})
}

// BenchmarkLarge compares all 3 million flows.
func BenchmarkLarge(b *testing.B) {
	before, after := large(b, ""), large(b, ", {namespaceSelector: {}}")
	for b.Loop() {
		if d := of(b, before, after); d.Count(diff.Opened) < 1000 || d.Compared < 2_900_000 {
			b.Fatalf("%d flows compared, %d opened", d.Compared, d.Count(diff.Opened))
		}
	}
}
