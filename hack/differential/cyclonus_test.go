package differential_test

import (
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mattfenwick/cyclonus/pkg/generator"
	"github.com/mattfenwick/cyclonus/pkg/matcher"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/oracle/cases"
)

const catalogue = "../../probes/oracle/testdata/catalogue/"

// TestCyclonusCatalogue checks the data of the cyclonus cases, not the oracle:
// they are the cases that cyclonus generates, policy by policy, and cyclonus's
// own simulation expects of every flow what the data expects.
func TestCyclonusCatalogue(t *testing.T) {
	t.Parallel()
	ours, err := cases.Load(os.DirFS(catalogue + "cyclonus"))
	if err != nil {
		t.Fatal(err)
	}
	podIP := address(ours[0].Steps[0].World, "z/c")
	theirs := generator.NewTestCaseGenerator(true, podIP, []string{"x", "y", "z"}, nil, nil).GenerateAllTestCases()
	if len(ours) != len(theirs) {
		t.Fatalf("%d cases, cyclonus has %d", len(ours), len(theirs))
	}
	for i, c := range ours {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			if len(c.Steps) != len(theirs[i].Steps) {
				t.Fatalf("%d steps, %q of cyclonus has %d", len(c.Steps), theirs[i].Description, len(theirs[i].Steps))
			}
			var state policies
			labels := labelsOf(c.Steps[0].World)
			for j, s := range c.Steps {
				state = state.apply(theirs[i].Steps[j].Actions)
				samePolicies(t, s, state)
				for _, a := range theirs[i].Steps[j].Actions {
					relabel(labels, a)
				}
				if got := labelsOf(s.World); !reflect.DeepEqual(got, labels) {
					t.Errorf("step %q: labels\n  %v\nand those of cyclonus\n  %v", s.Name, got, labels)
				}
				simulate(t, s, state)
			}
		})
	}
}

// TestCyclonusOnNetpol asks cyclonus's simulation about the cases that come
// from Kubernetes.
func TestCyclonusOnNetpol(t *testing.T) {
	t.Parallel()
	all, err := cases.Load(os.DirFS(catalogue + "netpol"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		for _, s := range c.Steps {
			var list policies
			for _, p := range s.World.Policies {
				list = append(list, asStored(p.NetworkPolicy))
			}
			if s.Invalid == "" {
				simulate(t, s, list)
			}
		}
	}
}

// labelsOf are the labels of namespaces and pods, by name.
func labelsOf(w oracle.World) map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, n := range w.Namespaces {
		all[n.Name] = n.Labels
	}
	for _, p := range w.Pods {
		all[string(p.Name)] = p.Labels
	}
	return all
}

// relabel does to labels what an action of cyclonus does to a cluster.
func relabel(all map[string]map[string]string, a *generator.Action) {
	switch {
	case a.CreateNamespace != nil:
		all[a.CreateNamespace.Namespace] = a.CreateNamespace.Labels
	case a.SetNamespaceLabels != nil:
		all[a.SetNamespaceLabels.Namespace] = a.SetNamespaceLabels.Labels
	case a.DeleteNamespace != nil:
		maps.DeleteFunc(all, func(name string, _ map[string]string) bool {
			return name == a.DeleteNamespace.Namespace || strings.HasPrefix(name, a.DeleteNamespace.Namespace+"/")
		})
	case a.CreatePod != nil:
		all[a.CreatePod.Namespace+"/"+a.CreatePod.Pod] = a.CreatePod.Labels
	case a.SetPodLabels != nil:
		all[a.SetPodLabels.Namespace+"/"+a.SetPodLabels.Pod] = a.SetPodLabels.Labels
	case a.DeletePod != nil:
		delete(all, a.DeletePod.Namespace+"/"+a.DeletePod.Pod)
	}
}

func address(w oracle.World, pod matrix.Endpoint) string {
	i := slices.IndexFunc(w.Pods, func(p oracle.Pod) bool { return p.Name == pod })
	return w.Pods[i].Addresses[0].String()
}

