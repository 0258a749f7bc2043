package survey

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/segtest/segtest/chaos"
)

// Process is the first process of a container, seen from its node. The zero
// value is none.
type Process struct {
	PID    int
	Start  uint64 // clock ticks since boot
	Queues []int  // nfnetlink queues that it holds, in order
}

// lookScript prints what a node knows of the container $1. The agents use the
// node's own network namespace, so its tables show their queues.
const lookScript = `
pid=
tasks=$(ctr --namespace k8s.io tasks ls) || exit 1
while read -r task number _; do [ "$task" = "$1" ] && pid=$number; done <<END
$tasks
END
[ -n "$pid" ] && [ -r /proc/$pid/stat ] || exit 0
echo "# stat"; cat /proc/$pid/stat
echo "# sockets"; readlink /proc/$pid/fd/* | grep '^socket:'
echo "# netlink"; cat /proc/net/netlink
echo "# queues"; cat /proc/net/netfilter/nfnetlink_queue 2>/dev/null
exit 0`

// Look finds the process of a container. A container without one gives the
// zero Process and no error.
func Look(ctx context.Context, env chaos.Env, node, containerID string) (Process, error) {
	out, err := env.Run(ctx, node, "sh", "-c", lookScript, "look", containerID)
	if err != nil {
		return Process{}, fmt.Errorf("looking for the process of container %.12s: %w", containerID, err)
	}
	p, err := parseProcess(string(out))
	if err != nil {
		return Process{}, fmt.Errorf("looking for the process of container %.12s in node %s: %w", containerID, node, err)
	}
	return p, nil
}

// parseProcess reads what lookScript prints.
func parseProcess(out string) (Process, error) {
	part := sections(out)
	if len(part["stat"]) == 0 {
		return Process{}, nil // it is gone, perhaps while the script ran
	}
	pid, start, err := parseStat(part["stat"][0])
	if err != nil || start == 0 {
		return Process{}, err
	}
	p := Process{PID: pid, Start: start}
	ports := netlinkPorts(part["netlink"], part["sockets"])
	for _, row := range part["queues"] {
		f := strings.Fields(row) // queue number, port id, …
		if len(f) < 2 || !slices.Contains(ports, f[1]) {
			continue
		}
		queue, err := strconv.Atoi(f[0])
		if err != nil {
			return Process{}, fmt.Errorf("reading nfnetlink_queue: %q is no number in row %q", f[0], row)
		}
		p.Queues = append(p.Queues, queue)
	}
	slices.Sort(p.Queues)
	return p, nil
}

// ProcessStart reads /proc/PID/stat: when the process began, in clock ticks
// since boot; 0 for none, and for a corpse.
func ProcessStart(stat string) (uint64, error) {
	if strings.TrimSpace(stat) == "" {
		return 0, nil
	}
	_, start, err := parseStat(strings.TrimSpace(stat))
	return start, err
}

// parseStat reads /proc/PID/stat; start is 0 for a corpse.
func parseStat(line string) (pid int, start uint64, err error) {
	number, rest, ok := strings.Cut(line, " ")
	end := strings.LastIndexByte(rest, ')') // the command, in parentheses, may hold spaces
	if !ok || end < 0 {
		return 0, 0, fmt.Errorf("reading /proc/PID/stat: cannot read %q", line)
	}
	fields := strings.Fields(rest[end+1:])
	if len(fields) < 20 {
		return 0, 0, fmt.Errorf("reading /proc/PID/stat: too few fields in %q", line)
	}
	if pid, err = strconv.Atoi(number); err != nil {
		return 0, 0, fmt.Errorf("reading /proc/PID/stat: %w", err)
	}
	if state := fields[0]; state == "Z" || state == "X" {
		return pid, 0, nil
	}
	if start, err = strconv.ParseUint(fields[19], 10, 64); err != nil {
		return 0, 0, fmt.Errorf("reading /proc/PID/stat: %w", err)
	}
	return pid, start, nil
}

// netlinkPorts lists the netfilter port ids of the given sockets.
func netlinkPorts(table, sockets []string) []string {
	const netfilter = "12" // NETLINK_NETFILTER
	var ports []string
	for _, row := range table {
		f := strings.Fields(row) // sk, protocol, port id, groups, …, inode
		if len(f) < 4 || f[1] != netfilter {
			continue
		}
		if slices.Contains(sockets, "socket:["+f[len(f)-1]+"]") {
			ports = append(ports, f[2])
		}
	}
	return ports
}

// sections splits text at its lines "# name".
func sections(text string) map[string][]string {
	parts := map[string][]string{}
	name := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if n, ok := strings.CutPrefix(line, "# "); ok {
			name = n
			continue
		}
		if name != "" && line != "" {
			parts[name] = append(parts[name], line)
		}
	}
	return parts
}

// datapathScript prints the rules by which packets may reach an agent. The
// agent's own table has its name; rules that iptables made are in nft's list too.
const datapathScript = `
echo "# iptables"; iptables -t mangle -S 2>/dev/null; ip6tables -t mangle -S 2>/dev/null
echo "# nft"
for table in kube-network-policies kindnet-network-policies; do
  nft list table inet $table 2>/dev/null | grep -w queue
done
exit 0`

// Datapath finds out how packets reach the policy agent of a node.
func Datapath(ctx context.Context, env chaos.Env, node string) (chaos.Datapath, error) {
	out, err := env.Run(ctx, node, "sh", "-c", datapathScript)
	if err != nil {
		return "", fmt.Errorf("looking for the data path of node %s: %w", node, err)
	}
	return parseDatapath(string(out)), nil
}

func parseDatapath(out string) chaos.Datapath {
	part := sections(out)
	if slices.ContainsFunc(part["iptables"], func(rule string) bool { return strings.Contains(rule, "-j NFQUEUE") }) {
		return chaos.DatapathIPTables
	}
	if len(part["nft"]) > 0 {
		return chaos.DatapathNFT
	}
	return ""
}
