package plan_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/segtest/segtest/fixtures/catalog"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/hack/golden"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/mutate"
	"github.com/segtest/segtest/suites/plan"
	"github.com/segtest/segtest/suites/plan/plantest"
)

func same(path string) (string, error) { return path, nil }

// document is the snapshot of a plan as a file.
func document(t *testing.T, p *plan.Plan, source []byte, rebase func(string) (string, error)) string {
	t.Helper()
	text, err := p.Document(source, p.Snapshot(), rebase)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestSnapshotSaysAll is the law of snapshots: what was written states every flow
// between pods, and from and to addresses outside of the cluster, as the policies
// have it; and where a change of one policy makes any of these flows another, the
// plan disagrees with it.
func TestSnapshotSaysAll(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 8))
	drifted, kept := 0, 0
	for range 6 {
		files := random(rng)
		before := plantest.Of(t, "scenario.yaml", files)
		files["scenario.yaml"] = document(t, before, []byte(files["scenario.yaml"]), same)
		p := plantest.Of(t, "scenario.yaml", files)
		if tally := p.Sheet(true).Tally; tally.Agree != tally.Flows || tally.Flows <= before.Sheet(true).Tally.Flows {
			t.Fatalf("it agrees on %+v\n%s", tally, files["scenario.yaml"])
		}
		flows := anyFlows(p, rng, 800)
		for _, f := range flows {
			flow := p.Flow(f)
			if flow.Declared.Intent != flow.Computed.Intent || flow.Declared.Reason == "" {
				t.Fatalf("%s is stated to be %s (%s), and is %s\n%s", f, flow.Declared.Intent, flow.Declared.Reason, flow.Computed.Intent, files["scenario.yaml"])
			}
		}
		mutants := mutate.Mutants(p.World, mutate.Operators())
		rng.Shuffle(len(mutants), func(i, k int) { mutants[i], mutants[k] = mutants[k], mutants[i] })
		for _, m := range mutants[:min(len(mutants), 15)] {
			changed, err := p.With(m.In(p.World))
			if err != nil {
				t.Fatal(err)
			}
			tally := changed.Sheet(true).Tally
			i := slices.IndexFunc(flows, func(f matrix.Flow) bool { return changed.Oracle.Decide(f).Intent != p.Oracle.Decide(f).Intent })
			switch {
			case i >= 0 && tally.Disagree == 0:
				t.Errorf("%s: nobody notices that %s is %s now\n%s", m.ID(), flows[i], changed.Oracle.Decide(flows[i]).Intent, files["scenario.yaml"])
			case i >= 0:
				drifted++
			case tally.Disagree == 0:
				kept++
			}
		}
	}
	if drifted < 30 || kept < 3 {
		t.Errorf("%d mutants drifted and %d did not: the test proves little", drifted, kept)
	}
}

// anyFlows between pods, and from and to addresses, most of them on ports and at
// edges of blocks that policies name.
func anyFlows(p *plan.Plan, rng *rand.Rand, n int) []matrix.Flow {
	ends := slices.Clone(p.Pods())
	for _, a := range []string{"9.255.255.255", "10.0.0.0", "10.1.0.0", "10.2.3.4", "10.255.255.255", "11.0.0.0", "203.0.113.9", "fd00::", "fd00::1", "2001:db8::9"} {
		ends = append(ends, matrix.WorldEndpoint(a), matrix.WorldEndpoint(a)) // there are more pods
	}
	ports := []uint16{79, 80, 81, 443, 7999, 8000, 8080, 8081, 8999, 9000, p.Scenario.Canary, 1, 65535}
	var flows []matrix.Flow
	for len(flows) < n {
		f := matrix.Flow{
			From: ends[rng.IntN(len(ends))], To: ends[rng.IntN(len(ends))], Protocol: matrix.Protocol(1 + rng.IntN(3)), Port: ports[rng.IntN(len(ports))], //nolint:gosec // 1 to 3
			Family: p.Scenario.Cluster.IPs[rng.IntN(len(p.Scenario.Cluster.IPs))],
		}
		if rng.IntN(4) == 0 {
			f.Port = uint16(1 + rng.IntN(65535)) //nolint:gosec // a port
		}
		fits := func(e matrix.Endpoint) bool {
			return e.Namespace() != "world" || strings.Contains(e.Name(), ":") == (f.Family == matrix.IPv6)
		}
		if f.From != f.To && fits(f.From) && fits(f.To) && (f.From.Namespace() != "world" || f.To.Namespace() != "world") {
			flows = append(flows, f)
		}
	}
	return flows
}

func TestSnapshotOfTheCatalog(t *testing.T) {
	t.Parallel()
	for _, name := range catalog.Names() {
		p := plantest.Shipped(t, name)
		dir := filepath.Join("..", "..", "fixtures", "catalog", name)
		source, err := os.ReadFile(filepath.Join(dir, "scenario.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		abs, err := filepath.Abs(dir)
		if err != nil {
			t.Fatal(err)
		}
		text := document(t, p, source, func(path string) (string, error) { return filepath.Join(abs, path), nil })
		file := filepath.Join(t.TempDir(), "snapshot.yaml")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		sc, err := scenario.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		again, err := plan.Of(sc)
		if err != nil {
			t.Fatal(err)
		}
		if tally := again.Sheet(true).Tally; tally.Disagree+tally.Unstated > 0 || tally.Agree != tally.Flows {
			t.Errorf("%s: %+v\n%s", name, tally, text)
		}
		if len(sc.Chaos) != len(p.Scenario.Chaos) || !strings.Contains(text, plan.Mark) {
			t.Errorf("%s lost a part:\n%s", name, text)
		}
	}
}

const folderManifests = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: web, ports: [{containerPort: 8080}]}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: c, image: db, ports: [{containerPort: 5432}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {statefulset.kubernetes.io/pod-name: db-0}}
  ingress:
    - from: [{podSelector: {matchLabels: {app: web}}}]
      ports: [{port: 5432}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: out, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress:
    - to: [{podSelector: {}}]
    - to: [{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.128/25]}}]
      ports: [{port: 8000, endPort: 8999}, {port: 7, protocol: SCTP}]
