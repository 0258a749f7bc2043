// Package netns_test holds probes, agents and receipts against a real kernel:
// agents as processes in network namespaces, joined by a router in which
// nftables and routes do what data planes do. It needs root, ip and nft, and
// SEGTEST_NETNS=1.
package netns_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
	"github.com/segtest/segtest/probes/wire"
)

// prefix is how the names of all namespaces begin.
const prefix = "segtest-test-"

// patience bounds what must happen soon on any machine.
const patience = 30 * time.Second

var (
	labs  atomic.Uint32
	built struct {
		once sync.Once
		path string
		err  error
	}
)

func TestMain(m *testing.M) {
	if ports := os.Getenv(envHold); ports != "" {
		if err := holdPorts(ports, os.Stdin, os.Stdout); err != nil {
			panic(err)
		}
		return
	}
	code := m.Run()
	if built.path != "" {
		_ = os.RemoveAll(filepath.Dir(built.path))
	}
	os.Exit(code)
}

// executable is the agent as a pod runs it.
func executable(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		dir, err := os.MkdirTemp("", "segtest-agent-")
		if err != nil {
			built.err = err
			return
		}
		built.path = filepath.Join(dir, "segtest-agent")
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", built.path, "github.com/segtest/segtest/probes/agent/segtest-agent")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("building the agent: %w: %s", err, out)
			return
		}
		built.err = os.Chmod(dir, 0o755) //nolint:gosec // the agent runs as another user
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

// need skips, saying why, or fails where the tests were asked for and cannot run.
func need(t testing.TB) {
	t.Helper()
	if os.Getenv("SEGTEST_NETNS") != "1" {
		t.Skip("needs root and network namespaces: set SEGTEST_NETNS=1 to run it")
	}
	if os.Geteuid() != 0 {
		t.Fatal("SEGTEST_NETNS=1 needs root: it creates network namespaces")
	}
	for tool, from := range map[string]string{"ip": "iproute2", "nft": "nftables", "setpriv": "util-linux", "prlimit": "util-linux", "sysctl": "procps"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("SEGTEST_NETNS=1 needs the program %s: install the package %s", tool, from)
		}
	}
}

// lab is three namespaces: a sender and a receiver, and the router between
// them, which stands for the node and its data plane.
type lab struct {
	t       testing.TB
	name    string
	mu      sync.Mutex
	agents  map[string]*exec.Cmd
	relays  []*relay
	members []prober.Member
}

const (
	sender, router, receiver = "a", "r", "b"
	port                     = 80 // of both agents, each protocol; low, and they are not root
	canary                   = 9
)

// newLab builds the namespaces and removes them when the test ends.
func newLab(t testing.TB) *lab {
	t.Helper()
	need(t)
	l := &lab{t: t, name: fmt.Sprintf("%s%d-%d-", prefix, os.Getpid(), labs.Add(1)), agents: map[string]*exec.Cmd{}}
	t.Cleanup(func() {
		for _, ns := range []string{sender, receiver, router} {
			if err := exec.Command("ip", "netns", "del", l.name+ns).Run(); err != nil {
				t.Errorf("deleting namespace %s%s: %v", l.name, ns, err)
			}
		}
	})
	for _, ns := range []string{sender, router, receiver} {
		l.run("", "ip", "netns", "add", l.name+ns)
		l.in(ns, "sysctl", "-qw", "net.ipv4.ip_unprivileged_port_start=0", "net.ipv4.ping_group_range=65532 65532")
		l.in(ns, "ip", "link", "set", "lo", "up")
	}
	for i, ns := range []string{sender, receiver} {
		l.run("", "ip", "link", "add", "eth0", "netns", l.name+ns, "type", "veth", "peer", "name", "to-"+ns, "netns", l.name+router)
		l.in(ns, "sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.eth0.accept_dad=0")
		l.in(router, "sysctl", "-qw", "net.ipv6.conf.to-"+ns+".accept_dad=0")
		l.batch(ns, fmt.Sprintf("link set dev eth0 up\naddr add 10.99.%d.2/24 dev eth0\nroute add default via 10.99.%d.1\n"+
			"addr add fd99:%d::2/64 dev eth0 nodad\nroute add default via fd99:%d::1\n", i, i, i, i))
		l.batch(router, fmt.Sprintf("link set dev to-%s up\naddr add 10.99.%d.1/24 dev to-%s\naddr add fd99:%d::1/64 dev to-%s nodad\n", ns, i, ns, i, ns))
		l.members = append(l.members, prober.Member{
			Endpoint: matrix.Endpoint("lab/" + ns), Node: ns, PodUID: "uid-" + ns,
			IPs: []string{fmt.Sprintf("10.99.%d.2", i), fmt.Sprintf("fd99:%d::2", i)},
		})
	}
	l.in(router, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
	for _, ns := range []string{router, receiver} { // many flows are rejected at once; older kernels lack the last two
		l.in(ns, "sysctl", "-qw", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")
		l.in(ns, "sysctl", "-qew", "net.ipv4.icmp_msgs_per_sec=100000", "net.ipv4.icmp_msgs_burst=100000")
	}
	for _, m := range l.members {
		l.start(m)
	}
	return l
}

func (l *lab) member(ns string) prober.Member {
	if ns == sender {
		return l.members[0]
	}
	return l.members[1]
}

// run runs a command on the machine; its failure is the test's.
func (l *lab) run(stdin string, argv ...string) {
	l.t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		l.t.Fatalf("%q: %v: %s", argv, err, out)
	}
}

func (l *lab) in(ns string, argv ...string) {
	l.t.Helper()
	l.run("", append([]string{"ip", "netns", "exec", l.name + ns}, argv...)...)
}

func (l *lab) batch(ns, lines string) {
	l.t.Helper()
	var v4, v6 string
	for line := range strings.Lines(lines) {
		if strings.Contains(line, "fd99:") {
			v6 += line
			continue
		}
		v4 += line
	}
	l.run(v4, "ip", "-netns", l.name+ns, "-batch", "-")
	l.run(v6, "ip", "-6", "-netns", l.name+ns, "-batch", "-")
}

// nft loads a rule into a hook of a namespace: forward, input or output.
func (l *lab) nft(ns, hook, rules string) {
	l.t.Helper()
	l.run(fmt.Sprintf("table inet lab {\nchain %s {\ntype filter hook %s priority 0\n%s\n}\n}\n", hook, hook, rules),
		"ip", "netns", "exec", l.name+ns, "nft", "-f", "-")
}

// start runs an agent as a fixture pod does: no root, no capability.
func (l *lab) start(m prober.Member) {
	l.t.Helper()
	ns := m.Node
	cmd := l.agent(m, "serve")
	said := &words{}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.mu.Lock()
	l.agents[ns] = cmd
	l.mu.Unlock()
	l.t.Cleanup(func() { l.kill(cmd) })
	l.eventually("the agent of "+ns+" is ready", func() error {
		if out, err := l.agent(m, "ready").CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s%s", err, out, said.String())
		}
		return nil
	})
}

