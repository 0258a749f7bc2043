package differential_test

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/oracle/cases"
)

const differenceCount = 8

// difference is a documented one; README.md says why it is there.
type difference struct {
	name string
	// ours is what the oracle says; the engine says otherwise, or anything where
	// ours is Undefined.
	ours    matrix.Intent
	applies func(oracle.World, matrix.Flow) bool
}

// differences are in order of name.
func differences() []difference {
	return []difference{
		{"domain name", matrix.Undefined, domainName},
		{"equal priority", matrix.Undefined, equalPriority},
		{"host network", matrix.Undefined, hostNetwork},
		{"named port at a block", matrix.Undefined, namedPortAtBlock},
		{"one name, several ports", matrix.Undefined, oneNameSeveralPorts},
		{"own address", matrix.Allow, func(_ oracle.World, f matrix.Flow) bool { return f.From == f.To }},
		{"own node", matrix.Allow, ownNode},
		{"policy of the other direction", matrix.Deny, otherDirection},
	}
}

// documented finds the difference that explains the oracle's answer, -1 where
// there is none.
func documented(w oracle.World, f matrix.Flow, ours matrix.Intent) int {
	return slices.IndexFunc(differences(), func(d difference) bool { return d.ours == ours && d.applies(w, f) })
}

func podOf(w oracle.World, e matrix.Endpoint) oracle.Pod {
	i := slices.IndexFunc(w.Pods, func(p oracle.Pod) bool { return p.Name == e })
	if i < 0 {
		return oracle.Pod{}
	}
	return w.Pods[i]
}

// domainName: a rule for the sender accepts domain names.
func domainName(w oracle.World, f matrix.Flow) bool {
	return slices.ContainsFunc(w.ClusterPolicies, func(p oracle.ClusterPolicy) bool {
		return isSubject(w, p, f.From) && slices.ContainsFunc(p.Spec.Egress, func(r policyv1alpha2.ClusterNetworkPolicyEgressRule) bool {
			return slices.ContainsFunc(r.To, func(q policyv1alpha2.ClusterNetworkPolicyEgressPeer) bool { return len(q.DomainNames) > 0 })
		})
	})
}

// equalPriority: two cluster-wide policies of one tier and priority have rules
// for the sender or for the receiver.
func equalPriority(w oracle.World, f matrix.Flow) bool {
	seen := map[string]bool{}
	for _, p := range w.ClusterPolicies {
		for direction, end := range map[string]matrix.Endpoint{"egress": f.From, "ingress": f.To} {
			rules := len(p.Spec.Ingress)
			if direction == "egress" {
				rules = len(p.Spec.Egress)
			}
			key := fmt.Sprintf("%s %s %d", direction, p.Spec.Tier, p.Spec.Priority)
			if rules == 0 || !isSubject(w, p, end) {
				continue
			}
			if seen[key] {
				return true
			}
			seen[key] = true
		}
	}
	return false
}

// isSubject says whether a cluster-wide policy selects the pod.
func isSubject(w oracle.World, p oracle.ClusterPolicy, e matrix.Endpoint) bool {
	i := slices.IndexFunc(w.Namespaces, func(n oracle.Namespace) bool { return n.Name == e.Namespace() })
	if i < 0 {
		return false
	}
	namespace := withName(w.Namespaces[i].Name, w.Namespaces[i].Labels)
	if s := p.Spec.Subject.Namespaces; s != nil {
		return networkpolicy.MatchesSelector(s, namespace)
	}
	return networkpolicy.MatchesSelector(&p.Spec.Subject.Pods.NamespaceSelector, namespace) &&
		networkpolicy.MatchesSelector(&p.Spec.Subject.Pods.PodSelector, podOf(w, e).Labels)
}

// hostNetwork: an end shares its node's network.
func hostNetwork(w oracle.World, f matrix.Flow) bool {
	return podOf(w, f.From).HostNetwork || podOf(w, f.To).HostNetwork
}

// namedPortAtBlock: an egress rule of the sender's namespace has an ipBlock and
// a named port.
func namedPortAtBlock(w oracle.World, f matrix.Flow) bool {
	for _, p := range w.Policies {
		for _, r := range p.Spec.Egress {
			block, name := false, false
			for _, q := range r.To {
				block = block || q.IPBlock != nil
			}
			for _, q := range r.Ports {
				name = name || q.Port != nil && q.Port.StrVal != ""
			}
			if block && name && p.Namespace == f.From.Namespace() {
				return true
			}
		}
	}
	return false
}

// oneNameSeveralPorts: the receiver has one name for two ports of one protocol.
func oneNameSeveralPorts(w oracle.World, f matrix.Flow) bool {
	ports := podOf(w, f.To).Ports
	for i, p := range ports {
		for _, q := range ports[:i] {
			if p.Name == q.Name && p.Protocol == q.Protocol && p.Port != q.Port {
				return true
			}
		}
	}
	return false
}

