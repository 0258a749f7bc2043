package main_test

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// docker runs one docker command and returns what it printed.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// containersOf are the ids of all containers of a kind cluster, stopped and
// paused ones too.
func containersOf(t *testing.T, cluster string) string {
	t.Helper()
	return docker(t, "ps", "--all", "--quiet", "--filter", "label=io.x-k8s.kind.cluster="+cluster)
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, within time.Duration, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %s", what, within)
		case <-ticker.C:
		}
	}
}

// nothingLeft fails the test if something of a cluster is left on this machine:
// a container, a state file, a kubeconfig.
func (b binary) nothingLeft(t *testing.T, cluster, out string) {
	t.Helper()
	if left := containersOf(t, cluster); left != "" {
		t.Errorf("containers of %s are left: %s", cluster, left)
	}
	for _, pattern := range []string{filepath.Join(b.state, "segtest", "clusters", "*"), filepath.Join(out, "*kubeconfig*")} {
		left, err := filepath.Glob(pattern)
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v (%v)", left, err)
		}
	}
}

// stranger is a container that looks like a node of somebody else's kind
// cluster. The test fails if it does not live through the test.
func stranger(t *testing.T, image string) {
	t.Helper()
	id := docker(t, "run", "--detach", "--label", "io.x-k8s.kind.cluster=somebody-else", "--entrypoint", "sleep", image, "900")
	t.Cleanup(func() {
		if running := docker(t, "container", "inspect", "--format", "{{.State.Running}}", id); running != "true" {
			t.Errorf("the stranger's container is running: %s", running)
		}
		docker(t, "rm", "--force", "--volumes", id)
	})
}

// dockerGate is a socket in front of the Docker daemon's that can be closed, as
// if the daemon had stopped.
type dockerGate struct {
	listener net.Listener
	upstream string

	mu    sync.Mutex
	open  map[net.Conn]bool
	shut  bool
	conns sync.WaitGroup
}

// newDockerGate opens the gate; host is what DOCKER_HOST must be set to.
func newDockerGate(t *testing.T) (g *dockerGate, host string) {
	t.Helper()
	upstream := "/var/run/docker.sock"
	if set := os.Getenv("DOCKER_HOST"); set != "" {
		path, ok := strings.CutPrefix(set, "unix://")
		if !ok {
			t.Skipf("DOCKER_HOST %s is no unix socket", set)
		}
		upstream = path
	}
	dir, err := os.MkdirTemp("", "gate") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "docker.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	g = &dockerGate{listener: listener, upstream: upstream, open: map[net.Conn]bool{}}
	g.conns.Go(g.accept)
	t.Cleanup(g.close)
	return g, "unix://" + path
}

func (g *dockerGate) accept() {
	for {
		down, err := g.listener.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("unix", g.upstream)
		if err != nil || !g.admit(down, up) {
			_ = down.Close()
			continue
		}
		g.conns.Go(func() { g.carry(down, up) })
	}
}

// admit notes connections that a closing gate must break.
func (g *dockerGate) admit(conns ...net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range conns {
		if g.shut {
			_ = c.Close()
			continue
		}
		g.open[c] = true
	}
	return !g.shut
}

// carry copies both ways until both have ended.
func (g *dockerGate) carry(down, up net.Conn) {
	var ways sync.WaitGroup
	for _, way := range [][2]net.Conn{{down, up}, {up, down}} {
		ways.Go(func() {
			_, _ = io.Copy(way[1], way[0])
			_ = way[1].(interface{ CloseWrite() error }).CloseWrite() //nolint:forcetypeassert // unix sockets have it
		})
	}
	ways.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range []net.Conn{down, up} {
		_ = c.Close()
		delete(g.open, c)
	}
}

// close lets nobody through any more and breaks what is open.
func (g *dockerGate) close() {
	g.mu.Lock()
	g.shut = true
	_ = g.listener.Close()
	for c := range g.open {
		_ = c.Close()
	}
	g.mu.Unlock()
	g.conns.Wait()
}
