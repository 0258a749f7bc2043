package run

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/segtest/segtest/fixtures/deploy"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// The limits of one run, so that a folder of manifests does not ask a laptop for
// a thousand pods.
const (
	maxPods = 100
	maxName = 52 // leaves room for what Kubernetes puts behind a workload's name
)

// CheckDeploy lists what of a scenario cannot be put on a cluster yet, each with
// its place; nil when all of it can. A scenario of which a part was left out
// would be another one.
func CheckDeploy(sc *scenario.Scenario) error {
	c := deployable{}
	pods := 0
	for _, w := range sc.Workloads {
		pods += w.Replicas
		if w.Kind != "" {
			c.workload(w)
		}
	}
	if pods > maxPods {
		c.add(oracle.Origin{File: sc.Source.File}, "%d pods are more than a run takes on (%d)", pods, maxPods)
	}
	for _, ns := range sc.Namespaces {
		if n := ns.Name; n == "default" || n == "local-path-storage" || strings.HasPrefix(n, "kube-") || strings.HasPrefix(n, "segtest-") {
			c.add(ns.Origin, "namespace %s belongs to the cluster and cannot be created and deleted: give the objects another one", n)
		}
	}
	m := sc.Manifests
	for _, n := range m.Nodes {
		c.add(n.Origin, "node %s is one of another cluster", n.Name)
	}
	for _, p := range m.ClusterPolicies {
		c.add(p.Origin, "a %s cannot be applied yet", p.Kind)
	}
	for _, f := range m.Foreign {
		c.add(f.Origin, "a %s of %s cannot be applied", f.Kind, f.APIVersion)
	}
	if _, err := teamServices(sc); err != nil {
		c.found = append(c.found, err)
	}
	return errors.Join(c.found...)
}

// deployable collects what cannot be deployed.
type deployable struct{ found []error }

func (c *deployable) add(at oracle.Origin, format string, args ...any) {
	c.found = append(c.found, fmt.Errorf("%s: %s", at, fmt.Sprintf(format, args...)))
}

// workload checks one of the team's.
func (c *deployable) workload(w scenario.Workload) {
	name := fmt.Sprintf("%s %s", w.Kind, w.Key())
	switch {
	case w.HostNetwork:
		c.add(w.Origin, "%s shares its node's network, and no stand-in for that can be deployed yet", name)
	case w.First != 0:
		c.add(w.Origin, "%s numbers its pods from %d, and its stand-in would from 0", name, w.First)
	case len(w.Addresses) > 0:
		c.add(w.Origin, "%s has the address of another cluster: name the object as it was applied, not as it runs", name)
	case len(w.Name) > maxName || strings.Contains(w.Name, "."):
		c.add(w.Origin, "%s cannot keep its name: a stand-in's has at most %d characters and no dot", name, maxName)
	}
	known := map[oracle.Port]bool{}
	for _, p := range w.Ports {
		port := oracle.Port{Protocol: p.Protocol, Port: p.Port}
		switch {
		case p.Protocol == matrix.SCTP:
			c.add(p.Origin, "%s has an SCTP port, which is not probed yet", name)
		case known[port]:
			c.add(p.Origin, "%s has port %s/%d under two names", name, p.Protocol, p.Port)
		}
		known[port] = true
	}
}

// teamServices are the Services of manifests as those of the workloads that they
// select. The error lists those that are more than that.
func teamServices(sc *scenario.Scenario) (map[matrix.Endpoint]*deploy.Service, error) {
	services := map[matrix.Endpoint]*deploy.Service{}
	c := deployable{}
	for _, s := range sc.Manifests.Services {
		selected := selectedBy(sc, s)
		switch {
		case s.Headless:
			c.add(s.Origin, "Service %s has no address of its own, and none such can be deployed yet", s.Name)
		case len(selected) != 1:
			c.add(s.Origin, "Service %s selects %d workloads, and only one that selects exactly one can be deployed yet", s.Name, len(selected))
		case selected[0].Service != nil || services[selected[0].Key()] != nil:
			c.add(s.Origin, "Service %s is the second one of %s, and only one can be deployed yet", s.Name, selected[0].Key())
		default:
			services[selected[0].Key()] = c.service(s)
		}
	}
	return services, errors.Join(c.found...)
}

func (c *deployable) service(s oracle.Service) *deploy.Service {
	out := &deploy.Service{Name: s.Name.Name()}
	for _, p := range s.Ports {
		target := intstr.FromInt32(int32(p.TargetPort))
		if p.TargetName != "" {
			target = intstr.FromString(p.TargetName)
		}
		if p.Protocol == matrix.SCTP {
			c.add(s.Origin, "Service %s has an SCTP port, which is not probed yet", s.Name)
		}
		out.Ports = append(out.Ports, deploy.ServicePort{Name: p.Name, Protocol: p.Protocol, Port: p.Port, TargetPort: target})
	}
	return out
}

// selectedBy are the workloads whose pods a Service of manifests selects.
func selectedBy(sc *scenario.Scenario, s oracle.Service) []scenario.Workload {
	var selected []scenario.Workload
	for _, w := range sc.Workloads {
		if len(s.Selector) > 0 && w.Namespace == s.Name.Namespace() && labels.SelectorFromSet(s.Selector).Matches(labels.Set(w.Labels)) {
			selected = append(selected, w)
		}
	}
	return selected
}
