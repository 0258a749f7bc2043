package oracle

import (
	"fmt"
	"net/netip"

	"github.com/segtest/segtest/probes/matrix"
)

// Oracle answers for one World. It is safe for concurrent use.
type Oracle struct {
	lexicon   *lexicon
	rules     []*rule // by number
	endpoints []endpoint
	index     map[matrix.Endpoint]int      // position in endpoints
	addresses map[netip.Addr]int           // likewise, of who speaks from there
	services  map[matrix.Endpoint]*Service // by "namespace/name"
	fronts    map[netip.Addr]*Service      // by address
}

// New prepares a World for questions. It fails with every problem of every
// policy at once when the World cannot be judged: the joined errors are
// *InvalidError, in order of place.
func New(w World) (*Oracle, error) {
	var found problems
	compiled := compile(w, &found)
	o := &Oracle{
		lexicon: &compiled.lexicon, rules: compiled.rules,
		endpoints: make([]endpoint, 0, len(w.Pods)+len(w.Nodes)),
		index:     make(map[matrix.Endpoint]int, len(w.Pods)+len(w.Nodes)),
		addresses: map[netip.Addr]int{},
	}
	for i := range w.Nodes {
		o.addNode(&w.Nodes[i], &found)
	}
	for i := range w.Pods {
		o.addPod(&w.Pods[i], &found)
	}
	o.services, o.fronts = servicesOf(w, &found)
	if err := found.err(); err != nil {
		return nil, err
	}
	o.classify(w, compiled.policies)
	return o, nil
}

// classify the endpoints, which are the nodes and then the pods.
func (o *Oracle) classify(w World, policies []*policy) {
	known := &classes{
		lexicon: o.lexicon, rules: o.rules, policies: policies,
		known: map[string]*class{}, sides: map[string]*side{}, labels: NamespaceLabels(w), machines: map[string]*Node{},
	}
	for i := range w.Nodes {
		known.machines[w.Nodes[i].Name] = &w.Nodes[i]
		o.endpoints[i].class = known.node(&w.Nodes[i])
	}
	for i := range w.Pods {
		o.endpoints[len(w.Nodes)+i].class = known.pod(&w.Pods[i])
	}
}

func (o *Oracle) addNode(n *Node, found *problems) {
	if n.Name == "" {
		found.add(n.Origin, "node", "has no name", "set its name")
	}
	e := endpoint{name: matrix.NodeEndpoint(n.Name), node: n.Name, origin: n.Origin}
	o.add(e, "node "+n.Name, n.Addresses, found)
}

func (o *Oracle) addPod(p *Pod, found *problems) {
	switch p.Name.Namespace() {
	case "":
		found.add(p.Origin, "pod "+string(p.Name), "has no namespace", "name it namespace/name")
	case matrix.NodeEndpoint("").Namespace(), matrix.WorldEndpoint("").Namespace():
		found.add(p.Origin, "pod "+string(p.Name), "is in a namespace that stands for something else", "rename the namespace: node/NAME is a node, world/ADDRESS is outside of the cluster")
	}
	if p.Name.Name() == "" {
		found.add(p.Origin, "pod "+string(p.Name), "has no name", "name it namespace/name")
	}
	e := endpoint{name: p.Name, node: p.Node, ports: p.Ports, labels: p.Labels, origin: p.Origin}
	o.add(e, "pod "+string(p.Name), p.Addresses, found)
}

// add an endpoint. Of those that share an address, the first has it: a node
// comes before the pods in its network.
func (o *Oracle) add(e endpoint, subject string, addresses []netip.Addr, found *problems) {
	e.id = len(o.endpoints)
	if first, ok := o.index[e.name]; ok {
		found.add(e.origin, subject, "is there twice", "rename one, the other is at "+o.endpoints[first].origin.String())
	}
	o.index[e.name] = e.id
	for _, a := range addresses {
		if _, shared := o.addresses[a.Unmap()]; !shared {
			o.addresses[a.Unmap()] = e.id
		}
	}
	o.endpoints = append(o.endpoints, e)
}

// find the endpoint of that name; where there is none the text says why.
func (o *Oracle) find(name matrix.Endpoint, family matrix.Family) (*endpoint, string) {
	if i, ok := o.index[name]; ok {
		return &o.endpoints[i], ""
	}
	if _, ok := o.services[name]; ok {
		return nil, fmt.Sprintf("%s is a Service, and a flow to it goes by the way %q", name, matrix.ServiceIP)
	}
	if name.Namespace() != matrix.WorldEndpoint("").Namespace() {
		return nil, fmt.Sprintf("%s is not a pod or node of this world", name)
	}
	address, err := netip.ParseAddr(name.Name())
	if err != nil {
		return nil, fmt.Sprintf("%s names no address", name)
	}
	address = address.Unmap()
	if i, ok := o.addresses[address]; ok {
		return nil, fmt.Sprintf("%s is the address of %s: ask about that", address, o.endpoints[i].name)
	}
	if s, ok := o.fronts[address]; ok {
		return nil, fmt.Sprintf("%s is the address of Service %s: ask about that by the way %q", address, s.Name, matrix.ServiceIP)
	}
	if address.Is4() != (family == matrix.IPv4) {
		return nil, fmt.Sprintf("%s is no %s address", address, family)
	}
	return &endpoint{id: -1, name: name, class: o.stranger(address)}, ""
}

