package oracle_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// rounds of each law; every round is a world of its own, from the seed that a
// failure prints.
const rounds = 40

// random makes policies over the grid.
type random struct{ *rand.Rand }

func pick[T any](r random, from ...T) T { return from[r.IntN(len(from))] }

func (r random) world() oracle.World {
	w := grid()
	if r.IntN(2) == 0 {
		w = addressed(w)
	}
	for i := range 1 + r.IntN(6) {
		w.Policies = append(w.Policies, r.policy(i))
	}
	return w
}

func (r random) policy(i int) oracle.Policy {
	p := oracle.Policy{NetworkPolicy: &networkingv1.NetworkPolicy{}, Origin: oracle.Origin{File: "random.yaml", Line: i + 1}}
	p.Name, p.Namespace = fmt.Sprintf("p%d", i), pick(r, "x", "y", "z")
	p.Spec.PodSelector = *r.selector("pod", "a", "b", "c")
	p.Spec.PolicyTypes = pick(r, nil,
		[]networkingv1.PolicyType{networkingv1.PolicyTypeIngress}, []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
		[]networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress})
	for range r.IntN(3) {
		p.Spec.Ingress = append(p.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: r.peers(), Ports: r.ports()})
	}
	for range r.IntN(3) {
		p.Spec.Egress = append(p.Spec.Egress, networkingv1.NetworkPolicyEgressRule{To: r.peers(), Ports: r.ports()})
	}
	return p
}

func (r random) selector(key string, values ...string) *metav1.LabelSelector {
	switch r.IntN(5) {
	case 0:
		return &metav1.LabelSelector{}
	case 1:
		op := pick(r, metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn)
		return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: key, Operator: op, Values: []string{pick(r, values...)}}}}
	case 2:
		op := pick(r, metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist)
		return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: key, Operator: op}}}
	}
	return &metav1.LabelSelector{MatchLabels: map[string]string{key: pick(r, values...)}}
}

func (r random) peers() []networkingv1.NetworkPolicyPeer {
	var peers []networkingv1.NetworkPolicyPeer
	for range r.IntN(3) {
		switch r.IntN(4) {
		case 0:
			peers = append(peers, networkingv1.NetworkPolicyPeer{PodSelector: r.selector("pod", "a", "b", "c")})
		case 1:
			peers = append(peers, networkingv1.NetworkPolicyPeer{NamespaceSelector: r.selector("ns", "x", "y", "z")})
		case 2:
			peers = append(peers, networkingv1.NetworkPolicyPeer{
				PodSelector: r.selector("pod", "a", "b", "c"), NamespaceSelector: r.selector("ns", "x", "y", "z"),
			})
		case 3:
			peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{
				CIDR: pick(r, "0.0.0.0/0", "10.0.0.0/29", "fd00::/126", "::/0"),
			}})
		}
	}
	return peers
}

func (r random) ports() []networkingv1.NetworkPolicyPort {
	var ports []networkingv1.NetworkPolicyPort
	for range r.IntN(3) {
		protocol := pick(r, corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP)
		p := networkingv1.NetworkPolicyPort{Protocol: pick(r, nil, &protocol)}
		switch r.IntN(4) {
		case 0:
			p.Port = new(intstr.FromInt32(pick(r, int32(80), 81)))
		case 1:
			p.Port = new(intstr.FromString(pick(r, "serve-80-tcp", "serve-81-udp", "nobody")))
		case 2:
			p.Port, p.EndPort = new(intstr.FromInt32(80)), new(int32(81))
		}
		ports = append(ports, p)
	}
	return ports
}

// law runs a check over random worlds, reproducibly.
func law(t *testing.T, check func(t *testing.T, r random, w oracle.World)) {
	t.Helper()
	for seed := range uint64(rounds) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			r := random{rand.New(rand.NewPCG(seed, 1))} //nolint:gosec // reproducible on purpose
			check(t, r, r.world())
		})
	}
}

// rank orders intents from closed to open.
func rank(i matrix.Intent) int {
	return map[matrix.Intent]int{matrix.Deny: 0, matrix.Undefined: 1, matrix.Allow: 2}[i]
}

