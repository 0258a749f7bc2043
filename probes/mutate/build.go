package mutate

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/segtest/segtest/probes/oracle"
)

// network makes a NetworkPolicy of the draft, with the metadata of the original.
func (d *draft) network(original oracle.Policy) *oracle.Policy {
	p := &oracle.Policy{Origin: original.Origin, NetworkPolicy: &networkingv1.NetworkPolicy{
		TypeMeta: original.TypeMeta, ObjectMeta: *original.ObjectMeta.DeepCopy(),
	}}
	p.Namespace = d.namespace
	p.Spec.PodSelector, p.Spec.PolicyTypes = *orAll(d.subject.pods), d.types
	for _, r := range d.rules[ingress] {
		p.Ingress = append(p.Ingress, r.origin)
		p.Spec.Ingress = append(p.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: r.networkPeers(), Ports: r.networkPorts()})
	}
	for _, r := range d.rules[egress] {
		p.Egress = append(p.Egress, r.origin)
		p.Spec.Egress = append(p.Spec.Egress, networkingv1.NetworkPolicyEgressRule{To: r.networkPeers(), Ports: r.networkPorts()})
	}
	return p
}

// orAll is the selector, or the one that fits everything.
func orAll(s *metav1.LabelSelector) *metav1.LabelSelector {
	if s == nil {
		return &metav1.LabelSelector{}
	}
	return s
}

func (r rule) networkPeers() []networkingv1.NetworkPolicyPeer {
	var peers []networkingv1.NetworkPolicyPeer
	for _, p := range r.peers {
		peers = append(peers, networkingv1.NetworkPolicyPeer{NamespaceSelector: p.namespaces, PodSelector: p.pods, IPBlock: p.block})
	}
	return peers
}

func (r rule) networkPorts() []networkingv1.NetworkPolicyPort {
	var ports []networkingv1.NetworkPolicyPort
	for _, p := range r.ports {
		protocol := p.protocol
		out := networkingv1.NetworkPolicyPort{Protocol: &protocol}
		switch {
		case p.name != "":
			out.Port = &intstr.IntOrString{Type: intstr.String, StrVal: p.name}
		case p.low != 0:
			out.Port = &intstr.IntOrString{Type: intstr.Int, IntVal: p.low}
		}
		if p.high != p.low {
			last := p.high
			out.EndPort = &last
		}
		ports = append(ports, out)
	}
	return ports
}

// clusterWide makes a cluster-wide policy of the draft, likewise.
func (d *draft) clusterWide(original oracle.ClusterPolicy) *oracle.ClusterPolicy {
	p := &oracle.ClusterPolicy{Kind: original.Kind, Origin: original.Origin, ClusterNetworkPolicy: &policyv1alpha2.ClusterNetworkPolicy{
		TypeMeta: original.TypeMeta, ObjectMeta: *original.ObjectMeta.DeepCopy(),
	}}
	subject := d.subject.clusterPeer()
	p.Spec.Tier, p.Spec.Priority = d.tier, d.priority
	p.Spec.Subject = policyv1alpha2.ClusterNetworkPolicySubject{Namespaces: subject.Namespaces, Pods: subject.Pods}
	for _, r := range d.rules[ingress] {
		p.Ingress = append(p.Ingress, r.origin)
		out := policyv1alpha2.ClusterNetworkPolicyIngressRule{Name: r.name, Action: r.action, Protocols: r.protocols()}
		for _, q := range r.peers {
			from := q.clusterPeer()
			out.From = append(out.From, policyv1alpha2.ClusterNetworkPolicyIngressPeer{Namespaces: from.Namespaces, Pods: from.Pods})
		}
		p.Spec.Ingress = append(p.Spec.Ingress, out)
	}
	for _, r := range d.rules[egress] {
		p.Egress = append(p.Egress, r.origin)
		out := policyv1alpha2.ClusterNetworkPolicyEgressRule{Name: r.name, Action: r.action, Protocols: r.protocols()}
		for _, q := range r.peers {
			out.To = append(out.To, q.clusterPeer())
		}
		p.Spec.Egress = append(p.Spec.Egress, out)
	}
	return p
}

func (p peer) clusterPeer() policyv1alpha2.ClusterNetworkPolicyEgressPeer {
	out := policyv1alpha2.ClusterNetworkPolicyEgressPeer{Nodes: p.nodes, Networks: p.networks, DomainNames: p.domains}
	if p.pods != nil {
		out.Pods = &policyv1alpha2.NamespacedPod{NamespaceSelector: *orAll(p.namespaces), PodSelector: *p.pods}
	} else {
		out.Namespaces = p.namespaces
	}
	return out
}

func (r rule) protocols() []policyv1alpha2.ClusterNetworkPolicyProtocol {
	var protocols []policyv1alpha2.ClusterNetworkPolicyProtocol
	for _, p := range r.ports {
		number := policyv1alpha2.Port{Number: p.low}
		if p.high != p.low {
			number = policyv1alpha2.Port{Range: &policyv1alpha2.PortRange{Start: p.low, End: p.high}}
		}
		out := policyv1alpha2.ClusterNetworkPolicyProtocol{DestinationNamedPort: p.name}
		oracle.SetDestination(&out, oracle.ProtocolOf(&p.protocol), number)
		protocols = append(protocols, out)
	}
	return protocols
}
