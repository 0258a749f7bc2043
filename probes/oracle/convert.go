package oracle

import (
	corev1 "k8s.io/api/core/v1"
	policyv1alpha1 "sigs.k8s.io/network-policy-api/apis/v1alpha1"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/segtest/segtest/probes/matrix"
)

// The kinds of ClusterPolicy. The older two are judged as what they became.
const (
	KindCluster  = "ClusterNetworkPolicy"
	KindAdmin    = "AdminNetworkPolicy"
	KindBaseline = "BaselineAdminNetworkPolicy"
)

// FromAdmin converts an AdminNetworkPolicy: the same rules in the Admin tier.
// What is invalid stays so and is found by New. The caller adds the origins.
func FromAdmin(old *policyv1alpha1.AdminNetworkPolicy) ClusterPolicy {
	p := &policyv1alpha2.ClusterNetworkPolicy{ObjectMeta: old.ObjectMeta}
	p.Spec = policyv1alpha2.ClusterNetworkPolicySpec{Tier: policyv1alpha2.AdminTier, Priority: old.Spec.Priority, Subject: subjectOf(old.Spec.Subject)}
	for _, r := range old.Spec.Ingress {
		p.Spec.Ingress = append(p.Spec.Ingress, policyv1alpha2.ClusterNetworkPolicyIngressRule{
			Name: r.Name, Action: actionOf(r.Action), From: sourcesOf(r.From), Protocols: protocolsOf(r.Ports),
		})
	}
	for _, r := range old.Spec.Egress {
		p.Spec.Egress = append(p.Spec.Egress, policyv1alpha2.ClusterNetworkPolicyEgressRule{
			Name: r.Name, Action: actionOf(r.Action), To: targetsOf(r.To), Protocols: protocolsOf(r.Ports),
		})
	}
	return ClusterPolicy{ClusterNetworkPolicy: p, Kind: KindAdmin}
}

// FromBaseline converts a BaselineAdminNetworkPolicy: the same rules in the
// Baseline tier. It has no priority, and the 0 says nothing: no specification
// orders it among the ClusterNetworkPolicies there. The caller adds the origins.
func FromBaseline(old *policyv1alpha1.BaselineAdminNetworkPolicy) ClusterPolicy {
	admin := &policyv1alpha1.AdminNetworkPolicy{ObjectMeta: old.ObjectMeta}
	admin.Spec.Subject = old.Spec.Subject
	for _, r := range old.Spec.Ingress {
		admin.Spec.Ingress = append(admin.Spec.Ingress, policyv1alpha1.AdminNetworkPolicyIngressRule{
			Name: r.Name, Action: policyv1alpha1.AdminNetworkPolicyRuleAction(r.Action), From: r.From, Ports: r.Ports,
		})
	}
	for _, r := range old.Spec.Egress {
		var to []policyv1alpha1.AdminNetworkPolicyEgressPeer
		for _, p := range r.To {
			to = append(to, policyv1alpha1.AdminNetworkPolicyEgressPeer{Namespaces: p.Namespaces, Pods: p.Pods, Nodes: p.Nodes, Networks: p.Networks})
		}
		admin.Spec.Egress = append(admin.Spec.Egress, policyv1alpha1.AdminNetworkPolicyEgressRule{
			Name: r.Name, Action: policyv1alpha1.AdminNetworkPolicyRuleAction(r.Action), To: to, Ports: r.Ports,
		})
	}
	p := FromAdmin(admin)
	p.Kind, p.Spec.Tier = KindBaseline, policyv1alpha2.BaselineTier
	return p
}

// actionOf renames Allow, which became Accept.
func actionOf(old policyv1alpha1.AdminNetworkPolicyRuleAction) policyv1alpha2.ClusterNetworkPolicyRuleAction {
	if old == policyv1alpha1.AdminNetworkPolicyRuleActionAllow {
		return policyv1alpha2.ClusterNetworkPolicyRuleActionAccept
	}
	return policyv1alpha2.ClusterNetworkPolicyRuleAction(old)
}

func podsOf(old *policyv1alpha1.NamespacedPod) *policyv1alpha2.NamespacedPod {
	if old == nil {
		return nil
	}
	return &policyv1alpha2.NamespacedPod{NamespaceSelector: old.NamespaceSelector, PodSelector: old.PodSelector}
}

func subjectOf(old policyv1alpha1.AdminNetworkPolicySubject) policyv1alpha2.ClusterNetworkPolicySubject {
	return policyv1alpha2.ClusterNetworkPolicySubject{Namespaces: old.Namespaces, Pods: podsOf(old.Pods)}
}

func sourcesOf(old []policyv1alpha1.AdminNetworkPolicyIngressPeer) []policyv1alpha2.ClusterNetworkPolicyIngressPeer {
	var peers []policyv1alpha2.ClusterNetworkPolicyIngressPeer
	for _, p := range old {
		peers = append(peers, policyv1alpha2.ClusterNetworkPolicyIngressPeer{Namespaces: p.Namespaces, Pods: podsOf(p.Pods)})
	}
	return peers
}

func targetsOf(old []policyv1alpha1.AdminNetworkPolicyEgressPeer) []policyv1alpha2.ClusterNetworkPolicyEgressPeer {
	var peers []policyv1alpha2.ClusterNetworkPolicyEgressPeer
	for _, p := range old {
		peer := policyv1alpha2.ClusterNetworkPolicyEgressPeer{Namespaces: p.Namespaces, Pods: podsOf(p.Pods), Nodes: p.Nodes}
		for _, cidr := range p.Networks {
			peer.Networks = append(peer.Networks, policyv1alpha2.CIDR(cidr))
		}
		for _, name := range p.DomainNames {
			peer.DomainNames = append(peer.DomainNames, policyv1alpha2.DomainName(name))
		}
		peers = append(peers, peer)
	}
	return peers
}

func protocolsOf(old *[]policyv1alpha1.AdminNetworkPolicyPort) []policyv1alpha2.ClusterNetworkPolicyProtocol {
	if old == nil {
		return nil
	}
	protocols := []policyv1alpha2.ClusterNetworkPolicyProtocol{}
	for _, p := range *old {
		var entry policyv1alpha2.ClusterNetworkPolicyProtocol
		if p.NamedPort != nil {
			entry.DestinationNamedPort = *p.NamedPort
		}
		if p.PortNumber != nil {
			SetDestination(&entry, oldProtocol(p.PortNumber.Protocol), policyv1alpha2.Port{Number: p.PortNumber.Port})
		}
		if p.PortRange != nil {
			SetDestination(&entry, oldProtocol(p.PortRange.Protocol), policyv1alpha2.Port{Range: &policyv1alpha2.PortRange{Start: p.PortRange.Start, End: p.PortRange.End}})
		}
		protocols = append(protocols, entry)
	}
	return protocols
}

// oldProtocol is TCP where none is named. One that nobody knows leaves an entry
// empty, which New refuses.
func oldProtocol(p corev1.Protocol) matrix.Protocol {
	if p == "" {
		return matrix.TCP
	}
	return ProtocolOf(&p)
}
