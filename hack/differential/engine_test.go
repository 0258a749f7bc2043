package differential_test

import (
	"context"
	"net"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/kube-network-policies/pkg/api"
	"sigs.k8s.io/kube-network-policies/pkg/network"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
	cluster "sigs.k8s.io/kube-network-policies/plugins/npa-v1alpha2"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"
	clusterinformers "sigs.k8s.io/network-policy-api/pkg/client/informers/externalversions"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// engine is kube-network-policies over one World, with the evaluators in the
// order in which its own main puts them.
type engine struct {
	policies  *networkpolicy.PolicyEngine
	addresses map[matrix.Endpoint][]netip.Addr
	pods      map[string]*api.PodInfo // by address
}

// newEngine fills the caches that informers would fill from an API server.
func newEngine(w oracle.World) (*engine, error) {
	e := &engine{addresses: map[matrix.Endpoint][]netip.Addr{}, pods: map[string]*api.PodInfo{}}
	core := informers.NewSharedInformerFactory(nil, 0)
	clusterWide := clusterinformers.NewSharedInformerFactory(nil, 0)
	namespaces, pods, nodes := core.Core().V1().Namespaces(), core.Core().V1().Pods(), core.Core().V1().Nodes()
	namespaced := core.Networking().V1().NetworkPolicies()
	ofCluster := clusterWide.Policy().V1alpha2().ClusterNetworkPolicies()
	e.policies = networkpolicy.NewPolicyEngine(e, []api.PolicyEvaluator{
		cluster.NewClusterNetworkPolicy(policyv1alpha2.AdminTier, ofCluster, nil, nodes.Lister()),
		networkpolicy.NewStandardNetworkPolicy("", namespaces, pods, namespaced),
		cluster.NewClusterNetworkPolicy(policyv1alpha2.BaselineTier, ofCluster, nil, nodes.Lister()),
	})
	e.addPods(w)
	for _, n := range w.Nodes {
		e.addresses[matrix.NodeEndpoint(n.Name)] = n.Addresses
		if err := add(nodes.Informer(), node(n)); err != nil {
			return nil, err
		}
	}
	for _, p := range w.Policies {
		if err := add(namespaced.Informer(), asStored(p.NetworkPolicy)); err != nil {
			return nil, err
		}
	}
	for _, p := range w.ClusterPolicies {
		if err := add(ofCluster.Informer(), p.ClusterNetworkPolicy); err != nil {
			return nil, err
		}
	}
	return e, nil
}

func add(to cache.SharedIndexInformer, object runtime.Object) error {
	return to.GetIndexer().Add(object)
}

func node(n oracle.Node) *corev1.Node {
	out := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: n.Labels}}
	for _, a := range n.Addresses {
		out.Status.Addresses = append(out.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: a.String()})
	}
	return out
}

// addPods files pods under their addresses, those of the host network under
// none, as the engine's own lookup does.
func (e *engine) addPods(w oracle.World) {
	labels := map[string]map[string]string{}
	for _, n := range w.Namespaces {
		labels[n.Name] = withName(n.Name, n.Labels)
	}
	for _, p := range w.Pods {
		e.addresses[p.Name] = p.Addresses
		if p.HostNetwork {
			continue
		}
		ns := p.Name.Namespace()
		info := &api.PodInfo{
			Name: p.Name.Name(), Labels: p.Labels, Node: &api.Node{Name: p.Node},
			Namespace: &api.Namespace{Name: ns, Labels: labels[ns]},
		}
		for _, port := range p.Ports {
			info.ContainerPorts = append(info.ContainerPorts, &api.ContainerPort{Name: port.Name, Port: int32(port.Port), Protocol: port.Protocol.String()})
		}
		for _, a := range p.Addresses {
			e.pods[a.String()] = info
		}
	}
}

// GetPodInfoByIP is the engine's question for the pod behind an address.
func (e *engine) GetPodInfoByIP(address string) (*api.PodInfo, bool) {
	p, ok := e.pods[address]
	return p, ok
}

// passes judges the first packet of a flow.
func (e *engine) passes(ctx context.Context, f matrix.Flow) (bool, error) {
	return e.policies.EvaluatePacket(ctx, &network.Packet{
		SrcIP: e.address(f.From, f.Family), DstIP: e.address(f.To, f.Family), SrcPort: 40000,
		DstPort: int(f.Port), Proto: corev1.Protocol(f.Protocol.String()),
	})
}

func (e *engine) address(of matrix.Endpoint, family matrix.Family) net.IP {
	if text, ok := strings.CutPrefix(string(of), "world/"); ok {
		return net.ParseIP(text)
	}
	for _, a := range e.addresses[of] {
		if a.Is4() == (family == matrix.IPv4) {
			return a.AsSlice()
		}
	}
	return nil
}
