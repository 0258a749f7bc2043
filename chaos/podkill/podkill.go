// Package podkill is the fault pod-kill: the pod of one slot is deleted without
// grace, and its controller has to bring back another.
package podkill

import (
	"context"
	_ "embed"
	"fmt"
	"math/rand/v2"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/segtest/segtest/chaos"
	"github.com/segtest/segtest/fixtures/cluster"
	"github.com/segtest/segtest/probes/matrix"
)

const name = "pod-kill"

//go:embed pod-kill.yaml
var example string

const doc = `The pod of one slot is deleted with grace period 0. Which replica of a workload
is hit comes from the seed.

The effect is proven when the API server no longer has a pod of that UID. The
fault is healed when the controller's replacement, a pod with another UID, is
Ready. Flows from and to the slot may fail in between; denied flows must stay
closed all the time, and from the first instant of the replacement.`

// Kind describes the fault.
func Kind() chaos.Kind {
	return chaos.Kind{
		Name: name, Summary: "delete the pod of a slot without grace; its controller brings back another",
		Doc: doc, Example: example,
		Check: check, Plan: plan, Expect: expect, Fault: fault{},
	}
}

func check(p chaos.Params) []string {
	return append(p.Target.CheckPod(), p.CheckTimes()...)
}

func plan(rng *rand.Rand, inv chaos.Inventory, p chaos.Params) (chaos.Step, error) {
	pod, err := inv.ChoosePod(rng, p.Target.Endpoint)
	if err != nil {
		return chaos.Step{}, err
	}
	if pod.Owner == "" {
		return chaos.Step{}, &chaos.NoTargetError{
			Reason: fmt.Sprintf("pod %s/%s of %s has no controller that would bring it back", pod.Namespace, pod.Name, pod.Endpoint),
		}
	}
	step := p.Step(name, fmt.Sprintf("pod %s/%s (%s)", pod.Namespace, pod.Name, pod.Endpoint),
		chaos.Undo{Op: chaos.OpWait, Reason: "the controller brings back the pod"})
	step.Pod = &pod
	for _, other := range inv.Pods {
		if other.Owner == pod.Owner {
			step.Siblings = append(step.Siblings, other.UID)
		}
	}
	return step, nil
}

func expect(profile chaos.Profile, step chaos.Step, inv chaos.Inventory, flow matrix.Flow) chaos.Expect {
	if step.Pod == nil {
		return chaos.Expect{}
	}
	return profile.ExpectReplaced(inv, flow, *step.Pod)
}

type fault struct{}

func (fault) Preflight(context.Context, chaos.Env) error { return nil }

func (fault) Inject(ctx context.Context, env chaos.Env, step chaos.Step) error {
	pod, err := target(step)
	if err != nil {
		return err
	}
	now, uid := int64(0), types.UID(pod.UID)
	err = env.Client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: &now,
		Preconditions:      &metav1.Preconditions{UID: &uid},
	})
	if err != nil {
		return fmt.Errorf("deleting pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return nil
}

func (fault) Effective(ctx context.Context, env chaos.Env, step chaos.Step) (chaos.Proof, error) {
	pod, err := target(step)
	if err != nil {
		return chaos.Proof{}, err
	}
	got, err := env.Client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return chaos.Proof{Seen: true, Detail: fmt.Sprintf("pod %s (uid %s) is gone", pod.Name, pod.UID)}, nil
	case err != nil:
		return chaos.Proof{}, fmt.Errorf("reading pod %s/%s: %w", pod.Namespace, pod.Name, err)
	case string(got.UID) != pod.UID:
		return chaos.Proof{Seen: true, Detail: fmt.Sprintf("pod %s is another (uid %s, was %s)", pod.Name, got.UID, pod.UID)}, nil
	}
	return chaos.Proof{Detail: fmt.Sprintf("pod %s (uid %s) is still there", pod.Name, pod.UID)}, nil
}

func (fault) Healed(ctx context.Context, env chaos.Env, step chaos.Step) (chaos.Proof, error) {
	pod, ok, err := Replacement(ctx, env, step)
	switch {
	case err != nil:
		return chaos.Proof{}, err
	case !ok:
		return chaos.Proof{Detail: fmt.Sprintf("no pod has replaced %s yet", step.Pod.Name)}, nil
	case !cluster.PodReady(pod):
		return chaos.Proof{Detail: fmt.Sprintf("pod %s (uid %s) is %s, not Ready", pod.Name, pod.UID, pod.Status.Phase)}, nil
	}
	return chaos.Proof{
		Seen:   true,
		Detail: fmt.Sprintf("pod %s (uid %s, %s, node %s) is Ready", pod.Name, pod.UID, pod.Status.PodIP, pod.Spec.NodeName),
	}, nil
}

// Replacement finds the pod that holds the slot instead of the one that the
// step deleted; false while there is none.
func Replacement(ctx context.Context, env chaos.Env, step chaos.Step) (*corev1.Pod, bool, error) {
	old, err := target(step)
	if err != nil {
		return nil, false, err
	}
	list, err := env.Client.CoreV1().Pods(old.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, false, fmt.Errorf("looking for the replacement of pod %s/%s: %w", old.Namespace, old.Name, err)
	}
	for i := range list.Items {
		p := &list.Items[i]
		owner := metav1.GetControllerOf(p)
		if owner == nil || string(owner.UID) != old.Owner || p.DeletionTimestamp != nil {
			continue
		}
		if !slices.Contains(step.Siblings, string(p.UID)) {
			return p, true, nil
		}
	}
	return nil, false, nil
}

func target(step chaos.Step) (*chaos.Pod, error) {
	if step.Pod == nil || step.Pod.UID == "" {
		return nil, fmt.Errorf("step of %s names no pod", name)
	}
	return step.Pod, nil
}
