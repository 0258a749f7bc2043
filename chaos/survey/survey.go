// Package survey reads from a cluster what faults are planned over: nodes, the
// pods that hold the workloads' slots, and the policy agents with their
// processes and queues.
package survey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/segtest/segtest/chaos"
	"github.com/segtest/segtest/fixtures/cluster"
)

// engines are the policy agents that can be recognised.
var engines = []struct{ app, container string }{ //nolint:gochecknoglobals // constant table
	{"kindnet", "kindnet-cni"},
	{"kube-network-policies", "netpol"},
}

const agentNamespace = "kube-system"

// Take makes the inventory. Of the pods the caller gives Endpoint, Workload,
// Namespace, Name, Ingress and Egress; the rest is read from the cluster, and a
// pod that is not there is an error. Nodes in which no command can be run have
// an unknown data path, and their agents no process.
func Take(ctx context.Context, env chaos.Env, pods []chaos.Pod) (chaos.Inventory, error) {
	inv := chaos.Inventory{Cluster: env.Cluster.Name(), Pods: slices.Clone(pods)}
	if err := readPods(ctx, env, inv.Pods); err != nil {
		return chaos.Inventory{}, fmt.Errorf("taking the inventory: %w", err)
	}
	agents, err := Agents(ctx, env)
	if err != nil {
		return chaos.Inventory{}, fmt.Errorf("taking the inventory: %w", err)
	}
	inv.Agents = agents
	for _, n := range env.Cluster.Nodes() {
		inv.Nodes = append(inv.Nodes, chaos.Node{Name: n.Name(), ControlPlane: n.ControlPlane()})
	}
	inv.Sort()
	if err := lookInside(ctx, env, &inv); err != nil {
		return chaos.Inventory{}, fmt.Errorf("taking the inventory: %w", err)
	}
	return inv, nil
}

// readPods fills in what the API server knows of the pods.
func readPods(ctx context.Context, env chaos.Env, pods []chaos.Pod) error {
	var errs []error
	for i := range pods {
		p := &pods[i]
		got, err := env.Client.CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
		if err != nil {
			errs = append(errs, fmt.Errorf("reading pod %s/%s of %s: %w", p.Namespace, p.Name, p.Endpoint, err))
			continue
		}
		p.UID, p.Node, p.IPs, p.Owner = string(got.UID), got.Spec.NodeName, nil, ""
		for _, ip := range got.Status.PodIPs {
			p.IPs = append(p.IPs, ip.IP)
		}
		if owner := metav1.GetControllerOf(got); owner != nil {
			p.Owner = string(owner.UID)
		}
	}
	return errors.Join(errs...)
}

// Agents lists the policy agents as the API server knows them, without their
// processes.
func Agents(ctx context.Context, env chaos.Env) ([]chaos.Agent, error) {
	var agents []chaos.Agent
	for _, e := range engines {
		list, err := env.Client.CoreV1().Pods(agentNamespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + e.app})
		if err != nil {
			return nil, fmt.Errorf("listing the policy agents app=%s: %w", e.app, err)
		}
		for i := range list.Items {
			if a, ok := agentOf(&list.Items[i], e.container); ok {
				agents = append(agents, a)
			}
		}
	}
	return agents, nil
}

func agentOf(pod *corev1.Pod, container string) (chaos.Agent, bool) {
	i := slices.IndexFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == container })
	if i < 0 || pod.DeletionTimestamp != nil {
		return chaos.Agent{}, false
	}
	a := chaos.Agent{
		Node: pod.Spec.NodeName, Namespace: pod.Namespace, Pod: pod.Name,
		UID: string(pod.UID), Container: container,
	}
	for _, s := range pod.Status.ContainerStatuses {
		if s.Name == container {
			a.ContainerID = strings.TrimPrefix(s.ContainerID, "containerd://")
			a.Restarts = recentRestarts(s, time.Now())
		}
	}
	return a, true
}

// backoffForgotten is how long a container must run before the kubelet forgets
// its deaths: twice the longest back-off.
const backoffForgotten = 10 * time.Minute

func recentRestarts(s corev1.ContainerStatus, now time.Time) int {
	if s.State.Running != nil && now.Sub(s.State.Running.StartedAt.Time) > backoffForgotten {
		return 0
	}
	return int(s.RestartCount)
}

// lookInside asks every node for its data path and its agents' processes, all
// nodes at once.
func lookInside(ctx context.Context, env chaos.Env, inv *chaos.Inventory) error {
	errs := make([]error, len(inv.Nodes))
	var wg sync.WaitGroup
	for i := range inv.Nodes {
		node := &inv.Nodes[i]
		if !commands(env, node.Name) {
			continue
		}
		wg.Go(func() { errs[i] = lookInsideNode(ctx, env, inv, node) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func commands(env chaos.Env, node string) bool {
	n, err := env.Node(node)
	if err != nil {
		return false
	}
	_, ok := n.(cluster.Commander)
	return ok
}

func lookInsideNode(ctx context.Context, env chaos.Env, inv *chaos.Inventory, node *chaos.Node) error {
	path, err := Datapath(ctx, env, node.Name)
	if err != nil {
		return err
	}
	node.Datapath = path
	for i := range inv.Agents {
		a := &inv.Agents[i]
		if a.Node != node.Name || a.ContainerID == "" {
			continue
		}
		p, err := Look(ctx, env, node.Name, a.ContainerID)
		if err != nil {
			return err
		}
		a.PID, a.Start, a.Queues = p.PID, p.Start, p.Queues
	}
	return nil
}
