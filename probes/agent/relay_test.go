package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/agent"
	"github.com/segtest/segtest/probes/wire"
)

// socket serves an agent on a unix socket of its own.
func socket(t *testing.T, a *agent.Agent) string {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _ = a.Handle(context.Background(), c) }()
		}
	}()
	return l.Addr().String()
}

func TestRelayFinishesAnswers(t *testing.T) {
	t.Parallel()
	_, silent := mute(t)
	request := wire.Request{ID: 4, Batch: &wire.Batch{Wait: wait, Attempts: 1, Targets: []wire.Target{{Flow: 1, Protocol: 2, Address: silent, PeerUID: "x"}}}}
	line, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := agent.Relay(socket(t, start(t).Agent), bytes.NewReader(line), &out); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(got) != 2 || !strings.Contains(got[0], `"timed-out"`) || got[1] != `{"id":4,"done":{"count":1}}` {
		t.Errorf("relay wrote %q", got)
	}
}

func TestRelayEndsWithTheAgent(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if c, err := l.Accept(); err == nil {
			_ = c.Close()
		}
		_ = l.Close()
	}()
	in, open := io.Pipe() // an input that never ends
	t.Cleanup(func() { _ = open.Close() })
	if err := agent.Relay(l.Addr().String(), in, io.Discard); err != nil {
		t.Fatal(err)
	}
	<-gone
	if err := agent.Relay(l.Addr().String(), in, io.Discard); err == nil || !strings.Contains(err.Error(), "connecting to the agent") {
		t.Errorf("without an agent: %v", err)
	}
}

func TestRelayEndsWithItsOutput(t *testing.T) {
	t.Parallel()
	in, send := io.Pipe()
	go func() { _, _ = io.WriteString(send, `{"id":1,"hello":{}}`+"\n") }()
	err := agent.Relay(socket(t, start(t).Agent), in, broken{})
	if err == nil || !strings.Contains(err.Error(), io.ErrClosedPipe.Error()) {
		t.Errorf("err = %v", err)
	}
	_ = send.Close()
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestMainUsage(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		args   string
		code   int
		stdout string
		stderr string
	}{
		{"", 2, "", "usage:"},
		{"dance", 2, "", "usage:"},
		{"version", 0, "segtest-agent protocol 4\n", ""},
	} {
		var out, bad strings.Builder
		if code := agent.Main(strings.Fields(row.args), nil, &out, &bad); code != row.code || out.String() != row.stdout || !strings.HasPrefix(bad.String(), row.stderr) {
			t.Errorf("%q: code %d, %q, %q", row.args, code, out.String(), bad.String())
		}
	}
}
