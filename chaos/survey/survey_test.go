package survey_test

import (
	"context"
	"errors"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/segtest/segtest/chaos"
	"github.com/segtest/segtest/chaos/internal/fake"
	"github.com/segtest/segtest/chaos/survey"
	"github.com/segtest/segtest/fixtures/cluster"
)

// look is what a node of a real cluster printed; the agent holds queue 98 by
// the socket with inode 405720. Its port 4093 of another protocol is no queue;
// somebody else holds queue 101 by that port.
const look = `# stat
625 (netpol (x) y) S 601 625 625 0 -1 4194560 3171 0 0 0 13 5 0 0 20 0 10 0 309614 1286868992 11090 18446744073709551615 4194304
# sockets
socket:[405711]
socket:[405720]
# netlink
sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
000000003f1bad11 0   1          00000440 0        0        0     2        0        405980
00000000234c69a2 9   4093       00000001 0        0        0     2        0        405711
00000000336a3f22 12  1          00000000 0        0        0     2        0        405720
0000000033aaaa22 12  4093       00000000 0        0        0     2        0        405999
# queues
   98      1     0 2   128     0     0        0  1
  101   4093     0 2   128     0     0        0  1
`

const iptablesPath = "# iptables\n-P POSTROUTING ACCEPT\n-A SEGTEST-POLICY -m conntrack --ctstate NEW -j NFQUEUE --queue-num 98\n# nft\n"

// answer plays the node: the look script for known containers, the data path.
func answer(path string, looks map[string]string) func(context.Context, []string) ([]byte, error) {
	return func(_ context.Context, argv []string) ([]byte, error) {
		switch {
		case len(argv) == 5 && argv[3] == "look":
			return []byte(looks[argv[4]]), nil
		case len(argv) == 3 && strings.Contains(argv[2], "# iptables"):
			return []byte(path), nil
		}
		return nil, errors.New("unexpected command " + strings.Join(argv, " "))
	}
}

func agentPod(name, app, container, node, id string, restarts int32, started time.Time) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name, UID: "uid-of-agent", Labels: map[string]string{"app": app}},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: container}}},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
			Name: container, ContainerID: "containerd://" + id, RestartCount: restarts,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(started)}},
		}}},
	}
}

func shopPod() *corev1.Pod {
	yes := true
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db-0", UID: "uid-of-db", OwnerReferences: []metav1.OwnerReference{{UID: "uid-of-set", Controller: &yes}}},
		Spec:       corev1.PodSpec{NodeName: "w1"},
		Status:     corev1.PodStatus{PodIPs: []corev1.PodIP{{IP: "10.244.1.2"}, {IP: "fd00::2"}}},
	}
}

func env(path string, objects ...*corev1.Pod) chaos.Env {
	client := fake.Client()
	for _, o := range objects {
		if err := client.Tracker().Add(o); err != nil {
			panic(err)
		}
	}
	w1 := &fake.Node{Bare: fake.Bare{Called: "w1"}, Exec: answer(path, map[string]string{"c1": look})}
	w2 := &fake.Node{Bare: fake.Bare{Called: "w2"}, Exec: answer("# iptables\n# nft\n", nil)}
	return chaos.Env{
		Cluster: &fake.Cluster{Called: "segtest-1", Has: []cluster.Node{&fake.Bare{Called: "cp", IsControl: true}, w1, w2}},
		Client:  client,
	}
}

func TestTakeReadsPodsNodesAndAgents(t *testing.T) {
	t.Parallel()
	now := time.Now()
	e := env(iptablesPath, shopPod(),
		agentPod("kindnet-b", "kindnet", "kindnet-cni", "w2", "c2", 3, now.Add(-time.Hour)),
		agentPod("knp-a", "kube-network-policies", "netpol", "w1", "c1", 2, now.Add(-time.Minute)),
		agentPod("other", "kube-network-policies", "sidecar", "w1", "c3", 0, now),
	)
	inv, err := survey.Take(t.Context(), e, []chaos.Pod{{Endpoint: "shop/db-0", Workload: "shop/db", Namespace: "shop", Name: "db-0", Ingress: true}})
	if err != nil {
		t.Fatal(err)
	}
	want := chaos.Inventory{
		Cluster: "segtest-1",
		Pods: []chaos.Pod{{
			Endpoint: "shop/db-0", Workload: "shop/db", Namespace: "shop", Name: "db-0", UID: "uid-of-db", Node: "w1",
			IPs: []string{"10.244.1.2", "fd00::2"}, Owner: "uid-of-set", Ingress: true,
		}},
		Nodes: []chaos.Node{{Name: "cp", ControlPlane: true}, {Name: "w1", Datapath: chaos.DatapathIPTables}, {Name: "w2"}},
		Agents: []chaos.Agent{
			{Node: "w1", Namespace: "kube-system", Pod: "knp-a", UID: "uid-of-agent", Container: "netpol", ContainerID: "c1", PID: 625, Start: 309614, Queues: []int{98}, Restarts: 2},
			// Its process is gone, and its deaths are forgotten.
			{Node: "w2", Namespace: "kube-system", Pod: "kindnet-b", UID: "uid-of-agent", Container: "kindnet-cni", ContainerID: "c2"},
		},
	}
	if !reflect.DeepEqual(inv, want) {
		t.Errorf("took\n%+v\nwant\n%+v", inv, want)
	}
}

