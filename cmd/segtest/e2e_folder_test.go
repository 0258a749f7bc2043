package main_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/run/record"
)

// TestE2EFolder runs a team's kustomization that nobody wrote for segtest: with
// claims, probes, affinity, pull secrets and every kind of workload and Service.
func TestE2EFolder(t *testing.T) {
	b := install(t)
	out := t.TempDir()
	p := b.start(t, "run", filepath.Join("..", "..", "fixtures", "catalog", "real-shop", "overlay"), "--out", out, "--keep")
	name := p.cluster(t)
	if code := p.wait(t, whole); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
	must(t, "standard output", p.stdout.String(), "PASS")
	must(t, "standard error", p.stderr(), "deploying 9 workloads and 4 services", `\d\d parts of the manifests have no stand-in`,
		`pod security: restricted, but privileged in logging \(logging/logs takes part in its node's network\), shop \(shop/queue`)
	rec := readRecord(t, out)
	for _, want := range []string{"Deployment shop/web pull secrets", "Deployment shop/web placements", "StatefulSet shop/db volumes and claims", "ConfigMap  other objects"} {
		if !slices.ContainsFunc(rec.Header.Dropped, func(d record.Dropped) bool { return fmt.Sprint(d.Kind, " ", d.Name, " ", d.What) == want }) {
			t.Errorf("the record does not say that %s are left out", want)
		}
	}
	seen := settled(rec)
	for flow, connected := range map[string]bool{
		"shop/web-0 → shop/api-1 TCP/8080":                 true, // by a name that means
		"shop/web-2 → shop/api-next-0 TCP/9090":            true, // another number here
		"shop/web-0 → shop/api-next-0 TCP/65000":           false,
		"shop/api-0 → shop/queue-0 TCP/5672":               true, // a Service knows the port,
		"monitoring/prometheus-0 → shop/queue-0 TCP/15692": true, // a policy knows this one
		"batch/migrate-0 → shop/db-2 TCP/5432":             true,
		"batch/migrate-0 → shop/web-0 TCP/80":              false,
		"shop/web.cronjob-0 → shop/db-1 TCP/5432":          false,
		"monitoring/prometheus-0 → logging/logs-1 UDP/514": true,
	} {
		if outcome, ok := seen[flow]; !ok || (outcome == matrix.Connected) != connected || outcome == matrix.Unknown {
			t.Errorf("%s: %s, asked %v; want connected %v", flow, outcome, ok, connected)
		}
	}
	reach := regexp.MustCompile(`KUBECONFIG=(\S+) kubectl`).FindStringSubmatch(p.stderr())
	if reach == nil {
		t.Fatal("nobody says how to reach the kept cluster")
	}
	servicesLead(t, reach[1])
	b.cleans(t, name)
	b.nothingLeft(t, name, out)
}

// settled is what the matrix came to, by flow.
func settled(rec record.Record) map[string]matrix.Outcome {
	seen := map[string]matrix.Outcome{}
	for _, p := range rec.Passes {
		for _, c := range p.Cells {
			if p.Phase == record.PhaseMatrix && !p.Settling {
				seen[rec.Flows[c.Flow].String()] = c.Sample.Outcome
			}
		}
	}
	return seen
}

// servicesLead checks where the team's Services lead: to both numbers of a named
// port, and to pods that have a name of their own in DNS.
func servicesLead(t *testing.T, kubeconfig string) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	found, err := kubernetes.NewForConfigOrDie(config).DiscoveryV1().EndpointSlices("shop").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	leads := map[string][]string{}
	for _, s := range found.Items {
		service := s.Labels["kubernetes.io/service-name"]
		for _, e := range s.Endpoints {
			lead := e.TargetRef.Name + ":" + fmt.Sprint(*s.Ports[0].Port)
			if e.Hostname != nil {
				lead += " is " + *e.Hostname
			}
			leads[service] = append(leads[service], lead)
		}
	}
	for service, want := range map[string]string{
		"web": "web-0:80 web-1:80 web-2:80", "backend": "api-0:8080 api-1:8080 api-next-0:9090",
		"queue": "queue-0:5672", "db": "db-1:5432 is db-1 db-2:5432 is db-2",
	} {
		slices.Sort(leads[service])
		if got := strings.Join(leads[service], " "); got != want {
			t.Errorf("Service %s leads to %s, want %s", service, got, want)
		}
	}
}

// TestE2EClusterPolicies applies policies of the whole cluster, which close even
// what the fence is made of, beside pods in the cluster's own namespace and in
// their nodes' network.
func TestE2EClusterPolicies(t *testing.T) {
	b := install(t)
	out := t.TempDir()
	p := b.start(t, "run", filepath.Join("testdata", "clusterwide"), "--out", out)
	name := p.cluster(t)
	if code := p.wait(t, whole); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
	b.nothingLeft(t, name, out)
	must(t, "standard output", p.stdout.String(), "PASS")
	must(t, "standard error", p.stderr(), "applying 4 policies")
	rec := readRecord(t, out)
	if len(rec.Convergence) != 3 || rec.Enforcement == nil || !rec.Enforcement.Enforced {
		t.Errorf("convergence %+v, enforcement %+v", rec.Convergence, rec.Enforcement)
	}
	seen := settled(rec)
	for flow, connected := range map[string]bool{
		"default/web-0 → data/db-0 TCP/5432":         true,  // passed on by one tier, allowed by the next
		"default/client-0 → data/db-0 TCP/5432":      false, // denied before a policy of the namespace is asked
		"default/client-0 → default/web-1 TCP/8080":  true,
		"default/web-0 → default/client-0 UDP/65000": false, // the last tier
		"host/agent-0 → host/other-0 UDP/9100":       true,
		"default/client-0 → host/agent-1 TCP/443":    true,
	} {
		if outcome, ok := seen[flow]; !ok || (outcome == matrix.Connected) != connected || outcome == matrix.Unknown {
			t.Errorf("%s: %s, asked %v; want connected %v", flow, outcome, ok, connected)
		}
	}
}
