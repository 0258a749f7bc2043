package oracle

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/segtest/segtest/probes/matrix"
)

// kind of the policy, with its default.
func (p ClusterPolicy) kind() string {
	if p.Kind == "" {
		return KindCluster
	}
	return p.Kind
}

// Key is the name: the policy is in no namespace.
func (p ClusterPolicy) Key() string { return p.Name }

// lastPriority that a cluster-wide policy can have.
const lastPriority = 1000

// cluster compiles a cluster-wide policy.
func (c *compiler) cluster(p ClusterPolicy) {
	spec := &p.Spec
	at := place{c: c, origin: p.Origin, subject: p.kind() + " " + p.Name, places: p.Places, limit: 25}
	out := &policy{
		whole: RuleRef{Kind: p.kind(), Tier: string(spec.Tier), Policy: p.Name, Rule: -1, Origin: p.Origin}, priority: spec.Priority,
		applies: [2]bool{ingress: len(spec.Ingress) > 0, egress: len(spec.Egress) > 0},
	}
	if p.Kind == KindBaseline {
		out.priority = lastPriority + 1 // it is named last, and has no place in the order
	}
	at.head(p, out)
	defer at.crowded(c.lexicon.named)
	subject := at.in("spec", "subject")
	subject.field = "subject"
	peer := subject.pods(spec.Subject.Namespaces, spec.Subject.Pods)
	if spec.Subject.Namespaces == nil && spec.Subject.Pods == nil {
		subject.add("is empty", "set namespaces or pods; namespaces: {} means all pods of the cluster")
	}
	out.namespaces, out.pods = peer.namespaces, peer.pods
	for i, r := range spec.Ingress {
		ruleAt := at.rule(ingress, i, p.Ingress)
		peers := make([]policyv1alpha2.ClusterNetworkPolicyEgressPeer, len(r.From))
		for i, q := range r.From {
			peers[i] = policyv1alpha2.ClusterNetworkPolicyEgressPeer{Namespaces: q.Namespaces, Pods: q.Pods}
		}
		out.rules[ingress] = append(out.rules[ingress], ruleAt.cluster(out, policyv1alpha2.ClusterNetworkPolicyEgressRule{
			Name: r.Name, Action: r.Action, To: peers, Protocols: r.Protocols,
		}))
	}
	for i, r := range spec.Egress {
		ruleAt := at.rule(egress, i, p.Egress)
		out.rules[egress] = append(out.rules[egress], ruleAt.cluster(out, r))
	}
	c.policies = append(c.policies, out)
}

// head checks what stands above the rules.
func (at *place) head(p ClusterPolicy, out *policy) {
	if p.Name == "" {
		at.add("has no name", "set metadata.name")
	}
	if p.Kind != "" && p.Kind != KindCluster {
		at.limit = 100
	}
	spec := at.in("spec")
	switch {
	case p.kind() != KindCluster && p.kind() != KindAdmin && p.kind() != KindBaseline:
		at.add("is of an unknown kind", "write "+KindCluster)
	case p.Kind == KindBaseline && p.Name != "default":
		at.add("is not named default", "name it default: a cluster has only that one")
	}
	switch p.Spec.Tier {
	case policyv1alpha2.AdminTier:
		out.tier = tierAdmin
	case policyv1alpha2.BaselineTier:
		out.tier = tierBaseline
	case "":
		spec.add("has no tier", "write tier: Admin or tier: Baseline")
	default:
		spec.in("tier").add(fmt.Sprintf("tier %q is unknown", p.Spec.Tier), "write Admin or Baseline")
	}
	if p.Spec.Priority < 0 || p.Spec.Priority > lastPriority {
		spec.in("priority").add(fmt.Sprintf("priority %d is out of range", p.Spec.Priority), fmt.Sprintf("write a number from 0 to %d", lastPriority))
	}
	spec.in("ingress").atMost("ingress rules", len(p.Spec.Ingress))
	spec.in("egress").atMost("egress rules", len(p.Spec.Egress))
}

func (at place) atMost(what string, n int) {
	if n > at.limit {
		at.add(fmt.Sprintf("has %d %s", n, what), fmt.Sprintf("write at most %d", at.limit))
	}
}

