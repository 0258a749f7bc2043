package outside_test

import (
	"fmt"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"
	"sigs.k8s.io/yaml"

	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/outside"
)

// TestSpans: numbers of either direction and of any kind of policy, once.
func TestSpans(t *testing.T) {
	t.Parallel()
	var w oracle.World
	for _, spec := range []string{
		`{ingress: [{ports: [{port: 80}, {port: http}, {protocol: UDP}, {protocol: SCTP, port: 7}]}]}`,
		`{egress: [{ports: [{port: 8000, endPort: 8999}, {port: 80}]}, {}]}`,
	} {
		p := &networkingv1.NetworkPolicy{}
		if err := yaml.Unmarshal([]byte(spec), &p.Spec); err != nil {
			t.Fatal(err)
		}
		w.Policies = append(w.Policies, oracle.Policy{NetworkPolicy: p})
	}
	p := &policyv1alpha2.ClusterNetworkPolicy{}
	if err := yaml.Unmarshal([]byte(`{ingress: [{protocols: [{udp: {destinationPort: {range: {start: 5, end: 9}}}}, {destinationNamedPort: web}, {tcp: {}}]}]}`), &p.Spec); err != nil {
		t.Fatal(err)
	}
	w.ClusterPolicies = []oracle.ClusterPolicy{{ClusterNetworkPolicy: p}}
	const want = "[{TCP 80 80} {TCP 8000 8999} {UDP 5 9} {SCTP 7 7}]"
	if got := fmt.Sprint(outside.Spans(w)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
