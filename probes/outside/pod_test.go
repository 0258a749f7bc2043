package outside_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/oracle/cases"
	"github.com/segtest/segtest/probes/outside"
	"github.com/segtest/segtest/suites/plan/plantest"
)

// world holds a shop and a visitor in the lab.
func world(t *testing.T, policies string) oracle.World {
	t.Helper()
	return plantest.Of(t, "s.yaml", map[string]string{"p.yaml": policies, "s.yaml": `apiVersion: segtest.dev/v1alpha1
kind: Scenario
metadata: {name: shop}
namespaces: [{name: lab, labels: {team: lab}}]
workloads:
- {name: web, namespace: shop, labels: {app: web}, ports: [{name: http, port: 8080}]}
- {name: visitor, namespace: lab, labels: {app: visitor}}
policies: [p.yaml]
`}).World
}

// from is a NetworkPolicy of the shop with a peer.
func from(peer string) string {
	return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec: {podSelector: {}, ingress: [{from: [" + peer + "], ports: [{port: http}, {port: metrics}]}]}\n"
}

// wide is a ClusterNetworkPolicy.
func wide(subject, peer string) string {
	return "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: c}\n" +
		"spec: {tier: Admin, priority: 1, subject: " + subject + ", ingress: [{action: Deny, from: [" + peer + "]}]}\n"
}

func names(pods []outside.Pod) string {
	var all []string
	for _, p := range pods {
		all = append(all, string(p.Name))
	}
	return strings.Join(all, " ")
}

func TestPods(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, policies, want string }{
		{"nothing is asked", from("{podSelector: {}}"), "elsewhere/any"},
		{"all namespaces", wide("{namespaces: {}}", "{namespaces: {}}"), "elsewhere/any"},
		{
			"a peer that nobody fits, and those who fit but one of its labels",
			from("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}, podSelector: {matchLabels: {app: prometheus}}}"),
			"elsewhere/any monitoring/app=prometheus elsewhere/app=prometheus monitoring/any",
		},
		{
			"a pod that fits does not stand for those of other namespaces", from("{namespaceSelector: {matchLabels: {team: lab}}, podSelector: {matchLabels: {app: visitor}}}"),
			"elsewhere/any team=lab/app=visitor elsewhere/app=visitor team=lab/any",
		},
		{
			"nor does one of the policy's own namespace", from("{namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}"),
			"elsewhere/any elsewhere/app=web",
		},
		{
			"he stands for those of his, where that is named", from("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: lab}}, podSelector: {matchLabels: {app: visitor}}}"),
			"elsewhere/any elsewhere/app=visitor",
		},
		{
			"labels of namespaces are their names",
			from("{namespaceSelector: {matchLabels: {example.org/team: a, stage: prod}}}"),
			"elsewhere/any team=a,stage=prod/any stage=prod/any team=a/any",
		},
		{
			"each value of In",
			from("{namespaceSelector: {matchExpressions: [{key: team, operator: In, values: [b, lab, a]}]}}"),
			"elsewhere/any team=a/any team=b/any team=lab/any",
		},
		{
			"whom NotIn leaves out", wide("{namespaces: {}}", "{namespaces: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, shop]}]}}"),
			"elsewhere/any kube-system/any",
		},
		{
			"a label that must be there", from("{namespaceSelector: {}, podSelector: {matchExpressions: [{key: mesh, operator: Exists}]}}"),
			"elsewhere/any elsewhere/mesh=any",
		},
		{
			"a label that must not be there", from("{namespaceSelector: {}, podSelector: {matchExpressions: [{key: mesh, operator: DoesNotExist}]}}"),
			"elsewhere/any elsewhere/mesh=any",
		},
		{
			"several requirements on one label",
			from("{namespaceSelector: {matchExpressions: [{key: team, operator: In, values: [a, b]}, {key: team, operator: NotIn, values: [a]}]}}"),
			"elsewhere/any team=b/any team=a/any",
		},
		{
			"what nobody can fit", from("{namespaceSelector: {matchExpressions: [{key: team, operator: In, values: [a]}, {key: team, operator: DoesNotExist}]}}"),
			"elsewhere/any",
		},
		{
			"a label that a namespace of the files has not", from("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: lab, stage: prod}}}"),
			"elsewhere/any stage=prod/any",
		},
		{
			"a pod that a namespace of the files has not", from("{namespaceSelector: {matchLabels: {team: lab, kubernetes.io/metadata.name: lab}}, podSelector: {matchLabels: {app: tool}}}"),
			"elsewhere/any lab/app=tool team=lab/app=tool",
		},
		{"its own namespace is held", from("{podSelector: {matchLabels: {app: tool}}}"), "elsewhere/any"},
		{
			"the subject of a cluster-wide policy", wide("{pods: {namespaceSelector: {matchLabels: {team: a}}, podSelector: {}}}", "{namespaces: {}}"),
			"elsewhere/any team=a/any",
		},
		{
			"names that stand for something else", from("{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [world, node, elsewhere]}]}}"),
			"elsewhere-2/any elsewhere/any",
		},
		{
			"labels that only a prefix tells apart", from("{namespaceSelector: {matchLabels: {a.org/team: x}}}, {namespaceSelector: {matchLabels: {b.org/team: x}}}"),
			"elsewhere/any team=x/any team=x-2/any",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := world(t, row.policies)
			pods := outside.Pods(w)
			if got := names(pods); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
			if _, err := oracle.New(outside.Add(w, pods)); err != nil {
				t.Error(err)
			}
		})
	}
}

