package edit

import (
	"fmt"
	"slices"

	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// clusterRule is a rule of a cluster-wide policy, in either direction.
type clusterRule = policyv1alpha2.ClusterNetworkPolicyEgressRule

// wide is one cluster-wide policy of a world, for changes.
type wide struct {
	oracle.ClusterPolicy
	index     int // in World.ClusterPolicies
	direction direction
}

// overrule gives the changes of cluster-wide policies that may decide the flow
// otherwise: a rule with another action before the one that decides, or that one
// gone.
func overrule(w oracle.World, e oracle.Explanation, f matrix.Flow, d direction, action policyv1alpha2.ClusterNetworkPolicyRuleAction) []change {
	var all []change
	for _, s := range d.steps(e) {
		if s.Rule.Kind == "" || s.Rule.Rule < 0 || !s.Decides {
			continue
		}
		i := slices.IndexFunc(w.ClusterPolicies, func(p oracle.ClusterPolicy) bool { return p.Name == s.Rule.Policy && kindOf(p) == s.Rule.Kind })
		if i < 0 {
			continue
		}
		c := wide{w.ClusterPolicies[i], i, d}
		all = append(all, c.removed(s.Rule.Rule))
		if s.Rule.Kind != oracle.KindCluster {
			continue // the older kinds are written in other words
		}
		for _, peer := range c.peersFor(w, f) {
			all = append(all, c.inserted(s.Rule.Rule, clusterRule{
				Action: action, To: []policyv1alpha2.ClusterNetworkPolicyEgressPeer{peer}, Protocols: protocolsOf(f),
			}))
		}
	}
	return all
}

func kindOf(p oracle.ClusterPolicy) string {
	if p.Kind == "" {
		return oracle.KindCluster
	}
	return p.Kind
}

// peersFor gives the peers that may stand for the other end of a flow.
func (c wide) peersFor(w oracle.World, f matrix.Flow) []policyv1alpha2.ClusterNetworkPolicyEgressPeer {
	_, other := c.direction.ends(f)
	var peers []policyv1alpha2.ClusterNetworkPolicyEgressPeer
	for _, p := range peersFor(w, "", other, f.Family) {
		switch {
		case p.IPBlock == nil:
			peers = append(peers, policyv1alpha2.ClusterNetworkPolicyEgressPeer{
				Pods: &policyv1alpha2.NamespacedPod{NamespaceSelector: *p.NamespaceSelector, PodSelector: *p.PodSelector},
			})
		case c.direction == egress:
			peers = append(peers, policyv1alpha2.ClusterNetworkPolicyEgressPeer{Networks: []policyv1alpha2.CIDR{policyv1alpha2.CIDR(p.IPBlock.CIDR)}})
		}
	}
	return peers
}

// protocolsOf a rule that means the flow; none, which is all, where no rule can
// name its protocol.
func protocolsOf(f matrix.Flow) []policyv1alpha2.ClusterNetworkPolicyProtocol {
	if !f.Protocol.HasPorts() {
		return nil
	}
	var entry policyv1alpha2.ClusterNetworkPolicyProtocol
	oracle.SetDestination(&entry, f.Protocol, policyv1alpha2.Port{Number: int32(f.Port)})
	return []policyv1alpha2.ClusterNetworkPolicyProtocol{entry}
}

func (c wide) rules() []clusterRule {
	if c.direction == egress {
		return slices.Clone(c.Spec.Egress)
	}
	var all []clusterRule
	for _, r := range c.Spec.Ingress {
		var peers []policyv1alpha2.ClusterNetworkPolicyEgressPeer
		for _, p := range r.From {
			peers = append(peers, policyv1alpha2.ClusterNetworkPolicyEgressPeer{Namespaces: p.Namespaces, Pods: p.Pods})
		}
		all = append(all, clusterRule{Name: r.Name, Action: r.Action, To: peers, Protocols: r.Protocols})
	}
	return all
}

// admitted is the rule as one of ingress.
func admitted(r clusterRule) policyv1alpha2.ClusterNetworkPolicyIngressRule {
	out := policyv1alpha2.ClusterNetworkPolicyIngressRule{Name: r.Name, Action: r.Action, Protocols: r.Protocols}
	for _, p := range r.To {
		out.From = append(out.From, policyv1alpha2.ClusterNetworkPolicyIngressPeer{Namespaces: p.Namespaces, Pods: p.Pods})
	}
	return out
}

func (c wide) written(r clusterRule) []string {
	if c.direction == egress {
		return text([]any{r})
	}
	return text([]any{admitted(r)})
}

func (c wide) origins() []oracle.Origin {
	if c.direction == egress {
		return c.Egress
	}
	return c.Ingress
}

func (c wide) originOf(i int) oracle.Origin {
	if o := c.origins(); i < len(o) && !o[i].IsZero() {
		return o[i]
	}
	return c.Origin
}

// removed takes a rule away.
func (c wide) removed(i int) change {
	rules := c.rules()
	origins := slices.Clone(c.origins())
	if i < len(origins) {
		origins = slices.Delete(origins, i, i+1)
	}
	return c.change(Edit{
		What:   fmt.Sprintf("remove %s rule %d of %s %s", c.direction, i, kindOf(c.ClusterPolicy), c.Name),
		Origin: c.originOf(i), Diff: difference(c.written(rules[i]), nil),
	}, slices.Delete(slices.Clone(rules), i, i+1), origins)
}

// inserted puts a rule before another one.
func (c wide) inserted(i int, r clusterRule) change {
	origins := slices.Clone(c.origins())
	if i < len(origins) {
		origins = slices.Insert(origins, i, oracle.Origin{})
	}
	return c.change(Edit{
		What:   fmt.Sprintf("add an %s rule before rule %d of %s %s", c.direction, i, kindOf(c.ClusterPolicy), c.Name),
		Origin: c.originOf(i), Diff: difference(nil, c.written(r)),
	}, slices.Insert(c.rules(), i, r), origins)
}

func (c wide) change(e Edit, rules []clusterRule, origins []oracle.Origin) change {
	e.Policy, e.Kind = c.Name, kindOf(c.ClusterPolicy)
	after := c.ClusterPolicy
	after.ClusterNetworkPolicy = c.DeepCopy()
	if c.direction == egress {
		after.Spec.Egress, after.Egress = rules, origins
	} else {
		after.Spec.Ingress, after.Ingress = nil, origins
		for _, r := range rules {
			after.Spec.Ingress = append(after.Spec.Ingress, admitted(r))
		}
	}
	return change{Edit: e, scope: scope{direction: c.direction}, apply: func(w oracle.World) oracle.World {
		w.ClusterPolicies = slices.Clone(w.ClusterPolicies)
		w.ClusterPolicies[c.index] = after
		return w
	}}
}
