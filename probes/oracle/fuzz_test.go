package oracle_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	policyv1alpha2 "sigs.k8s.io/network-policy-api/apis/v1alpha2"
	"sigs.k8s.io/yaml"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/oracle/cases"
)

// FuzzWorlds draws valid worlds from the fuzzer's bytes: the oracle takes them
// all, and its three ways to ask agree.
func FuzzWorlds(f *testing.F) {
	f.Add([]byte("0"))
	f.Add([]byte("a world with cluster-wide policies \x00\x01\x02\x03\xff\xfe\xfd"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := cases.Random{Rand: rand.New(&byteSource{data: data, rest: rand.NewPCG(uint64(len(data)), 0)})}
		w := r.World()
		o := mustNew(t, w)
		for range 20 {
			f := r.Flow(w)
			explanationAgrees(t, o, f)
			g := o.Grid([]matrix.Endpoint{f.From}, []matrix.Endpoint{f.To}, []oracle.Port{{Protocol: f.Protocol, Port: f.Port}}, f.Family)
			if got, want := *g.At(0, 0, 0), o.Decide(f); !sameButForNames(got, want, f) {
				t.Errorf("%s: the grid says %+v, want %+v", f, got, want)
			}
		}
	})
}

// byteSource gives out bytes, each as a number whose bits are all the byte's,
// and chance where they are used up.
type byteSource struct {
	data []byte
	rest *rand.PCG
}

// Uint64 is the next number.
func (s *byteSource) Uint64() uint64 {
	if len(s.data) == 0 {
		return s.rest.Uint64()
	}
	b := s.data[0]
	s.data = s.data[1:]
	return uint64(b) * 0x0101010101010101
}

// FuzzSpecs puts any NetworkPolicy and any ClusterNetworkPolicy into a world:
// either New says what is wrong with them, or every question has an answer.
func FuzzSpecs(f *testing.F) {
	for _, s := range []struct{ policy, cluster string }{
		{
			`{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/16]}}], ports: [{port: 80, endPort: 90}]}]}`,
			`{tier: Admin, priority: 5, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {number: 80}}}]}]}`,
		},
		{
			`{podSelector: {matchExpressions: [{key: pod, operator: NotIn, values: [a]}]}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}], ports: [{port: web}]}]}`,
			`{tier: Baseline, priority: 1000, subject: {pods: {podSelector: {}, namespaceSelector: {}}}, egress: [{action: Accept, to: [{domainNames: ["*.example.com"]}, {nodes: {}}, {networks: ["::/0"]}]}]}`,
		},
		{`{podSelector: {}, ingress: [{from: [{}]}], policyTypes: [Sideways]}`, `{tier: Middle, subject: {}, egress: [{action: Pass, to: [{}], protocols: [{}]}]}`},
	} {
		f.Add([]byte(s.policy), []byte(s.cluster))
	}
	f.Fuzz(func(t *testing.T, policyText, clusterText []byte) {
		w := addressed(grid())
		w.Nodes = []oracle.Node{{Name: "n", Addresses: w.Pods[0].Addresses}}
		p := oracle.Policy{NetworkPolicy: &networkingv1.NetworkPolicy{}}
		p.Namespace, p.Name = "x", "p"
		if yaml.Unmarshal(policyText, &p.Spec) == nil {
			w.Policies = append(w.Policies, p)
		}
		c := oracle.ClusterPolicy{ClusterNetworkPolicy: &policyv1alpha2.ClusterNetworkPolicy{}}
		c.Name = "c"
		if yaml.Unmarshal(clusterText, &c.Spec) == nil {
			w.ClusterPolicies = append(w.ClusterPolicies, c)
		}
		o, err := oracle.New(w)
		if err != nil {
			var invalid *oracle.InvalidError
			if !errors.As(err, &invalid) || invalid.Message == "" || invalid.Hint == "" {
				t.Fatalf("an error that does not say what is wrong and what to do: %v", err)
			}
			return
		}
		for _, flow := range someFlows(w) {
			explanationAgrees(t, o, flow)
			if d := o.Decide(flow); d.Intent == matrix.Unstated || d.Intent == matrix.Undefined && d.Reason == "" {
				t.Fatalf("%s: %+v", flow, d)
			}
		}
	})
}