// Of a namespace that is held in part, the other pods that peers tell from those
// who are held have stand-ins, too.
func TestAllPods(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, policies, want string }{
		{"nothing is asked", from("{podSelector: {}}"), "elsewhere/any"},
		{
			"a label that no pod of a held namespace has", from("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: lab}}, podSelector: {matchLabels: {app: tool}}}"),
			"elsewhere/any lab/app=tool elsewhere/app=tool",
		},
		{
			"a label that all pods of it have", from("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: lab}}, podSelector: {matchLabels: {app: visitor}}}"),
			"elsewhere/any elsewhere/app=visitor lab/any",
		},
		{"a label that no pod of the own namespace has", from("{podSelector: {matchLabels: {app: tool}}}"), "elsewhere/any shop/app=tool"},
		{"a label that all pods of the own namespace have", from("{podSelector: {matchLabels: {app: web}}}"), "elsewhere/any shop/any"},
		{"one that none may have", from("{podSelector: {matchExpressions: [{key: mesh, operator: DoesNotExist}]}}"), "elsewhere/any shop/mesh=any"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := world(t, row.policies)
			pods := outside.AllPods(w)
			if got := names(pods); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
			if _, err := oracle.New(outside.Add(w, pods)); err != nil {
				t.Error(err)
			}
		})
	}
}

// A pod that only one of two versions holds does not stand for others in both.
func TestPodsOfTwoWorlds(t *testing.T) {
	t.Parallel()
	before := world(t, from("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: a}}}"))
	after := before
	after.Namespaces = append(slices.Clone(after.Namespaces), oracle.Namespace{Name: "a"})
	after.Pods = append(slices.Clone(after.Pods), oracle.Pod{Name: "a/new-0"})
	for _, row := range []struct {
		worlds []oracle.World
		want   string
	}{
		{[]oracle.World{after}, "elsewhere/any"},
		{[]oracle.World{before, after}, "elsewhere/any a/any"},
		{[]oracle.World{after, before}, "elsewhere/any a/any"},
	} {
		if got := names(outside.Pods(row.worlds...)); got != row.want {
			t.Errorf("got %s, want %s", got, row.want)
		}
	}
}

