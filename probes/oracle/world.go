package oracle

import (
	"cmp"
	"fmt"
	"net/netip"

	networkingv1 "k8s.io/api/networking/v1"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/segtest/segtest/probes/matrix"
)

// Origin is where something was written. The zero value is unknown.
type Origin struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`   // 1 is the first line; 0 is unknown
	Column int    `json:"column,omitempty"` // 1 is the first column; 0 is unknown
	// Via is how the object came from that place: "" as it stands there,
	// "patched" by a kustomization, or "rendered" by a command. Then the place is
	// the document's and not exact.
	Via string `json:"via,omitempty"`
}

// IsZero reports that the place is unknown.
func (o Origin) IsZero() bool { return o == Origin{} }

// String is "file:line:column", as compilers write it; unknown parts are left
// out. "(patched)" or "(rendered)" follows where the place is not exact.
func (o Origin) String() string {
	at := o.File
	switch {
	case o.File == "":
		at = "(unknown place)"
	case o.Line == 0:
	case o.Column == 0:
		at = fmt.Sprintf("%s:%d", o.File, o.Line)
	default:
		at = fmt.Sprintf("%s:%d:%d", o.File, o.Line, o.Column)
	}
	if o.Via != "" {
		at += " (" + o.Via + ")"
	}
	return at
}

// Compare orders by file, line, column.
func (o Origin) Compare(p Origin) int {
	return cmp.Or(cmp.Compare(o.File, p.File), cmp.Compare(o.Line, p.Line), cmp.Compare(o.Column, p.Column))
}

// Places tells where the parts of an object were written. The path is names of
// fields (string) and positions in lists (int) from the top of the object; where
// it leads no further, the place is that of the last part. nil knows no place.
type Places func(path ...any) Origin

// World is what the oracle judges over. It is input: nothing writes into it
// after it was built.
type World struct {
	Namespaces      []Namespace
	Pods            []Pod
	Nodes           []Node
	Services        []Service
	Policies        []Policy        // networking.k8s.io/v1
	ClusterPolicies []ClusterPolicy // policy.networking.k8s.io, all of them as v1alpha2
	// PodNetworks and ServiceNetworks hold the addresses of pods and Services that
	// are not known one by one; none where nobody knows that either.
	PodNetworks, ServiceNetworks []netip.Prefix
	// Foreign are policies of kinds that the oracle cannot judge. They are
	// reported, never ignored: what they do is not part of any answer.
	Foreign []Foreign
}

// Node is a machine of the cluster. Its endpoint is "node/NAME".
type Node struct {
	Name      string
	Labels    map[string]string
	Addresses []netip.Addr
	Origin    Origin
}

// Service stands in front of the pods that its selector fits.
type Service struct {
	Name     matrix.Endpoint   // "namespace/name"
	Selector map[string]string // empty: no pods of its own
	Ports    []ServicePort
	Headless bool
	// Type is "" for one inside of the cluster, "NodePort", "LoadBalancer" (which
	// has node ports too) or "ExternalName" (an alias in DNS, nothing else).
	Type string
	// ExternalLocal and InternalLocal: who asks from outside of the cluster, or
	// from inside, is led only to pods on the node that is asked.
	ExternalLocal, InternalLocal bool
	Unready                      bool // it publishes pods that are not ready
	// Addresses lead to it, from wherever they are reached: those of the cluster,
	// external ones, and those of load balancers, as far as they are known.
	Addresses []netip.Addr
	Origin    Origin
}

// ServicePort leads from a port of the Service to one of its pods.
type ServicePort struct {
	Name       string // "" for a port without a name
	Protocol   matrix.Protocol
	Port       uint16
	TargetPort uint16 // 0 where TargetName is set
	TargetName string // a named port, resolved at each pod
	NodePort   uint16 // the port of every node that leads here; 0: none, or chosen by the cluster
}

// ClusterPolicy is a ClusterNetworkPolicy with the place of itself and of its
// rules. Kind is what stands in the file: an AdminNetworkPolicy or a
// BaselineAdminNetworkPolicy was converted.
type ClusterPolicy struct {
	*policyv1alpha2.ClusterNetworkPolicy
	Kind    string
	Origin  Origin
	Ingress []Origin // of Spec.Ingress[i]; may be shorter
	Egress  []Origin // of Spec.Egress[i]; may be shorter
	Places  Places   `json:"-"` // of the fields, by their names in a ClusterNetworkPolicy
}

// Foreign is a policy of a kind that the oracle cannot judge, for example a
// CiliumNetworkPolicy.
type Foreign struct {
	APIVersion, Kind string
	Name             string // "namespace/name", or "name" of a cluster-wide object
	Origin           Origin
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
	Node        string // name of its Node; "" is not known
	// ServiceAccount is the pod's identity; "" is "default". No NetworkPolicy
	// can select it.
	ServiceAccount string
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
	Places  Places   `json:"-"` // of the fields
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
	// By is the rule that decides (of NetworkPolicies the first that allows, in
	// order of policy name). It is every NetworkPolicy that isolates the pod
	// where no rule of theirs allows, and what is in doubt where the half is
	// undefined; it is empty where no policy decides.
	By     []RuleRef `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"` // one sentence in words
}

// RuleRef names a policy and, where a rule decided, the rule.
type RuleRef struct {
	Kind   string `json:"kind,omitempty"` // "" is NetworkPolicy, else "ClusterNetworkPolicy", "AdminNetworkPolicy" or "BaselineAdminNetworkPolicy"
	Tier   string `json:"tier,omitempty"` // "" is that of NetworkPolicies, else "Admin" or "Baseline"
	Policy string `json:"policy"`         // "namespace/name", or "name" of a cluster-wide policy
	Rule   int    `json:"rule"`           // index in ingress or egress; -1 is the policy as a whole
	Origin Origin `json:"origin"`         // of the rule, of the policy where Rule is -1
}

// String is "shop/allow-web rule 0 (policies/db.yaml:12:5)", with the kind in
// front where it is not NetworkPolicy.
func (r RuleRef) String() string { return fmt.Sprintf("%s (%s)", r.short(), r.Origin) }

// short is String without the place.
func (r RuleRef) short() string {
	s := r.Policy
	if r.Kind != "" {
		s = r.Kind + " " + s
	}
	if r.Rule >= 0 {
		s += fmt.Sprintf(" rule %d", r.Rule)
	}
	return s
}
