package report_test

import (
	"bytes"
	"io"
	"path/filepath"
	"testing"

	"github.com/segtest/segtest/hack/golden"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/mutate"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/report"
)

// mutation holds a mutant of each fate, and survivors with each sort of remedy.
func mutation() report.Mutation {
	at := func(line int) oracle.Origin { return oracle.Origin{File: "policies/db.yaml", Line: line, Column: 7} }
	flip := func(from, to matrix.Endpoint, declared, before, after matrix.Intent) mutate.Flip {
		return mutate.Flip{Flow: matrix.Flow{From: from, To: to, Protocol: matrix.TCP, Port: 5432}, Declared: declared, Before: before, After: after}
	}
	mutant := func(operator, path, what string, at oracle.RuleRef) mutate.Mutant {
		return mutate.Mutant{Operator: operator, At: at, Path: path, What: what}
	}
	rule := oracle.RuleRef{Policy: "shop/db", Rule: 0, Origin: at(9)}
	patched := oracle.RuleRef{Kind: "ClusterNetworkPolicy", Tier: "Admin", Policy: "tenants", Rule: -1, Origin: oracle.Origin{File: "base/tenants.yaml", Line: 3, Column: 1, Via: "patched"}}
	return report.Mutation{
		Name: "shop", File: "shop.yaml",
		Foreign: []oracle.Foreign{{APIVersion: "cilium.io/v2", Kind: "CiliumNetworkPolicy", Name: "shop/l7", Origin: at(40)}},
		Result: mutate.Result{
			{
				Mutant: mutant("drop-rule", "ingress[0]", "drops the rule", rule), Fate: mutate.Killed,
				Flips: []mutate.Flip{flip("shop/api-0", "shop/db-0", matrix.Allow, matrix.Allow, matrix.Deny)},
			},
			{Mutant: mutant("drop-label", "podSelector.matchLabels[app]", "drops app=db", rule), Fate: mutate.Equivalent},
			{
				Mutant: mutant("drop-peer", "ingress[0].from[0]", "drops the only \x1b[31mpeer", rule), Fate: mutate.Survived, Flows: 1,
				Flips:  []mutate.Flip{flip("lab/visitor-0", "shop/db-0", matrix.Unstated, matrix.Deny, matrix.Allow)},
				Remedy: mutate.Remedy{Paste: "- deny: {from: lab/visitor, to: shop/db, ports: [TCP/5432]}", Under: "expect.rules"},
			},
			{
				Mutant: mutant("change-tier", "tier", "moves the policy from tier Admin to Baseline", patched), Fate: mutate.Survived, Flows: 12,
				Flips: []mutate.Flip{
					flip("lab/visitor-0", "shop/web-0", matrix.Deny, matrix.Allow, matrix.Deny),
					flip("shop/web-0", "world/192.0.2.1", matrix.Unstated, matrix.Deny, matrix.Undefined),
				},
				Remedy: mutate.Remedy{Hint: "the policies break the expectation already (deny is declared): mend that first"},
			},
			{
				Mutant: mutant("drop-policy", "", "drops the policy", patched), Fate: mutate.Survived, Flows: 1,
				Flips: []mutate.Flip{flip("team=ops/any", "shop/db-0", matrix.Unstated, matrix.Deny, matrix.Allow)},
				Remedy: mutate.Remedy{
					Paste: "- deny: {from: team-ops/any, to: shop/db, ports: [TCP/5432]}", Under: "expect.rules",
					Namespaces: "- {name: team-ops, labels: {team: ops}}", Workloads: "- {name: any, namespace: team-ops}",
				},
			},
			{
				Mutant: mutant("drop-except", "ingress[0].from[0].ipBlock.except[0]", "drops 10.0.0.0/8", rule), Fate: mutate.Beyond, Flows: 1,
				Flips: []mutate.Flip{flip("world/10.0.0.1", "shop/db-0", matrix.Unstated, matrix.Deny, matrix.Allow)},
			},
			{
				Mutant: mutant("drop-peer", "ingress[0].from[1]", "drops the peer", rule), Fate: mutate.Undecided, Flows: 1,
				Flips: []mutate.Flip{flip("shop/web-0", "world/192.0.2.1", matrix.Unstated, matrix.Undefined, matrix.Undefined)},
			},
		},
	}
}

func TestMutateForms(t *testing.T) {
	t.Parallel()
	m, nothing := mutation(), report.Mutation{Name: "empty", File: "policies"}
	operators, err := mutate.Select([]string{"drop-rule", "join-peers"})
	if err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(io.Writer) error{
		"text.txt":       func(w io.Writer) error { return report.MutateText(w, m, report.TextOptions{Width: 60, Color: true}) },
		"ascii.txt":      func(w io.Writer) error { return report.MutateText(w, m, report.TextOptions{Width: 80, ASCII: true}) },
		"mutate.json":    func(w io.Writer) error { return report.MutateJSON(w, m) },
		"nothing.txt":    func(w io.Writer) error { return report.MutateText(w, nothing, report.TextOptions{}) },
		"nothing.json":   func(w io.Writer) error { return report.MutateJSON(w, nothing) },
		"operators.txt":  func(w io.Writer) error { return report.MutateOperators(w, operators, report.TextOptions{}) },
		"operators.json": func(w io.Writer) error { return report.MutateOperatorsJSON(w, operators) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			golden.Check(t, filepath.Join("testdata", "mutate", name), b.String())
		})
	}
}

// A score is cut, so that 100 % means that none survived.
func TestScoreIsNotRoundedUp(t *testing.T) {
	t.Parallel()
	m := report.Mutation{Name: "shop", File: "shop.yaml"}
	for i := range 3000 {
		j := mutate.Judged{Fate: mutate.Killed}
		if i == 0 {
			j.Fate = mutate.Survived
		}
		m.Result = append(m.Result, j)
	}
	var b bytes.Buffer
	if err := report.MutateText(&b, m, report.TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b.Bytes(), []byte("score 99.9 %: 2999 of 3000 mutants killed, 1 survived")) {
		t.Errorf("got %s", b.String())
	}
}
