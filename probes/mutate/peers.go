package mutate

import (
	"fmt"
	"net/netip"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"
)

// nobodyLabel is on no pod, namespace or node.
const nobodyLabel = "segtest.dev/nobody"

func addLabel(v *visit) {
	for at := range v.selectors() {
		v.mutant(at, v.selectorPath(at), "requires the label "+nobodyLabel+", which nobody has", func(d *draft) {
			s := d.selector(at)
			s.MatchExpressions = append(s.MatchExpressions, metav1.LabelSelectorRequirement{Key: nobodyLabel, Operator: metav1.LabelSelectorOpExists})
		})
	}
}

// dropLabel leaves the last requirement of a podSelector beside a
// namespaceSelector to drop-pod-selector, which comes to the same.
func dropLabel(v *visit) {
	for at, s := range v.selectors() {
		if requirements(s) == 1 && at.field == pods && v.joined(at) {
			continue
		}
		path := v.selectorPath(at)
		for _, key := range sortedKeys(s.MatchLabels) {
			v.mutant(at, fmt.Sprintf("%s.matchLabels[%s]", path, key), fmt.Sprintf("drops %s=%s", key, s.MatchLabels[key]), func(d *draft) {
				delete(d.selector(at).MatchLabels, key)
			})
		}
		for i, e := range s.MatchExpressions {
			v.mutant(at, fmt.Sprintf("%s.matchExpressions[%d]", path, i), "drops "+selectorText(&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{e}}), func(d *draft) {
				s := d.selector(at)
				s.MatchExpressions = slices.Delete(s.MatchExpressions, i, i+1)
			})
		}
	}
}

// emptySelector leaves selectors of one requirement to drop-label, and the
// podSelector beside a namespaceSelector to drop-pod-selector.
func emptySelector(v *visit) {
	for at, s := range v.selectors() {
		if requirements(s) < 2 || at.field == pods && v.joined(at) {
			continue
		}
		v.mutant(at, v.selectorPath(at), "empties the selector "+selectorText(s), func(d *draft) { *d.selector(at) = metav1.LabelSelector{} })
	}
}

func requirements(s *metav1.LabelSelector) int { return len(s.MatchLabels) + len(s.MatchExpressions) }

func selectorText(s *metav1.LabelSelector) string { return metav1.FormatLabelSelector(s) }

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// joined reports a peer with a namespaceSelector and a podSelector.
func (d *draft) joined(at spot) bool {
	p := d.peer(at)
	return p.namespaces != nil && p.pods != nil
}

func dropPeer(v *visit) {
	for at := range v.peers() {
		what := "drops the peer"
		if len(v.draft.rule(at).peers) == 1 {
			what = "drops the only peer"
		}
		v.mutant(at, at.peerPath(), what, func(d *draft) {
			r := d.rule(at)
			r.peers = slices.Delete(r.peers, at.entry, at.entry+1)
		})
	}
}

// dropNamespaceSelector is for NetworkPolicies: elsewhere it cannot be left out.
func dropNamespaceSelector(v *visit) {
	for at, p := range v.peers() {
		if v.cluster || !v.joined(at) {
			continue
		}
		v.mutant(at, at.peerPath()+".namespaceSelector", "drops the namespaceSelector "+selectorText(p.namespaces), func(d *draft) { d.peer(at).namespaces = nil })
	}
}

func dropPodSelector(v *visit) {
	drop := func(at spot, p *peer) {
		if p.namespaces == nil || p.pods == nil || requirements(p.pods) == 0 {
			return
		}
		at.field = pods
		v.mutant(at, v.selectorPath(at), "drops the podSelector "+selectorText(p.pods), func(d *draft) { d.peer(at).pods = nil })
	}
	drop(whole(), &v.subject)
	for at, p := range v.peers() {
		drop(at, p)
	}
}

// splitPeer is for NetworkPolicies, where a dash too many does it.
func splitPeer(v *visit) {
	for at, p := range v.peers() {
		if v.cluster || !v.joined(at) {
			continue
		}
		what := fmt.Sprintf("splits the peer into namespaces %s or pods %s of the own namespace", selectorText(p.namespaces), selectorText(p.pods))
		v.mutant(at, at.peerPath(), what, func(d *draft) {
			second := peer{pods: d.peer(at).pods}
			d.peer(at).pods = nil
			r := d.rule(at)
			r.peers = slices.Insert(r.peers, at.entry+1, second)
		})
	}
}

// joinPeers is for NetworkPolicies, where a missing dash does it.
func joinPeers(v *visit) {
	for at, first := range v.peers() {
		for other, second := range v.draft.rule(at).peers {
			if v.cluster || first.namespaces == nil || first.pods != nil || second.pods == nil || second.namespaces != nil {
				continue
			}
			what := fmt.Sprintf("joins the peer with %s[%d]: namespaces %s and pods %s", at.peersPath(), other, selectorText(first.namespaces), selectorText(second.pods))
			v.mutant(at, fmt.Sprintf("%s+[%d]", at.peerPath(), other), what, func(d *draft) {
				r := d.rule(at)
				r.peers[at.entry].pods = r.peers[other].pods
				r.peers = slices.Delete(r.peers, other, other+1)
			})
		}
	}
}

func dropExcept(v *visit) {
	for at, p := range v.peers() {
		if p.block == nil {
			continue
		}
		for i, except := range p.block.Except {
			v.mutant(at, fmt.Sprintf("%s.ipBlock.except[%d]", at.peerPath(), i), "drops the except "+except, func(d *draft) {
				b := d.peer(at).block
				b.Except = slices.Delete(b.Except, i, i+1)
			})
		}
	}
}

func widenCIDR(v *visit) {
	for at, p := range v.peers() {
		if p.block != nil {
			widen(v, at, at.peerPath()+".ipBlock.cidr", p.block.CIDR, func(d *draft, wide string) { d.peer(at).block.CIDR = wide })
		}
		for i, cidr := range p.networks {
			widen(v, at, fmt.Sprintf("%s.networks[%d]", at.peerPath(), i), string(cidr), func(d *draft, wide string) {
				d.peer(at).networks[i] = policyv1alpha2.CIDR(wide)
			})
		}
	}
}

func widen(v *visit, at spot, path, cidr string, set func(*draft, string)) {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil || prefix.Bits() == 0 {
		return
	}
	wide := netip.PrefixFrom(prefix.Addr(), prefix.Bits()-1).Masked().String()
	v.mutant(at, path, fmt.Sprintf("widens %s to %s", cidr, wide), func(d *draft) { set(d, wide) })
}
