package oracle

import (
	"fmt"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
)

// Oracle answers for one World. It is safe for concurrent use.
type Oracle struct {
	pods  []pod
	index map[matrix.Endpoint]int // position in pods
}

// pod is a Pod with what isolates it.
type pod struct {
	*Pod
	id              int // position in Oracle.pods
	ingress, egress side
}

// side is one direction of one pod.
type side struct {
	word  string    // "ingress" or "egress"
	by    []RuleRef // every policy that isolates the pod, in order of key
	rules []*rule   // of those policies, in order of key and rule
}

// New prepares a World for questions. It fails with every problem of every
// policy at once when the World cannot be judged: the joined errors are
// *InvalidError, in order of place.
func New(w World) (*Oracle, error) {
	var found problems
	o := &Oracle{pods: make([]pod, len(w.Pods)), index: make(map[matrix.Endpoint]int, len(w.Pods))}
	for i := range w.Pods {
		p := &w.Pods[i]
		o.pods[i] = pod{Pod: p, id: i, ingress: side{word: "ingress"}, egress: side{word: "egress"}}
		if first, ok := o.index[p.Name]; ok {
			found.add(p.Origin, "pod "+string(p.Name), "is there twice", "rename one, the other is at "+w.Pods[first].Origin.String())
		}
		if p.Name.Namespace() == "" || p.Name.Name() == "" {
			found.add(p.Origin, "pod "+string(p.Name), "has no namespace", "name it namespace/name")
		}
		o.index[p.Name] = i
	}
	policies := compile(w, &found)
	if err := found.err(); err != nil {
		return nil, err
	}
	for i := range o.pods {
		for _, p := range policies {
			o.pods[i].isolate(p)
		}
	}
	return o, nil
}

// isolate puts the policy to the sides of the pod that it isolates.
func (p *pod) isolate(by *policy) {
	if !by.selects(p.Pod) {
		return
	}
	whole := RuleRef{Policy: by.key, Rule: -1, Origin: by.origin}
	if by.isolatesIngress {
		p.ingress.by = append(p.ingress.by, whole)
		p.ingress.rules = append(p.ingress.rules, by.ingress...)
	}
	if by.isolatesEgress {
		p.egress.by = append(p.egress.by, whole)
		p.egress.rules = append(p.egress.rules, by.egress...)
	}
}

// Decide answers for one Flow between two pods of the World. A flow with an
// endpoint that the World does not hold is Undefined, with the reason. The
// slices of a Decision are shared: treat them as read-only.
func (o *Oracle) Decide(f matrix.Flow) Decision {
	from, okFrom := o.index[f.From]
	to, okTo := o.index[f.To]
	switch {
	case !okFrom:
		return undefined("%s is not a pod of this world", f.From)
	case !okTo:
		return undefined("%s is not a pod of this world", f.To)
	case f.Way != matrix.PodIP && f.From == f.To:
		return undefined("the specification leaves open whether a pod may reach itself through its own Service")
	case f.Way != matrix.PodIP:
		return undefined("the specification leaves open whether policies see a Service's address before or after it is rewritten")
	case f.Protocol == 0 || f.Port == 0 || f.Family > matrix.IPv6:
		return undefined("a flow needs a protocol, a port from 1 to 65535, and a known IP family")
	case f.From == f.To:
		const own = "no policy can keep a pod from itself"
		half := Half{Intent: matrix.Allow, Reason: own}
		return Decision{Intent: matrix.Allow, Egress: half, Ingress: half, Reason: own}
	}
	src, dst := &o.pods[from], &o.pods[to]
	d := Decision{Egress: src.egress.decide(src, dst, f, dst), Ingress: dst.ingress.decide(dst, src, f, dst)}
	switch {
	case d.Egress.Intent == matrix.Deny || d.Ingress.Intent == matrix.Deny:
		d.Intent = matrix.Deny
	case d.Egress.Intent == matrix.Undefined:
		d.Intent, d.Reason = matrix.Undefined, d.Egress.Reason
	case d.Ingress.Intent == matrix.Undefined:
		d.Intent, d.Reason = matrix.Undefined, d.Ingress.Reason
	default:
		d.Intent = matrix.Allow
	}
	return d
}

func undefined(format string, args ...any) Decision {
	return Decision{Intent: matrix.Undefined, Reason: fmt.Sprintf(format, args...)}
}

// decide asks the rules that isolate self in this direction; peer is the other
// end and dst the receiver of the flow.
func (s *side) decide(self, peer *pod, f matrix.Flow, dst *pod) Half {
	if len(s.by) == 0 {
		return Half{Intent: matrix.Allow, Reason: fmt.Sprintf("no policy isolates %s for %s", self.Name, s.word)}
	}
	half := Half{Intent: matrix.Deny, Isolated: true, By: s.by}
	var open answer // the first rule that the specification leaves open
	var near *rule  // the first rule that wants this peer on another port
	for i, r := range s.rules {
		a, peerFits := r.answer(peer.id, f, dst)
		switch {
		case a.is == yes:
			half.Intent, half.By = matrix.Allow, r.by
			half.Reason = fmt.Sprintf("%s rule %d allows %s", r.by[0].Policy, r.by[0].Rule, s.word)
			return half
		case a.is == maybe && open.is == no:
			open, half.By = a, s.rules[i].by
		case peerFits && near == nil:
			near = r
		}
	}
	switch {
	case open.is == maybe:
		half.Intent, half.Reason = matrix.Undefined, open.why
	case self.HostNetwork:
		half.Intent = matrix.Undefined
		half.Reason = fmt.Sprintf("%s shares its node's network, and the specification leaves open whether policies select it", self.Name)
	case s.word == "ingress" && peer.HostNetwork:
		half.Intent = matrix.Undefined
		half.Reason = fmt.Sprintf("%s shares its node's network, and a node may always reach its own pods", peer.Name)
	default:
		half.Reason = s.denied(self, peer, f, near)
	}
	return half
}

// denied says in words why no rule allows the flow.
func (s *side) denied(self, peer *pod, f matrix.Flow, near *rule) string {
	var b strings.Builder
	toward := "to"
	if s.word == "ingress" {
		toward = "from"
	}
	fmt.Fprintf(&b, "%s is isolated for %s by ", self.Name, s.word)
	for i, ref := range s.by {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(ref.Policy)
	}
	fmt.Fprintf(&b, ", and no rule allows %s/%d %s %s", f.Protocol, f.Port, toward, peer.Name)
	if near != nil {
		fmt.Fprintf(&b, " (%s rule %d fits the pods but not the port)", near.by[0].Policy, near.by[0].Rule)
	}
	return b.String()
}

// Matrix decides every flow of an index.
func (o *Oracle) Matrix(x *matrix.Index) matrix.Matrix[Decision] {
	m := matrix.New[Decision](x)
	for i, f := range x.All() {
		m.Set(i, o.Decide(f))
	}
	return m
}