// policies are those that stand after a step of cyclonus.
type policies []*networkingv1.NetworkPolicy

func (p policies) apply(actions []*generator.Action) policies {
	for _, a := range actions {
		switch {
		case a.CreatePolicy != nil:
			p = append(p, a.CreatePolicy.Policy)
		case a.UpdatePolicy != nil:
			p = append(p.without(a.UpdatePolicy.Policy.Namespace, a.UpdatePolicy.Policy.Name), a.UpdatePolicy.Policy)
		case a.DeletePolicy != nil:
			p = p.without(a.DeletePolicy.Namespace, a.DeletePolicy.Name)
		}
	}
	return p
}

func (p policies) without(namespace, name string) policies {
	return slices.DeleteFunc(slices.Clone(p), func(q *networkingv1.NetworkPolicy) bool {
		return q.Namespace == namespace && q.Name == name
	})
}

// samePolicies compares namespaces and specs; names are our own.
func samePolicies(t *testing.T, s cases.Step, theirs policies) {
	t.Helper()
	var got, want []string
	for _, p := range s.World.Policies {
		got = append(got, canonical(t, p.NetworkPolicy))
	}
	for _, p := range theirs {
		want = append(want, canonical(t, p))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("step %q: policies\n  %s\nand those of cyclonus\n  %s", s.Name, got, want)
	}
}

func canonical(t *testing.T, p *networkingv1.NetworkPolicy) string {
	t.Helper()
	stored := asStored(p)
	slices.Sort(stored.Spec.PolicyTypes)
	text, err := json.Marshal(stored.Spec)
	if err != nil {
		t.Fatal(err)
	}
	return p.Namespace + " " + string(text)
}

// simulate asks cyclonus's engine about every flow of the step.
func simulate(t *testing.T, s cases.Step, list policies) {
	t.Helper()
	engine := matcher.BuildNetworkPolicies(true, list)
	peers := peersOf(s.World)
	for _, c := range s.Cells {
		answer := engine.IsTrafficAllowed(&matcher.Traffic{
			Source: peers[c.Flow.From], Destination: peers[c.Flow.To], ResolvedPort: int(c.Flow.Port),
			ResolvedPortName: portName(s.World, c.Flow), Protocol: corev1.Protocol(c.Flow.Protocol.String()),
		})
		if answer.Egress.IsAllowed() != (c.Egress == matrix.Allow) || answer.Ingress.IsAllowed() != (c.Ingress == matrix.Allow) {
			t.Errorf("step %q: %s: the data says egress %s, ingress %s; cyclonus says egress %t, ingress %t",
				s.Name, c.Flow, c.Egress, c.Ingress, answer.Egress.IsAllowed(), answer.Ingress.IsAllowed())
		}
	}
}

func peersOf(w oracle.World) map[matrix.Endpoint]*matcher.TrafficPeer {
	namespaces := map[string]map[string]string{}
	for _, n := range w.Namespaces {
		namespaces[n.Name] = withName(n.Name, n.Labels)
	}
	peers := map[matrix.Endpoint]*matcher.TrafficPeer{}
	for _, p := range w.Pods {
		ns := p.Name.Namespace()
		peers[p.Name] = &matcher.TrafficPeer{
			Internal: &matcher.InternalPeer{PodLabels: p.Labels, NamespaceLabels: namespaces[ns], Namespace: ns},
			IP:       p.Addresses[0].String(),
		}
	}
	return peers
}

// portName is the name under which the receiver serves the port, "" where it
// does not.
func portName(w oracle.World, f matrix.Flow) string {
	i := slices.IndexFunc(w.Pods, func(p oracle.Pod) bool { return p.Name == f.To })
	for _, p := range w.Pods[i].Ports {
		if p.Protocol == f.Protocol && p.Port == f.Port {
			return p.Name
		}
	}
	return ""
}
