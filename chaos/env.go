package chaos

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"github.com/segtest/segtest/fixtures/cluster"
)

// Now is CLOCK_MONOTONIC of this machine, the clock of all times of a run.
func Now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(fmt.Sprintf("reading CLOCK_MONOTONIC: %v", err)) // every supported kernel has it
	}
	return time.Duration(ts.Nano())
}

// Rand is the chance of one fault of a run: the same seed and id give the same
// choices, whatever other faults there are.
func Rand(seed uint64, id string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(id))
	return rand.New(rand.NewPCG(seed, h.Sum64())) //nolint:gosec // reproducible choices, no secrets
}

// Say tells people what happens.
func (e Env) Say(format string, args ...any) {
	if e.Progress != nil {
		e.Progress(format, args...)
	}
}

// Node of a name.
func (e Env) Node(name string) (cluster.Node, error) {
	for _, n := range e.Cluster.Nodes() {
		if n.Name() == name {
			return n, nil
		}
	}
	return nil, fmt.Errorf("cluster %s has no node %s", e.Cluster.Name(), name)
}

// Pauser is the power to freeze a node; a *SkipError where the cluster lacks it.
func (e Env) Pauser(node string) (cluster.Pauser, error) {
	n, err := e.Node(node)
	if err != nil {
		return nil, err
	}
	p, ok := n.(cluster.Pauser)
	if !ok {
		return nil, &SkipError{fmt.Sprintf("node %s cannot be paused on this kind of cluster", node)}
	}
	return p, nil
}

// errRun bounds a command whose caller set no nearer deadline: a command in a
// node that freezes meanwhile never ends by itself.
var errRun = errors.New("no answer within 20 s")

// Run runs a command in a node as root and returns its standard output; a
// *SkipError where the cluster gives no way to.
func (e Env) Run(ctx context.Context, node string, argv ...string) ([]byte, error) {
	n, err := e.Node(node)
	if err != nil {
		return nil, err
	}
	c, ok := n.(cluster.Commander)
	if !ok {
		return nil, &SkipError{fmt.Sprintf("no command can be run in node %s on this kind of cluster", node)}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 20*time.Second, errRun)
	defer cancel()
	out, err := c.Run(ctx, nil, argv...)
	if err != nil {
		return out, fmt.Errorf("running a command in node %s: %w", node, err)
	}
	return out, nil
}