// Decide answers for one Flow between two pods, nodes or outside addresses, or
// to a Service. A flow with an endpoint that the World does not hold is
// Undefined, with the reason. The slices of a Decision are shared: treat them
// as read-only.
func (o *Oracle) Decide(f matrix.Flow) Decision {
	d, _ := o.decide(f)
	return d
}

// trail is what was asked for a decision, by direction. The zero value is
// nothing.
type trail struct {
	asked bool
	by    [2]question
	names names
}

func (o *Oracle) decide(f matrix.Flow) (Decision, trail) {
	if why := malformed(f.Protocol, f.Port, f.Family); why != "" {
		return undefined(why), trail{}
	}
	from, why := o.find(f.From, f.Family)
	if why != "" {
		return undefined(why), trail{}
	}
	if f.Way == matrix.ServiceIP {
		return o.throughService(from, f)
	}
	to, why := o.find(f.To, f.Family)
	if why != "" {
		return undefined(why), trail{}
	}
	return o.between(from, to, f)
}

func malformed(protocol matrix.Protocol, port uint16, family matrix.Family) string {
	if !protocol.HasPorts() && protocol != matrix.ICMP || protocol.HasPorts() != (port != 0) || family > matrix.IPv6 {
		return "a flow needs a protocol, a port from 1 to 65535 (ICMP has none), and a known IP family"
	}
	return ""
}

// between decides a flow over the address of its receiver.
func (o *Oracle) between(from, to *endpoint, f matrix.Flow) (Decision, trail) {
	distance := distanceOf(from, to)
	names := names{string(from.name), string(to.name)}
	if d, ok := foregone(distance, to.class, f.Port, names); ok {
		return d, trail{}
	}
	t := trail{true, [2]question{}, names}
	var halves [2]Half
	for d := range halves {
		t.by[d] = ask(direction(d), from.class, to.class, f, distance) //nolint:gosec // 0 or 1
		halves[d] = o.lexicon.half(&t.by[d], t.by[d].decide(), names)
	}
	return join(halves[egress], halves[ingress]), t
}

// ask makes the question of one direction.
func ask(d direction, from, to *class, f matrix.Flow, distance distance) question {
	q := question{
		direction: d, subject: from, peer: to, receiver: to, distance: distance,
		protocol: f.Protocol, number: f.Port, family: f.Family,
	}
	if d == ingress {
		q.subject, q.peer = to, from
	}
	return q
}

// The NodePorts of a cluster that nobody configured otherwise. On a node policies
// are not asked about them.
const FirstNodePort, LastNodePort = 30000, 32767

// foregone decides what no policy is asked about.
func foregone(distance distance, to *class, port uint16, n names) (Decision, bool) {
	switch {
	case distance == itself:
		own := "no policy can keep a pod from itself"
		if !to.nature.isPod() {
			own = "policies select pods, and " + n.receiver + " is none"
		}
		half := Half{Intent: matrix.Allow, Reason: own}
		return Decision{Intent: matrix.Allow, Egress: half, Ingress: half, Reason: own}, true
	case to.nature == machine && port >= FirstNodePort && port <= LastNodePort:
		return undefined("port %d of %s may be that of a Service (%d to %d are for NodePorts): policies may see it before or after it is rewritten", port, n.receiver, FirstNodePort, LastNodePort), true
	}
	return Decision{}, false
}

// join makes a decision of its halves: both must allow.
func join(egress, ingress Half) Decision {
	d := Decision{Egress: egress, Ingress: ingress}
	switch {
	case egress.Intent == matrix.Deny || ingress.Intent == matrix.Deny:
		d.Intent = matrix.Deny
	case egress.Intent == matrix.Undefined:
		d.Intent, d.Reason = matrix.Undefined, egress.Reason
	case ingress.Intent == matrix.Undefined:
		d.Intent, d.Reason = matrix.Undefined, ingress.Reason
	default:
		d.Intent = matrix.Allow
	}
	return d
}

func undefined(format string, args ...any) Decision {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	return Decision{Intent: matrix.Undefined, Reason: format}
}

// distance is what two endpoints are to each other beside what they are.
type distance uint8

const (
	apart   distance = iota
	itself           // one and the same
	onNode           // the sender speaks from the receiver's node
	unclear          // it may, or it may not

	distances = 4
)

func distanceOf(from, to *endpoint) distance {
	switch {
	case from.id == to.id && from.name == to.name:
		return itself
	case !from.class.nature.onHost() || !to.class.nature.isPod():
		return apart
	case from.node == "" || to.node == "":
		return unclear
	case from.node == to.node:
		return onNode
	}
	return apart
}

// Matrix decides every flow of an index.
func (o *Oracle) Matrix(x *matrix.Index) matrix.Matrix[Decision] {
	m := matrix.New[Decision](x)
	for i, f := range x.All() {
		m.Set(i, o.Decide(f))
	}
	return m
}
