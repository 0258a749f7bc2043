package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/segtest/segtest/chaos"
	"github.com/segtest/segtest/fixtures/cluster"
)

// queues prints the number and the holder of each queue of a policy engine,
// columns 6 and 7, packets dropped by a full queue and by a reader that did not
// read, and the drops of the holder's socket, which a reader that did not read
// raises also where its queue fails open and nothing is dropped (net/netfilter/
// nfnetlink_queue.c and net/netlink/af_netlink.c of Linux; protocol 12 is
// netfilter). A kernel without queues has no file.
const queues = `f=/proc/net/netfilter/nfnetlink_queue; [ ! -e $f ] || ` +
	`awk 'NR == FNR { if ($2 == 12) drops[$3] = $9; next } { print $1, $2, $6, $7, drops[$2] + 0 }' /proc/net/netlink $f`

// drops reads on every node how many packets the queues of policy engines have
// dropped, on all nodes at once. A pass that proves nothing is not worth the
// question. A node that does not answer is an error: what a pass sees there
// cannot be believed.
func (s *Session) drops(ctx context.Context, r round) (map[string]string, error) {
	if !s.proves(r) {
		return nil, nil //nolint:nilnil // nothing was asked
	}
	return readQueues(ctx, s.place.cluster.Nodes())
}

func readQueues(ctx context.Context, nodes []cluster.Node) (map[string]string, error) {
	read, errs := make([]string, len(nodes)), make([]error, len(nodes))
	var asked sync.WaitGroup
	for i, n := range nodes {
		if c, ok := n.(cluster.Commander); ok {
			asked.Go(func() {
				out, err := c.Run(ctx, nil, "sh", "-c", queues)
				if err != nil {
					errs[i] = fmt.Errorf("reading the queue counters of node %s: %w", n.Name(), err)
				}
				read[i] = strings.TrimSpace(string(out))
			})
		}
	}
	asked.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	counts := map[string]string{}
	for i, n := range nodes {
		counts[n.Name()] = read[i]
	}
	return counts, nil
}

// voided says why a pass proves nothing, "" for one that does.
func voided(before, after map[string]string) string {
	var all []string
	for _, node := range slices.Sorted(maps.Keys(before)) {
		all = append(all, lost(node, before, after, false)...)
	}
	return blame("during the pass", all)
}

// blame says in one line what queues lost, "" for nothing.
func blame(when string, all []string) string {
	if len(all) == 0 {
		return ""
	}
	return when + ", a policy engine's " + strings.Join(all, " and ")
}

// queueWatch is the counters of all nodes around one fault: when the watch
// began, right before the injection, and when the watch ended.
type queueWatch struct {
	step  chaos.Step
	nodes []string // in their order
	reads []map[string]string
	err   error // the first
}

func (q *queueWatch) read(ctx context.Context, nodes []cluster.Node) {
	counts, err := readQueues(ctx, nodes)
	if err != nil && q.err == nil {
		q.err = err
	}
	q.reads = append(q.reads, counts)
	q.nodes = q.nodes[:0]
	for _, n := range nodes {
		q.nodes = append(q.nodes, n.Name())
	}
}

// overran says why silence during the watch can be that of a full queue, or of
// one that nobody read; "" where it cannot. From the injection on the fault
// explains that a queue changed hands on the nodes that it strikes, and whatever
// happened to those on a node that it froze: no flow over that node says
// anything meanwhile.
func (q *queueWatch) overran() string {
	if q.err != nil {
		return q.err.Error()
	}
	var all []string
	for i := 1; i < len(q.reads); i++ {
		for _, node := range q.nodes {
			struck, frozen := i > 1 && q.strikes(node), i > 1 && q.freezes(node)
			if !frozen {
				all = append(all, lost(node, q.reads[i-1], q.reads[i], struck)...)
			}
		}
	}
	return blame("while the flows were watched", all)
}

func (q *queueWatch) strikes(node string) bool {
	return q.step.Node == node || slices.ContainsFunc(q.step.Agents, func(a chaos.Agent) bool { return a.Node == node })
}

func (q *queueWatch) freezes(node string) bool {
	return slices.ContainsFunc(q.step.Undo, func(u chaos.Undo) bool { return u.Op == chaos.OpUnpause && u.Node == node })
}

// lost compares two readings of a node, each one line per queue: its number, its
// holder, and what it dropped when it was full and when nobody read. It tells
// the first difference that handing over does not explain, if there is one.
func lost(node string, before, after map[string]string, handedOver bool) []string {
	tell := func(queue, what string) []string { return []string{"queue " + queue + " " + what + " on " + node} }
	was := map[string][]string{}
	for line := range strings.Lines(before[node]) {
		if fields := strings.Fields(line); len(fields) > 0 {
			was[fields[0]] = fields
		}
	}
	for line := range strings.Lines(after[node]) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		old, same := was[fields[0]]
		delete(was, fields[0])
		same = same && len(old) > 1 && len(fields) > 1 && old[1] == fields[1]
		if !same {
			old = nil
		}
		if n := dropped(fields) - dropped(old); n != 0 {
			return tell(fields[0], fmt.Sprintf("dropped %d packets", n))
		}
		if n := unasked(fields) - unasked(old); n > 0 {
			return tell(fields[0], fmt.Sprintf("was full and let %d packets through unasked", n))
		}
		if !same && !handedOver {
			return tell(fields[0], "changed hands")
		}
	}
	for line := range strings.Lines(before[node]) {
		if fields := strings.Fields(line); len(fields) > 0 && was[fields[0]] != nil && !handedOver {
			return tell(fields[0], "went away")
		}
	}
	return nil
}

// dropped is how many packets a queue has dropped, full or unread.
func dropped(fields []string) int { return counter(fields, 2) + counter(fields, 3) }

// unasked is how many packets a queue that fails open has let through because its
// reader did not read: they are not among those that it dropped.
func unasked(fields []string) int { return counter(fields, 4) - counter(fields, 3) }

func counter(fields []string, i int) int {
	if i >= len(fields) {
		return 0
	}
	n, _ := strconv.Atoi(fields[i]) // they are the kernel's own numbers
	return n
}

// letThrough is how many packets the queues of all nodes let through unasked
// between two readings.
func letThrough(before, after map[string]string) int {
	n := 0
	for node := range after {
		n += max(0, unaskedOn(after[node])-unaskedOn(before[node]))
	}
	return n
}

func unaskedOn(counters string) int {
	n := 0
	for line := range strings.Lines(counters) {
		n += unasked(strings.Fields(line))
	}
	return n
}
