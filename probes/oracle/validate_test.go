package oracle_test

import (
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/oracle"
)

// refusal is a policy that cannot be judged; a number in front of its name is
// that of the case in the catalogue.
type refusal struct{ name, policy, want string }

func refusals() []refusal {
	peer := func(p string) string { return `x/p: {podSelector: {}, ingress: [{from: [` + p + `]}]}` }
	return []refusal{
		{"bad operator", `x/p: {podSelector: {matchExpressions: [{key: a, operator: Like, values: [b]}]}}`, `0.yaml:1:1: policy x/p: podSelector is invalid`},
		{"In without values", peer(`{podSelector: {matchExpressions: [{key: a, operator: In}]}}`), `0.yaml:10:5: policy x/p: ingress[0]: peer 0: podSelector is invalid`},
		{"bad label value", peer(`{namespaceSelector: {matchLabels: {a: "b c"}}}`), `peer 0: namespaceSelector is invalid`},
		{"15 empty peer", peer(`{podSelector: {}}, {}`), `ingress[0]: peer 1: is empty: set podSelector`},
		{"15 block and selector", peer(`{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}`), `has an ipBlock and a selector: write them as two entries`},
		{"bad cidr", peer(`{ipBlock: {cidr: 10.0.0.0}}`), `ipBlock.cidr "10.0.0.0" is not a CIDR`},
		{"34 mapped cidr", peer(`{ipBlock: {cidr: "::ffff:10.0.0.0/104"}}`), `write it as IPv4`},
		{"34 except outside", peer(`{ipBlock: {cidr: 10.0.0.0/24, except: [10.1.0.0/25]}}`), `except 10.1.0.0/25 is not inside cidr 10.0.0.0/24`},
		{"34 except as large as the cidr", peer(`{ipBlock: {cidr: 10.0.0.0/24, except: [10.0.0.0/24]}}`), `is not inside`},
		{"bad except", peer(`{ipBlock: {cidr: 10.0.0.0/24, except: [x]}}`), `ipBlock.except "x" is not a CIDR`},
		{"22 endPort without port", ports(`{endPort: 80}`), `ingress[0]: ports[0]: has endPort without port`},
		{"22 endPort with a name", ports(`{port: http, endPort: 80}`), `has endPort with a named port`},
		{"22 endPort below port", ports(`{port: 81, endPort: 80}`), `endPort 80 is below port 81`},
		{"22 endPort too high", ports(`{port: 81, endPort: 65536}`), `endPort 65536 is out of range`},
		{"port 0", ports(`{port: 0}`), `port 0 is out of range`},
		{"port too high", ports(`{port: 70000}`), `port 70000 is out of range`},
		{"number in quotes", ports(`{port: "80"}`), `"80" is not a port name`},
		{"bad protocol", ports(`{port: 80, protocol: ICMP}`), `protocol "ICMP" is unknown: write TCP, UDP or SCTP`},
		{"bad policyType", `x/p: {podSelector: {}, policyTypes: [Inbound]}`, `policyType "Inbound" is unknown: write Ingress or Egress`},
		{"too many policyTypes", `x/p: {podSelector: {}, policyTypes: [Ingress, Egress, Ingress]}`, `more than two policyTypes`},
		{"no namespace", `/p: {podSelector: {}}`, `has no namespace: set metadata.namespace`},
		{"no name", `x/: {podSelector: {}}`, `has no name: set metadata.name`},
		{"egress", `x/p: {podSelector: {}, egress: [{}, {to: [{}]}]}`, `0.yaml:21:5: policy x/p: egress[1]: peer 0: is empty`},
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range refusals() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o, err := oracle.New(grid(c.policy))
			if err == nil || o != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v\nwant an error with %q", err, c.want)
			}
			if got := len(invalid(err)); got != 1 {
				t.Errorf("got %d problems, want 1: %v", got, err)
			}
		})
	}
}

func TestNewReportsEverythingInOrder(t *testing.T) {
	t.Parallel()
	w := grid(
		`x/p: {podSelector: {}, ingress: [{from: [{}], ports: [{endPort: 1}, {port: 0}]}], egress: [{to: [{}]}]}`,
		`x/p: {podSelector: {}, policyTypes: [Nothing]}`,
	)
	w.Pods = append(w.Pods, oracle.Pod{Name: "x/a"}, oracle.Pod{Name: "lonely"})
	w.Policies = append(w.Policies, oracle.Policy{Origin: oracle.Origin{File: "2.yaml"}})
	_, err := oracle.New(w)
	want := []string{
		"(unknown place): pod lonely: has no namespace", "(unknown place): pod x/a: is there twice",
		"0.yaml:10:5: policy x/p: ingress[0]: peer 0", "0.yaml:10:5: policy x/p: ingress[0]: ports[0]", "0.yaml:10:5: policy x/p: ingress[0]: ports[1]",
		"0.yaml:20:5: policy x/p: egress[0]", "1.yaml:1:1: policy x/p: is declared twice", "1.yaml:1:1: policy x/p: policyType", "2.yaml: policy: is empty",
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(want) {
		t.Fatalf("got %d problems, want %d:\n%v", len(lines), len(want), err)
	}
	for i, prefix := range want {
		if !strings.HasPrefix(lines[i], prefix) {
			t.Errorf("problem %d is %q, want it to begin with %q", i, lines[i], prefix)
		}
	}
}
