// Package policyagentkill is the fault policy-agent-kill: the process that
// decides over packets on a node is killed, and the kubelet has to start it
// again.
package policyagentkill

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/segtest/segtest/chaos"
	"github.com/segtest/segtest/chaos/survey"
	"github.com/segtest/segtest/fixtures/cluster"
	"github.com/segtest/segtest/probes/matrix"
)

const name = "policy-agent-kill"

//go:embed policy-agent-kill.yaml
var example string

const doc = `The policy agent of a node (or, with {node: all}, of every node at once) gets a
SIGKILL. The process is found through containerd and killed only if it is still
the one that was found: same id and same start time.

The effect is proven when the process is gone from the node. The fault is healed
when a new process of the same container holds the same nfnetlink queues and the
pod is Ready; the kubelet sees to that. Its first restart is immediate, a second
one within ten minutes waits 10 s to 25 s, then 20 s to 35 s, and so on; the
bound of a known gap grows by that wait.`

// Kind describes the fault.
func Kind() chaos.Kind {
	return chaos.Kind{
		Name: name, Summary: "SIGKILL the policy agent of a node, or of all nodes; the kubelet starts it again",
		Doc: doc, Example: example,
		Check: check, Plan: plan, Expect: expect, Fault: fault{},
	}
}

func check(p chaos.Params) []string {
	return append(p.Target.CheckNode(true), p.CheckTimes()...)
}

func plan(_ *rand.Rand, inv chaos.Inventory, p chaos.Params) (chaos.Step, error) {
	nodes, words, err := inv.Select(p.Target)
	if err != nil {
		return chaos.Step{}, err
	}
	step := p.Step(name, "policy agent of "+words, chaos.Undo{Op: chaos.OpWait, Reason: "the kubelet starts the agent again"})
	for _, n := range nodes {
		agents := inv.AgentsOn(n.Name)
		if len(agents) == 0 {
			return chaos.Step{}, &chaos.NoTargetError{Reason: fmt.Sprintf("no known policy agent (kindnet, kube-network-policies) is on node %s", n.Name)}
		}
		for _, a := range agents {
			if a.PID == 0 {
				return chaos.Step{}, &chaos.NoTargetError{Reason: fmt.Sprintf("policy agent %s on node %s has no process", a.Pod, n.Name)}
			}
			if len(a.Queues) == 0 {
				return chaos.Step{}, &chaos.NoTargetError{Reason: fmt.Sprintf("policy agent %s on node %s holds no queue, by which its return could be proven", a.Pod, n.Name)}
			}
		}
		step.Agents = append(step.Agents, agents...)
	}
	if wait := backoff(step.Agents); wait >= step.RecoverWithin {
		return chaos.Step{}, fmt.Errorf("planning %s: an agent died before and the kubelet may wait %s before it starts it again, recoverWithin is %s; give more, or kill it once only",
			name, wait, step.RecoverWithin)
	}
	return step, nil
}

// backoff is how long at most the kubelet waits before it starts the agents
// again.
func backoff(agents []chaos.Agent) time.Duration {
	const first, longest = 10 * time.Second, 300 * time.Second
	// It looks at a container in back-off only every 10 s to 15 s.
	const late = 15 * time.Second
	deaths := 0
	for _, a := range agents {
		deaths = max(deaths, a.Restarts)
	}
	if deaths == 0 {
		return 0
	}
	wait := first
	for range deaths - 1 {
		wait = min(2*wait, longest)
	}
	return wait + late
}

func expect(profile chaos.Profile, step chaos.Step, inv chaos.Inventory, flow matrix.Flow) chaos.Expect {
	var dead []string
	for _, a := range step.Agents {
		dead = append(dead, a.Node)
	}
	return profile.ExpectAgentsDead(inv, flow, dead, backoff(step.Agents))
}

type fault struct{}

func (fault) Preflight(ctx context.Context, env chaos.Env) error {
	for _, n := range env.Cluster.Nodes() {
		if _, err := env.Run(ctx, n.Name(), "ctr", "--namespace", "k8s.io", "version"); err != nil {
			return fmt.Errorf("preparing %s: %w", name, err)
		}
	}
	return nil
}

// killScript kills process $1 if it began at tick $2.
const killScript = `
want=$2
read -r stat < /proc/$1/stat || { echo "process $1 is gone already" >&2; exit 3; }
set -- $1 ${stat##*)}
[ "${21}" = "$want" ] || { echo "process $1 began at tick ${21}, not $want: it is another" >&2; exit 4; }
kill -KILL $1`

