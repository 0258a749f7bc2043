package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
)

// Target is what a scenario aims a fault at, by names that are stable across
// runs. Exactly one field is set.
type Target struct {
	Endpoint matrix.Endpoint // "shop/db" (one of its pods) or "shop/db-0"
	// Node is "of shop/db-0" (the node of that pod, or of a workload's first),
	// "control-plane" or "worker-1" (the first one in order of name), "all", or a
	// node's own name.
	Node string
}

// String is the target as a scenario writes it.
func (t Target) String() string {
	if t.Node != "" {
		return fmt.Sprintf("{node: %s}", t.Node)
	}
	return string(t.Endpoint)
}

func (t Target) nodeOf() (matrix.Endpoint, bool) {
	of, ok := strings.CutPrefix(t.Node, "of ")
	return matrix.Endpoint(strings.TrimSpace(of)), ok
}

// allNodes is the Node of a Target that means every node.
const allNodes = "all"

// CheckPod lists what is wrong with a target that must be a pod.
func (t Target) CheckPod() []string {
	switch {
	case t.Node != "":
		return []string{fmt.Sprintf("target %s is a node; give a workload or one of its pods, for example shop/db or shop/db-0", t)}
	case t.Endpoint == "":
		return []string{"target is missing; give a workload or one of its pods, for example shop/db or shop/db-0"}
	}
	return checkEndpoint(t.Endpoint)
}

// CheckNode lists what is wrong with a target that must be a node; all says
// whether it may be all of them.
func (t Target) CheckNode(all bool) []string {
	switch {
	case t.Endpoint != "":
		return []string{fmt.Sprintf("target %s is a pod; give a node, for example {node: of %s}", t, t.Endpoint)}
	case t.Node == "":
		return []string{"target is missing; give a node, for example {node: of shop/db}"}
	case t.Node == allNodes && !all:
		return []string{"target {node: all} is too much for this fault; give one node, for example {node: worker-1}"}
	}
	if of, ok := t.nodeOf(); ok {
		return checkEndpoint(of)
	}
	return nil
}

func checkEndpoint(e matrix.Endpoint) []string {
	ns, name, ok := strings.Cut(string(e), "/")
	if !ok || ns == "" || name == "" || strings.ContainsAny(name, "/ ") {
		return []string{fmt.Sprintf("%q is not NAMESPACE/NAME, for example shop/db", e)}
	}
	return nil
}

// CheckTimes lists what is wrong with the times of parameters.
func (p Params) CheckTimes() []string {
	var wrong []string
	if p.Hold < 0 {
		wrong = append(wrong, fmt.Sprintf("hold %s is negative; give for example 5s", p.Hold))
	}
	if p.RecoverWithin < 0 {
		wrong = append(wrong, fmt.Sprintf("recoverWithin %s is negative; give for example 60s", p.RecoverWithin))
	}
	return wrong
}

// ChoosePod finds the pod of a target, one of several by chance.
func (inv Inventory) ChoosePod(rng *rand.Rand, e matrix.Endpoint) (Pod, error) {
	pods := inv.PodsOf(e)
	if len(pods) == 0 {
		return Pod{}, inv.noPod(e)
	}
	return pods[rng.IntN(len(pods))], nil
}

func (inv Inventory) noPod(e matrix.Endpoint) error {
	return &NoTargetError{fmt.Sprintf("no pod is %s; %s", e, inv.endpoints())}
}

// Select finds the nodes of a target, and says the target in words.
func (inv Inventory) Select(t Target) (nodes []Node, words string, err error) {
	if t.Node == allNodes {
		return slices.Clone(inv.Nodes), "all nodes", nil
	}
	name, why := t.Node, t.Node
	if of, ok := t.nodeOf(); ok {
		pods := inv.PodsOf(of)
		if len(pods) == 0 {
			return nil, "", inv.noPod(of)
		}
		name, why = pods[0].Node, "of "+string(pods[0].Endpoint)
	} else if n, ok := inv.numbered(t.Node); ok {
		name = n.Name
	}
	node, ok := inv.Node(name)
	if !ok {
		return nil, "", &NoTargetError{fmt.Sprintf("no node is %s; there are %s", t.Node, inv.nodeNames())}
	}
	words = "node " + node.Name
	if why != node.Name {
		words += " (" + why + ")"
	}
	return []Node{node}, words, nil
}

// numbered reads "worker-N", the N-th worker in order of name from 1, and
// "control-plane".
func (inv Inventory) numbered(name string) (Node, bool) {
	n, controlPlane := 1, name == "control-plane"
	if !controlPlane {
		number, ok := strings.CutPrefix(name, "worker-")
		var err error
		if n, err = strconv.Atoi(number); !ok || err != nil {
			return Node{}, false
		}
	}
	for _, node := range inv.Nodes {
		if node.ControlPlane != controlPlane {
			continue
		}
		if n--; n == 0 {
			return node, true
		}
	}
	return Node{}, false
}

func (inv Inventory) nodeNames() string {
	if len(inv.Nodes) == 0 {
		return "none"
	}
	names := make([]string, len(inv.Nodes))
	for i, n := range inv.Nodes {
		names[i] = n.Name
	}
	return strings.Join(names, ", ")
}
