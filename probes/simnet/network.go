package simnet

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/wire"
)

// Config is what a network is like.
type Config struct {
	Seed   uint64        // of delays, and of where and when a defect shows
	Defect Defect        // of its policy engines; the zero value is none
	Lag    time.Duration // of a line between harness and agent, each way
	// Delay is how much later every engine takes over a change of policies or
	// labels; 0 lets the seed draw it for each node.
	Delay time.Duration
	// Established is what becomes of a connection whose flow is closed meanwhile.
	Established Established
	// Mute are protocols for which no kernel has sockets: SCTP, or ICMP.
	Mute []matrix.Protocol
}

// Established is the fate of a connection that is older than the policy that
// denies it. The zero value keeps it.
type Established uint8

// The fates.
const (
	Kept Established = iota
	Stalled
	Reset
)

// Network is pods on nodes with policies between them. It is safe for
// concurrent use.
type Network struct {
	config Config
	began  time.Time

	mu         sync.Mutex
	nodes      []node
	namespaces []oracle.Namespace
	pods       map[matrix.Endpoint]*pod
	byAddress  map[netip.Addr]*pod
	started    int // pods so far, for addresses and UIDs
	engines    engines
	truth      truth
	timers     []*time.Timer
	gone       bool // the cluster was deleted
}

// Spec is a pod to start, and to start again when it dies.
type Spec struct {
	Name     matrix.Endpoint // "shop/db-0"
	Workload matrix.Endpoint // "shop/db"
	Labels   map[string]string
	Ports    []oracle.Port
	Listen   []wire.Port // what its agent listens on
	Node     string
}

// Pod is what the API server knows of a pod.
type Pod struct {
	Endpoint  matrix.Endpoint
	Workload  matrix.Endpoint
	UID       string
	Node      string
	Addresses []netip.Addr
	Ready     bool
}

// pod is one that runs.
type pod struct {
	Spec
	labels  map[string]string // its own, Spec has those that it is born with
	uid     string
	address netip.Addr
	ready   time.Duration // when it becomes so
	agent   *agent
}

// New makes a network without nodes; Create gives it some.
func New(c Config) *Network {
	n := &Network{config: c, began: time.Now(), pods: map[matrix.Endpoint]*pod{}, byAddress: map[netip.Addr]*pod{}}
	n.engines = newEngines(n)
	n.truth = truth{leaked: map[matrix.Flow]bool{}, lost: map[matrix.Flow]bool{}}
	return n
}

// Now is the time on this network, the clock of its agents.
func (n *Network) Now() time.Duration { return time.Second + time.Since(n.began) }

// draw is a time between two, the same for the same seed and label.
func (n *Network) draw(label string, from, to time.Duration) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(label))
	chance := rand.New(rand.NewPCG(n.config.Seed, h.Sum64())) //nolint:gosec // reproducible choices, no secrets
	return from + time.Duration(chance.Int64N(int64(to-from)))
}

// AddNamespace makes a namespace.
func (n *Network) AddNamespace(ns oracle.Namespace) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.namespaces = append(n.namespaces, ns)
}

// Start a pod. It is ready at once.
func (n *Network) Start(s Spec) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.pods[s.Name]; ok {
		return fmt.Errorf("starting pod %s: it runs already", s.Name)
	}
	if !slices.ContainsFunc(n.nodes, func(at node) bool { return at.name == s.Node }) {
		return fmt.Errorf("starting pod %s: there is no node %q", s.Name, s.Node)
	}
	n.start(s, n.Now())
	return nil
}

// start a pod whose agent works at once, and that is said to be ready later.
func (n *Network) start(s Spec, ready time.Duration) {
	n.started++
	p := &pod{
		Spec: s, labels: s.Labels, uid: fmt.Sprintf("uid-%d", n.started), ready: ready,
		address: netip.AddrFrom4([4]byte{10, 244, byte(n.started >> 8), byte(n.started)}), //nolint:gosec // a handful of pods
	}
	p.agent = newAgent(n, p)
	n.pods[s.Name], n.byAddress[p.address] = p, p
	n.engines.learnPods(pods{from: n.Now(), now: n.known(), born: n.born()})
}