func (fault) Inject(ctx context.Context, env chaos.Env, step chaos.Step) error {
	return each(step, func(_ int, a chaos.Agent) error {
		_, err := env.Run(ctx, a.Node, "sh", "-c", killScript, "kill", strconv.Itoa(a.PID), strconv.FormatUint(a.Start, 10))
		if err != nil {
			return fmt.Errorf("killing policy agent %s (process %d): %w", a.Pod, a.PID, err)
		}
		return nil
	})
}

// each does something for all agents at once and joins the errors in the order
// of the agents.
func each(step chaos.Step, do func(i int, a chaos.Agent) error) error {
	if len(step.Agents) == 0 {
		return fmt.Errorf("step of %s names no agent", name)
	}
	errs := make([]error, len(step.Agents))
	var wg sync.WaitGroup
	for i, a := range step.Agents {
		wg.Go(func() { errs[i] = do(i, a) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// observe looks at all agents at once; the proof is seen when each is.
func observe(step chaos.Step, look func(chaos.Agent) (chaos.Proof, error)) (chaos.Proof, error) {
	proofs := make([]chaos.Proof, len(step.Agents))
	err := each(step, func(i int, a chaos.Agent) (err error) {
		proofs[i], err = look(a)
		return err
	})
	if err != nil {
		return chaos.Proof{}, err
	}
	all := chaos.Proof{Seen: true}
	var details []string
	for i, p := range proofs {
		all.Seen = all.Seen && p.Seen
		details = append(details, step.Agents[i].Node+": "+p.Detail)
	}
	all.Detail = strings.Join(details, "; ")
	return all, nil
}

// startScript prints /proc/$1/stat, nothing for a process that is gone.
const startScript = `[ -r /proc/$1/stat ] && cat /proc/$1/stat; exit 0`

func (fault) Effective(ctx context.Context, env chaos.Env, step chaos.Step) (chaos.Proof, error) {
	return observe(step, func(a chaos.Agent) (chaos.Proof, error) {
		out, err := env.Run(ctx, a.Node, "sh", "-c", startScript, "start", strconv.Itoa(a.PID))
		if err != nil {
			return chaos.Proof{}, fmt.Errorf("looking for process %d: %w", a.PID, err)
		}
		start, err := survey.ProcessStart(string(out))
		if err != nil {
			return chaos.Proof{}, fmt.Errorf("looking for process %d in node %s: %w", a.PID, a.Node, err)
		}
		if start == a.Start {
			return chaos.Proof{Detail: fmt.Sprintf("process %d still runs", a.PID)}, nil
		}
		return chaos.Proof{Seen: true, Detail: fmt.Sprintf("process %d is gone", a.PID)}, nil
	})
}

func (fault) Healed(ctx context.Context, env chaos.Env, step chaos.Step) (chaos.Proof, error) {
	return observe(step, func(a chaos.Agent) (chaos.Proof, error) { return backAgain(ctx, env, a) })
}

// backAgain looks whether a new process does the work of a dead agent.
func backAgain(ctx context.Context, env chaos.Env, old chaos.Agent) (chaos.Proof, error) {
	pod, err := env.Client.CoreV1().Pods(old.Namespace).Get(ctx, old.Pod, metav1.GetOptions{})
	if err != nil {
		return chaos.Proof{}, fmt.Errorf("reading pod %s of the policy agent: %w", old.Pod, err)
	}
	id := containerID(pod, old.Container)
	if id == "" || id == old.ContainerID {
		return chaos.Proof{Detail: fmt.Sprintf("pod %s has no new container yet", old.Pod)}, nil
	}
	p, err := survey.Look(ctx, env, old.Node, id)
	switch {
	case err != nil:
		return chaos.Proof{}, err
	case p.PID == 0:
		return chaos.Proof{Detail: fmt.Sprintf("the new container of %s has no process yet", old.Pod)}, nil
	case p.Start == old.Start:
		return chaos.Proof{Detail: fmt.Sprintf("process %d is the old one", p.PID)}, nil
	}
	for _, q := range old.Queues {
		if !slices.Contains(p.Queues, q) {
			return chaos.Proof{Detail: fmt.Sprintf("process %d does not hold queue %d yet", p.PID, q)}, nil
		}
	}
	if !cluster.PodReady(pod) {
		return chaos.Proof{Detail: fmt.Sprintf("pod %s is not Ready yet", old.Pod)}, nil
	}
	return chaos.Proof{Seen: true, Detail: fmt.Sprintf("process %d in its place holds queues %v", p.PID, p.Queues)}, nil
}

func containerID(pod *corev1.Pod, container string) string {
	for _, s := range pod.Status.ContainerStatuses {
		if s.Name == container && s.State.Running != nil {
			return strings.TrimPrefix(s.ContainerID, "containerd://")
		}
	}
	return ""
}
