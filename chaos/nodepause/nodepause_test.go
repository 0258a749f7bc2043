package nodepause_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientset "k8s.io/client-go/kubernetes/fake"

	"github.com/segtest/segtest/chaos"
	"github.com/segtest/segtest/chaos/internal/fake"
	"github.com/segtest/segtest/chaos/nodepause"
	"github.com/segtest/segtest/fixtures/cluster"
	"github.com/segtest/segtest/probes/matrix"
)

func inventory() chaos.Inventory {
	inv := chaos.Inventory{
		Cluster: "segtest-1",
		Nodes:   []chaos.Node{{Name: "segtest-1-worker"}, {Name: "segtest-1-worker2"}, {Name: "segtest-1-control-plane", ControlPlane: true}},
		Pods: []chaos.Pod{
			{Endpoint: "shop/db-0", Workload: "shop/db", Node: "segtest-1-worker", UID: "db"},
			{Endpoint: "shop/web-0", Workload: "shop/web", Node: "segtest-1-worker2", UID: "web0"},
			{Endpoint: "shop/web-1", Workload: "shop/web", Node: "segtest-1-worker2", UID: "web1"},
		},
	}
	inv.Sort()
	return inv
}

func plan(t *testing.T, node string) (chaos.Step, error) {
	t.Helper()
	return fake.Plan(t, nodepause.Kind(), 1, inventory(), chaos.Params{Target: chaos.Target{Node: node}})
}

func TestPlan(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, node, want, problem string }{
		{"of a workload", "of shop/db", "segtest-1-worker", ""},
		{"by number", "worker-2", "segtest-1-worker2", ""},
		{"the control plane", "control-plane", "", "choose a worker"},
		{"the control plane by name", "segtest-1-control-plane", "", "choose a worker"},
		{"all", "all", "", "give one"},
		{"none", "worker-9", "", "no target"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			step, err := plan(t, tc.node)
			if tc.problem != "" {
				if err == nil || !strings.Contains(err.Error(), tc.problem) {
					t.Errorf("planned %+v, %v; want an error with %q", step, err, tc.problem)
				}
				return
			}
			undo := chaos.Undo{Op: chaos.OpUnpause, Cluster: "segtest-1", Node: tc.want}
			if err != nil || step.Node != tc.want || len(step.Undo) != 1 || step.Undo[0] != undo {
				t.Errorf("planned %+v, %v", step, err)
			}
		})
	}
}

func TestCheckHold(t *testing.T) {
	t.Parallel()
	for hold, want := range map[time.Duration]string{0: "", 45 * time.Second: "", 46 * time.Second: "give 45s or less", -time.Second: "negative"} {
		got := strings.Join(nodepause.Kind().Check(chaos.Params{Target: chaos.Target{Node: "worker-1"}, Hold: hold}), "\n")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("hold %s: %q, want %q", hold, got, want)
		}
	}
}

func setup(ready corev1.ConditionStatus) (chaos.Env, *fake.Node, *clientset.Clientset) {
	api := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "segtest-1-worker"}}
	api.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}
	client := fake.Client(api)
	worker := &fake.Node{Bare: fake.Bare{Called: "segtest-1-worker"}}
	control := &fake.Node{Bare: fake.Bare{Called: "segtest-1-control-plane", IsControl: true}}
	return chaos.Env{Client: client, Cluster: &fake.Cluster{Called: "segtest-1", Has: []cluster.Node{control, worker}}}, worker, client
}

