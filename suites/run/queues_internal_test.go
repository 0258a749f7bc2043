package run

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/segtest/segtest/chaos"
	"github.com/segtest/segtest/fixtures/cluster"
)

func TestQueuesAroundAFault(t *testing.T) {
	t.Parallel()
	const good, other = "100 4211 0 0\n101 4211 2 0", "100 9999 0 0\n101 9999 0 0"
	pause := chaos.Step{Node: "worker", Undo: []chaos.Undo{{Op: chaos.OpUnpause, Node: "worker"}}}
	kill := chaos.Step{Agents: []chaos.Agent{{Node: "worker"}}}
	for _, row := range []struct {
		name  string
		step  chaos.Step
		reads [3]string // of worker: at first, before the injection, at the end
		want  string    // "" for nothing
	}{
		{"nothing happens", kill, [3]string{good, good, good}, ""},
		{"no queues", pause, [3]string{}, ""},
		{"full before the fault", pause, [3]string{good, "100 4211 0 0\n101 4211 5 0", "100 4211 0 0\n101 4211 5 0"}, "queue 101 dropped 3 packets on worker"},
		{"unread after it", kill, [3]string{good, good, "100 4211 0 4\n101 4211 2 0"}, "queue 100 dropped 4 packets on worker"},
		{"full on a frozen node", pause, [3]string{good, good, "100 4211 70 4\n101 4211 2 0"}, ""},
		{"handed over by the fault", kill, [3]string{good, good, other}, ""},
		{"handed over, and full", kill, [3]string{good, good, "100 9999 0 0\n101 9999 1 0"}, "queue 101 dropped 1 packets on worker"},
		{"gone with the fault", kill, [3]string{good, good, ""}, ""},
		{"handed over before the fault", kill, [3]string{good, other, other}, "queue 100 changed hands on worker"},
		{"handed over by nobody", chaos.Step{Pod: &chaos.Pod{}}, [3]string{good, good, other}, "queue 100 changed hands on worker"},
		{"gone by itself", chaos.Step{}, [3]string{good, good, "101 4211 2 0"}, "queue 100 went away on worker"},
		{"a new one", chaos.Step{}, [3]string{good, good, good + "\n102 4211 0 0"}, "queue 102 changed hands on worker"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			q := queueWatch{step: row.step}
			for _, read := range row.reads {
				q.read(t.Context(), []cluster.Node{counted("worker", read), counted("worker2", good)})
			}
			got := q.overran()
			if row.want == "" && got != "" || !strings.HasSuffix(got, row.want) || strings.Contains(got, "worker2") {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
	q := queueWatch{}
	q.read(t.Context(), []cluster.Node{dead{}})
	if got := q.overran(); !strings.Contains(got, "reading the queue counters of node worker: container is gone") {
		t.Errorf("counters that nobody could read: %q", got)
	}
}

// TestQueuesAroundAPass: a pass explains nothing of what happens to a queue.
func TestQueuesAroundAPass(t *testing.T) {
	t.Parallel()
	const good = "100 4211 0 0\n101 4211 2 0"
	for _, row := range []struct{ name, before, after, want string }{
		{"nothing happens", good, good, ""},
		{"no queues", "", "", ""},
		{"full", good, "100 4211 0 0\n101 4211 5 0", "during the pass, a policy engine's queue 101 dropped 3 packets on worker"},
		{"full, and open", good, "100 4211 0 0 0\n101 4211 2 3 7", "queue 101 dropped 3 packets on worker"},
		{"unread, and open", good + " 0", "100 4211 0 0 0\n101 4211 2 0 60", "queue 101 was full and let 60 packets through unasked on worker"},
		{"unread, and closed", good + " 0", "100 4211 0 0 0\n101 4211 2 60 60", "queue 101 dropped 60 packets on worker"},
		{"handed over", good, "100 9999 0 0\n101 9999 0 0", "queue 100 changed hands on worker"},
		{"gone", good, "101 4211 2 0", "queue 100 went away on worker"},
		{"a new one", "", good, "queue 100 changed hands on worker"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got := voided(map[string]string{"worker": row.before, "worker2": good}, map[string]string{"worker": row.after, "worker2": good})
			if row.want == "" && got != "" || !strings.HasSuffix(got, row.want) || strings.Contains(got, "worker2") {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
	before, after := map[string]string{"a": good + " 4", "b": "100 4211 0 7 7"}, map[string]string{"a": good + " 9", "b": "100 4211 0 9 12"}
	if n := letThrough(before, after); n != 5+3 {
		t.Errorf("%d packets were let through, want 8", n)
	}
	both := voided(map[string]string{"b": good, "a": good}, map[string]string{"b": "", "a": ""})
	if want := "queue 100 went away on a and queue 100 went away on b"; !strings.HasSuffix(both, want) {
		t.Errorf("%q, want %q", both, want)
	}
}

// node answers a command with its counters.
type node struct {
	cluster.Node
	name, counters string
}

func counted(name, counters string) node { return node{name: name, counters: counters} }

func (n node) Name() string { return n.name }
func (n node) Run(_ context.Context, _ io.Reader, argv ...string) ([]byte, error) {
	if !slices.Contains(argv, queues) {
		return nil, errors.New("unknown command")
	}
	return []byte(n.counters + "\n"), nil
}