// ownNode: the flow comes from the node on which the receiver runs, or from a
// pod that shares that node's network.
func ownNode(w oracle.World, f matrix.Flow) bool {
	node := podOf(w, f.To).Node
	from := podOf(w, f.From)
	return node != "" && (f.From == matrix.NodeEndpoint(node) || from.HostNetwork && from.Node == node)
}

// otherDirection: a NetworkPolicy selects the sender only for ingress, or the
// receiver only for egress, and there is a baseline tier.
func otherDirection(w oracle.World, f matrix.Flow) bool {
	baseline := slices.ContainsFunc(w.ClusterPolicies, func(p oracle.ClusterPolicy) bool {
		return p.Spec.Tier == policyv1alpha2.BaselineTier
	})
	return baseline && (onlyOtherwise(w, f.From, networkingv1.PolicyTypeEgress) || onlyOtherwise(w, f.To, networkingv1.PolicyTypeIngress))
}

// onlyOtherwise: policies select the pod, and none in this direction.
func onlyOtherwise(w oracle.World, e matrix.Endpoint, direction networkingv1.PolicyType) bool {
	selected := false
	for _, p := range w.Policies {
		s, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
		if err != nil || p.Namespace != e.Namespace() || !s.Matches(labels.Set(podOf(w, e).Labels)) {
			continue
		}
		if slices.Contains(asStored(p.NetworkPolicy).Spec.PolicyTypes, direction) {
			return false
		}
		selected = true
	}
	return selected
}

// TestDifferences holds each difference down with a case of its own: the oracle
// says what the case says, the engine says otherwise in one flow at least, and
// in no flow that the difference does not explain. README.md lists all of them.
func TestDifferences(t *testing.T) {
	t.Parallel()
	all, err := cases.Load(os.DirFS("testdata/differences"))
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	list := differences()
	if len(all) != len(list) || len(list) != differenceCount {
		t.Fatalf("%d cases for %d differences, counted as %d", len(all), len(list), differenceCount)
	}
	for i, c := range all {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			if c.Name != list[i].name || i > 0 && c.Name <= list[i-1].name {
				t.Errorf("case %d is %q, difference %d is %q: both are in order of name", i, c.Name, i, list[i].name)
			}
			if !strings.Contains(string(readme), "\n- **"+c.Name+"**") {
				t.Errorf("README.md does not say why")
			}
			holdDown(t, c.Steps[0], i)
		})
	}
}

func holdDown(t *testing.T, s cases.Step, number int) {
	t.Helper()
	both, err := newPair(s.World)
	if err != nil {
		t.Fatal(err)
	}
	differ := 0
	cells := s.Cells
	if differences()[number].name == "own address" {
		cells = toThemselves(s)
	}
	for _, c := range cells {
		d, passes, err := both.ask(t, c.Flow)
		switch {
		case err != nil:
			t.Fatal(err)
		case d.Intent != c.Intent():
			t.Errorf("%s: the oracle says %s (%s), want %s", c.Flow, d.Intent, d.Reason, c.Intent())
		case agrees(d, passes):
		case documented(s.World, c.Flow, d.Intent) != number:
			t.Errorf("%s: the oracle says %s, the engine %t, and another difference or none explains it", c.Flow, d.Intent, passes)
		default:
			differ++
		}
	}
	if differ == 0 {
		t.Error("the engine agrees everywhere: this is a difference no more")
	}
}

// toThemselves are the flows of pods to themselves, which cases leave out.
func toThemselves(s cases.Step) []cases.Cell {
	var all []cases.Cell
	for _, p := range s.World.Pods {
		f := s.Cells[0].Flow
		f.From, f.To = p.Name, p.Name
		all = append(all, cases.Cell{Flow: f, Egress: matrix.Allow, Ingress: matrix.Allow})
	}
	return all
}

// TestEmptyListOfRules: see README.md for why policies reach the engine without
// empty lists.
func TestEmptyListOfRules(t *testing.T) {
	t.Parallel()
	p := &networkingv1.NetworkPolicy{Spec: networkingv1.NetworkPolicySpec{
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}, Ingress: []networkingv1.NetworkPolicyIngressRule{},
	}}
	passes := func(p *networkingv1.NetworkPolicy) bool {
		return networkpolicy.EvaluatePolicyDirection(t.Context(), []*networkingv1.NetworkPolicy{p}, networkingv1.PolicyTypeIngress,
			nil, 80, nil, net.IPv4(192, 0, 2, 7), 40000, corev1.ProtocolTCP)
	}
	if !passes(p) || passes(asStored(p)) {
		t.Errorf("as written %t, as stored %t: want true and false", passes(p), passes(asStored(p)))
	}
}
