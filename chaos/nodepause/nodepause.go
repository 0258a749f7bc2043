// Package nodepause is the fault node-pause: all processes of a worker node are
// frozen for a while.
package nodepause

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/segtest/segtest/chaos"
	"github.com/segtest/segtest/fixtures/cluster"
	"github.com/segtest/segtest/probes/matrix"
)

const name = "node-pause"

// maxHold is the longest hold. A kernel keeps a half-open connection for about a
// minute, and a frozen node cannot be asked for its: after a longer pause nobody
// knows what arrived there. Proof of effect and of healing need some of the minute.
const maxHold = 45 * time.Second

//go:embed node-pause.yaml
var example string

const doc = `A worker node is frozen as a whole (docker pause of its container) for the hold
time of at most 45 s, then thawed. Control plane nodes are refused.

The effect is proven when the container is reported as paused and the node does
not answer a command. The fault is healed when it is not paused, the node is
Ready and answers a command. Flows from and to pods of the node may fail in
between, and cannot be judged while it is frozen: its kernel still completes
handshakes, its processes do not. All other flows must stay as they are.

The undo is journalled before the node freezes, and a separate process stands by
to thaw it should segtest die.`

// Kind describes the fault.
func Kind() chaos.Kind {
	return chaos.Kind{
		Name: name, Summary: "freeze a worker node for a while",
		Doc: doc, Example: example,
		Check: check, Plan: plan, Expect: expect, Fault: fault{},
	}
}

func check(p chaos.Params) []string {
	wrong := append(p.Target.CheckNode(false), p.CheckTimes()...)
	if p.Hold > maxHold {
		wrong = append(wrong, fmt.Sprintf("hold %s is too long: a kernel forgets after a minute who tried to connect, so that no denied flow to the frozen node could be proven; give %s or less", p.Hold, maxHold))
	}
	return wrong
}

func plan(_ *rand.Rand, inv chaos.Inventory, p chaos.Params) (chaos.Step, error) {
	nodes, words, err := inv.Select(p.Target)
	if err != nil {
		return chaos.Step{}, err
	}
	if len(nodes) != 1 {
		return chaos.Step{}, fmt.Errorf("planning %s: target %s is %d nodes; give one", name, p.Target, len(nodes))
	}
	node := nodes[0]
	if node.ControlPlane {
		return chaos.Step{}, fmt.Errorf("planning %s: %s is a control plane node, which segtest needs to see anything; choose a worker", name, words)
	}
	step := p.Step(name, words, chaos.Undo{Op: chaos.OpUnpause, Cluster: inv.Cluster, Node: node.Name})
	step.Node = node.Name
	return step, nil
}

func expect(profile chaos.Profile, step chaos.Step, inv chaos.Inventory, flow matrix.Flow) chaos.Expect {
	return profile.ExpectFrozen(inv, flow, step.Node, step.Hold)
}

type fault struct{}

// Preflight implements chaos.Fault: some worker can be paused and asked.
func (fault) Preflight(ctx context.Context, env chaos.Env) error {
	for _, n := range env.Cluster.Nodes() {
		if n.ControlPlane() {
			continue
		}
		p, err := env.Pauser(n.Name())
		if err != nil {
			return err
		}
		paused, err := p.Paused(ctx)
		if err != nil {
			return fmt.Errorf("preparing %s: asking whether node %s is paused: %w", name, n.Name(), err)
		}
		if paused {
			return fmt.Errorf("preparing %s: node %s is paused already; segtest clean thaws what a killed run left", name, n.Name())
		}
		if err := answers(ctx, env, n.Name()); err != nil {
			return fmt.Errorf("preparing %s: %w", name, err)
		}
	}
	return nil
}

func (fault) Inject(ctx context.Context, env chaos.Env, step chaos.Step) error {
	p, err := pauser(env, step)
	if err != nil {
		return err
	}
	if err := p.Pause(ctx); err != nil {
		return fmt.Errorf("pausing node %s: %w", step.Node, err)
	}
	return nil
}

func (fault) Effective(ctx context.Context, env chaos.Env, step chaos.Step) (chaos.Proof, error) {
	paused, err := isPaused(ctx, env, step)
	if err != nil {
		return chaos.Proof{}, err
	}
	if !paused {
		return chaos.Proof{Detail: fmt.Sprintf("node %s is not paused", step.Node)}, nil
	}
	silence := answers(ctx, env, step.Node)
	switch {
	case ctx.Err() != nil:
		return chaos.Proof{}, fmt.Errorf("asking paused node %s: %w", step.Node, context.Cause(ctx))
	case silence == nil:
		return chaos.Proof{Detail: fmt.Sprintf("node %s is said to be paused, but answers a command", step.Node)}, nil
	}
	return chaos.Proof{Seen: true, Detail: fmt.Sprintf("node %s is paused and answers no command", step.Node)}, nil
}

func (fault) Healed(ctx context.Context, env chaos.Env, step chaos.Step) (chaos.Proof, error) {
	paused, err := isPaused(ctx, env, step)
	if err != nil {
		return chaos.Proof{}, err
	}
	if paused {
		return chaos.Proof{Detail: fmt.Sprintf("node %s is still paused", step.Node)}, nil
	}
	if err := answers(ctx, env, step.Node); err != nil {
		return chaos.Proof{}, err
	}
	node, err := env.Client.CoreV1().Nodes().Get(ctx, step.Node, metav1.GetOptions{})
	if err != nil {
		return chaos.Proof{}, fmt.Errorf("reading node %s: %w", step.Node, err)
	}
	if !cluster.NodeReady(node) {
		return chaos.Proof{Detail: fmt.Sprintf("node %s runs but is not Ready yet", step.Node)}, nil
	}
	return chaos.Proof{Seen: true, Detail: fmt.Sprintf("node %s runs, answers commands and is Ready", step.Node)}, nil
}

// errSilence ends the wait for a node that does not answer.
var errSilence = errors.New("no answer within 3 s")

// answers asks the node for a command that does nothing.
func answers(ctx context.Context, env chaos.Env, node string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 3*time.Second, errSilence)
	defer cancel()
	_, err := env.Run(ctx, node, "true")
	return err
}

func isPaused(ctx context.Context, env chaos.Env, step chaos.Step) (bool, error) {
	p, err := pauser(env, step)
	if err != nil {
		return false, err
	}
	paused, err := p.Paused(ctx)
	if err != nil {
		return false, fmt.Errorf("asking whether node %s is paused: %w", step.Node, err)
	}
	return paused, nil
}

func pauser(env chaos.Env, step chaos.Step) (cluster.Pauser, error) {
	if step.Node == "" {
		return nil, fmt.Errorf("step of %s names no node", name)
	}
	return env.Pauser(step.Node)
}