// TestAnAllowRuleNeverCloses: a rule added to a policy that isolates in that
// direction already can only open flows.
func TestAnAllowRuleNeverCloses(t *testing.T) {
	t.Parallel()
	law(t, func(t *testing.T, r random, w oracle.World) {
		t.Helper()
		x := allFlows(w)
		before := mustNew(t, w).Matrix(x)
		spec := &w.Policies[r.IntN(len(w.Policies))].Spec
		switch {
		case len(spec.PolicyTypes) == 0 || slices.Contains(spec.PolicyTypes, networkingv1.PolicyTypeIngress):
			spec.Ingress = append(spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: r.peers(), Ports: r.ports()})
		default:
			spec.Egress = append(spec.Egress, networkingv1.NetworkPolicyEgressRule{To: r.peers(), Ports: r.ports()})
		}
		after := mustNew(t, w).Matrix(x)
		for f, d := range before.All() {
			if now, _ := after.Of(f); rank(now.Intent) < rank(d.Intent) {
				t.Errorf("%s was %s and is %s after a rule was added to %+v", f, d.Intent, now.Intent, spec)
			}
		}
	})
}

// TestOrderNeverMatters: policies and pods in any order give the same
// decisions, to the last reason.
func TestOrderNeverMatters(t *testing.T) {
	t.Parallel()
	law(t, func(t *testing.T, r random, w oracle.World) {
		t.Helper()
		x := allFlows(w)
		before := mustNew(t, w).Matrix(x)
		w.Policies, w.Pods = slices.Clone(w.Policies), slices.Clone(w.Pods)
		r.Shuffle(len(w.Policies), func(i, j int) { w.Policies[i], w.Policies[j] = w.Policies[j], w.Policies[i] })
		r.Shuffle(len(w.Pods), func(i, j int) { w.Pods[i], w.Pods[j] = w.Pods[j], w.Pods[i] })
		after := mustNew(t, w).Matrix(x)
		for f, d := range before.All() {
			if now, _ := after.Of(f); !reflect.DeepEqual(now, d) {
				t.Errorf("%s: got %+v, want %+v", f, now, d)
			}
		}
	})
}

// TestNamesOfLabelsNeverMatter: a label renamed everywhere changes nothing.
func TestNamesOfLabelsNeverMatter(t *testing.T) {
	t.Parallel()
	law(t, func(t *testing.T, _ random, w oracle.World) {
		t.Helper()
		x := allFlows(w)
		before := mustNew(t, w).Matrix(x)
		after := mustNew(t, renameLabel(w, "pod", "segment.example.com/role")).Matrix(x)
		for f, d := range before.All() {
			if now, _ := after.Of(f); !reflect.DeepEqual(now, d) {
				t.Errorf("%s: got %+v, want %+v", f, now, d)
			}
		}
	})
}

func renameLabel(w oracle.World, from, to string) oracle.World {
	rename := func(m map[string]string) map[string]string {
		m = maps.Clone(m)
		if v, ok := m[from]; ok {
			delete(m, from)
			m[to] = v
		}
		return m
	}
	selector := func(s *metav1.LabelSelector) {
		if s == nil {
			return
		}
		s.MatchLabels = rename(s.MatchLabels)
		for i := range s.MatchExpressions {
			if s.MatchExpressions[i].Key == from {
				s.MatchExpressions[i].Key = to
			}
		}
	}
	for i := range w.Pods {
		w.Pods[i].Labels = rename(w.Pods[i].Labels)
	}
	for i := range w.Policies {
		w.Policies[i].NetworkPolicy = w.Policies[i].DeepCopy()
		spec := &w.Policies[i].Spec
		selector(&spec.PodSelector)
		for _, r := range spec.Ingress {
			for _, p := range r.From {
				selector(p.PodSelector)
			}
		}
		for _, r := range spec.Egress {
			for _, p := range r.To {
				selector(p.PodSelector)
			}
		}
	}
	return w
}

// TestAddressesOnlyDecideWhatWasOpen: what is decided without addresses stays
// decided with them.
func TestAddressesOnlyDecideWhatWasOpen(t *testing.T) {
	t.Parallel()
	open := 0
	for seed := range uint64(rounds) {
		w := random{rand.New(rand.NewPCG(seed, 2))}.world() //nolint:gosec // reproducible on purpose
		for i := range w.Pods {
			w.Pods[i].Addresses = nil
		}
		x := allFlows(w)
		before := mustNew(t, w).Matrix(x)
		after := mustNew(t, addressed(w)).Matrix(x)
		for f, d := range before.All() {
			now, _ := after.Of(f)
			if d.Intent == matrix.Undefined {
				open++
			} else if now.Intent != d.Intent {
				t.Errorf("seed %d: %s was %s and is %s once addresses are known", seed, f, d.Intent, now.Intent)
			}
		}
	}
	if open == 0 {
		t.Error("no world had an open flow: this test tested nothing")
	}
}
