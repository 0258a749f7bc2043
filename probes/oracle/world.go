package oracle

import (
	"cmp"
	"fmt"
	"net/netip"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/segtest/segtest/probes/matrix"
)

// Origin is where something was written. The zero value is unknown.
type Origin struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`   // 1 is the first line; 0 is unknown
	Column int    `json:"column,omitempty"` // 1 is the first column; 0 is unknown
}

// IsZero reports that the place is unknown.
func (o Origin) IsZero() bool { return o == Origin{} }

// String is "file:line:column", as compilers write it; unknown parts are left out.
func (o Origin) String() string {
	switch {
	case o.File == "":
		return "(unknown place)"
	case o.Line == 0:
		return o.File
	case o.Column == 0:
		return fmt.Sprintf("%s:%d", o.File, o.Line)
	}
	return fmt.Sprintf("%s:%d:%d", o.File, o.Line, o.Column)
}

// Compare orders by file, line, column.
func (o Origin) Compare(p Origin) int {
	return cmp.Or(cmp.Compare(o.File, p.File), cmp.Compare(o.Line, p.Line), cmp.Compare(o.Column, p.Column))
}

// World is what the oracle judges over. It is input: nothing writes into it
// after it was built.
type World struct {
	Namespaces []Namespace
	Pods       []Pod
	Policies   []Policy
}

// Namespace with its labels. The label kubernetes.io/metadata.name, which the
// API server sets on every namespace, need not be given.
type Namespace struct {
	Name   string
	Labels map[string]string
	Origin Origin
}

// Pod is one slot of a workload.
type Pod struct {
	Name        matrix.Endpoint // "namespace/slot", for example "shop/db-0"
	Workload    matrix.Endpoint // "namespace/workload", for example "shop/db"
	Labels      map[string]string
	Ports       []Port
	HostNetwork bool
	// Addresses are known only on a running cluster; an ipBlock peer cannot be
	// decided without them.
	Addresses []netip.Addr
	Origin    Origin
}

// Port is a container port.
type Port struct {
	Name     string // "" for a port without a name
	Protocol matrix.Protocol
	Port     uint16
}

// Policy is a NetworkPolicy with the place of itself and of its rules.
type Policy struct {
	*networkingv1.NetworkPolicy
	Origin  Origin
	Ingress []Origin // of Spec.Ingress[i]; may be shorter
	Egress  []Origin // of Spec.Egress[i]; may be shorter
}

// Key is "namespace/name".
func (p Policy) Key() string { return p.Namespace + "/" + p.Name }

// Decision is the oracle's answer for one Flow. The zero value decides nothing
// (Unstated).
type Decision struct {
	Intent  matrix.Intent `json:"intent"`
	Egress  Half          `json:"egress"`  // of the sender
	Ingress Half          `json:"ingress"` // of the receiver
	// Reason says why the flow is Undefined or why no policy was asked; "" where
	// the halves say it all.
	Reason string `json:"reason,omitempty"`
}

// Half is the answer of one direction at one pod.
type Half struct {
	Intent matrix.Intent `json:"intent"`
	// Isolated reports that at least one policy selects the pod in this
	// direction; where it is false the half is allowed and By is empty.
	Isolated bool `json:"isolated"`
	// By is the rule that allows (the first in order of policy name), or, on a
	// deny, every policy that isolates the pod.
	By     []RuleRef `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"` // one sentence in words
}

// RuleRef names a policy and, where a rule decided, the rule.
type RuleRef struct {
	Policy string `json:"policy"` // "namespace/name"
	Rule   int    `json:"rule"`   // index in ingress or egress; -1 is the policy as a whole
	Origin Origin `json:"origin"` // of the rule, of the policy where Rule is -1
}

// String is "shop/allow-web rule 0 (policies/db.yaml:12:5)".
func (r RuleRef) String() string {
	rule := ""
	if r.Rule >= 0 {
		rule = fmt.Sprintf(" rule %d", r.Rule)
	}
	return fmt.Sprintf("%s%s (%s)", r.Policy, rule, r.Origin)
}