func TestTakeNamesAPodThatIsNotThere(t *testing.T) {
	t.Parallel()
	_, err := survey.Take(t.Context(), env(iptablesPath), []chaos.Pod{{Endpoint: "shop/db-0", Namespace: "shop", Name: "db-0"}})
	if err == nil || !strings.Contains(err.Error(), "shop/db-0") {
		t.Errorf("error %v; want one that names shop/db-0", err)
	}
}

func TestDatapaths(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, out string
		want      chaos.Datapath
	}{
		{"an NFQUEUE rule in a chain of its own", iptablesPath, chaos.DatapathIPTables},
		{"a rule in the agent's own table", "# iptables\n-P POSTROUTING ACCEPT\n# nft\n\t\tip saddr @podips-v4 queue flags bypass to 100\n", chaos.DatapathNFT},
		{"both: the fallback queues more", iptablesPath + "\t\tip saddr @podips-v4 queue to 100\n", chaos.DatapathIPTables},
		{"none", "# iptables\n-P POSTROUTING ACCEPT\n# nft\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := survey.Datapath(t.Context(), env(tc.out), "w1")
			if got != tc.want || err != nil {
				t.Errorf("found %q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

func TestProcessStart(t *testing.T) {
	t.Parallel()
	alive := strings.SplitN(look, "\n", 3)[1]
	for _, tc := range []struct {
		name, stat string
		want       uint64
		bad        bool
	}{
		{"alive", alive, 309614, false},
		{"a corpse", strings.Replace(alive, ") S ", ") Z ", 1), 0, false},
		{"gone", "", 0, false},
		{"cut off", "625 (netpol) S 601", 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := survey.ProcessStart(tc.stat)
			if got != tc.want || (err != nil) != tc.bad {
				t.Errorf("got %d, %v; want %d", got, err, tc.want)
			}
		})
	}
}

// TestLookScript runs the script on this machine, with a ctr that knows this
// process.
func TestLookScript(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("no /proc on this machine")
	}
	dir := t.TempDir()
	ctr := "#!/bin/sh\necho 'TASK PID STATUS'\necho 'other 1 RUNNING'\necho 'mine " + strconv.Itoa(os.Getpid()) + " RUNNING'\n"
	if err := os.WriteFile(dir+"/ctr", []byte(ctr), 0o700); err != nil { //nolint:gosec // a command
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	e := chaos.Env{Cluster: &fake.Cluster{Has: []cluster.Node{&fake.Node{Bare: fake.Bare{Called: "w1"}, Exec: fake.Here}}}}
	p, err := survey.Look(t.Context(), e, "w1", "mine")
	if err != nil || p.PID != os.Getpid() || p.Start == 0 {
		t.Errorf("found %+v, %v; want process %d", p, err, os.Getpid())
	}
	if p, err := survey.Look(t.Context(), e, "w1", "min"); err != nil || !reflect.DeepEqual(p, survey.Process{}) {
		t.Errorf("part of a name found %+v, %v", p, err)
	}
	if err := os.WriteFile(dir+"/ctr", []byte("#!/bin/sh\necho broken >&2\nexit 1\n"), 0o700); err != nil { //nolint:gosec // a command
		t.Fatal(err)
	}
	if _, err := survey.Look(t.Context(), e, "w1", "mine"); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("a ctr that fails gives %v", err)
	}
}

func TestInventoryOrderDoesNotDependOnTheCaller(t *testing.T) {
	t.Parallel()
	a := []chaos.Pod{{Endpoint: "b/x-0"}, {Endpoint: "a/y-1"}, {Endpoint: "a/y-0"}}
	b := slices.Clone(a)
	slices.Reverse(b)
	one, two := chaos.Inventory{Pods: a}, chaos.Inventory{Pods: b}
	one.Sort()
	two.Sort()
	if !reflect.DeepEqual(one, two) || one.Pods[0].Endpoint != "a/y-0" {
		t.Errorf("orders %+v and %+v", one, two)
	}
}
