package oracle_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

func TestProtocols(t *testing.T) {
	t.Parallel()
	if got := oracle.ProtocolOf(nil); got != matrix.TCP {
		t.Errorf("without a protocol: %s, want TCP", got)
	}
	for text, want := range map[corev1.Protocol]matrix.Protocol{"TCP": matrix.TCP, "UDP": matrix.UDP, "SCTP": matrix.SCTP, "tcp": 0, "ICMP": 0, "": 0} {
		if got := oracle.ProtocolOf(&text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// TestDestination: an entry of a cluster-wide policy says what was put into it.
func TestDestination(t *testing.T) {
	t.Parallel()
	for i, protocol := range []matrix.Protocol{matrix.TCP, matrix.UDP, matrix.SCTP} {
		entry, number := policyv1alpha2.ClusterNetworkPolicyProtocol{}, int32(80+i) //nolint:gosec // small
		oracle.SetDestination(&entry, protocol, policyv1alpha2.Port{Number: number})
		if got, port := oracle.Destination(entry); got != protocol || port == nil || port.Number != number {
			t.Errorf("%s/%d became %s, %v", protocol, number, got, port)
		}
		for j, set := range []bool{entry.TCP != nil, entry.UDP != nil, entry.SCTP != nil} {
			if set != (i == j) {
				t.Errorf("%s is %+v", protocol, entry)
			}
		}
	}
	named := policyv1alpha2.ClusterNetworkPolicyProtocol{DestinationNamedPort: "http"}
	oracle.SetDestination(&named, 0, policyv1alpha2.Port{Number: 80})
	if protocol, port := oracle.Destination(named); protocol != 0 || port != nil {
		t.Errorf("a name is %s, %v", protocol, port)
	}
}
