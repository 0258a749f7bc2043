// Package fake is a cluster in memory, for the tests of faults.
package fake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	clientset "k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"

	"github.com/segtest/segtest/fixtures/cluster"
)

// Client is the API of a cluster that holds the objects. It knows no server-side
// apply: the schema of the whole API, which that needs, takes half a second to read.
func Client(objects ...runtime.Object) *clientset.Clientset {
	return clientset.NewSimpleClientset(objects...)
}

// Cluster is nodes with a name.
type Cluster struct {
	Called string
	Has    []cluster.Node
}

// Name implements cluster.Cluster.
func (c *Cluster) Name() string { return c.Called }

// REST implements cluster.Cluster; there is no API server.
func (c *Cluster) REST() *rest.Config { return nil }

// Kubeconfig implements cluster.Cluster; there is none.
func (c *Cluster) Kubeconfig() string { return "" }

// Nodes implements cluster.Cluster.
func (c *Cluster) Nodes() []cluster.Node { return c.Has }

// Facts implements cluster.Cluster; there are none.
func (c *Cluster) Facts() map[string]string { return nil }

// Delete implements cluster.Cluster and does nothing.
func (c *Cluster) Delete(context.Context) error { return nil }

// Bare is a node without powers.
type Bare struct {
	Called    string
	IsControl bool
}

// Name implements cluster.Node.
func (n *Bare) Name() string { return n.Called }

// ControlPlane implements cluster.Node.
func (n *Bare) ControlPlane() bool { return n.IsControl }

// Node is a node with all powers.
type Node struct {
	Bare
	// Exec answers a command; nil answers nothing, successfully.
	Exec func(ctx context.Context, argv []string) ([]byte, error)
	// Immune nodes say that they are paused and go on answering.
	Immune bool
	// Fail, if set, is asked before "pause" and "unpause".
	Fail func(verb string) error

	mu     sync.Mutex
	paused bool
}

// Run implements cluster.Commander.
func (n *Node) Run(ctx context.Context, _ io.Reader, argv ...string) ([]byte, error) {
	if paused, _ := n.Paused(ctx); paused && !n.Immune {
		return nil, errors.New("container is paused")
	}
	if n.Exec == nil {
		return nil, ctx.Err()
	}
	return n.Exec(ctx, argv)
}

// Pause implements cluster.Pauser.
func (n *Node) Pause(context.Context) error { return n.set("pause", true) }

// Unpause implements cluster.Pauser.
func (n *Node) Unpause(context.Context) error { return n.set("unpause", false) }

func (n *Node) set(verb string, paused bool) error {
	if n.Fail != nil {
		if err := n.Fail(verb); err != nil {
			return err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.paused = paused
	return nil
}

// Paused implements cluster.Pauser.
func (n *Node) Paused(context.Context) (bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.paused, nil
}

// Here is an Exec that runs the command on this machine.
func Here(ctx context.Context, argv []string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).Output() //nolint:gosec // for tests
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return out, err
}
