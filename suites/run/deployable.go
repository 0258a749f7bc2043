package run

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/segtest/segtest/fixtures/deploy"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// maxPods of one run, so that a folder of manifests does not ask a laptop for a
// thousand of them.
const maxPods = 100

// CheckDeploy lists what of a scenario cannot be put on a cluster, each with its
// place; nil when all of it can. A scenario of which a part was left out would
// be another one.
func CheckDeploy(sc *scenario.Scenario) error {
	c := deployable{}
	pods := 0
	for _, w := range sc.Workloads {
		pods += w.Replicas
		c.workload(w)
	}
	if pods > maxPods {
		c.add(oracle.Origin{File: sc.Source.File}, "%d pods are more than a run takes on (%d)", pods, maxPods)
	}
	for _, ns := range sc.Namespaces {
		if n := ns.Name; n == "local-path-storage" || strings.HasPrefix(n, "kube-") || strings.HasPrefix(n, "segtest-") {
			c.add(ns.Origin, "namespace %s belongs to the cluster and cannot be created and deleted: give the objects another one", n)
		}
		if ns.Name == metav1.NamespaceDefault && len(ns.Labels) > 0 {
			c.add(ns.Origin, "namespace default belongs to the cluster, which gives it its labels: give the objects another one")
		}
	}
	for _, n := range sc.Manifests.Nodes {
		c.add(n.Origin, "node %s is one of another cluster: take it out of the folder", n.Name)
	}
	for _, f := range sc.Manifests.Foreign {
		c.add(f.Origin, "a %s of %s cannot be applied: no flavour of the node image knows its kind", f.Kind, f.APIVersion)
	}
	c.nodePorts(sc)
	c.clusterPolicies(sc)
	return errors.Join(c.found...)
}

// CheckCluster lists what of a scenario the cluster of a run cannot take: one of
// its own, or a borrowed one, on which a run keeps to namespaces that it makes.
func CheckCluster(sc *scenario.Scenario, borrowed bool) error {
	c := deployable{}
	cni := sc.Cluster.CNI
	for _, p := range sc.Manifests.ClusterPolicies {
		switch {
		case borrowed:
			c.add(p.Origin, "a %s acts on everybody's pods: it is only applied to a cluster of the run's own (leave out --context)", p.Kind)
		case cni.Flavour != clusterPolicyFlavour && len(cni.Manifests) == 0:
			c.add(p.Origin, "a %s needs an engine that knows it, and flavour %q has none: write cluster: {cni: %s} in a scenario", p.Kind, cni.Flavour, clusterPolicyFlavour)
		}
	}
	for _, ns := range sc.Namespaces {
		if borrowed && ns.Name == metav1.NamespaceDefault {
			c.add(ns.Origin, "namespace default belongs to the cluster: give the objects another one")
		}
	}
	return errors.Join(c.found...)
}

// clusterPolicyFlavour of the node image has ClusterNetworkPolicies.
const clusterPolicyFlavour = "cnp"

// deployable collects what cannot be deployed.
type deployable struct{ found []error }

func (c *deployable) add(at oracle.Origin, format string, args ...any) {
	c.found = append(c.found, fmt.Errorf("%s: %s", at, fmt.Sprintf(format, args...)))
}

func title(w scenario.Workload) string { return strings.TrimSpace(w.Kind + " " + string(w.Key())) }

func (c *deployable) workload(w scenario.Workload) {
	if len(w.Addresses) > 0 {
		c.add(w.Origin, "%s has the address of another cluster, and policies may name it: name the object as it was applied, not as it runs", title(w))
	}
	named := map[string]scenario.Port{}
	for _, p := range w.Ports {
		first, known := named[p.Name]
		if p.Name != "" && known {
			c.add(p.Origin, "%s calls two ports %s, here %s/%d and at %s %s/%d, of which a Service finds one: rename one", title(w), p.Name, p.Protocol, p.Port, first.Origin, first.Protocol, first.Port)
		}
		named[p.Name] = p
	}
}