func TestPauseEffectAndHealing(t *testing.T) {
	t.Parallel()
	env, worker, _ := setup(corev1.ConditionTrue)
	step, err := plan(t, "of shop/db")
	if err != nil {
		t.Fatal(err)
	}
	fault := nodepause.Kind().Fault
	expect := func(name string, look func(context.Context, chaos.Env, chaos.Step) (chaos.Proof, error), seen bool, detail string) {
		t.Helper()
		if p, err := look(t.Context(), env, step); err != nil || p.Seen != seen || !strings.Contains(p.Detail, detail) {
			t.Errorf("%s: %+v, %v; want seen %v, %q", name, p, err, seen, detail)
		}
	}
	if err := fault.Preflight(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	expect("before", fault.Effective, false, "is not paused")
	if err := fault.Inject(t.Context(), env, step); err != nil {
		t.Fatal(err)
	}
	expect("paused", fault.Effective, true, "answers no command")
	expect("paused", fault.Healed, false, "still paused")
	if err := fault.Preflight(t.Context(), env); err == nil || !strings.Contains(err.Error(), "paused already") {
		t.Errorf("preflight over a paused node: %v", err)
	}
	worker.Immune = true
	expect("paused only by name", fault.Effective, false, "but answers")
	if err := worker.Unpause(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect("thawed", fault.Healed, true, "is Ready")

	env, _, _ = setup(corev1.ConditionUnknown)
	expect("not ready", fault.Healed, false, "not Ready yet")
}

func TestSilenceIsNoProofOfHealing(t *testing.T) {
	t.Parallel()
	env, worker, _ := setup(corev1.ConditionTrue)
	step, err := plan(t, "worker-1")
	if err != nil {
		t.Fatal(err)
	}
	worker.Exec = func(context.Context, []string) ([]byte, error) { return nil, errors.New("exec failed") }
	if p, err := nodepause.Kind().Fault.Healed(t.Context(), env, step); err == nil || p.Seen {
		t.Errorf("a node that answers nothing is healed: %+v, %v", p, err)
	}
	// An interruption, which silences every command, proves no effect either.
	if err := worker.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if p, err := nodepause.Kind().Fault.Effective(over, env, step); err == nil || p.Seen {
		t.Errorf("an interrupted look proves an effect: %+v, %v", p, err)
	}
}

func TestPreflightSkipsClustersThatCannotPause(t *testing.T) {
	t.Parallel()
	env := chaos.Env{Cluster: &fake.Cluster{Has: []cluster.Node{&fake.Bare{Called: "vm-1"}}}}
	var skip *chaos.SkipError
	if err := nodepause.Kind().Fault.Preflight(t.Context(), env); !errors.As(err, &skip) {
		t.Errorf("preflight gives %v; want a SkipError", err)
	}
}

// A flow may open while its only enforcing node is frozen, and no other may.
func TestExpectTheFreezeGapWhereNobodyElseEnforces(t *testing.T) {
	t.Parallel()
	step, err := plan(t, "of shop/web-0")
	if err != nil {
		t.Fatal(err)
	}
	gap := &chaos.Gap{ID: "agent-freeze-opens", Bound: chaos.Duration(3 * time.Second), Link: "https://example.org"}
	inv := inventory()
	for i := range inv.Pods {
		inv.Pods[i].Ingress = true
	}
	for _, tc := range []struct {
		from, to matrix.Endpoint
		opens    bool
	}{
		{"shop/web-0", "shop/web-1", true}, // both on the node
		{"shop/web-0", "shop/db-0", false}, // the other node lives
		{"shop/db-0", "shop/web-0", false},
		{"shop/web-0", "shop/web-0", false}, // no policy applies to a pod that asks itself
	} {
		got := nodepause.Kind().Expect(chaos.Profile{AgentFreeze: gap}, step, inv, matrix.Flow{From: tc.from, To: tc.to})
		want := chaos.Expect{Outage: true, Unobservable: true}
		if tc.opens {
			want.Gap, want.Bound, want.Grace, want.Link = gap.ID, step.Hold+3*time.Second, 3*time.Second, gap.Link
		}
		if got != want {
			t.Errorf("%s to %s: %+v, want %+v", tc.from, tc.to, got, want)
		}
	}
}

func TestExpectOnlyFlowsOfTheNode(t *testing.T) {
	t.Parallel()
	step, err := plan(t, "of shop/db")
	if err != nil {
		t.Fatal(err)
	}
	frozen := chaos.Expect{Outage: true, Unobservable: true}
	for _, tc := range []struct {
		flow matrix.Flow
		want chaos.Expect
	}{
		{matrix.Flow{From: "shop/web-0", To: "shop/db-0"}, frozen},
		{matrix.Flow{From: "shop/db-0", To: "shop/web-0"}, frozen},
		{matrix.Flow{From: "shop/web-1", To: "shop/web-0"}, chaos.Expect{}},
	} {
		if got := nodepause.Kind().Expect(chaos.Profile{}, step, inventory(), tc.flow); got != tc.want {
			t.Errorf("%v: %+v, want %+v", tc.flow, got, tc.want)
		}
	}
}
