package outside

import (
	"iter"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// rule is what a rule of any kind of policy names, or the subject of a
// cluster-wide one.
type rule struct {
	home    string  // of a NetworkPolicy: its namespace
	subject *choice // of its policy; nil for the subject itself
	sends   bool    // it is about what the subject sends
	outward bool    // a pod that is not held may be its receiver
	choices []choice
	own     []*metav1.LabelSelector // peers of the policy's own namespace
	blocks  []string
	ports   []port
}

// choice of pods of all namespaces; a selector that is nil fits all.
type choice struct{ namespaces, pods *metav1.LabelSelector }

// port of a rule: a name, or low to high; neither is every port.
type port struct {
	protocol  matrix.Protocol // 0 is any
	name      string
	low, high int32
}

// rules of all policies of the worlds, in order.
func rules(worlds []oracle.World) iter.Seq[rule] {
	return func(yield func(rule) bool) {
		for _, w := range worlds {
			for _, p := range w.Policies {
				if p.NetworkPolicy != nil && !networkRules(p.Namespace, p.Spec, yield) {
					return
				}
			}
			for _, p := range w.ClusterPolicies {
				if p.ClusterNetworkPolicy != nil && !clusterRules(p.Spec, yield) {
					return
				}
			}
		}
	}
}

func networkRules(home string, spec networkingv1.NetworkPolicySpec, yield func(rule) bool) bool {
	subject := &choice{nil, &spec.PodSelector}
	of := func(outward bool, peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) bool {
		r := rule{home: home, subject: subject, sends: outward, outward: outward}
		for _, p := range peers {
			switch {
			case p.IPBlock != nil:
				r.blocks = append(append(r.blocks, p.IPBlock.CIDR), p.IPBlock.Except...)
			case p.NamespaceSelector != nil:
				r.choices = append(r.choices, choice{p.NamespaceSelector, p.PodSelector})
			case p.PodSelector != nil:
				r.own = append(r.own, p.PodSelector)
			}
		}
		for _, p := range ports {
			r.ports = append(r.ports, networkPort(p))
		}
		return yield(r)
	}
	for _, r := range spec.Ingress {
		if !of(false, r.From, r.Ports) {
			return false
		}
	}
	for _, r := range spec.Egress {
		if !of(true, r.To, r.Ports) {
			return false
		}
	}
	return true
}

func networkPort(p networkingv1.NetworkPolicyPort) port {
	out := port{protocol: oracle.ProtocolOf(p.Protocol)}
	if p.Port != nil && p.Port.Type == intstr.String {
		out.name = p.Port.StrVal
	} else if p.Port != nil {
		out.low, out.high = p.Port.IntVal, p.Port.IntVal
	}
	if p.EndPort != nil {
		out.high = *p.EndPort
	}
	return out
}

func clusterRules(spec policyv1alpha2.ClusterNetworkPolicySpec, yield func(rule) bool) bool {
	whole := rule{choices: choicesOf(spec.Subject.Namespaces, spec.Subject.Pods)}
	if !yield(whole) {
		return false
	}
	subject := &choice{}
	for i := range whole.choices {
		subject = &whole.choices[i]
	}
	for _, r := range spec.Ingress {
		out := rule{subject: subject, outward: true, ports: clusterPorts(r.Protocols)} // a cluster-wide policy selects other namespaces, too
		for _, p := range r.From {
			out.choices = append(out.choices, choicesOf(p.Namespaces, p.Pods)...)
		}
		if !yield(out) {
			return false
		}
	}
	for _, r := range spec.Egress {
		out := rule{subject: subject, sends: true, outward: true, ports: clusterPorts(r.Protocols)}
		for _, p := range r.To {
			out.choices = append(out.choices, choicesOf(p.Namespaces, p.Pods)...)
			for _, n := range p.Networks {
				out.blocks = append(out.blocks, string(n))
			}
		}
		if !yield(out) {
			return false
		}
	}
	return true
}

func choicesOf(namespaces *metav1.LabelSelector, pods *policyv1alpha2.NamespacedPod) []choice {
	switch {
	case pods != nil:
		return []choice{{&pods.NamespaceSelector, &pods.PodSelector}}
	case namespaces != nil:
		return []choice{{namespaces, nil}}
	}
	return nil
}

func clusterPorts(protocols []policyv1alpha2.ClusterNetworkPolicyProtocol) []port {
	var ports []port
	for _, p := range protocols {
		out := port{name: p.DestinationNamedPort}
		var number *policyv1alpha2.Port
		switch out.protocol, number = oracle.Destination(p); {
		case number == nil:
		case number.Range != nil:
			out.low, out.high = number.Range.Start, number.Range.End
		default:
			out.low, out.high = number.Number, number.Number
		}
		ports = append(ports, out)
	}
	return ports
}
