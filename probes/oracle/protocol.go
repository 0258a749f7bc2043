package oracle

import (
	corev1 "k8s.io/api/core/v1"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/segtest/segtest/probes/matrix"
)

// ProtocolOf the port of a policy: nil is TCP, as the API server fills it in. 0
// is one that no policy can name.
func ProtocolOf(p *corev1.Protocol) matrix.Protocol {
	if p == nil {
		return matrix.TCP
	}
	if protocol, ok := matrix.ParseProtocol(string(*p)); ok {
		return protocol
	}
	return 0
}

// Destination is the protocol and the port of an entry of a cluster-wide policy:
// 0 and nil where it goes by a port's name.
func Destination(entry policyv1alpha2.ClusterNetworkPolicyProtocol) (matrix.Protocol, *policyv1alpha2.Port) {
	switch {
	case entry.TCP != nil:
		return matrix.TCP, entry.TCP.DestinationPort
	case entry.UDP != nil:
		return matrix.UDP, entry.UDP.DestinationPort
	case entry.SCTP != nil:
		return matrix.SCTP, entry.SCTP.DestinationPort
	}
	return 0, nil
}

// SetDestination of an entry; a protocol without ports sets nothing.
func SetDestination(entry *policyv1alpha2.ClusterNetworkPolicyProtocol, protocol matrix.Protocol, port policyv1alpha2.Port) {
	switch protocol {
	case matrix.TCP:
		entry.TCP = &policyv1alpha2.ClusterNetworkPolicyProtocolTCP{DestinationPort: &port}
	case matrix.UDP:
		entry.UDP = &policyv1alpha2.ClusterNetworkPolicyProtocolUDP{DestinationPort: &port}
	case matrix.SCTP:
		entry.SCTP = &policyv1alpha2.ClusterNetworkPolicyProtocolSCTP{DestinationPort: &port}
	case matrix.ICMP: // no entry can name it
	}
}