// Who stands for others serves the ports that policies ask for by name.
func TestPortsOfPods(t *testing.T) {
	t.Parallel()
	p := outside.Pods(world(t, from("{namespaceSelector: {}}")))[0]
	want := []oracle.Port{{Name: "http", Protocol: matrix.TCP, Port: 8080}, {Name: "metrics", Protocol: matrix.TCP, Port: 20000}}
	if !slices.Equal(p.Ports, want) {
		t.Errorf("got %v, want %v", p.Ports, want)
	}
}

// Two of a kind are there only where a policy has a say between them.
func TestOther(t *testing.T) {
	t.Parallel()
	if p := outside.Pods(world(t, from("{namespaceSelector: {}}")))[0]; p.Other.Name != "" {
		t.Errorf("there is %s without a cluster-wide policy", p.Other.Name)
	}
	w := world(t, wide("{namespaces: {}}", "{namespaces: {}}"))
	p := outside.Pods(w)[0]
	o, err := oracle.New(outside.Add(w, outside.Pods(w)))
	if err != nil {
		t.Fatal(err)
	}
	if d := o.Decide(matrix.Flow{From: p.Name, To: p.Other.Name, Protocol: matrix.TCP, Port: 1}); d.Intent != matrix.Deny || p.Other.Name != "elsewhere/any-other" {
		t.Errorf("%s to %s: %+v", p.Name, p.Other.Name, d)
	}
}

// In random worlds every peer of other namespaces that some pod can fit is fitted
// by one that is held or by a stand-in, which comes out the same every time.
func TestEveryPeerIsFitted(t *testing.T) {
	t.Parallel()
	peers, found := 0, 0
	for n := range uint64(60) {
		w := cases.NewRandom(11, n).World()
		pods := outside.Pods(w)
		if again := outside.Pods(w); fmt.Sprint(pods) != fmt.Sprint(again) {
			t.Errorf("world %d: %v, and then %v", n, pods, again)
		}
		found += len(pods)
		all := outside.Add(w, pods)
		if _, err := oracle.New(all); err != nil {
			t.Errorf("world %d: %v", n, err)
		}
		namespaces := map[string]labels.Set{}
		for _, ns := range all.Namespaces {
			namespaces[ns.Name] = labels.Merge(ns.Labels, labels.Set{"kubernetes.io/metadata.name": ns.Name})
		}
		for _, p := range w.Policies {
			for _, r := range p.Spec.Ingress {
				for _, peer := range r.From {
					if peer.NamespaceSelector == nil {
						continue
					}
					peers++
					by, among := selector(t, peer.NamespaceSelector), selector(t, peer.PodSelector)
					if !slices.ContainsFunc(all.Pods, func(p oracle.Pod) bool {
						return by.Matches(namespaces[p.Name.Namespace()]) && among.Matches(labels.Set(p.Labels))
					}) && possible(by) && possible(among) {
						t.Errorf("world %d: nobody fits %s and %s", n, by, among)
					}
				}
			}
		}
	}
	if peers < 100 || found < 200 {
		t.Errorf("%d peers and %d stand-ins: the test looks at too little", peers, found)
	}
}

func selector(t *testing.T, s *metav1.LabelSelector) labels.Selector {
	t.Helper()
	if s == nil {
		return labels.Everything()
	}
	out, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// possible reports that some set of the labels of random worlds fits. A namespace
// has a name, and one of the world's has the labels that it has.
func possible(s labels.Selector) bool {
	for _, name := range []string{"x", "1", "2", "3"} {
		for _, a := range []string{"", "1", "2", "3", "ns-0", "x"} {
			for _, b := range []string{"", "1", "2", "3", "ns-0", "x"} {
				set := labels.Set{"kubernetes.io/metadata.name": name, "a": a, "b": b}
				for k, v := range set {
					if v == "" {
						delete(set, k)
					}
				}
				if s.Matches(set) {
					return true
				}
			}
		}
	}
	return false
}
