package run

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/segtest/segtest/fixtures/deploy"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
)

// team is the scenario of these manifests.
func team(t *testing.T, manifests ...string) *scenario.Scenario {
	t.Helper()
	files := fstest.MapFS{"team/all.yaml": {Data: []byte(strings.Join(manifests, "---\n"))}}
	sc, err := scenario.Loader{FS: files}.Load("team")
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

const (
	webs = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\n" +
		"spec: {replicas: 2, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, ports: [{name: http, containerPort: 8080}]}]}}}\n"
	front = "apiVersion: v1\nkind: Service\nmetadata: {name: front, namespace: shop}\n" +
		"spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}, {name: admin, port: 9000}]}\n"
)

// TestStandIns: simple workloads of manifests are deployed, with the one Service
// that selects them.
func TestStandIns(t *testing.T) {
	t.Parallel()
	sc := team(t, webs, front, "apiVersion: v1\nkind: Pod\nmetadata: {name: client, namespace: shop}\nspec: {containers: [{name: c}]}\n")
	if err := CheckDeploy(sc); err != nil {
		t.Fatal(err)
	}
	plan := deployPlan(sc, "0", "image")
	if len(plan.Workloads) != 2 || plan.Workloads[0].Replicas != 2 || plan.Workloads[1].Service != nil {
		t.Fatalf("got %+v", plan.Workloads)
	}
	want := &deploy.Service{Name: "front", Ports: []deploy.ServicePort{
		{Name: "http", Protocol: matrix.TCP, Port: 80, TargetPort: intstr.FromString("http")},
		{Name: "admin", Protocol: matrix.TCP, Port: 9000, TargetPort: intstr.FromInt32(9000)},
	}}
	if diff := cmp.Diff(want, plan.Workloads[0].Service); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestNotDeployable: what would be left out is said, with its place.
func TestNotDeployable(t *testing.T) {
	t.Parallel()
	pod := func(spec string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\n" + spec
	}
	for name, row := range map[string]struct{ manifest, want string }{
		"host network":     {pod("spec: {hostNetwork: true, containers: [{name: c}]}\n"), "1:1: Pod shop/p shares its node's network, and no stand-in for that can be deployed yet"},
		"SCTP":             {pod("spec: {containers: [{ports: [{containerPort: 5, protocol: SCTP}]}]}\n"), "4:30: Pod shop/p has an SCTP port, which is not probed yet"},
		"one port twice":   {pod("spec: {containers: [{ports: [{containerPort: 5, name: a}, {containerPort: 5, name: b}]}]}\n"), "4:59: Pod shop/p has port TCP/5 under two names"},
		"a live pod":       {pod("spec: {containers: [{name: c}]}\nstatus: {podIPs: [{ip: 10.0.0.1}]}\n"), "1:1: Pod shop/p has the address of another cluster"},
		"a long name":      {strings.ReplaceAll(pod("spec: {containers: [{name: c}]}\n"), "name: p", "name: "+strings.Repeat("p", 53)), "a stand-in's has at most 52 characters"},
		"ordinals":         {"apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: s, namespace: shop}\nspec: {ordinals: {start: 3}, template: {spec: {containers: [{name: c}]}}}\n", "1:1: StatefulSet shop/s numbers its pods from 3, and its stand-in would from 0"},
		"default":          {strings.ReplaceAll(pod("spec: {containers: [{name: c}]}\n"), ", namespace: shop", ""), "1:1: namespace default belongs to the cluster"},
		"headless":         {"apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: shop}\nspec: {clusterIP: None, selector: {app: web}}\n", "1:1: Service shop/s has no address of its own"},
		"of nobody":        {"apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: shop}\nspec: {selector: {app: db}}\n", "1:1: Service shop/s selects 0 workloads"},
		"two services":     {front + "---\n" + strings.ReplaceAll(front, "front", "second"), "Service shop/second is the second one of shop/web"},
		"a cluster policy": {"apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: c}\nspec: {tier: Admin, priority: 1, subject: {namespaces: {}}}\n", "1:1: a ClusterNetworkPolicy cannot be applied yet"},
		"a foreign policy": {"apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: c}\n", "1:1: a CiliumNetworkPolicy of cilium.io/v2 cannot be applied"},
		"a node":           {"apiVersion: v1\nkind: Node\nmetadata: {name: n}\n", "1:1: node n is one of another cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc := team(t, row.manifest, webs)
			err := CheckDeploy(sc)
			if err == nil || strings.Count(err.Error(), "\n") > 0 || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %s", err, row.want)
			}
			if _, err := New(Options{Scenario: sc}); err == nil {
				t.Error("a run of it can be prepared")
			}
		})
	}
}

// TestTooManyPods: a folder of any size is planned, and only a small one run.
func TestTooManyPods(t *testing.T) {
	t.Parallel()
	var all []string
	for i := range 51 {
		all = append(all, strings.ReplaceAll(webs, "name: web,", "name: web-"+string(rune('a'+i/26))+string(rune('a'+i%26))+","))
	}
	err := CheckDeploy(team(t, all...))
	if want := "team: 102 pods are more than a run takes on (100)"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
