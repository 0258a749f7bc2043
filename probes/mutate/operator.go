package mutate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/segtest/segtest/probes/oracle"
)

// Operator is one kind of mistake.
type Operator struct {
	ID      string
	What    string // it does, in one line
	Example string // before → after
	apply   func(*visit)
}

// visit is an operator at work on one policy.
type visit struct {
	*draft // the original: operators only read it
	world  *oracle.World
	policy int // its position in the World
	emit   func(at spot, path, what string, changed *draft)
}

// mutant is the policy with one edit, which is made on a copy.
func (v *visit) mutant(at spot, path, what string, edit func(*draft)) {
	changed := v.clone()
	edit(changed)
	v.emit(at, path, what, changed)
}

// Operators are all operators, in order of ID.
func Operators() []Operator {
	return []Operator{
		{"add-label", "narrow a selector by a label that nobody has", "{app: db} → {app: db, " + nobodyLabel + ": \"\"}", addLabel},
		{"change-namespace", "move a NetworkPolicy to the next namespace", "namespace: shop → namespace: web", changeNamespace},
		{"change-port", "name the next port, or a name that nobody serves", "port: 5432 → port: 5433", changePort},
		{"change-priority", "let a cluster-wide policy come after the next one of its tier", "priority: 10 → priority: 21", changePriority},
		{"change-protocol", "name another protocol: UDP for TCP, TCP for UDP and SCTP", "protocol: UDP → protocol: TCP", changeProtocol},
		{"change-tier", "move a cluster-wide policy to the other tier", "tier: Admin → tier: Baseline", changeTier},
		{"drop-direction", "remove one of two policyTypes", "[Ingress, Egress] → [Ingress]", dropDirection},
		{"drop-end-port", "remove endPort: the first port of a range is left", "port: 8000, endPort: 8080 → port: 8000", dropEndPort},
		{"drop-except", "remove an entry of except", "except: [10.0.0.0/8] → except: []", dropExcept},
		{"drop-label", "widen a selector by one requirement less", "{app: db, tier: data} → {app: db}", dropLabel},
		{"drop-namespace-selector", "remove the namespaceSelector beside a podSelector: only the policy's own namespace is meant", "{namespaceSelector: {}, podSelector: {app: db}} → {podSelector: {app: db}}", dropNamespaceSelector},
		{"drop-peer", "remove an entry of from or to; without any, everybody is meant", "from: [{podSelector: {app: web}}] → from: []", dropPeer},
		{"drop-pod-selector", "remove the podSelector beside a namespaceSelector: all pods of the namespaces are meant", "{namespaceSelector: {team: a}, podSelector: {app: db}} → {namespaceSelector: {team: a}}", dropPodSelector},
		{"drop-policy", "remove a policy", "default-deny → (none)", dropPolicy},
		{"drop-policy-types", "remove policyTypes: Egress counts only where there are egress rules", "policyTypes: [Egress] → (none)", dropPolicyTypes},
		{"drop-port", "remove one of several ports of a rule", "[{port: 80}, {port: 443}] → [{port: 443}]", dropPort},
		{"drop-ports", "remove all ports of a rule: every port is meant", "ports: [{port: 5432}] → (none)", dropPorts},
		{"drop-rule", "remove a rule", "ingress: [{from: …}] → ingress: []", dropRule},
		{"empty-selector", "empty a selector of several requirements", "{app: db, tier: data} → {}", emptySelector},
		{"join-peers", "make one entry of two, so that both selectors must fit (OR becomes AND)", "[{namespaceSelector: {team: a}}, {podSelector: {app: b}}] → [{namespaceSelector: {team: a}, podSelector: {app: b}}]", joinPeers},
		{"split-peer", "make two entries of one, so that either selector is enough (AND becomes OR)", "[{namespaceSelector: {team: a}, podSelector: {app: b}}] → [{namespaceSelector: {team: a}}, {podSelector: {app: b}}]", splitPeer},
		{"swap-action", "turn Accept to Deny, Deny to Accept, Pass to Accept", "action: Deny → action: Accept", swapAction},
		{"swap-rules", "swap two neighbouring rules of a cluster-wide policy", "[deny, accept] → [accept, deny]", swapRules},
		{"widen-cidr", "make a network twice as large", "10.0.0.0/8 → 10.0.0.0/7", widenCIDR},
		{"widen-range", "add the next port to a range", "port: 8000, endPort: 8080 → endPort: 8081", widenRange},
	}
}

// Select the operators of these IDs, in order of ID; all where there are none.
func Select(ids []string) ([]Operator, error) {
	all := Operators()
	if len(ids) == 0 {
		return all, nil
	}
	for _, id := range ids {
		if !slices.ContainsFunc(all, func(o Operator) bool { return o.ID == id }) {
			return nil, fmt.Errorf("there is no operator %q; there are: %s", id, list(all))
		}
	}
	return slices.DeleteFunc(all, func(o Operator) bool { return !slices.Contains(ids, o.ID) }), nil
}

func list(operators []Operator) string {
	var ids []string
	for _, o := range operators {
		ids = append(ids, o.ID)
	}
	return strings.Join(ids, ", ")
}
