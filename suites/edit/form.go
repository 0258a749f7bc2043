package edit

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/plan"
)

// podOf finds a pod of the world.
func podOf(w oracle.World, e matrix.Endpoint) (oracle.Pod, bool) {
	i := slices.IndexFunc(w.Pods, func(p oracle.Pod) bool { return p.Name == e })
	if i < 0 {
		return oracle.Pod{}, false
	}
	return w.Pods[i], true
}

// maxLabels bounds the single labels that selectors are tried with.
const maxLabels = 6

// labelsOf gives the label sets that may select a pod: each of its labels, the
// usual ones first, then all of them, then the one that a StatefulSet gives to
// this pod alone. Labels that nobody writes are left out.
func labelsOf(pod oracle.Pod) []map[string]string {
	usual := []string{"app.kubernetes.io/name", "app", "k8s-app", "name", "app.kubernetes.io/component", "component"}
	all := maps.Clone(pod.Labels)
	maps.DeleteFunc(all, func(k, _ string) bool {
		return strings.HasPrefix(k, "segtest.dev/") || slices.Contains([]string{
			appsv1.StatefulSetPodNameLabel, appsv1.PodIndexLabel, appsv1.DefaultDeploymentUniqueLabelKey, appsv1.ControllerRevisionHashLabelKey,
		}, k)
	})
	rank := func(k string) int {
		if i := slices.Index(usual, k); i >= 0 {
			return i
		}
		return len(usual)
	}
	keys := slices.SortedFunc(maps.Keys(all), func(a, b string) int { return cmp.Or(rank(a)-rank(b), cmp.Compare(a, b)) })
	var sets []map[string]string
	for _, k := range keys[:min(len(keys), maxLabels)] {
		sets = append(sets, map[string]string{k: all[k]})
	}
	if len(keys) != 1 {
		sets = append(sets, all) // none of them selects all pods
	}
	if name, ok := pod.Labels[appsv1.StatefulSetPodNameLabel]; ok {
		sets = append(sets, map[string]string{appsv1.StatefulSetPodNameLabel: name})
	}
	return sets
}

// namespaceIs selects a namespace by the label that the API server gives to it.
func namespaceIs(name string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: name}}
}

// peersFor gives the peers that may stand for an endpoint in a policy of a
// namespace; none where no peer can.
func peersFor(w oracle.World, home string, e matrix.Endpoint, family matrix.Family) []networkingv1.NetworkPolicyPeer {
	if pod, ok := podOf(w, e); ok && !pod.HostNetwork {
		var peers []networkingv1.NetworkPolicyPeer
		for _, labels := range labelsOf(pod) {
			p := networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{MatchLabels: labels}}
			if e.Namespace() != home {
				p.NamespaceSelector = namespaceIs(e.Namespace())
			}
			peers = append(peers, p)
		}
		return peers
	}
	if cidr := block(w, e, family); cidr != "" {
		return []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: cidr}}}
	}
	return nil
}

// block of the one address of an endpoint that is no pod; "" where it is unknown.
func block(w oracle.World, e matrix.Endpoint, family matrix.Family) string {
	var addresses []netip.Addr
	if a, err := netip.ParseAddr(e.Name()); err == nil && e == matrix.WorldEndpoint(e.Name()) {
		addresses = append(addresses, a)
	}
	for _, n := range w.Nodes {
		if matrix.NodeEndpoint(n.Name) == e {
			addresses = n.Addresses
		}
	}
	for _, a := range addresses {
		if a = a.Unmap(); a.Is4() == (family == matrix.IPv4) {
			return netip.PrefixFrom(a, a.BitLen()).String()
		}
	}
	return ""
}

// portsFor gives the ports of a rule that may stand for that of a flow: its
// number and, where the receiver has one, its name.
func portsFor(w oracle.World, f matrix.Flow) []networkingv1.NetworkPolicyPort {
	ports := []networkingv1.NetworkPolicyPort{portOf(oracle.Port{Protocol: f.Protocol, Port: f.Port})}
	to, _ := podOf(w, f.To)
	for _, p := range to.Ports {
		if p.Protocol == f.Protocol && p.Port == f.Port && p.Name != "" {
			named := ports[0]
			named.Port = &intstr.IntOrString{Type: intstr.String, StrVal: p.Name}
			ports = append(ports, named)
		}
	}
	return ports
}

// portOf is a port by number. TCP is what the API takes where nothing is said.
func portOf(p oracle.Port) networkingv1.NetworkPolicyPort {
	out := networkingv1.NetworkPolicyPort{Port: &intstr.IntOrString{Type: intstr.Int, IntVal: int32(p.Port)}}
	if p.Protocol != matrix.TCP {
		protocol := corev1.Protocol(p.Protocol.String())
		out.Protocol = &protocol
	}
	return out
}

// policyName is a name for a new policy that no other one of the namespace has.
func policyName(w oracle.World, namespace, name string) string {
	free := func(name string) bool {
		return !slices.ContainsFunc(w.Policies, func(p oracle.Policy) bool { return p.Namespace == namespace && p.Name == name })
	}
	for i := 1; !free(name); i++ {
		if next := fmt.Sprintf("%s-%d", name, i); free(next) {
			return next
		}
	}
	return name
}

// workloadName of a pod, without its namespace.
func workloadName(p *plan.Plan, e matrix.Endpoint) string {
	if pod, ok := podOf(p.World, e); ok {
		return pod.Workload.Name()
	}
	return e.Name()
}
