package main

import (
	"time"

	"github.com/mattfenwick/cyclonus/pkg/matcher"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// figures are those of one engine in a process of its own.
type figures struct {
	Flows   int     `json:"flows"`
	Allowed int     `json:"allowed"`
	Seconds float64 `json:"seconds"`
	PeakMiB float64 `json:"peakMiB"`
	// Digest is of all answers in order (FNV-1). Pods to themselves are left out:
	// cyclonus asks policies even there.
	Digest uint64 `json:"digest"`
}

// add takes in the answer for one flow.
func (f *figures) add(from, to int, allow bool) {
	f.Flows++
	if from == to {
		return
	}
	f.Digest *= 1099511628211
	if allow {
		f.Allowed++
		f.Digest ^= 1
	}
}

// timeOracle decides all flows, each with its deciding rules, from the parsed
// policies on.
func timeOracle(w oracle.World) (figures, error) {
	start := time.Now()
	o, err := oracle.New(w)
	if err != nil {
		return figures{}, err
	}
	pods := make([]matrix.Endpoint, len(w.Pods))
	for i, p := range w.Pods {
		pods[i] = p.Name
	}
	ports := askedPorts()
	g := o.Grid(pods, pods, ports, matrix.IPv4)
	f := figures{Digest: 14695981039346656037}
	for i := range pods {
		for j := range pods {
			for k := range ports {
				d := g.At(i, j, k)
				if d.Intent != matrix.Allow && len(d.Egress.By)+len(d.Ingress.By) == 0 {
					return f, errNoRule
				}
				f.add(i, j, d.Intent == matrix.Allow)
			}
		}
	}
	f.Seconds = time.Since(start).Seconds()
	return f, nil
}

// timeCyclonus asks cyclonus's simulated engine about all flows, without the
// table that its command line renders for each.
func timeCyclonus(w oracle.World) (figures, error) {
	start := time.Now()
	policies := make([]*networkingv1.NetworkPolicy, len(w.Policies))
	for i, p := range w.Policies {
		policies[i] = p.NetworkPolicy
	}
	engine := matcher.BuildNetworkPolicies(true, policies)
	peers := peersOf(w)
	f := figures{Digest: 14695981039346656037}
	for i, from := range peers {
		for j, to := range peers {
			for _, p := range askedPorts() {
				allow := engine.IsTrafficAllowed(&matcher.Traffic{
					Source: from, Destination: to, ResolvedPort: int(p.Port), ResolvedPortName: p.Name, Protocol: corev1.ProtocolTCP,
				}).IsAllowed()
				f.add(i, j, allow)
			}
		}
	}
	f.Seconds = time.Since(start).Seconds()
	return f, nil
}

func peersOf(w oracle.World) []*matcher.TrafficPeer {
	labels := map[string]map[string]string{}
	for _, n := range w.Namespaces {
		labels[n.Name] = n.Labels
	}
	peers := make([]*matcher.TrafficPeer, len(w.Pods))
	for i, p := range w.Pods {
		ns := p.Name.Namespace()
		peers[i] = &matcher.TrafficPeer{
			Internal: &matcher.InternalPeer{PodLabels: p.Labels, NamespaceLabels: labels[ns], Namespace: ns}, IP: p.Addresses[0].String(),
		}
	}
	return peers
}
