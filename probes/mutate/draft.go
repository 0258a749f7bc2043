package mutate

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/segtest/segtest/probes/oracle"
)

// direction of a rule, as its subject sees the flow.
type direction uint8

const (
	ingress direction = iota
	egress
)

func (d direction) String() string { return [...]string{"ingress", "egress"}[d] }

// draft is a policy of either kind as operators change it.
type draft struct {
	cluster   bool
	namespace string // of a NetworkPolicy
	subject   peer
	types     []networkingv1.PolicyType // of a NetworkPolicy
	tier      policyv1alpha2.Tier
	priority  int32
	rules     [2][]rule
}

type rule struct {
	origin oracle.Origin
	name   string
	action policyv1alpha2.ClusterNetworkPolicyRuleAction // "" of a NetworkPolicy
	peers  []peer
	ports  []port
}

// peer is an entry of from or to, or the subject of the policy. Selectors that
// are nil mean all, but for namespaces of a NetworkPolicy: its own.
type peer struct {
	namespaces, pods, nodes *metav1.LabelSelector
	block                   *networkingv1.IPBlock
	networks                []policyv1alpha2.CIDR
	domains                 []policyv1alpha2.DomainName
}

// port is an entry of ports or protocols: a name, or low to high.
type port struct {
	protocol  corev1.Protocol // "" of a name in a cluster-wide policy: any
	name      string
	low, high int32 // low is 0 where no number is given
}

func networkDraft(p oracle.Policy) *draft {
	d := &draft{namespace: p.Namespace, subject: peer{pods: &p.Spec.PodSelector}, types: p.Spec.PolicyTypes}
	for i, r := range p.Spec.Ingress {
		d.rules[ingress] = append(d.rules[ingress], networkRule(r.From, r.Ports, originOf(p.Ingress, i)))
	}
	for i, r := range p.Spec.Egress {
		d.rules[egress] = append(d.rules[egress], networkRule(r.To, r.Ports, originOf(p.Egress, i)))
	}
	return d
}

func originOf(origins []oracle.Origin, i int) oracle.Origin {
	if i < len(origins) {
		return origins[i]
	}
	return oracle.Origin{}
}

func networkRule(peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort, at oracle.Origin) rule {
	r := rule{origin: at}
	for _, p := range peers {
		r.peers = append(r.peers, peer{namespaces: p.NamespaceSelector, pods: p.PodSelector, block: p.IPBlock})
	}
	for _, p := range ports {
		r.ports = append(r.ports, networkPort(p))
	}
	return r
}

func networkPort(p networkingv1.NetworkPolicyPort) port {
	out := port{protocol: corev1.ProtocolTCP}
	if p.Protocol != nil {
		out.protocol = *p.Protocol
	}
	if p.Port != nil {
		out.name, out.low, out.high = p.Port.StrVal, p.Port.IntVal, p.Port.IntVal
	}
	if p.EndPort != nil {
		out.high = *p.EndPort
	}
	return out
}

func clusterDraft(p oracle.ClusterPolicy) *draft {
	spec := &p.Spec
	d := &draft{cluster: true, tier: spec.Tier, priority: spec.Priority, subject: clusterPeer(policyv1alpha2.ClusterNetworkPolicyEgressPeer{Namespaces: spec.Subject.Namespaces, Pods: spec.Subject.Pods})}
	for i, r := range spec.Ingress {
		out := clusterRule(r.Name, r.Action, r.Protocols, originOf(p.Ingress, i))
		for _, q := range r.From {
			out.peers = append(out.peers, clusterPeer(policyv1alpha2.ClusterNetworkPolicyEgressPeer{Namespaces: q.Namespaces, Pods: q.Pods}))
		}
		d.rules[ingress] = append(d.rules[ingress], out)
	}
	for i, r := range spec.Egress {
		out := clusterRule(r.Name, r.Action, r.Protocols, originOf(p.Egress, i))
		for _, q := range r.To {
			out.peers = append(out.peers, clusterPeer(q))
		}
		d.rules[egress] = append(d.rules[egress], out)
	}
	return d
}

func clusterRule(name string, action policyv1alpha2.ClusterNetworkPolicyRuleAction, protocols []policyv1alpha2.ClusterNetworkPolicyProtocol, at oracle.Origin) rule {
	r := rule{origin: at, name: name, action: action}
	for _, p := range protocols {
		r.ports = append(r.ports, clusterPort(p))
	}
	return r
}

func clusterPeer(p policyv1alpha2.ClusterNetworkPolicyEgressPeer) peer {
	out := peer{namespaces: p.Namespaces, nodes: p.Nodes, networks: p.Networks, domains: p.DomainNames}
	if p.Pods != nil {
		out.namespaces, out.pods = &p.Pods.NamespaceSelector, &p.Pods.PodSelector
	}
	return out
}

func clusterPort(p policyv1alpha2.ClusterNetworkPolicyProtocol) port {
	out := port{name: p.DestinationNamedPort}
	protocol, number := oracle.Destination(p)
	if protocol != 0 {
		out.protocol = corev1.Protocol(protocol.String())
	}
	switch {
	case number == nil:
	case number.Range != nil:
		out.low, out.high = number.Range.Start, number.Range.End
	default:
		out.low, out.high = number.Number, number.Number
	}
	return out
}

// clone shares nothing with the draft.
func (d *draft) clone() *draft {
	c := *d
	c.subject = d.subject.clone()
	c.types = slices.Clone(d.types)
	for way, rules := range d.rules {
		c.rules[way] = slices.Clone(rules)
		for i := range c.rules[way] {
			r := &c.rules[way][i]
			r.ports, r.peers = slices.Clone(r.ports), slices.Clone(r.peers)
			for j := range r.peers {
				r.peers[j] = r.peers[j].clone()
			}
		}
	}
	return &c
}

func (p peer) clone() peer {
	return peer{
		namespaces: p.namespaces.DeepCopy(), pods: p.pods.DeepCopy(), nodes: p.nodes.DeepCopy(), block: p.block.DeepCopy(),
		networks: slices.Clone(p.networks), domains: slices.Clone(p.domains),
	}
}
