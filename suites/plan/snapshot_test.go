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
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/plan"
)

func same(path string) (string, error) { return path, nil }

// document is the snapshot of a plan as a file.
func document(t *testing.T, p *plan.Plan, source []byte, rebase func(string) (string, error)) (string, int) {
	t.Helper()
	rules, unsaid := p.Snapshot()
	text, err := p.Document(source, rules, rebase)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), len(unsaid)
}

// TestSnapshotAgrees: what was written is declared, the canary ports included.
func TestSnapshotAgrees(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 8))
	split := 0
	for range 12 {
		files := random(rng)
		before := of(t, load(t, "scenario.yaml", files))
		text, unsaid := document(t, before, []byte(files["scenario.yaml"]), same)
		files["scenario.yaml"] = text
		after := of(t, load(t, "scenario.yaml", files))
		tally := after.Sheet(true).Tally
		if tally.Flows != before.Sheet(true).Tally.Flows || tally.Unstated != 0 || (tally.Disagree > 0) != (unsaid > 0) {
			t.Fatalf("%d flows are unsaid, then %+v\n%s", unsaid, tally, text)
		}
		if unsaid > 0 {
			split++
			continue
		}
		for f := range after.Flows() {
			if f.Computed.Intent == matrix.Allow && f.Declared.Reason == "" {
				t.Errorf("%s has no reason", f.Flow)
			}
		}
	}
	if split > 4 {
		t.Errorf("%d of 12 cannot be said: the test proves little", split)
	}
}

func TestSnapshotOfTheCatalog(t *testing.T) {
	t.Parallel()
	for _, name := range catalog.Names() {
		p := shipped(t, name)
		dir := filepath.Join("..", "..", "fixtures", "catalog", name)
		source, err := os.ReadFile(filepath.Join(dir, "scenario.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		abs, err := filepath.Abs(dir)
		if err != nil {
			t.Fatal(err)
		}
		text, unsaid := document(t, p, source, func(path string) (string, error) { return filepath.Join(abs, path), nil })
		if unsaid > 0 {
			t.Errorf("%s: %d flows are unsaid", name, unsaid)
		}
		file := filepath.Join(t.TempDir(), "snapshot.yaml")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		sc, err := scenario.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if tally := of(t, sc).Sheet(true).Tally; tally.Disagree+tally.Unstated > 0 || tally.Agree != tally.Flows {
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
`

// TestSnapshotOfAFolder: later drift of the manifests is a disagreement, and so
// is a workload that is new.
func TestSnapshotOfAFolder(t *testing.T) {
	t.Parallel()
	files := map[string]string{"deploy/all.yaml": folderManifests}
	p := of(t, load(t, "deploy", files))
	if tally := p.Sheet(true).Tally; tally.Unstated != tally.Flows-4 { // but for each pod to itself
		t.Errorf("a folder declares %+v", tally)
	}
	files["deploy/segtest/scenario.yaml"], _ = document(t, p, nil, func(path string) (string, error) { return "../all.yaml", nil })
	golden(t, "testdata/folder.yaml", files["deploy/segtest/scenario.yaml"])
	agrees := of(t, load(t, "deploy/segtest", files)).Sheet(true).Tally
	if agrees.Agree != agrees.Flows {
		t.Errorf("it agrees on %+v", agrees)
	}
	for name, drift := range map[string]string{
		"a rule without its ports": strings.Replace(folderManifests, "      ports: [{port: 5432}]\n", "", 1),
		"a wider rule":             strings.Replace(folderManifests, "[{podSelector: {matchLabels: {app: web}}}]", "[]", 1),
		"a rule that fits nobody":  strings.Replace(folderManifests, "[{podSelector: {matchLabels: {app: web}}}]", "[{podSelector: {matchLabels: {app: wep}}}]", 1),
		"a new workload, all open": folderManifests + "---\n{apiVersion: v1, kind: Pod, metadata: {name: tool, namespace: shop}, spec: {containers: [{name: c, image: tool}]}}\n",
		"a policy that is no more": folderManifests[:strings.LastIndex(folderManifests, "---")],
	} {
		files["deploy/all.yaml"] = drift
		if tally := of(t, load(t, "deploy/segtest", files)).Sheet(true).Tally; tally.Disagree == 0 {
			t.Errorf("%s: nothing disagrees", name)
		}
	}
}

// TestSnapshotKeepsReasons: what people wrote is not lost when it is written again.
func TestSnapshotKeepsReasons(t *testing.T) {
	t.Parallel()
	rules, _ := shipped(t, "online-shop").Snapshot()
	i := slices.IndexFunc(rules, func(s plan.Statement) bool { return s.Reason == "checkout takes the money" })
	if i < 0 || !slices.Equal(rules[i].From, []string{"shop/api"}) || !slices.Equal(rules[i].To, []string{"payments/gateway"}) || !slices.Equal(rules[i].Ports, []string{"TCP/8443"}) {
		t.Errorf("%+v", rules)
	}
}

// TestSnapshotOfWhatCannotBeSaid: only half of a port range is declared.
func TestSnapshotOfWhatCannotBeSaid(t *testing.T) {
	t.Parallel()
	p := of(t, load(t, "deploy.yaml", map[string]string{"deploy.yaml": strings.Replace(folderManifests, "{port: 5432}", "{port: 5433, endPort: 65535}", 1)}))
	_, unsaid := p.Snapshot()
	if len(unsaid) != 1 || unsaid[0].To != "shop/db-0" || !unsaid[0].Canary {
		t.Errorf("%+v", unsaid)
	}
}

// TestSnapshotOfSplitFamilies: IPv4 is allowed and IPv6 is not, which no rule of
// a scenario can say.
func TestSnapshotOfSplitFamilies(t *testing.T) {
	t.Parallel()
	const pods = `{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: net}, spec: {containers: [{name: c, image: i}]}, status: {podIPs: [{ip: 10.0.0.1}, {ip: "fd00::1"}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: b, namespace: net, labels: {app: b}}, spec: {containers: [{name: c, image: i, ports: [{containerPort: 80}]}]}, status: {podIPs: [{ip: 10.0.0.2}, {ip: "fd00::2"}]}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: b, namespace: net}
spec: {podSelector: {matchLabels: {app: b}}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 80}]}]}
`
	p := of(t, load(t, "s.yaml", map[string]string{
		"s.yaml": "apiVersion: segtest.dev/v1alpha1\nkind: Scenario\nmetadata: {name: s}\ncluster: {ipFamily: dual}\nworkloadsFrom: [pods.yaml]\n", "pods.yaml": pods,
	}))
	rules, unsaid := p.Snapshot()
	if len(unsaid) != 1 || unsaid[0].To != "net/b-0" || unsaid[0].Family != matrix.IPv4 || unsaid[0].Port != 80 {
		t.Errorf("%+v", unsaid)
	}
	for _, r := range rules {
		if slices.Contains(r.To, "net/b") {
			t.Errorf("it is said all the same: %+v", r)
		}
	}
}
