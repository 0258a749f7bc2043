package run_test

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/segtest/segtest/fixtures/deploy"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/simnet"
	"github.com/segtest/segtest/probes/wire"
)

// stage is a deployment on a network in memory.
type stage struct {
	*simnet.Network
	plan deploy.Plan
	deaf bool // no engine hears that a policy has changed
}

const (
	sentinelSpace = "segtest-sentinel"
	sentinelName  = "sentinel"
	guardLabel    = "guarded"
)

// Up starts the pods of the plan in its order, spread over the nodes from one
// that the seed chooses, and a pair of sentinels on every node.
func (s *stage) Up(context.Context) error {
	for _, w := range s.plan.Workloads {
		if w.HostNetwork || len(s.plan.ClusterPolicies) > 0 {
			return errors.New("hostNetwork and cluster policies are not played in memory")
		}
	}
	for _, ns := range append([]deploy.Namespace{{Name: sentinelSpace}}, s.plan.Namespaces...) {
		s.AddNamespace(oracle.Namespace{Name: ns.Name, Labels: ns.Labels})
	}
	workers := s.Workers()
	at := map[matrix.Endpoint]string{}
	var all []simnet.Spec
	next := s.Seed()
	for _, w := range s.plan.Workloads {
		for i, slot := range w.Slots() {
			at[slot] = cmp.Or(at[w.Near+"-0"], workers[next%uint64(len(workers))])
			next++
			all = append(all, s.pod(w, i, at[slot]))
		}
	}
	for _, node := range workers {
		server := simnet.Spec{Name: sentinel(node, "a"), Labels: map[string]string{sentinelName: "a", guardLabel: "true"}, Node: node}
		server.Listen = []wire.Port{{Protocol: matrix.TCP, Number: deploy.SentinelPort}}
		all = append(all, server, simnet.Spec{Name: sentinel(node, "b"), Labels: map[string]string{sentinelName: "b"}, Node: node})
	}
	for _, p := range all {
		if err := s.Start(p); err != nil {
			return err
		}
	}
	return nil
}

func sentinel(node, role string) matrix.Endpoint {
	return matrix.Endpoint(sentinelSpace + "/" + node + "-" + role)
}

// pod of a slot as its StatefulSet makes it.
func (s *stage) pod(w deploy.Workload, i int, node string) simnet.Spec {
	slot := w.Slots()[i]
	p := simnet.Spec{Name: slot, Workload: w.Endpoint(), Labels: maps.Clone(w.Labels), Node: node}
	maps.Copy(p.Labels, map[string]string{
		deploy.RunLabel: s.plan.RunID, deploy.WorkloadLabel: w.Name,
		appsv1.StatefulSetPodNameLabel: slot.Name(), appsv1.PodIndexLabel: strconv.Itoa(w.First + i),
	})
	for _, port := range w.Ports {
		p.Ports = append(p.Ports, port.Port)
		p.Listen = append(p.Listen, wire.Port{Protocol: port.Protocol, Number: port.Port.Port})
	}
	for _, port := range w.Listen {
		p.Listen = append(p.Listen, wire.Port{Protocol: port.Protocol, Number: port.Port})
	}
	for _, protocol := range []matrix.Protocol{matrix.TCP, matrix.UDP} {
		p.Listen = append(p.Listen, wire.Port{Protocol: protocol, Number: s.plan.Canary})
	}
	return p
}

func told(p simnet.Pod) deploy.Pod {
	return deploy.Pod{
		Endpoint: p.Endpoint, Workload: p.Workload, Namespace: p.Endpoint.Namespace(), Name: p.Endpoint.Name(),
		UID: p.UID, Node: p.Node, Addresses: p.Addresses, Ready: p.Ready,
	}
}

func (s *stage) Pods(context.Context) ([]deploy.Pod, error) {
	var all []deploy.Pod
	for _, p := range s.Network.Pods() {
		if p.Endpoint.Namespace() != sentinelSpace {
			all = append(all, told(p))
		}
	}
	return all, nil
}

func (s *stage) Sentinels(context.Context) ([]deploy.Sentinel, error) {
	at := map[matrix.Endpoint]deploy.Pod{}
	for _, p := range s.Network.Pods() {
		at[p.Endpoint] = told(p)
	}
	var all []deploy.Sentinel
	for _, node := range s.Workers() {
		all = append(all, deploy.Sentinel{Node: node, Server: at[sentinel(node, "a")], Client: at[sentinel(node, "b")]})
	}
	return all, nil
}

func (s *stage) ApplyPolicies(_ context.Context, policies []*networkingv1.NetworkPolicy) error {
	for _, p := range policies {
		s.Apply(p)
	}
	return nil
}

func (s *stage) DeletePolicies(context.Context) error {
	for _, key := range s.Policies() {
		if namespace := matrix.Endpoint(key).Namespace(); namespace != sentinelSpace {
			s.Remove(key)
		}
	}
	return nil
}

func (s *stage) SetPolicy(_ context.Context, p *networkingv1.NetworkPolicy) error {
	if !s.deaf {
		s.Apply(p)
	}
	return nil
}

func (s *stage) DeletePolicy(_ context.Context, namespace, name string) error {
	if !s.deaf {
		s.Remove(namespace + "/" + name)
	}
	return nil
}

func (s *stage) ApplySentinelPolicy(context.Context) error {
	s.Apply(&networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: sentinelSpace, Name: sentinelName},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{sentinelName: "a", guardLabel: "true"}},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
		},
	})
	return nil
}

func (s *stage) DeleteSentinelPolicy(context.Context) error {
	s.Remove(sentinelSpace + "/" + sentinelName)
	return nil
}

func (s *stage) Guard(_ context.Context, sen deploy.Sentinel, on bool) error {
	return s.Relabel(sen.Server.Endpoint, guardLabel, strconv.FormatBool(on))
}
