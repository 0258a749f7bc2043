package agent_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/agent"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

const (
	wait = 300 * time.Millisecond
	// patience bounds what must happen soon on any machine.
	patience = 20 * time.Second
)

// nextHost numbers the loopback addresses, one per agent of this process.
var nextHost atomic.Uint32

func host() netip.Addr {
	n := nextHost.Add(1)
	return netip.AddrFrom4([4]byte{127, 77, byte(n >> 8), byte(n)})
}

type subject struct {
	*agent.Agent
	id   wire.Identity
	addr netip.Addr
}

func start(t *testing.T, ports ...string) subject {
	t.Helper()
	s := subject{addr: host()}
	s.id = wire.Identity{Endpoint: "shop/db-0", PodUID: "uid-" + s.addr.String(), Node: "worker"}
	listen, err := wire.ParseListen(strings.Join(ports, ","))
	if err != nil {
		t.Fatal(err)
	}
	s.Agent, err = agent.New(agent.Config{Identity: s.id, Listen: listen, Bind: s.addr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func (s subject) target(flow int, p matrix.Protocol, port int) wire.Target {
	return wire.Target{Flow: flow, Protocol: p, Address: fmt.Sprintf("%s:%d", s.addr, port), PeerUID: s.id.PodUID}
}

// line is a stream to an agent.
type line struct {
	t    *testing.T
	conn net.Conn
	in   *json.Decoder
}

func connect(t *testing.T, a *agent.Agent) *line {
	t.Helper()
	ours, theirs := net.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- a.Handle(context.Background(), theirs) }()
	t.Cleanup(func() {
		_ = ours.Close()
		<-ended
	})
	return &line{t: t, conn: ours, in: json.NewDecoder(bufio.NewReader(ours))}
}

// ask sends one request and reads its whole answer.
func (l *line) ask(req wire.Request) ([]wire.Response, wire.Response) {
	l.t.Helper()
	req.ID = 7
	_ = l.conn.SetDeadline(time.Now().Add(patience))
	b, err := json.Marshal(req)
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.conn.Write(append(b, '\n')); err != nil {
		l.t.Fatal(err)
	}
	var lines []wire.Response
	for {
		var r wire.Response
		if err := l.in.Decode(&r); err != nil {
			l.t.Fatal(err)
		}
		switch {
		case r.ID != 7:
			l.t.Fatalf("answer to request %d, want 7", r.ID)
		case r.Error != "":
			return lines, r
		case r.Done != nil:
			if r.Done.Count != len(lines) {
				l.t.Fatalf("done says %d lines, got %d", r.Done.Count, len(lines))
			}
			return lines, r
		}
		lines = append(lines, r)
	}
}

func (l *line) batch(b wire.Batch) map[int]wire.Result {
	l.t.Helper()
	lines, last := l.ask(wire.Request{Batch: &b})
	if last.Error != "" {
		l.t.Fatal(last.Error)
	}
	results := map[int]wire.Result{}
	for _, r := range lines {
		results[r.Result.Flow] = *r.Result
	}
	if len(results) != len(b.Targets) {
		l.t.Fatalf("%d results for %d targets", len(results), len(b.Targets))
	}
	return results
}

func TestHello(t *testing.T) {
	t.Parallel()
	s := start(t, "UDP/53", "TCP/8080", "TCP/80")
	lines, _ := connect(t, s.Agent).ask(wire.Request{Hello: &wire.Hello{}})
	hello := lines[0].Hello
	if hello.Version != wire.Version || hello.Now <= 0 || len(hello.Identity.Boot) != 16 {
		t.Errorf("hello = %+v", hello)
	}
	if got := strings.Join(hello.Listening, " "); got != "TCP/80 TCP/8080 UDP/53" {
		t.Errorf("listening = %s", got)
	}
	hello.Identity.Boot = ""
	if hello.Identity != s.id {
		t.Errorf("identity = %+v, want %+v", hello.Identity, s.id)
	}
}

func TestCanaryListensOnBothProtocols(t *testing.T) {
	t.Parallel()
	a, err := agent.New(agent.Config{Canary: 9, Bind: host()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	lines, _ := connect(t, a).ask(wire.Request{Hello: &wire.Hello{}})
	if got := strings.Join(lines[0].Hello.Listening, " "); got != "TCP/9 UDP/9" {
		t.Errorf("listening = %s", got)
	}
}

func TestNewFailsWhole(t *testing.T) {
	t.Parallel()
	s := start(t, "TCP/80")
	_, err := agent.New(agent.Config{Bind: s.addr, Listen: []wire.Port{{Protocol: matrix.TCP, Number: 81}, {Protocol: matrix.TCP, Number: 80}}})
	if err == nil || !strings.Contains(err.Error(), "listening on TCP/80: address already in use") {
		t.Errorf("err = %v", err)
	}
	again, err := agent.New(agent.Config{Bind: s.addr, Listen: []wire.Port{{Protocol: matrix.TCP, Number: 81}}})
	if err != nil {
		t.Fatalf("TCP/81 was left open: %v", err)
	}
	again.Close()
}

func TestFromEnv(t *testing.T) {
	t.Parallel()
	good := map[string]string{
		wire.EnvWorkload: "shop/db-0", wire.EnvPodUID: "u", wire.EnvNode: "n",
		wire.EnvListen: "TCP/8080, UDP/53", wire.EnvCanary: "6",
	}
	for _, row := range []struct{ name, key, value, err string }{
		{name: "good"},
		{name: "no identity", key: wire.EnvPodUID, value: "", err: "SEGTEST_POD_UID is not set"},
		{name: "bad port", key: wire.EnvListen, value: "TCP/0", err: `"0" is not a number from 1 to 65535`},
		{name: "bad protocol", key: wire.EnvListen, value: "/80", err: `"" is not a protocol`},
		{name: "bad canary", key: wire.EnvCanary, value: "none", err: `SEGTEST_CANARY is "none"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c, err := agent.FromEnv(func(name string) string {
				if name == row.key {
					return row.value
				}
				return good[name]
			})
			if row.err != "" {
				if err == nil || !strings.Contains(err.Error(), row.err) {
					t.Fatalf("err = %v, want %q", err, row.err)
				}
				return
			}
			if err != nil || wire.FormatListen(c.Listen) != "TCP/8080,UDP/53" || c.Canary != 6 || c.Identity.Endpoint != "shop/db-0" {
				t.Errorf("config = %+v, %v", c, err)
			}
		})
	}
}

func TestUnknownRequestIsAnError(t *testing.T) {
	t.Parallel()
	l := connect(t, start(t).Agent)
	for _, req := range []wire.Request{
		{},
		{Batch: &wire.Batch{Attempts: 1}},
		{Batch: &wire.Batch{Wait: 1}},
		{Stop: &wire.Stop{Name: "nobody"}},
		{Sample: &wire.Sampling{Name: "a", Until: 1}},
		{Sample: &wire.Sampling{Name: "a", Period: 1}},
		{Sample: &wire.Sampling{Name: "a", Period: 1, Until: 1, Deadline: time.Second}},
	} {
		if _, last := l.ask(req); last.Error == "" {
			t.Errorf("%+v was accepted", req)
		}
	}
}
