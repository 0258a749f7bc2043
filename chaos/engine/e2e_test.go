package engine_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/segtest/segtest/chaos"
	"github.com/segtest/segtest/chaos/engine"
	"github.com/segtest/segtest/chaos/kinds"
	"github.com/segtest/segtest/chaos/survey"
	"github.com/segtest/segtest/fixtures/cluster"
	"github.com/segtest/segtest/fixtures/cluster/kindcluster"
	"github.com/segtest/segtest/probes/matrix"
)

// TestE2EFaults does every fault to a real cluster. The pods of CoreDNS stand
// in for a workload.
func TestE2EFaults(t *testing.T) {
	if os.Getenv("SEGTEST_E2E") != "1" {
		t.Skip("makes a kind cluster: set SEGTEST_E2E=1 on a machine with Docker")
	}
	provider := &kindcluster.Provider{RunDir: t.TempDir(), StateDir: t.TempDir()}
	c, err := provider.Create(t.Context(), cluster.Spec{RunID: "c4a05e2e", Workers: 2}, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Delete(context.Background()); err != nil {
			t.Error(err)
		}
	})
	client, err := kubernetes.NewForConfig(c.REST())
	if err != nil {
		t.Fatal(err)
	}
	env := chaos.Env{Cluster: c, Client: client, Progress: t.Logf}
	for _, tc := range []struct {
		kind   string
		target chaos.Target
	}{
		{"pod-kill", chaos.Target{Endpoint: "kube-system/coredns"}},
		{"policy-agent-kill", chaos.Target{Node: "all"}},
		{"node-pause", chaos.Target{Node: "worker-2"}},
	} {
		t.Run(tc.kind, func(t *testing.T) { runFault(t, env, tc.kind, tc.target) })
	}
	t.Run("a run that is killed while a node is paused", func(t *testing.T) { killRun(t, env) })
}

func runFault(t *testing.T, env chaos.Env, name string, target chaos.Target) {
	t.Helper()
	kind, err := kinds.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	inv, err := survey.Take(t.Context(), env, dnsPods(t, env))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range inv.Agents {
		if n, ok := inv.Node(a.Node); !ok || n.Datapath == "" || a.PID == 0 || len(a.Queues) == 0 {
			t.Errorf("agent %+v on node %+v lacks a part", a, n)
		}
	}
	if len(inv.Agents) != 3 {
		t.Errorf("found %d policy agents on 3 nodes", len(inv.Agents))
	}
	w := newWriter(t)
	e := &engine.Engine{Env: env, Journal: w.journal}
	step, failed := e.Plan(t.Context(), "1-"+name, kind, inv, chaos.Params{Target: target, Hold: time.Second}, 1)
	if failed != nil {
		t.Fatalf("planning: %+v", failed)
	}
	r := e.Run(t.Context(), "1-"+name, kind, step)
	t.Logf("effect after %s: %s; healed after %s: %s", r.Effect.At-r.Injected[0], r.Effect.Detail, r.Healed.At-r.HealStart, r.Healed.Detail)
	if r.Error != "" || !r.Effect.Seen || !r.Healed.Seen || len(pending(t, e)) > 0 {
		t.Errorf("result %+v", r)
	}
}

func dnsPods(t *testing.T, env chaos.Env) []chaos.Pod {
	t.Helper()
	list, err := env.Client.CoreV1().Pods("kube-system").List(t.Context(), metav1.ListOptions{LabelSelector: "k8s-app=kube-dns"})
	if err != nil || len(list.Items) == 0 {
		t.Fatalf("no CoreDNS: %v", err)
	}
	var pods []chaos.Pod
	for i, p := range list.Items {
		pods = append(pods, chaos.Pod{
			Endpoint: matrix.Endpoint(fmt.Sprintf("kube-system/coredns-%d", i)), Workload: "kube-system/coredns",
			Namespace: p.Namespace, Name: p.Name,
		})
	}
	return pods
}

func killRun(t *testing.T, env chaos.Env) {
	t.Helper()
	worker := env.Cluster.Name() + "-worker"
	journal := filepath.Join(t.TempDir(), "faults.jsonl")
	run := exec.CommandContext(t.Context(), os.Args[0], "be-killed", "docker", journal, "effective", env.Cluster.Name(), worker) //nolint:gosec // this binary
	if out, err := run.CombinedOutput(); err == nil {
		t.Fatalf("the run lived: %s", out)
	}
	power, err := env.Pauser(worker)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reaper thaws the node", func() bool {
		entries, err := engine.Pending(journal)
		if err != nil {
			t.Fatal(err)
		}
		paused, err := power.Paused(t.Context())
		return err == nil && !paused && len(entries) == 0
	})
	if _, err := env.Run(t.Context(), worker, "true"); err != nil {
		t.Error(err)
	}
	now := time.Now() // in full: a duration would be cut to whole seconds
	until := fmt.Sprintf("%d.%09d", now.Unix(), now.Nanosecond())
	events, err := exec.CommandContext(t.Context(), "docker", "events", "--since", "1m", "--until", until, //nolint:gosec // a test
		"--filter", "event=pause", "--filter", "event=unpause", "--format", "{{.Actor.Attributes.name}} {{.Action}},").Output()
	var ours []string
	for event := range strings.SplitSeq(string(events), ",") {
		if name, action, _ := strings.Cut(strings.TrimSpace(event), " "); name == worker {
			ours = append(ours, action)
		}
	}
	if err != nil || !slices.Equal(ours, []string{"pause", "unpause"}) {
		t.Errorf("docker tells of %q, %v; want one pause and one unpause", ours, err)
	}
}
