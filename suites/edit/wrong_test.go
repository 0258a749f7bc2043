package edit_test

import (
	"strings"
	"testing"

	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/edit"
	"github.com/segtest/segtest/suites/plan/plantest"
)

// TestWrongBefore: a flow that was not as declared before keeps no edit from being
// found, and is told apart from those that become as declared.
func TestWrongBefore(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, expect, policies string
		from, to               matrix.Endpoint
		port                   uint16
		what                   string
		wrong                  string // one of the flows that stay wrong, how
		wrongs, mends          int
	}{
		{
			"from one wrong state to another", curlToAPI,
			adminGuard + policy("db", "  podSelector: {matchLabels: {app: db}}\n  ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]\n"),
			"lab/curl", "shop/api", 8080, "remove ingress rule 0 of AdminNetworkPolicy guard",
			// web and api are mended on all of their ports, the canary's included.
			"lab/curl-0 → shop/db-0 TCP/5432 deny undefined", 8, 8,
		},
		{
			"what mends others opens no door that counts", "  default: deny\n  rules:\n    - allow: {from: shop/*, to: shop/db, ports: [postgres, TCP/9187]}",
			policy("deny", deny) + policy("db", "  podSelector: {matchLabels: {app: db}}\n  ingress: [{from: [{podSelector: {}}], ports: [{port: 9187}]}]\n"),
			"shop/web", "shop/db", 5432, "add a port to ingress rule 0 of NetworkPolicy shop/db",
			"", 0, 8, // from the API and the other replica of the database, in two families
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			family := "dual"
			if row.wrongs > 0 {
				family = "ipv4"
			}
			p := planOf(t, family, row.expect, row.policies)
			r := search(t, p, edit.Aim{Flows: between(p, row.from, row.to, row.port), Want: matrix.Allow})
			if r.Remedy == nil || len(r.Remedy.Edits) != 1 || r.Remedy.Edits[0].What != row.what {
				t.Fatalf("want to %s, got\n%s", row.what, shown(r))
			}
			var wrong []string
			for _, c := range r.Remedy.Wrong {
				wrong = append(wrong, strings.Join([]string{c.Flow.String(), c.Before.String(), c.After.String()}, " "))
			}
			if text := strings.Join(wrong, "\n"); len(wrong) != row.wrongs || !strings.Contains(text, row.wrong) || r.Remedy.Mends != row.mends {
				t.Errorf("%d flows are mended, want %d; %d stay wrong, want %d:\n%s", r.Remedy.Mends, row.mends, len(wrong), row.wrongs, text)
			}
		})
	}
}

// TestNamesBehindADefaultDeny: the cluster's DNS is let in by a policy of its own,
// and the default deny stays one.
func TestNamesBehindADefaultDeny(t *testing.T) {
	t.Parallel()
	const folder = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop, labels: {app: web}}\nspec: {containers: [{name: c, image: x}]}\n"
	const other = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: api, namespace: shop, labels: {app: api}}\nspec: {containers: [{name: c, image: x}]}\n"
	for name, pods := range map[string]string{"one pod": folder, "other pods": folder + other} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := plantest.Of(t, "f", map[string]string{"f/a.yaml": pods, "f/deny.yaml": policy("default-deny", "  podSelector: {}\n  policyTypes: [Egress]\n")})
			p, err := p.With(scenario.WithDNS(p.World))
			if err != nil {
				t.Fatal(err)
			}
			dns := matrix.Flow{From: "shop/web-0", To: scenario.DNS + "-0", Protocol: matrix.UDP, Port: 53}
			if now := p.Oracle.Decide(dns).Intent; now != matrix.Deny {
				t.Fatalf("%s is %s to begin with", dns, now)
			}
			r := search(t, p, edit.Aim{Flows: []matrix.Flow{dns}, Want: matrix.Allow})
			if r.Remedy == nil || len(r.Remedy.Edits) != 1 || !r.Remedy.Edits[0].New || r.Remedy.Edits[0].Caveat != "" || len(r.Remedy.Side)+len(r.Remedy.Opens) > 0 {
				t.Fatalf("want one new policy and no more, got\n%s", shown(r))
			}
			after, err := p.With(r.Remedy.World)
			if err != nil {
				t.Fatal(err)
			}
			dns.Protocol = matrix.TCP
			if now := after.Oracle.Decide(dns).Intent; now != matrix.Deny {
				t.Errorf("%s is %s then", dns, now)
			}
			dns.Protocol = matrix.UDP
			if now := after.Oracle.Decide(dns).Intent; now != matrix.Allow {
				t.Errorf("%s is %s then\n%s", dns, now, shown(r))
			}
		})
	}
}