// nodeOwn are the ports on which a node of Kubernetes listens itself.
func nodeOwn(p oracle.Port) string {
	switch p {
	case oracle.Port{Protocol: matrix.TCP, Port: 10248}, oracle.Port{Protocol: matrix.TCP, Port: 10250}:
		return "the kubelet"
	case oracle.Port{Protocol: matrix.TCP, Port: 10249}, oracle.Port{Protocol: matrix.TCP, Port: 10256}:
		return "kube-proxy"
	}
	return ""
}

// nodePorts checks what is to listen on ports of nodes, of which each node has
// every one only once.
func (c *deployable) nodePorts(sc *scenario.Scenario) {
	taken := map[oracle.Port][]string{}
	pods := map[oracle.Port]int{}
	for _, w := range sc.Workloads {
		for _, p := range onNodes(w) {
			if owner := nodeOwn(p.Port); owner != "" {
				c.add(p.at, "%s wants port %s/%d of its node, where %s listens", title(w), p.Port.Protocol, p.Port.Port, owner)
			}
			taken[p.Port] = append(taken[p.Port], title(w))
			if pods[p.Port] += w.Replicas; pods[p.Port] > sc.Cluster.Workers && pods[p.Port]-w.Replicas <= sc.Cluster.Workers {
				c.add(p.at, "%d pods (of %s) want port %s/%d of a node, and there are %d workers: write more under cluster.workers, or fewer replicas",
					pods[p.Port], strings.Join(slices.Compact(taken[p.Port]), " and "), p.Port.Protocol, p.Port.Port, sc.Cluster.Workers)
			}
		}
		if i := slices.IndexFunc(sc.Namespaces, func(ns scenario.Namespace) bool { return ns.Name == w.Namespace }); i >= 0 && outsideOfLevels(w) {
			if level := sc.Namespaces[i].Labels[enforceLevel]; level != "" && level != privileged {
				c.add(w.Origin, "%s takes part in its node's network, and namespace %s refuses such pods (%s: %s)", title(w), w.Namespace, enforceLevel, level)
			}
		}
	}
}

// nodePort is a port of a node that a workload asks for.
type nodePort struct {
	oracle.Port
	at oracle.Origin
}

func onNodes(w scenario.Workload) []nodePort {
	var all []nodePort
	add := func(p oracle.Port, at oracle.Origin) {
		if !slices.ContainsFunc(all, func(n nodePort) bool { return n.Port == p }) {
			all = append(all, nodePort{p, at})
		}
	}
	for _, p := range slices.Concat(w.Ports, w.Served, w.Named) {
		switch {
		case w.HostNetwork:
			add(oracle.Port{Protocol: p.Protocol, Port: p.Port}, p.Origin)
		case p.HostPort != 0:
			add(oracle.Port{Protocol: p.Protocol, Port: p.HostPort}, p.Origin)
		}
	}
	return all
}

// clusterPolicies checks those that can be applied nowhere.
func (c *deployable) clusterPolicies(sc *scenario.Scenario) {
	for _, p := range sc.Manifests.ClusterPolicies {
		switch {
		case p.Kind != "ClusterNetworkPolicy":
			c.add(p.Origin, "%s %s is of v1alpha1, which no flavour of the node image knows: write it as a ClusterNetworkPolicy of %s", p.Kind, p.Name, policyv1alpha2.GroupVersion.Version)
		case p.Spec.Tier == policyv1alpha2.AdminTier && p.Spec.Priority == 0 && selectsSentinels(p.Spec.Subject):
			c.add(p.Origin, "ClusterNetworkPolicy %s selects pods of every namespace at priority 0, which is the fence's: give it another priority, or a narrower subject", p.Name)
		}
	}
}

// selectsSentinels reports a subject that takes in pods of any namespace.
func selectsSentinels(s policyv1alpha2.ClusterNetworkPolicySubject) bool {
	fits := func(selector *metav1.LabelSelector, set labels.Set) bool {
		parsed, err := metav1.LabelSelectorAsSelector(selector) // nil fits nothing
		return err == nil && parsed.Matches(set)
	}
	space := labels.Set{deploy.RunLabel: "any", corev1.LabelMetadataName: "segtest-sentinel-any"}
	return fits(s.Namespaces, space) ||
		s.Pods != nil && fits(&s.Pods.NamespaceSelector, space) && fits(&s.Pods.PodSelector, labels.Set{deploy.RunLabel: "any"})
}
