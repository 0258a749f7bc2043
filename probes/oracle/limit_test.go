package oracle_test

import (
	"fmt"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/segtest/segtest/probes/oracle"
)

// blocky is a policy of one rule that names so many CIDRs, from the first on.
func blocky(name string, first, count int) oracle.Policy {
	var peers []networkingv1.NetworkPolicyPeer
	for i := first; i < first+count; i++ {
		peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: fmt.Sprintf("10.%d.%d.0/24", i/256, i%256)}})
	}
	return oracle.Policy{NetworkPolicy: &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: name},
		Spec:       networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{From: peers}}},
	}}
}

func TestNewRefusesWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		policies []oracle.Policy
		want     string // "" for none
	}{
		{"one policy at the limit", []oracle.Policy{blocky("p", 0, 4999)}, ""},
		{"one policy beyond it", []oracle.Policy{blocky("p", 0, 5000)}, "more than 5000 rules, peers, ports and excepts"},
		{"all CIDRs at the limit", []oracle.Policy{blocky("p", 0, 2500), blocky("q", 2500, 2500)}, ""},
		{"all CIDRs beyond it", []oracle.Policy{blocky("p", 0, 2500), blocky("q", 2500, 2501)}, "more than 5000 different CIDRs"},
		{"the same CIDRs twice", []oracle.Policy{blocky("p", 0, 4000), blocky("q", 0, 4000)}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := grid()
			w.Policies = c.policies
			_, err := oracle.New(w)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v\nwant an error with %q", err, c.want)
			}
		})
	}
}
