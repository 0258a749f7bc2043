package policyagentkill_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/segtest/segtest/chaos"
	"github.com/segtest/segtest/chaos/internal/fake"
	"github.com/segtest/segtest/chaos/policyagentkill"
	"github.com/segtest/segtest/chaos/survey"
	"github.com/segtest/segtest/fixtures/cluster"
	"github.com/segtest/segtest/probes/matrix"
)

func inventory() chaos.Inventory {
	agent := func(node string, pid int) chaos.Agent {
		return chaos.Agent{Node: node, Namespace: "kube-system", Pod: "knp-" + node, Container: "netpol", ContainerID: "old-" + node, PID: pid, Start: 100, Queues: []int{98}}
	}
	inv := chaos.Inventory{
		Cluster: "segtest-1",
		Nodes:   []chaos.Node{{Name: "w1"}, {Name: "w2"}, {Name: "cp", ControlPlane: true}},
		Pods: []chaos.Pod{
			{Endpoint: "shop/db-0", Workload: "shop/db", Node: "w1", UID: "db", Ingress: true},
			{Endpoint: "shop/web-0", Workload: "shop/web", Node: "w2", UID: "web"},
		},
		Agents: []chaos.Agent{agent("w2", 22), agent("w1", 11), agent("cp", 33)},
	}
	inv.Sort()
	return inv
}

func plan(t *testing.T, inv chaos.Inventory, node string, within time.Duration) (chaos.Step, error) {
	t.Helper()
	return fake.Plan(t, policyagentkill.Kind(), 1, inv, chaos.Params{Target: chaos.Target{Node: node}, RecoverWithin: within})
}

func TestPlan(t *testing.T) {
	t.Parallel()
	dead, restarted := inventory(), inventory()
	dead.Agents[1].PID = 0 // w1
	restarted.Agents[1].Restarts = 2
	missing := inventory()
	missing.Agents = missing.Agents[:1]
	for _, tc := range []struct {
		name    string
		inv     chaos.Inventory
		node    string
		within  time.Duration
		want    string // nodes
		problem string
	}{
		{"one node", inventory(), "of shop/db", 0, "w1", ""},
		{"all nodes", inventory(), "all", 0, "cp w1 w2", ""},
		{"an agent without a process", dead, "worker-1", 0, "", "has no process"},
		{"no agent", missing, "worker-1", 0, "", "no known policy agent"},
		{"one of all lacks an agent", missing, "all", 0, "", "no known policy agent"},
		{"the kubelet will wait too long", restarted, "worker-1", 30 * time.Second, "", "may wait 35s"},
		{"the kubelet will wait", restarted, "worker-1", 60 * time.Second, "w1", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			step, err := plan(t, tc.inv, tc.node, tc.within)
			if tc.problem != "" {
				if err == nil || !strings.Contains(err.Error(), tc.problem) {
					t.Errorf("planned %+v, %v; want an error with %q", step, err, tc.problem)
				}
				return
			}
			var nodes []string
			for _, a := range step.Agents {
				nodes = append(nodes, a.Node)
			}
			if err != nil || strings.Join(nodes, " ") != tc.want {
				t.Errorf("planned agents of %v, %v; want %s", nodes, err, tc.want)
			}
		})
	}
}

func TestExpectGrowsByTheKubeletsWait(t *testing.T) {
	t.Parallel()
	profile := chaos.Profile{Agent: chaos.AgentDeath{Opens: &chaos.Gap{ID: "opens", Bound: chaos.Duration(5 * time.Second)}}}
	flow := matrix.Flow{From: "shop/web-0", To: "shop/db-0"}
	for restarts, extra := range []time.Duration{0, 25 * time.Second, 35 * time.Second, 55 * time.Second} {
		inv := inventory()
		inv.Agents[1].Restarts = restarts
		step, err := plan(t, inv, "worker-1", 10*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		got := policyagentkill.Kind().Expect(profile, step, inv, flow)
		if want := (chaos.Expect{Gap: "opens", Bound: 5*time.Second + extra, Grace: 5 * time.Second}); got != want {
			t.Errorf("after %d restarts: %+v, want %+v", restarts, got, want)
		}
	}
	step, err := plan(t, inventory(), "worker-2", 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := policyagentkill.Kind().Expect(profile, step, inventory(), flow); got != (chaos.Expect{}) {
		t.Errorf("the other node's agent explains %+v", got)
	}
}

// TestKillHitsOnlyTheProcessThatWasFound kills real processes of this machine.
func TestKillHitsOnlyTheProcessThatWasFound(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("no /proc on this machine")
	}
	env := chaos.Env{Cluster: &fake.Cluster{Has: []cluster.Node{&fake.Node{Bare: fake.Bare{Called: "w1"}, Exec: fake.Here}}}}
	fault := policyagentkill.Kind().Fault
	victim := exec.CommandContext(t.Context(), "sleep", "600")
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- victim.Wait() }()
	t.Cleanup(func() { victim.Process.Kill() }) //nolint:errcheck // it should be dead
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", victim.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	start, err := survey.ProcessStart(string(stat))
	if err != nil || start == 0 {
		t.Fatalf("the process began at %d, %v", start, err)
	}
	step := chaos.Step{Agents: []chaos.Agent{{Node: "w1", Pod: "knp", PID: victim.Process.Pid, Start: start}}}
	other := chaos.Step{Agents: []chaos.Agent{{Node: "w1", Pod: "knp", PID: victim.Process.Pid, Start: start - 1}}}

	if err := fault.Inject(t.Context(), env, other); err == nil || !strings.Contains(err.Error(), "it is another") {
		t.Errorf("killing a later process of the same id: %v", err)
	}
	if p, err := fault.Effective(t.Context(), env, step); err != nil || p.Seen {
		t.Errorf("while it runs: %+v, %v", p, err)
	}
	if err := fault.Inject(t.Context(), env, step); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "killed") {
			t.Errorf("the process ended by %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the process still runs")
	}
	if p, err := fault.Effective(t.Context(), env, step); err != nil || !p.Seen {
		t.Errorf("when it is gone: %+v, %v", p, err)
	}
	if err := fault.Inject(t.Context(), env, step); err == nil || !strings.Contains(err.Error(), "gone already") {
		t.Errorf("killing it again: %v", err)
	}
}

