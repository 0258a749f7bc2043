package simnet

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// engines are the policy engines of all nodes. Each takes over a change of
// policies or labels a little later, and knows a pod before its first instruction.
type engines struct {
	net      *Network
	policies []policies // in the order of time
	pods     []pods     // likewise
	rulings  map[edition]*ruling
	late     map[string]time.Duration // of a node, after a change of policies
	packets  []time.Duration          // the last ones
	slipped  map[packet]bool
	opens    [2]time.Duration // when the engine of one node lets everything through
}

// policies that exist from a time on.
type policies struct {
	from time.Duration
	now  map[string]*networkingv1.NetworkPolicy // by key
	// was holds, of each namespace that has none any more, the last one.
	was map[string]*networkingv1.NetworkPolicy // by namespace
}

// pods that run from a time on.
type pods struct {
	from   time.Duration
	now    []oracle.Pod
	born   []oracle.Pod // with the labels that they had at first
	labels bool         // of one of them changed
}

// edition is what an engine knows: which policies and which pods, and whether it
// reads them as it should.
type edition struct {
	policies, pods int
	sound          bool
}

// ruling is what an engine makes of what it knows.
type ruling struct {
	oracle  *oracle.Oracle // nil without policies: all is open
	names   map[netip.Addr]matrix.Endpoint
	decided map[matrix.Flow]oracle.Decision
}

func newEngines(n *Network) engines {
	return engines{
		net: n, rulings: map[edition]*ruling{}, late: map[string]time.Duration{}, slipped: map[packet]bool{},
		policies: []policies{{}}, pods: []pods{{}},
	}
}

func (e *engines) learnPods(p pods) { e.pods = append(e.pods, p) }

// delay of the engine of a node.
func (e *engines) delay(node string) time.Duration {
	late, ok := e.late[node]
	if !ok {
		late = cmp.Or(e.net.config.Delay, e.net.draw("engine of "+node, 20*time.Millisecond, 400*time.Millisecond))
		e.late[node] = late
	}
	return late
}

func (e *engines) apply(now time.Duration, p *networkingv1.NetworkPolicy) {
	last := e.policies[len(e.policies)-1]
	next := policies{now, maps.Clone(last.now), maps.Clone(last.was)}
	if next.now == nil {
		next.now, next.was = map[string]*networkingv1.NetworkPolicy{}, map[string]*networkingv1.NetworkPolicy{}
	}
	next.now[p.Namespace+"/"+p.Name] = p.DeepCopy()
	delete(next.was, p.Namespace)
	e.policies = append(e.policies, next)
}

func (e *engines) remove(now time.Duration, key string) {
	last := e.policies[len(e.policies)-1]
	p, ok := last.now[key]
	if !ok {
		return
	}
	next := policies{now, maps.Clone(last.now), maps.Clone(last.was)}
	delete(next.now, key)
	left := func(other *networkingv1.NetworkPolicy) bool { return other.Namespace == p.Namespace }
	if !slices.ContainsFunc(slices.Collect(maps.Values(next.now)), left) {
		next.was[p.Namespace] = p
	}
	e.policies = append(e.policies, next)
}

// pass asks the engine of the sender's node about its egress, and that of the
// receiver's node about its ingress.
func (e *engines) pass(p packet, now time.Duration, sound bool) bool {
	if !sound && e.overrun(now) {
		return true
	}
	from, to := e.net.byAddress[p.from.Addr()], e.net.byAddress[p.to.Addr()]
	if !sound && e.net.config.Defect.trait == dropsEchoes && p.protocol == matrix.ICMP && e.ruling(to.Node, now, sound).oracle != nil {
		return false
	}
	if e.works(from.Node, now, sound) && e.ruling(from.Node, now, sound).decide(p).Egress.Intent == matrix.Deny {
		return false
	}
	return !e.works(to.Node, now, sound) || e.ruling(to.Node, now, sound).decide(p).Ingress.Intent != matrix.Deny
}

// ruling by which a node's engine decides at a time.
func (e *engines) ruling(node string, now time.Duration, sound bool) *ruling {
	trait := e.net.config.Defect.trait
	late := e.delay(node)
	at := edition{policies: len(e.policies) - 1, pods: len(e.pods) - 1, sound: sound}
	for at.policies > 0 && e.policies[at.policies].from+late > now {
		at.policies--
	}
	since := now
	switch {
	case sound:
	case trait == learnsPodsLate:
		since -= e.net.draw("learning", 250*time.Millisecond, time.Second)
	case trait == learnsPodsWithPolicies:
		since = e.policies[at.policies].from
	}
	for at.pods > 0 && (e.pods[at.pods].from > since || e.pods[at.pods].labels && e.pods[at.pods].from+late > now) {
		at.pods--
	}
	r, ok := e.rulings[at]
	if !ok {
		r = e.rule(at)
		e.rulings[at] = r
	}
	return r
}

// rule makes the ruling of an edition.
func (e *engines) rule(at edition) *ruling {
	r := &ruling{names: map[netip.Addr]matrix.Endpoint{}, decided: map[matrix.Flow]oracle.Decision{}}
	defect := e.net.config.Defect
	world := oracle.World{Namespaces: e.net.namespaces, Pods: e.pods[at.pods].now}
	if !at.sound && defect.trait == keepsFirstLabels {
		world.Pods = e.pods[at.pods].born
	}
	for _, p := range world.Pods {
		r.names[p.Addresses[0]] = p.Name
	}
	exist := e.policies[at.policies]
	for _, key := range slices.Sorted(maps.Keys(exist.now)) {
		world.Policies = append(world.Policies, oracle.Policy{NetworkPolicy: exist.now[key].DeepCopy()})
	}
	if !at.sound && defect.trait == forgetsRemoval {
		for _, ns := range slices.Sorted(maps.Keys(exist.was)) {
			world.Policies = append(world.Policies, oracle.Policy{NetworkPolicy: exist.was[ns].DeepCopy()})
		}
	}
	if len(world.Policies) == 0 {
		return r
	}
	if !at.sound && defect.misread != nil {
		defect.misread(&world)
	}
	judge, err := oracle.New(world)
	if err != nil {
		panic(fmt.Sprintf("simnet: defect %q made policies that are none: %v", defect.Name, err)) // those of a scenario were judged before
	}
	r.oracle = judge
	return r
}

// decide on a packet between two addresses.
func (r *ruling) decide(p packet) oracle.Decision {
	if r.oracle == nil {
		return oracle.Decision{}
	}
	f := matrix.Flow{From: r.name(p.from.Addr()), To: r.name(p.to.Addr()), Protocol: p.protocol, Port: p.to.Port()}
	d, ok := r.decided[f]
	if !ok {
		d = r.oracle.Decide(f)
		r.decided[f] = d
	}
	return d
}

// name of who has an address. One that the engine does not know is outside of
// the cluster, as far as it can tell.
func (r *ruling) name(a netip.Addr) matrix.Endpoint {
	if name, ok := r.names[a]; ok {
		return name
	}
	return matrix.WorldEndpoint(a.String())
}
