package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/segtest/segtest/chaos"
)

// ClusterUndoer mends through a cluster's own powers. It serves the process
// that holds the cluster.
type ClusterUndoer struct{ Env chaos.Env }

// Undo implements chaos.Undoer.
func (u ClusterUndoer) Undo(ctx context.Context, undo chaos.Undo) error {
	switch undo.Op {
	case chaos.OpWait:
		return nil
	case chaos.OpUnpause:
		p, err := u.Env.Pauser(undo.Node)
		if err != nil {
			return fmt.Errorf("unpausing node %s: %w", undo.Node, err)
		}
		if err := p.Unpause(ctx); err != nil {
			return fmt.Errorf("unpausing node %s: %w", undo.Node, err)
		}
		return nil
	}
	return fmt.Errorf("undo %q is unknown to this version of segtest", undo.Op)
}

// HostUndoer mends from the host with the docker command. It serves a process
// that knows nothing of the cluster but the undo itself.
type HostUndoer struct {
	Docker string // the command; "" is "docker"
	// Settle is how long a node must be seen running before it counts as thawed:
	// the killed run's own docker pause may still be on its way. 0 believes the
	// first look.
	Settle time.Duration
}

// ownPrefix begins the name of every cluster that segtest makes.
const ownPrefix = "segtest-"

// Undo implements chaos.Undoer. It touches only a container that carries the
// label of the undo's cluster, and only a cluster of segtest's own.
func (u HostUndoer) Undo(ctx context.Context, undo chaos.Undo) error {
	switch undo.Op {
	case chaos.OpWait:
		return nil
	case chaos.OpUnpause:
		if err := u.unpause(ctx, undo); err != nil {
			return fmt.Errorf("unpausing node %s: %w", undo.Node, err)
		}
		return nil
	}
	return fmt.Errorf("undo %q is unknown to this version of segtest", undo.Op)
}

func (u HostUndoer) unpause(ctx context.Context, undo chaos.Undo) error {
	if !strings.HasPrefix(undo.Cluster, ownPrefix) || !strings.HasPrefix(undo.Node, undo.Cluster+"-") {
		return fmt.Errorf("it is no node of a cluster of segtest's (cluster %q); left alone", undo.Cluster)
	}
	settled := time.NewTimer(u.Settle)
	defer settled.Stop()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		gone, err := u.thaw(ctx, undo)
		if err != nil || gone || u.Settle == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-settled.C:
			_, err := u.thaw(ctx, undo)
			return err
		case <-ticker.C:
		}
	}
}

// thaw unpauses the container if it is paused; gone reports that there is none.
func (u HostUndoer) thaw(ctx context.Context, undo chaos.Undo) (gone bool, err error) {
	out, err := u.docker(ctx, "container", "inspect", "--format", "{{json .}}", undo.Node)
	if err != nil {
		if strings.Contains(strings.ToLower(err.Error()), "no such container") {
			return true, nil // the cluster was deleted
		}
		return false, err
	}
	var c struct {
		State  struct{ Paused bool }
		Config struct{ Labels map[string]string }
	}
	if err := json.Unmarshal(out, &c); err != nil {
		return false, fmt.Errorf("reading docker inspect: %w", err)
	}
	if label := c.Config.Labels["io.x-k8s.kind.cluster"]; label != undo.Cluster {
		return false, fmt.Errorf("its container belongs to cluster %q, not %q; left alone", label, undo.Cluster)
	}
	if !c.State.Paused {
		return false, nil
	}
	_, err = u.docker(ctx, "unpause", undo.Node)
	if err != nil && strings.Contains(err.Error(), "is not paused") {
		return false, nil // somebody else was faster
	}
	return false, err
}

func (u HostUndoer) docker(ctx context.Context, args ...string) ([]byte, error) {
	command := u.Docker
	if command == "" {
		command = "docker"
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, command, args...) //nolint:gosec // argv is built here, no shell is involved
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("running %q: %w: %s", command+" "+strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), nil
}