func (l *lab) agent(m prober.Member, verb string) *exec.Cmd {
	cmd := exec.Command("ip", "netns", "exec", l.name+m.Node, "setpriv", "--reuid=65532", "--regid=65532",
		"--clear-groups", "--bounding-set=-all", "--no-new-privs", executable(l.t), verb)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), wire.EnvWorkload + "=" + string(m.Endpoint), wire.EnvPodUID + "=" + m.PodUID, wire.EnvNode + "=" + m.Node,
		fmt.Sprintf("%s=TCP/%d,UDP/%d,SCTP/%d", wire.EnvListen, port, port, port), fmt.Sprintf("%s=%d", wire.EnvCanary, canary),
	}
	return cmd
}

// words is what a process says, read while it runs.
type words struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *words) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// kill ends an agent; nothing when it has ended.
func (l *lab) kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// signal sends a signal to the agent of a namespace.
func (l *lab) signal(ns string, s syscall.Signal) {
	l.t.Helper()
	if err := l.agents[ns].Process.Signal(s); err != nil {
		l.t.Fatal(err)
	}
}

// eventually asks until there is no error.
func (l *lab) eventually(what string, ask func() error) {
	l.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for err := ask(); err != nil; err = ask() {
		select {
		case <-tick.C:
		case <-deadline.C:
			l.t.Fatalf("after %s still not so: %s: %v", patience, what, err)
		}
	}
}

// relay is a stream as the harness has it: a process beside the agent.
type relay struct {
	io.Reader
	io.WriteCloser
	cmd *exec.Cmd
}

func (r *relay) Close() error {
	_ = r.WriteCloser.Close()
	_ = r.cmd.Process.Kill()
	return r.cmd.Wait()
}

func (l *lab) Dial(_ context.Context, ep matrix.Endpoint) (io.ReadWriteCloser, error) {
	cmd := l.agent(l.member(ep.Name()), "relay")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, pipe, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = pipe
	defer func() { _ = pipe.Close() }()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	r := &relay{Reader: out, WriteCloser: in, cmd: cmd}
	l.mu.Lock()
	l.relays = append(l.relays, r)
	l.mu.Unlock()
	return r, nil
}

func (l *lab) fleet() *prober.Fleet { return l.fleetOver(l) }

func (l *lab) fleetOver(d prober.Dialer) *prober.Fleet {
	l.t.Helper()
	f := prober.NewFleet(d, prober.Limits{Reply: 2 * time.Second})
	l.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := f.Close(ctx); err != nil {
			l.t.Error(err)
		}
	})
	return f
}

// questions ask one flow many times; n of each protocol given.
func (l *lab) questions(n int, family matrix.Family, to uint16, protocols ...matrix.Protocol) []prober.Question {
	ip := l.member(receiver).IPs[0]
	if family == matrix.IPv6 {
		ip = "[" + l.member(receiver).IPs[1] + "]"
	}
	var all []prober.Question
	for _, p := range protocols {
		address := fmt.Sprintf("%s:%d", ip, to)
		if !p.HasPorts() {
			address = ip + ":0"
		}
		for range n {
			all = append(all, prober.Question{Flow: len(all), From: "lab/a", To: []matrix.Endpoint{"lab/b"}, Protocol: p, Address: address})
		}
	}
	return all
}

func monotonic(t testing.TB) time.Duration {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}
