package run

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/segtest/segtest/fixtures/deploy"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/run/record"
)

// deployPlan says to deploy what the scenario says to load.
func deployPlan(sc *scenario.Scenario, runID, probeImage string) deploy.Plan {
	plan := deploy.Plan{RunID: runID, Image: probeImage, Canary: sc.Canary}
	outside := unleveled(sc)
	for _, ns := range sc.Namespaces {
		space := deploy.Namespace{Name: ns.Name, Labels: ns.Labels, Given: ns.Name == metav1.NamespaceDefault}
		if outside[ns.Name] != "" && ns.Labels[enforceLevel] == "" {
			space.Labels = maps.Clone(ns.Labels)
			if space.Labels == nil {
				space.Labels = map[string]string{}
			}
			space.Labels[enforceLevel] = privileged
		}
		plan.Namespaces = append(plan.Namespaces, space)
	}
	for _, w := range sc.Workloads {
		plan.Workloads = append(plan.Workloads, standIn(w))
		if w.Service != nil {
			plan.Services = append(plan.Services, deploy.Service{
				Namespace: w.Namespace, Name: w.Name, Selector: map[string]string{deploy.WorkloadLabel: w.Name},
				Ports: []deploy.ServicePort{{Protocol: w.Service.Protocol, Port: w.Service.Port, TargetPort: intstr.FromInt32(int32(w.Service.TargetPort))}},
			})
		}
	}
	for _, s := range sc.Manifests.Services {
		if s.Type != "ExternalName" { // an alias in DNS
			plan.Services = append(plan.Services, teamService(s))
		}
	}
	for _, p := range sc.Manifests.ClusterPolicies {
		plan.ClusterPolicies = append(plan.ClusterPolicies, p.ClusterNetworkPolicy)
	}
	return plan
}

// standIn of a workload.
func standIn(w scenario.Workload) deploy.Workload {
	out := deploy.Workload{
		Namespace: w.Namespace, Name: w.Name, Labels: w.Labels, Annotations: w.Annotations, Replicas: w.Replicas, First: w.First,
		Listen: w.Listens(), ServiceAccount: w.ServiceAccount, ServiceName: w.ServiceName, HostNetwork: w.HostNetwork, Near: w.Near,
	}
	for _, p := range w.Ports {
		out.Ports = append(out.Ports, deploy.Port{Port: oracle.Port{Name: p.Name, Protocol: p.Protocol, Port: p.Port}, HostPort: p.HostPort})
	}
	return out
}

// teamService is a Service of manifests. A load balancer is what it is without
// a cloud: node ports.
func teamService(s oracle.Service) deploy.Service {
	out := deploy.Service{
		Namespace: s.Name.Namespace(), Name: s.Name.Name(), Selector: s.Selector, Headless: s.Headless,
		NodePorts: s.Type == "NodePort" || s.Type == "LoadBalancer", ExternalLocal: s.ExternalLocal, InternalLocal: s.InternalLocal, Unready: s.Unready,
	}
	for _, p := range s.Ports {
		target := intstr.FromInt32(int32(p.TargetPort))
		if p.TargetName != "" {
			target = intstr.FromString(p.TargetName)
		}
		out.Ports = append(out.Ports, deploy.ServicePort{Name: p.Name, Protocol: p.Protocol, Port: p.Port, TargetPort: target, NodePort: p.NodePort})
	}
	return out
}

// The level of Pod Security that a namespace holds its pods to, and the one
// that holds them to nothing.
const (
	enforceLevel = "pod-security.kubernetes.io/enforce"
	privileged   = "privileged"
)

// outsideOfLevels reports pods that only the level "privileged" lets in.
func outsideOfLevels(w scenario.Workload) bool {
	return w.HostNetwork || slices.ContainsFunc(w.Ports, func(p scenario.Port) bool { return p.HostPort != 0 })
}

// unleveled are the namespaces with such pods, each with the first workload of them.
func unleveled(sc *scenario.Scenario) map[string]matrix.Endpoint {
	spaces := map[string]matrix.Endpoint{}
	for _, w := range sc.Workloads {
		if outsideOfLevels(w) && spaces[w.Namespace] == "" {
			spaces[w.Namespace] = w.Key()
		}
	}
	return spaces
}

// shadowFacts say in words what a run does with the team's objects.
func shadowFacts(sc *scenario.Scenario) map[string]string {
	facts := map[string]string{}
	var spaces []string
	outside := unleveled(sc)
	for _, name := range slices.Sorted(maps.Keys(outside)) {
		spaces = append(spaces, fmt.Sprintf("%s (%s takes part in its node's network)", name, outside[name]))
	}
	if len(spaces) > 0 {
		facts["podSecurity"] = "restricted, but privileged in " + strings.Join(spaces, ", ")
	}
	return facts
}

// withoutStandIn is what the team's objects have and their stand-ins have not.
func withoutStandIn(sc *scenario.Scenario) []record.Dropped {
	var all []record.Dropped
	for _, d := range sc.Manifests.Dropped {
		all = append(all, record.Dropped(d))
	}
	return all
}