// pods compiles what selects pods: by namespace, or by both.
func (at place) pods(namespaces *metav1.LabelSelector, pods *policyv1alpha2.NamespacedPod) peer {
	words := &at.c.lexicon
	switch {
	case namespaces != nil && pods != nil:
		at.add("has namespaces and pods", "set one of them; pods has a namespaceSelector of its own")
	case namespaces != nil:
		return peer{by: byLabels, namespaces: at.selector(&words.namespaces, "namespaces", namespaces), pods: -1}
	case pods != nil:
		return peer{
			by:         byLabels,
			namespaces: at.selector(&words.namespaces, "pods.namespaceSelector", &pods.NamespaceSelector),
			pods:       at.selector(&words.pods, "pods.podSelector", &pods.PodSelector),
		}
	}
	return peer{}
}

// cluster compiles a rule of a cluster-wide policy.
func (at place) cluster(of *policy, spec policyv1alpha2.ClusterNetworkPolicyEgressRule) *rule {
	r := at.newRule(of)
	r.action = at.in("action").action(spec.Action, of)
	r.anyPort = len(spec.Protocols) == 0
	if len(spec.Name) > 100 {
		at.in("name").add(fmt.Sprintf("has a name of %d characters", len(spec.Name)), "write at most 100")
	}
	switch {
	case len(spec.To) == 0:
		at.add("has no peer", "write whom the rule means; namespaces: {} means all pods of the cluster")
	case spec.Protocols != nil && len(spec.Protocols) == 0:
		at.in("protocols").add("has an empty list of protocols", "leave it out to mean all, or fill it")
	}
	at.atMost("peers", len(spec.To))
	at.in("protocols").atMost("protocols", len(spec.Protocols))
	unnamed := false // the rule has peers whose ports have no names
	for i, p := range spec.To {
		compiled := at.clusterPeer(i, p, r)
		unnamed = unnamed || compiled.by == byAddress || compiled.by == byNode || compiled.by == byName
		r.peers = append(r.peers, compiled)
		if compiled.by == nobody && r.broken < 0 {
			r.broken = i
		}
	}
	for i, p := range spec.Protocols {
		if port, ok := at.protocol(i, p); ok {
			r.ports = append(r.ports, port)
			if port.name != "" && unnamed {
				at.in("protocols", i).add(fmt.Sprintf("has the port name %s beside networks, nodes or domainNames", port.name), "write its number: their ports have no names")
			}
		}
	}
	r.failClosed()
	return r
}

// failClosed: a rule with a peer that nobody knows accepts nothing and else
// denies everything.
func (r *rule) failClosed() {
	switch {
	case r.broken < 0:
	case r.action == accept:
		r.peers = nil
	default:
		r.action, r.anyone, r.anyPort = deny, true, true
	}
}

func (at place) action(a policyv1alpha2.ClusterNetworkPolicyRuleAction, of *policy) action {
	switch a {
	case policyv1alpha2.ClusterNetworkPolicyRuleActionAccept:
		return accept
	case policyv1alpha2.ClusterNetworkPolicyRuleActionDeny:
		return deny
	case policyv1alpha2.ClusterNetworkPolicyRuleActionPass:
		if of.whole.Kind != KindBaseline {
			return pass
		}
	}
	known := "Accept, Deny or Pass"
	switch of.whole.Kind {
	case KindAdmin:
		known = "Allow, Deny or Pass"
	case KindBaseline:
		known = "Allow or Deny"
	}
	message := fmt.Sprintf("action %q is unknown", a)
	if a == "" {
		message = "has no action"
	}
	at.add(message, "write "+known)
	return deny
}

// clusterPeer compiles one entry of from or to; nobody is what fails closed.
func (at place) clusterPeer(i int, p policyv1alpha2.ClusterNetworkPolicyEgressPeer, r *rule) peer {
	at = at.peerAt(i)
	fields := 0
	for _, set := range []bool{p.Namespaces != nil || p.Pods != nil, p.Networks != nil, p.Nodes != nil, p.DomainNames != nil} {
		if set {
			fields++
		}
	}
	if fields > 1 {
		at.add("has several fields", "write each as an entry of its own")
	}
	switch {
	case p.Networks != nil:
		return at.in("networks").networks(p.Networks)
	case p.Nodes != nil:
		return peer{by: byNode, nodes: at.selector(&at.c.lexicon.nodes, "nodes", p.Nodes)}
	case p.DomainNames != nil:
		return at.in("domainNames").domains(p.DomainNames, r)
	}
	return at.pods(p.Namespaces, p.Pods)
}