`

// TestSnapshotOfAFolder: later drift of the manifests is a disagreement, and so
// is a workload that is new.
func TestSnapshotOfAFolder(t *testing.T) {
	t.Parallel()
	files := map[string]string{"deploy/all.yaml": folderManifests}
	sheet := plantest.Of(t, "deploy", files).Sheet(true)
	if tally := sheet.Tally; !sheet.Undeclared || tally.Unstated != tally.Flows-4 { // but for each pod to itself
		t.Errorf("a folder declares %+v", tally)
	}
	files["deploy/segtest/scenario.yaml"] = document(t, plantest.Of(t, "deploy", files), nil, func(path string) (string, error) { return "../all.yaml", nil })
	golden.Check(t, "testdata/folder.yaml", files["deploy/segtest/scenario.yaml"])
	again := plantest.Of(t, "deploy/segtest", files)
	if agrees := again.Sheet(true); agrees.Undeclared || agrees.Tally.Agree != agrees.Tally.Flows {
		t.Errorf("it agrees on %+v", agrees.Tally)
	}
	if text := document(t, again, []byte(files["deploy/segtest/scenario.yaml"]), same); text != files["deploy/segtest/scenario.yaml"] {
		t.Errorf("written once more it is\n%s", text)
	}
	for _, drift := range []struct{ name, was, is string }{
		{"a rule without its ports", "      ports: [{port: 5432}]\n", ""},
		{"another port", "{port: 5432}]", "{port: 5433}]"},
		{"a port that nobody declares", "{port: 5432}]", "{port: 5432}, {port: 9999}]"},
		{"all of UDP", "{port: 5432}]", "{port: 5432}, {protocol: UDP}]"},
		{"a port of SCTP", "{port: 5432}]", "{port: 5432}, {port: 9, protocol: SCTP}]"},
		{"another peer", "from: [{podSelector: {matchLabels: {app: web}}}]", "from: []"},
		{"a peer that fits nobody", "from: [{podSelector: {matchLabels: {app: web}}}]", "from: [{podSelector: {matchLabels: {app: wep}}}]"},
		{"a block for the world", "from: [", "from: [{ipBlock: {cidr: 198.51.100.7/32}}, "},
		{"a block that holds pods", "from: [", "from: [{ipBlock: {cidr: 10.0.0.0/8}}, "},
		{"all who have an address", "from: [", "from: [{ipBlock: {cidr: 0.0.0.0/0}}, "},
		{"one policy type less", "  policyTypes: [Egress]\n", "  policyTypes: [Ingress]\n"},
		{"one policy type more", "  policyTypes: [Egress]\n", "  policyTypes: [Egress, Ingress]\n"},
		{"no exception", ", except: [203.0.113.128/25]", ""},
		{"a wider exception", "203.0.113.128/25]", "203.0.113.64/26, 203.0.113.128/25]"},
		{"a narrower block", "203.0.113.0/24, except: [203.0.113.128/25]", "203.0.113.0/26"},
		{"a wider block", "203.0.113.0/24", "203.0.112.0/23"},
		{"a longer range", "endPort: 8999", "endPort: 9000"},
		{"a shorter range", "endPort: 8999", "endPort: 8998"},
		{"another port of SCTP", "{port: 7, protocol: SCTP}", "{port: 8, protocol: SCTP}"},
		{"no port of SCTP", ", {port: 7, protocol: SCTP}", ""},
		{"egress to nobody", "    - to: [{podSelector: {}}]\n", ""},
		{"another label of a workload", "labels: {app: web}", "labels: {app: wep}"},
		{"a policy that is no more", folderManifests[strings.LastIndex(folderManifests, "---"):], ""},
		{"a new workload, all open", "apiVersion", "{apiVersion: v1, kind: Pod, metadata: {name: tool, namespace: shop}, spec: {containers: [{name: c, image: tool}]}}\n---\napiVersion"},
	} {
		files["deploy/all.yaml"] = strings.Replace(folderManifests, drift.was, drift.is, 1)
		if tally := plantest.Of(t, "deploy/segtest", files).Sheet(true).Tally; files["deploy/all.yaml"] == folderManifests || tally.Disagree == 0 {
			t.Errorf("%s: nothing disagrees: %+v", drift.name, tally)
		}
	}
}

// TestSnapshotKeepsReasons: what people wrote is not lost when it is written again.
func TestSnapshotKeepsReasons(t *testing.T) {
	t.Parallel()
	rules := plantest.Shipped(t, "online-shop").Snapshot()
	i := slices.IndexFunc(rules, func(s plan.Statement) bool { return s.Reason == "checkout takes the money" })
	if i < 0 || !slices.Equal(rules[i].From, []string{"shop/api"}) || !slices.Equal(rules[i].To, []string{"payments/gateway"}) || !slices.Equal(rules[i].Ports, []string{"TCP/8443"}) {
		t.Errorf("%+v", rules)
	}
}
