package podkill_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"

	"github.com/segtest/segtest/chaos"
	"github.com/segtest/segtest/chaos/internal/fake"
	"github.com/segtest/segtest/chaos/podkill"
	"github.com/segtest/segtest/probes/matrix"
)

func inventory() chaos.Inventory {
	inv := chaos.Inventory{Cluster: "segtest-1", Pods: []chaos.Pod{
		{Endpoint: "shop/db-1", Workload: "shop/db", Namespace: "shop", Name: "db-1", UID: "old-1", Node: "w2", Owner: "set"},
		{Endpoint: "shop/db-0", Workload: "shop/db", Namespace: "shop", Name: "db-0", UID: "old-0", Node: "w1", Owner: "set", Ingress: true},
		{Endpoint: "shop/bare-0", Workload: "shop/bare", Namespace: "shop", Name: "bare-0", UID: "bare"},
	}}
	inv.Sort()
	return inv
}

func plan(t *testing.T, seed uint64, target matrix.Endpoint) chaos.Step {
	t.Helper()
	step, err := fake.Plan(t, podkill.Kind(), seed, inventory(), chaos.Params{Target: chaos.Target{Endpoint: target}})
	if err != nil {
		t.Fatal(err)
	}
	return step
}

func TestSeedChoosesTheReplica(t *testing.T) {
	t.Parallel()
	targets := map[string]bool{}
	for seed := range uint64(32) {
		targets[plan(t, seed, "shop/db").Target] = true
	}
	if len(targets) != 2 {
		t.Errorf("32 seeds hit only %v", targets)
	}
}

func TestPlanNeedsATargetThatComesBack(t *testing.T) {
	t.Parallel()
	for _, target := range []matrix.Endpoint{"shop/bare", "shop/nobody"} {
		var none *chaos.NoTargetError
		_, err := podkill.Kind().Plan(chaos.Rand(1, ""), inventory(), chaos.Params{Target: chaos.Target{Endpoint: target}})
		if !errors.As(err, &none) {
			t.Errorf("%s gives %v; want a NoTargetError", target, err)
		}
	}
	step := plan(t, 1, "shop/db-0")
	if step.Hold != chaos.DefaultHold || step.RecoverWithin != chaos.DefaultRecoverWithin || len(step.Undo) != 1 || step.Undo[0].Op != chaos.OpWait {
		t.Errorf("planned %+v", step)
	}
}

func pod(name, uid, owner string, ready corev1.ConditionStatus) *corev1.Pod {
	yes := true
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(uid), OwnerReferences: []metav1.OwnerReference{{UID: types.UID(owner), Controller: &yes}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
	}
}

func TestKillEffectAndHealing(t *testing.T) {
	t.Parallel()
	client := fake.Client(pod("db-0", "old-0", "set", corev1.ConditionTrue), pod("db-1", "old-1", "set", corev1.ConditionTrue), pod("web-0", "web", "other", corev1.ConditionTrue))
	env, fault, step := chaos.Env{Client: client}, podkill.Kind().Fault, plan(t, 1, "shop/db-0")
	pods := client.CoreV1().Pods("shop")
	expect := func(name string, look func() (chaos.Proof, error), seen bool, detail string) {
		t.Helper()
		if p, err := look(); err != nil || p.Seen != seen || !strings.Contains(p.Detail, detail) {
			t.Errorf("%s: %+v, %v; want seen %v, %q", name, p, err, seen, detail)
		}
	}
	effect := func() (chaos.Proof, error) { return fault.Effective(t.Context(), env, step) }
	healed := func() (chaos.Proof, error) { return fault.Healed(t.Context(), env, step) }

	expect("before", effect, false, "still there")
	expect("before", healed, false, "no pod has replaced db-0")
	if err := fault.Inject(t.Context(), env, step); err != nil {
		t.Fatal(err)
	}
	var options *metav1.DeleteOptions
	for _, a := range client.Actions() {
		if d, ok := a.(clienttesting.DeleteActionImpl); ok {
			options = &d.DeleteOptions
		}
	}
	if options == nil || *options.GracePeriodSeconds != 0 || *options.Preconditions.UID != "old-0" {
		t.Errorf("deleted with %+v; want no grace, and only the pod of that UID", options)
	}
	expect("after", effect, true, "is gone")
	if _, err := pods.Create(t.Context(), pod("db-0", "new-0", "set", corev1.ConditionFalse), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	expect("replaced", effect, true, "is another")
	expect("not ready", healed, false, "not Ready")
	if _, err := pods.Update(t.Context(), pod("db-0", "new-0", "set", corev1.ConditionTrue), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	expect("ready", healed, true, "new-0")
	if err := fault.Inject(t.Context(), chaos.Env{Client: fake.Client()}, step); err == nil {
		t.Error("deleting a pod that is not there is no error")
	}
}

func TestExpect(t *testing.T) {
	t.Parallel()
	kind, step := podkill.Kind(), plan(t, 1, "shop/db-0")
	profile := chaos.Profile{PodStart: &chaos.Gap{ID: "starts", Bound: chaos.Duration(time.Second)}}
	to := kind.Expect(profile, step, inventory(), matrix.Flow{From: "shop/bare-0", To: "shop/db-0"})
	if want := (chaos.Expect{Outage: true, Unobservable: true, Gap: "starts", Bound: time.Second, Grace: time.Second}); to != want {
		t.Errorf("a flow to the slot: %+v, want %+v", to, want)
	}
	if got := kind.Expect(profile, step, inventory(), matrix.Flow{From: "shop/bare-0", To: "shop/db-1"}); got != (chaos.Expect{}) {
		t.Errorf("a flow to the other slot: %+v", got)
	}
	if got := kind.Expect(profile, chaos.Step{}, inventory(), matrix.Flow{From: "shop/bare-0", To: "shop/db-0"}); got != (chaos.Expect{}) {
		t.Errorf("a step without a pod explains %+v", got)
	}
}
