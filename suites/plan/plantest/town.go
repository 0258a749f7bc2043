package plantest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/segtest/segtest/suites/plan"
)

// Town is a folder of a thousand pods: 250 Deployments of four replicas in 20
// namespaces of five policies each. Every Deployment has a port of its own, which
// is named http.
func Town(t testing.TB) *plan.Plan {
	t.Helper()
	const namespaces, deployments = 20, 250
	rng := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // reproducible on purpose
	files := map[string]string{}
	for ns := range namespaces {
		var b strings.Builder
		fmt.Fprintf(&b, "apiVersion: v1\nkind: Namespace\nmetadata: {name: team-%d, labels: {area: area-%d}}\n", ns, ns%5)
		policy := func(name, spec string) {
			fmt.Fprintf(&b, "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: %s, namespace: team-%d}\nspec:\n%s", name, ns, spec)
		}
		apps := 0
		for n := ns; n < deployments; n += namespaces {
			fmt.Fprintf(&b, townApp, apps, ns, apps%3, 8000+n, 9090+apps%4)
			apps++
		}
		policy("deny", "  podSelector: {}\n  policyTypes: [Ingress, Egress]\n")
		for i := range 4 {
			policy(fmt.Sprintf("p%d", i), fmt.Sprintf(townPolicy, rng.IntN(apps), rng.IntN(apps), rng.IntN(5), rng.IntN(3), rng.IntN(namespaces), rng.IntN(3)))
		}
		files[fmt.Sprintf("town/team-%d.yaml", ns)] = b.String()
	}
	return Of(t, "town", files)
}

const (
	townApp = `---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app-%[1]d, namespace: team-%[2]d}
spec:
  replicas: 4
  selector: {matchLabels: {app: app-%[1]d}}
  template:
    metadata: {labels: {app: app-%[1]d, tier: tier-%[3]d}}
    spec:
      containers:
        - name: main
          image: example/app
          ports: [{name: http, containerPort: %[4]d}, {name: metrics, containerPort: %[5]d}]
`
	townPolicy = `  podSelector: {matchLabels: {app: app-%d}}
  policyTypes: [Ingress, Egress]
  ingress:
    - from: [{podSelector: {matchLabels: {app: app-%d}}}, {namespaceSelector: {matchLabels: {area: area-%d}}, podSelector: {matchLabels: {tier: tier-%d}}}]
      ports: [{port: http}]
    - from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: team-%d}}}]
      ports: [{port: metrics}]
  egress:
    - to: [{namespaceSelector: {}, podSelector: {matchExpressions: [{key: tier, operator: In, values: [tier-0, tier-%d]}]}}]
      ports: [{port: 8080}]
    - to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]
      ports: [{port: 443}]
`
)