func (at place) networks(cidrs []policyv1alpha2.CIDR) peer {
	out := peer{by: byAddress}
	if len(cidrs) == 0 {
		at.add("has no networks", "write at least one CIDR")
	}
	at.limit = 25
	at.atMost("networks", len(cidrs))
	for i, text := range cidrs {
		if cidr, ok := at.in(i).cidr("networks", string(text)); ok {
			out.blocks = append(out.blocks, at.c.lexicon.block(block{cidr: cidr}))
		}
	}
	return out
}

func (at place) domains(names []policyv1alpha2.DomainName, r *rule) peer {
	out := peer{by: byName}
	if len(names) == 0 {
		at.add("has no domainNames", "write at least one name")
	}
	if r.action != accept {
		at.add("has domainNames in a rule that does not accept", "deny by networks, after the rules that accept by name")
	}
	at.limit = 25
	at.atMost("domainNames", len(names))
	for i, n := range names {
		name := strings.TrimSuffix(strings.ToLower(string(n)), ".")
		plain := strings.TrimPrefix(name, "*.")
		if faults := validation.IsDNS1123Subdomain(strings.ReplaceAll(plain, "_", "-")); len(faults) > 0 || !strings.Contains(plain, ".") {
			at.in(i).add(fmt.Sprintf("%q is not a domain name", n), `write labels with dots between them, "*." only in front`)
		}
		out.names = append(out.names, name)
		out.inCluster = out.inCluster || inCluster(plain)
	}
	return out
}

// inCluster reports that the name may be one that the cluster's DNS gives to
// pods, or a wildcard over such names.
func inCluster(name string) bool {
	labels := "." + name + "."
	return strings.Contains(labels, ".svc.") || strings.Contains(labels, ".pod.") || strings.HasSuffix(labels, ".local.")
}

// protocol compiles one entry of protocols, false where it is invalid.
func (at place) protocol(i int, p policyv1alpha2.ClusterNetworkPolicyProtocol) (portRange, bool) {
	at = at.in("protocols", i)
	at.field += fmt.Sprintf(": protocol %d", i)
	before := len(*at.c.found)
	var out portRange
	fields := 0
	take := func(field string, protocol matrix.Protocol, port *policyv1alpha2.Port) {
		fields++
		out = at.in(field, "destinationPort").destination(protocol, port)
	}
	if p.TCP != nil {
		take("tcp", matrix.TCP, p.TCP.DestinationPort)
	}
	if p.UDP != nil {
		take("udp", matrix.UDP, p.UDP.DestinationPort)
	}
	if p.SCTP != nil {
		take("sctp", matrix.SCTP, p.SCTP.DestinationPort)
	}
	if p.DestinationNamedPort != "" {
		fields++
		out = portRange{name: at.in("destinationNamedPort").portName(p.DestinationNamedPort)}
	}
	if fields != 1 {
		at.add(fmt.Sprintf("has %d fields", fields), "write exactly one of tcp, udp, sctp and destinationNamedPort")
	}
	return out, len(*at.c.found) == before
}

func (at place) destination(protocol matrix.Protocol, p *policyv1alpha2.Port) portRange {
	out := portRange{protocol: protocol}
	switch {
	case p == nil:
		at.add("has no destinationPort", "set its number or its range")
	case p.Number == 0 && p.Range == nil:
		at.in("number").add("its destinationPort has no number from 1 to 65535 and no range", "set one of them")
	case p.Number != 0 && p.Range != nil:
		at.add("has a number and a range", "write one of them")
	case p.Range != nil:
		if p.Range.Start >= p.Range.End {
			at.in("range").add(fmt.Sprintf("range from %d to %d does not run upwards", p.Range.Start, p.Range.End), "write start below end")
		}
		out.low, out.high = at.in("range", "start").number(p.Range.Start), at.in("range", "end").number(p.Range.End)
	default:
		out.low = at.in("number").number(p.Number)
		out.high = out.low
	}
	return out
}