func agentPod(node, id string, ready corev1.ConditionStatus) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "knp-" + node},
		Status: corev1.PodStatus{
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}},
			ContainerStatuses: []corev1.ContainerStatus{{
				Name: "netpol", ContainerID: "containerd://" + id, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
			}},
		},
	}
}

// look is what a node says of a process that began at the given tick and holds the given queue.
func look(start, queue int) string {
	return fmt.Sprintf("# stat\n44 (netpol) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 0\n# sockets\nsocket:[7]\n# netlink\nx 12 1 0 0 0 0 2 0 7\n# queues\n %d 1 0 2 128 0 0 0 1\n", start, queue)
}

func TestHealedNeedsANewProcessThatHoldsTheQueue(t *testing.T) {
	t.Parallel()
	step, err := plan(t, inventory(), "worker-1", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, id, out string
		ready         corev1.ConditionStatus
		fail          error
		seen          bool
		detail        string
	}{
		{"the old container", "old-w1", look(100, 98), corev1.ConditionTrue, nil, false, "no new container"},
		{"no process yet", "new", "", corev1.ConditionTrue, nil, false, "no process yet"},
		{"another queue", "new", look(200, 99), corev1.ConditionTrue, nil, false, "does not hold queue 98"},
		{"not ready", "new", look(200, 98), corev1.ConditionFalse, nil, false, "not Ready"},
		{"back", "new", look(200, 98), corev1.ConditionTrue, nil, true, "process 44 in its place holds queues [98]"},
		{"a node that does not answer", "new", "", corev1.ConditionTrue, errors.New("no answer"), false, "no answer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			node := &fake.Node{Bare: fake.Bare{Called: "w1"}, Exec: func(context.Context, []string) ([]byte, error) { return []byte(tc.out), tc.fail }}
			env := chaos.Env{
				Cluster: &fake.Cluster{Has: []cluster.Node{node}},
				Client:  fake.Client(agentPod("w1", tc.id, tc.ready)),
			}
			p, err := policyagentkill.Kind().Fault.Healed(t.Context(), env, step)
			if p.Seen != tc.seen || !strings.Contains(p.Detail+fmt.Sprint(err), tc.detail) || (err != nil) != (tc.fail != nil) {
				t.Errorf("%+v, %v; want seen %v, %q", p, err, tc.seen, tc.detail)
			}
		})
	}
}

func TestProofOfAllNodesNeedsEach(t *testing.T) {
	t.Parallel()
	step, err := plan(t, inventory(), "all", 0)
	if err != nil {
		t.Fatal(err)
	}
	env := func(alive string) chaos.Env {
		c := &fake.Cluster{}
		for _, name := range []string{"cp", "w1", "w2"} {
			c.Has = append(c.Has, &fake.Node{Bare: fake.Bare{Called: name}, Exec: func(context.Context, []string) ([]byte, error) {
				if name != alive {
					return nil, nil
				}
				return []byte("11 (netpol) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0\n"), nil
			}})
		}
		return chaos.Env{Cluster: c}
	}
	if p, err := policyagentkill.Kind().Fault.Effective(t.Context(), env("w1"), step); err != nil || p.Seen || !strings.Contains(p.Detail, "w1: process 11 still runs") {
		t.Errorf("one agent lives: %+v, %v", p, err)
	}
	if p, err := policyagentkill.Kind().Fault.Effective(t.Context(), env(""), step); err != nil || !p.Seen {
		t.Errorf("all are dead: %+v, %v", p, err)
	}
	if p, err := policyagentkill.Kind().Fault.Effective(t.Context(), env(""), chaos.Step{}); err == nil || p.Seen {
		t.Errorf("a step without agents is proven: %+v, %v", p, err)
	}
}

func TestPreflightSkipsNodesWithoutCommands(t *testing.T) {
	t.Parallel()
	env := chaos.Env{Cluster: &fake.Cluster{Has: []cluster.Node{&fake.Bare{Called: "vm-1"}}}}
	var skip *chaos.SkipError
	if err := policyagentkill.Kind().Fault.Preflight(t.Context(), env); !errors.As(err, &skip) {
		t.Errorf("preflight gives %v; want a SkipError", err)
	}
}
