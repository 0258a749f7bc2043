package run

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/util/intstr"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/segtest/segtest/fixtures/deploy"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/run/record"
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

// TestStandIns: what a team has is deployed as it is, as far as it says who may
// reach whom.
func TestStandIns(t *testing.T) {
	t.Parallel()
	sc := team(t, webs, front, `apiVersion: v1
kind: ServiceAccount
metadata: {name: db, namespace: shop}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  serviceName: db-nodes
  ordinals: {start: 2}
  template:
    metadata: {labels: {app: db}, annotations: {policy.cilium.io/a: b, other: c}}
    spec: {serviceAccountName: db, containers: [{name: db, ports: [{name: sql, containerPort: 5432}, {name: again, containerPort: 5432}, {containerPort: 7, protocol: SCTP}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: db-nodes, namespace: shop}
spec: {clusterIP: None, publishNotReadyAddresses: true, selector: {app: db}, ports: [{port: 5432}]}
---
apiVersion: v1
kind: Service
metadata: {name: both, namespace: shop}
spec: {type: LoadBalancer, externalTrafficPolicy: Local, selector: {shop: "yes"}, ports: [{port: 80, targetPort: http, nodePort: 30080}]}
---
apiVersion: v1
kind: Service
metadata: {name: alias, namespace: shop}
spec: {type: ExternalName, externalName: example.com}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: logs, namespace: host}
spec: {template: {metadata: {labels: {app: logs}}, spec: {hostNetwork: true, containers: [{name: l, ports: [{containerPort: 24224}]}]}}}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {containers: [{name: c}]}
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: c}
spec: {tier: Admin, priority: 1, subject: {namespaces: {}}}
`)
	if err := CheckDeploy(sc); err != nil {
		t.Fatal(err)
	}
	plan := deployPlan(sc, "0", "image")
	tcp := func(name string, port uint16) deploy.Port {
		return deploy.Port{Port: oracle.Port{Name: name, Protocol: matrix.TCP, Port: port}}
	}
	app := func(name string) map[string]string { return map[string]string{"app": name} }
	sctp := oracle.Port{Protocol: matrix.SCTP, Port: 7}
	want := deploy.Plan{
		RunID: "0", Image: "image", Canary: sc.Canary,
		Namespaces: []deploy.Namespace{{Name: "default", Given: true}, {Name: "host", Labels: map[string]string{enforceLevel: privileged}}, {Name: "shop"}},
		Workloads: []deploy.Workload{
			{
				Namespace: "shop", Name: "web", Labels: app("web"), Replicas: 2, Ports: []deploy.Port{tcp("http", 8080)},
				Listen: []oracle.Port{{Protocol: matrix.TCP, Port: 8080}, {Protocol: matrix.TCP, Port: 9000}},
			},
			{
				Namespace: "shop", Name: "db", Labels: app("db"), Annotations: map[string]string{"policy.cilium.io/a": "b"}, Replicas: 1, First: 2,
				Ports: []deploy.Port{tcp("sql", 5432), tcp("again", 5432), {Port: sctp}}, Listen: []oracle.Port{sctp, {Protocol: matrix.TCP, Port: 5432}},
				ServiceAccount: "db", ServiceName: "db-nodes",
			},
			{
				Namespace: "host", Name: "logs", Labels: app("logs"), Replicas: 2, Ports: []deploy.Port{tcp("", 24224)},
				Listen: []oracle.Port{{Protocol: matrix.TCP, Port: 24224}}, HostNetwork: true,
			},
			{Namespace: "default", Name: "client", Labels: map[string]string{}, Replicas: 1},
		},
		Services: []deploy.Service{
			{Namespace: "shop", Name: "front", Selector: app("web"), Ports: []deploy.ServicePort{
				{Name: "http", Protocol: matrix.TCP, Port: 80, TargetPort: intstr.FromString("http")},
				{Name: "admin", Protocol: matrix.TCP, Port: 9000, TargetPort: intstr.FromInt32(9000)},
			}},
			{Namespace: "shop", Name: "db-nodes", Selector: app("db"), Headless: true, Unready: true, Ports: []deploy.ServicePort{{Protocol: matrix.TCP, Port: 5432, TargetPort: intstr.FromInt32(5432)}}},
			{Namespace: "shop", Name: "both", Selector: map[string]string{"shop": "yes"}, NodePorts: true, ExternalLocal: true, Ports: []deploy.ServicePort{{Protocol: matrix.TCP, Port: 80, TargetPort: intstr.FromString("http"), NodePort: 30080}}},
		},
		ClusterPolicies: []*policyv1alpha2.ClusterNetworkPolicy{sc.Manifests.ClusterPolicies[0].ClusterNetworkPolicy},
	}
	if diff := cmp.Diff(want, plan, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := shadowFacts(sc)["podSecurity"]; got != "restricted, but privileged in host (host/logs takes part in its node's network)" {
		t.Errorf("pod security: %s", got)
	}
	for borrowed, want := range map[bool][]string{
		false: {`needs an engine that knows it, and flavour "default" has none: write cluster: {cni: cnp}`},
		true:  {"acts on everybody's pods", "namespace default belongs to the cluster"},
	} {
		err := CheckCluster(sc, borrowed)
		for _, w := range want {
			if err == nil || strings.Count(err.Error(), "\n") != len(want)-1 || !strings.Contains(err.Error(), w) {
				t.Errorf("borrowed %v: %v, want %q", borrowed, err, w)
			}
		}
	}
	sc.Cluster.CNI.Flavour = "cnp"
	if err := CheckCluster(sc, false); err != nil {
		t.Errorf("with the flavour: %v", err)
	}
}

// TestOwnService leads to the stand-ins of the scenario's own workload.
func TestOwnService(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{"s.yaml": {Data: []byte("apiVersion: segtest.dev/v1alpha1\nkind: Scenario\nmetadata: {name: s}\n" +
		"workloads: [{name: web, namespace: shop, hostNetwork: true, ports: [8080], service: {port: 80, targetPort: 8080}}]\n")}}
	sc, err := scenario.Loader{FS: files}.Load("s.yaml")
	if err != nil {
		t.Fatal(err)
	}
	plan := deployPlan(sc, "0", "image")
	want := []deploy.Service{{
		Namespace: "shop", Name: "web", Selector: map[string]string{deploy.WorkloadLabel: "web"},
		Ports: []deploy.ServicePort{{Protocol: matrix.TCP, Port: 80, TargetPort: intstr.FromInt32(8080)}},
	}}
	if diff := cmp.Diff(want, plan.Services); diff != "" || !plan.Workloads[0].HostNetwork {
		t.Errorf("%+v; -want +got:\n%s", plan.Workloads, diff)
	}
}

// TestRenamed: faults find the pod of a workload that cannot keep its name.
func TestRenamed(t *testing.T) {
	t.Parallel()
	cron := "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: web, namespace: shop}\nspec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c}]}}}}}\n"
	s := &Session{opts: Options{Scenario: team(t, webs, cron)}}
	var names []string
	for _, p := range s.chaosPods() {
		names = append(names, string(p.Endpoint)+" "+p.Name)
	}
	if got, want := strings.Join(names, ", "), "shop/web-0 web-0, shop/web-1 web-1, shop/web.cronjob-0 "+deploy.ObjectName("web.cronjob")+"-0"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestUndefinedIsNotWaitedFor: who is declared to be kept out, and may be let in
// because it may be the node, is no reason to wait.
func TestUndefinedIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{"s.yaml": {Data: []byte("apiVersion: segtest.dev/v1alpha1\nkind: Scenario\nmetadata: {name: s}\npolicies: [p.yaml]\nexpect: {default: deny}\n" +
		"workloads: [{name: web, namespace: shop, ports: [80]}, {name: host, namespace: shop, hostNetwork: true}, {name: pod, namespace: shop}]\n")}, "p.yaml": {Data: []byte(
		"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec: {podSelector: {}}\n")}}
	sc, err := scenario.Loader{FS: files}.Load("s.yaml")
	if err != nil {
		t.Fatal(err)
	}
	sub, err := compute(sc, nil)
	if err != nil {
		t.Fatal(err)
	}
	for from, want := range map[matrix.Endpoint]matrix.Intent{"shop/host-0": matrix.Undefined, "shop/pod-0": matrix.Deny} {
		i, ok := sub.index.Position(matrix.Flow{From: from, To: "shop/web-0", Protocol: matrix.TCP, Port: 80})
		if !ok || sub.expected(i) != want || sub.declared.At(i).Intent != matrix.Deny {
			t.Errorf("%s: asked %v, expected %s, want %s", from, ok, sub.expected(i), want)
		}
	}
}

// TestBehindFence: a fence of NetworkPolicies tells nothing of cluster policies.
func TestBehindFence(t *testing.T) {
	t.Parallel()
	clusterwide := "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: c}\nspec: {tier: Admin, priority: 1, subject: {namespaces: {}}}\n"
	for _, row := range []struct {
		phase         string
		without, with bool
	}{
		{record.PhaseBaseline, false, false}, {record.PhaseMatrix, true, false}, {record.PhaseAfter("1-pod-kill"), true, true}, {record.PhaseOpen, false, false},
	} {
		without, with := &Session{opts: Options{Scenario: team(t, webs)}}, &Session{opts: Options{Scenario: team(t, webs, clusterwide)}}
		if without.behindFence(row.phase) != row.without || with.behindFence(row.phase) != row.with {
			t.Errorf("%s: without cluster policies %v, with them %v", row.phase, without.behindFence(row.phase), with.behindFence(row.phase))
		}
	}
}

// TestNotDeployable: what would be left out is said, with its place.
func TestNotDeployable(t *testing.T) {
	t.Parallel()
	pod := func(spec string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\n" + spec
	}
	host := func(port string) string {
		return pod("spec: {hostNetwork: true, containers: [{ports: [{containerPort: " + port + "}]}]}\n")
	}
	cnp := func(subject string) string {
		return "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: c}\nspec: {tier: Admin, priority: 0, subject: " + subject + "}\n"
	}
	daemon := "---\napiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: d, namespace: shop}\nspec: {template: {spec: {containers: [{name: c, ports: [{containerPort: 1, hostPort: 9100}]}]}}}\n"
	for name, row := range map[string]struct{ manifest, want string }{
		"one name twice":      {pod("spec: {containers: [{ports: [{containerPort: 5, name: a}]}, {ports: [{containerPort: 6, name: a}]}]}\n"), "4:70: Pod shop/p calls two ports a, here TCP/6 and at team/all.yaml:4:30 TCP/5"},
		"a live pod":          {pod("spec: {containers: [{name: c}]}\nstatus: {podIPs: [{ip: 10.0.0.1}]}\n"), "1:1: Pod shop/p has the address of another cluster"},
		"a level":             {"apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {" + enforceLevel + ": baseline}}\n---\n" + host("1"), "5:1: Pod shop/p takes part in its node's network, and namespace shop refuses such pods (" + enforceLevel + ": baseline)"},
		"the kubelet's port":  {host("10250"), "4:49: Pod shop/p wants port TCP/10250 of its node, where the kubelet listens"},
		"kube-proxy's port":   {host("10256"), "4:49: Pod shop/p wants port TCP/10256 of its node, where kube-proxy listens"},
		"a port of all nodes": {host("9100") + daemon, "9:57: 3 pods (of Pod shop/p and DaemonSet shop/d) want port TCP/9100 of a node, and there are 2 workers"},
		"default with labels": {"apiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {a: b}}\n", "1:1: namespace default belongs to the cluster"},
		"kube-system":         {strings.ReplaceAll(pod("spec: {containers: [{name: c}]}\n"), "shop", "kube-system"), "1:1: namespace kube-system belongs to the cluster"},
		"the fence's":         {cnp("{namespaces: {}}"), "1:1: ClusterNetworkPolicy c selects pods of every namespace at priority 0"},
		"the fence's pods":    {cnp("{pods: {namespaceSelector: {}, podSelector: {matchExpressions: [{key: a, operator: DoesNotExist}]}}}"), "1:1: ClusterNetworkPolicy c selects pods of every namespace at priority 0"},
		"an admin policy":     {"apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: c}\nspec: {priority: 1, subject: {namespaces: {}}}\n", "1:1: AdminNetworkPolicy c is of v1alpha1"},
		"a foreign policy":    {"apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: c}\n", "1:1: a CiliumNetworkPolicy of cilium.io/v2 cannot be applied"},
		"a node":              {"apiVersion: v1\nkind: Node\nmetadata: {name: n}\n", "1:1: node n is one of another cluster"},
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
	for name, fine := range map[string]string{
		"another priority": strings.Replace(cnp("{namespaces: {}}"), "priority: 0", "priority: 1", 1),
		"narrower":         cnp("{namespaces: {matchLabels: {team: a}}}"),
		"the level":        "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {" + enforceLevel + ": privileged}}\n---\n" + host("1"),
		"two nodes' ports": host("9101") + daemon,
	} {
		if err := CheckDeploy(team(t, fine, webs)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
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
