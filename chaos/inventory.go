package chaos

import (
	"cmp"
	"slices"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
)

// Inventory is what stands in a cluster at one moment, in a defined order:
// what plans are made over. Make it with chaos/survey.
type Inventory struct {
	Cluster string  `json:"cluster"`
	Pods    []Pod   `json:"pods"`
	Nodes   []Node  `json:"nodes"`
	Agents  []Agent `json:"agents"`
}

// Pod is the pod that holds one slot of a workload.
type Pod struct {
	Endpoint  matrix.Endpoint `json:"endpoint"` // "shop/db-0"
	Workload  matrix.Endpoint `json:"workload"` // "shop/db"
	Namespace string          `json:"namespace"`
	Name      string          `json:"name"`
	UID       string          `json:"uid"`
	Node      string          `json:"node"`
	IPs       []string        `json:"ips,omitempty"`
	// Owner is the UID of the controller that replaces the pod; "" for none.
	Owner string `json:"owner,omitempty"`
	// Ingress and Egress report that at least one policy selects the pod in that
	// direction.
	Ingress bool `json:"ingress"`
	Egress  bool `json:"egress"`
}

// Selected reports that some policy selects the pod.
func (p Pod) Selected() bool { return p.Ingress || p.Egress }

// Node is one machine of the cluster.
type Node struct {
	Name         string   `json:"name"`
	ControlPlane bool     `json:"controlPlane"`
	Datapath     Datapath `json:"datapath"`
}

// Datapath is how packets reach the policy agent of a node. The zero value is
// unknown.
type Datapath string

// The data paths of agents that decide in user space.
const (
	// DatapathNFT: an nft queue rule for the addresses of this node's pods that a
	// policy selects.
	DatapathNFT Datapath = "nft"
	// DatapathIPTables: an iptables NFQUEUE rule for every new packet.
	DatapathIPTables Datapath = "iptables"
)

// Agent is a policy agent, one process in one container.
type Agent struct {
	Node        string `json:"node"`
	Namespace   string `json:"namespace"`
	Pod         string `json:"pod"`
	UID         string `json:"uid"`
	Container   string `json:"container"`
	ContainerID string `json:"containerID"` // without "containerd://"
	PID         int    `json:"pid"`         // in the node's process namespace; 0 for none
	// Start is when the process began, in clock ticks since boot: a process id
	// alone may have been given away again.
	Start uint64 `json:"start"`
	// Queues are the nfnetlink queues that the process holds, in order.
	Queues []int `json:"queues,omitempty"`
	// Restarts counts the recent deaths that make the kubelet wait before it
	// starts the container again.
	Restarts int `json:"restarts"`
}

// Sort puts the inventory in its defined order: pods by endpoint, nodes and
// agents by name.
func (inv *Inventory) Sort() {
	slices.SortFunc(inv.Pods, func(a, b Pod) int {
		return cmp.Or(cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.UID, b.UID))
	})
	slices.SortFunc(inv.Nodes, func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(inv.Agents, func(a, b Agent) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Namespace, b.Namespace),
			cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Container, b.Container))
	})
}

// PodsOf lists the pods that an endpoint stands for: the pod of a slot, or all
// pods of a workload (or of the Service of that name).
func (inv Inventory) PodsOf(e matrix.Endpoint) []Pod {
	var slot, workload []Pod
	for _, p := range inv.Pods {
		if p.Endpoint == e {
			slot = append(slot, p)
		}
		if p.Workload == e {
			workload = append(workload, p)
		}
	}
	if len(slot) > 0 {
		return slot
	}
	return workload
}

// Node of a name, false when there is none.
func (inv Inventory) Node(name string) (Node, bool) {
	i := slices.IndexFunc(inv.Nodes, func(n Node) bool { return n.Name == name })
	if i < 0 {
		return Node{}, false
	}
	return inv.Nodes[i], true
}

// AgentsOn lists the policy agents of a node.
func (inv Inventory) AgentsOn(node string) []Agent {
	var on []Agent
	for _, a := range inv.Agents {
		if a.Node == node {
			on = append(on, a)
		}
	}
	return on
}

// endpoints names what a target may be, for messages.
func (inv Inventory) endpoints() string {
	var names []string
	for _, p := range inv.Pods {
		names = append(names, string(p.Workload))
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) == 0 {
		return "there are no pods"
	}
	return "there are " + strings.Join(names, ", ")
}