// Relabel gives a pod a label, or another value of one. Its replacement, if it
// dies, has the labels that it was born with.
func (n *Network) Relabel(name matrix.Endpoint, key, value string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, ok := n.pods[name]
	if !ok {
		return fmt.Errorf("labelling pod %s: there is none", name)
	}
	labels := map[string]string{key: value}
	for k, v := range p.labels {
		if k != key {
			labels[k] = v
		}
	}
	p.labels = labels
	n.engines.learnPods(pods{from: n.Now(), now: n.known(), born: n.born(), labels: true})
	return nil
}

// Delay is how much later the engine of a node takes over a change of policies
// or labels.
func (n *Network) Delay(node string) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.engines.delay(node)
}

// known lists the pods in order, as the oracle takes them.
func (n *Network) known() []oracle.Pod {
	var all []oracle.Pod
	for _, name := range slices.Sorted(maps.Keys(n.pods)) {
		p := n.pods[name]
		all = append(all, oracle.Pod{
			Name: p.Name, Workload: p.Workload, Labels: p.labels, Ports: p.Ports, Node: p.Node, Addresses: []netip.Addr{p.address},
		})
	}
	return all
}

// born lists the same pods with the labels that they had at first.
func (n *Network) born() []oracle.Pod {
	all := n.known()
	for i := range all {
		all[i].Labels = n.pods[all[i].Name].Labels
	}
	return all
}

// kill a pod. Its controller starts another one on the same node after a while,
// which is ready a little later.
func (n *Network) kill(name matrix.Endpoint) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, ok := n.pods[name]
	if !ok {
		return errors.New("there is no such pod")
	}
	close(p.agent.gone)
	delete(n.pods, name)
	delete(n.byAddress, p.address)
	n.engines.learnPods(pods{from: n.Now(), now: n.known(), born: n.born()})
	n.engines.podDied(n.Now())
	back := n.draw("back "+p.uid, 300*time.Millisecond, 2*time.Second)
	n.timers = append(n.timers, time.AfterFunc(back, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if !n.gone {
			n.start(p.Spec, n.Now()+n.draw("ready "+p.uid, 100*time.Millisecond, 800*time.Millisecond))
		}
	}))
	return nil
}

// Pods that run, in order of endpoint.
func (n *Network) Pods() []Pod {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []Pod
	for _, p := range n.pods {
		all = append(all, p.told(n.Now()))
	}
	slices.SortFunc(all, func(a, b Pod) int { return cmp.Compare(a.Endpoint, b.Endpoint) })
	return all
}

func (p *pod) told(now time.Duration) Pod {
	return Pod{Endpoint: p.Name, Workload: p.Workload, UID: p.uid, Node: p.Node, Addresses: []netip.Addr{p.address}, Ready: now >= p.ready}
}

// Apply creates a policy, or replaces the one of its name.
func (n *Network) Apply(p *networkingv1.NetworkPolicy) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.engines.apply(n.Now(), p)
}

// Remove deletes the policy of a key ("namespace/name"), if it is there.
func (n *Network) Remove(key string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.engines.remove(n.Now(), key)
}

// Policies are the keys of those that there are, in order.
func (n *Network) Policies() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(maps.Keys(n.engines.policies[len(n.engines.policies)-1].now))
}

// Seed of the network.
func (n *Network) Seed() uint64 { return n.config.Seed }

// Workers are the names of the nodes that take pods, in order.
func (n *Network) Workers() []string {
	var names []string
	for _, at := range n.nodes {
		if !at.control {
			names = append(names, at.name)
		}
	}
	return names
}

// close ends all agents.
func (n *Network) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.gone {
		return
	}
	n.gone = true
	for _, t := range n.timers {
		t.Stop()
	}
	for _, p := range n.pods {
		close(p.agent.gone)
	}
}
