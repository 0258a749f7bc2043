package cases

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/sets"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/segtest/segtest/probes/oracle"
)

// ClusterPolicy draws a ClusterNetworkPolicy; two of one tier are at times of
// the same priority.
func (r Random) ClusterPolicy(i int) oracle.ClusterPolicy {
	p := &policyv1alpha2.ClusterNetworkPolicy{}
	p.Name = fmt.Sprintf("c-%d", i)
	p.Spec.Tier = pick(r, policyv1alpha2.AdminTier, policyv1alpha2.AdminTier, policyv1alpha2.BaselineTier)
	p.Spec.Priority = pick(r, int32(i), int32(1000-i), int32(i), 500)
	if r.one(2) {
		p.Spec.Subject.Namespaces = r.selector()
	} else {
		p.Spec.Subject.Pods = r.namespacedPods()
	}
	for range r.IntN(4) {
		p.Spec.Ingress = append(p.Spec.Ingress, policyv1alpha2.ClusterNetworkPolicyIngressRule{
			Action: r.action(), From: r.ingressPeers(), Protocols: r.protocols(!r.one(3)),
		})
	}
	for range r.IntN(4) {
		p.Spec.Egress = append(p.Spec.Egress, r.clusterEgress())
	}
	return oracle.ClusterPolicy{ClusterNetworkPolicy: p, Kind: "ClusterNetworkPolicy"}
}

func (r Random) action() policyv1alpha2.ClusterNetworkPolicyRuleAction {
	return pick(r, policyv1alpha2.ClusterNetworkPolicyRuleActionAccept, policyv1alpha2.ClusterNetworkPolicyRuleActionDeny,
		policyv1alpha2.ClusterNetworkPolicyRuleActionPass)
}

func (r Random) namespacedPods() *policyv1alpha2.NamespacedPod {
	return &policyv1alpha2.NamespacedPod{NamespaceSelector: *r.selector(), PodSelector: *r.selector()}
}

func (r Random) ingressPeers() []policyv1alpha2.ClusterNetworkPolicyIngressPeer {
	var peers []policyv1alpha2.ClusterNetworkPolicyIngressPeer
	for range 1 + r.IntN(2) {
		if r.one(2) {
			peers = append(peers, policyv1alpha2.ClusterNetworkPolicyIngressPeer{Namespaces: r.selector()})
		} else {
			peers = append(peers, policyv1alpha2.ClusterNetworkPolicyIngressPeer{Pods: r.namespacedPods()})
		}
	}
	return peers
}

// clusterEgress draws peers by selector, with named ports among the protocols,
// or any peers without named ports: the API allows no other mixture.
func (r Random) clusterEgress() policyv1alpha2.ClusterNetworkPolicyEgressRule {
	rule := policyv1alpha2.ClusterNetworkPolicyEgressRule{Action: r.action()}
	bySelector := r.one(2)
	rule.Protocols = r.protocols(bySelector)
	kinds := 2
	if !bySelector {
		kinds = 6
	}
	for range 1 + r.IntN(2) {
		var p policyv1alpha2.ClusterNetworkPolicyEgressPeer
		switch r.IntN(kinds) {
		case 0:
			p.Namespaces = r.selector()
		case 1:
			p.Pods = r.namespacedPods()
		case 2:
			p.Nodes = r.selector()
		case 3:
			rule.Action = policyv1alpha2.ClusterNetworkPolicyRuleActionAccept // the only one for names
			p.DomainNames = []policyv1alpha2.DomainName{pick[policyv1alpha2.DomainName](r, "api.example.com", "*.example.com")}
		default:
			p.Networks = r.networks()
		}
		rule.To = append(rule.To, p)
	}
	return rule
}

func (r Random) networks() []policyv1alpha2.CIDR {
	found := sets.New[policyv1alpha2.CIDR]()
	for range 1 + r.IntN(3) {
		found.Insert(policyv1alpha2.CIDR(r.network()))
	}
	return sets.List(found)
}

func (r Random) protocols(named bool) []policyv1alpha2.ClusterNetworkPolicyProtocol {
	var all []policyv1alpha2.ClusterNetworkPolicyProtocol
	for range r.IntN(3) {
		var p policyv1alpha2.ClusterNetworkPolicyProtocol
		if named && r.one(3) {
			p.DestinationNamedPort = pick(r, "web", "dns", "api", "nobody")
			all = append(all, p)
			continue
		}
		port := r.destination()
		oracle.SetDestination(&p, r.protocol(), port)
		all = append(all, p)
	}
	return all
}

func (r Random) destination() policyv1alpha2.Port {
	start := int32(r.port())
	if r.one(3) {
		return policyv1alpha2.Port{Range: &policyv1alpha2.PortRange{Start: start, End: start + 1 + r.Int32N(2)}}
	}
	return policyv1alpha2.Port{Number: start}
}
