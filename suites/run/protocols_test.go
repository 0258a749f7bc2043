package run_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/simnet"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run/record"
)

// speakers of all protocols: the server opens SCTP/132 to the client, TCP/132 to
// nobody, and of pings to it the policies say nothing.
func speakers(t *testing.T, by string) *scenario.Scenario {
	t.Helper()
	sc, err := scenario.Loader{FS: fstest.MapFS{
		"s.yaml": {Data: []byte(`apiVersion: segtest.dev/v1alpha1
kind: Scenario
metadata: {name: speakers}
workloads:
  - {name: client, namespace: lab, labels: {app: client}, ports: [8080]}
  - {name: server, namespace: lab, labels: {app: server}, ports: [SCTP/132, TCP/132, SCTP/133]}
policies: [p.yaml]
expect:
  default: deny
  by: ` + by + `
  rules:
    - allow: {from: lab/client, to: lab/server, ports: [SCTP/132]}
    - allow: {from: lab/server, to: lab/client, ports: [any, ICMP]}
    - deny: {from: lab/client, to: lab/server, ports: [ICMP], by: icmp}
`)},
		"p.yaml": {Data: []byte(`apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: server, namespace: lab}
spec:
  podSelector: {matchLabels: {app: server}}
  ingress: [{from: [{podSelector: {matchLabels: {app: client}}}], ports: [{protocol: SCTP, port: 132}]}]
`)},
	}}.Load("s.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

// TestSimnetSpeaksAllProtocols: SCTP and pings are asked and judged like the
// others, and a kernel that lacks one of them makes its flows inconclusive, with
// one note and no longer run.
func TestSimnetSpeaksAllProtocols(t *testing.T) {
	t.Parallel()
	const (
		there, back = "lab/client-0 → lab/server-0 ", "lab/server-0 → lab/client-0 "
		noSCTP      = "SCTP cannot be asked on this kernel: sctp not supported by this kernel; nothing is proven of 4 flows"
		noEcho      = "ICMP cannot be asked: "
	)
	defect := func(name string) simnet.Defect {
		all := simnet.Defects()
		return all[slices.IndexFunc(all, func(d simnet.Defect) bool { return d.Name == name })]
	}
	for _, row := range []struct {
		name    string
		by      string
		config  simnet.Config
		exit    int
		not     []string // flows that do not pass in the matrix, in order
		note    string
		quickly bool
	}{
		{"as it should be", "drop", simnet.Config{}, judge.ExitPass, nil, "", true},
		{"denied in another way", "icmp", simnet.Config{}, judge.ExitFail, []string{
			there + "SCTP/133: denied in another way", there + "TCP/132: denied in another way", there + "TCP/65000: denied in another way", there + "UDP/65000: denied in another way",
		}, "", true},
		{"SCTP is taken for TCP", "drop", simnet.Config{Defect: defect("sctp-as-tcp")}, judge.ExitFail, []string{
			there + "SCTP/132: outage: enforcement", there + "TCP/132: leak: enforcement",
		}, "", false},
		{"pings are lost", "drop", simnet.Config{Defect: defect("drops-echoes")}, judge.ExitFail, []string{back + "ICMP: outage: enforcement"}, "", false},
		{"a kernel without SCTP", "drop", simnet.Config{Mute: []matrix.Protocol{matrix.SCTP}}, judge.ExitInconclusive, []string{
			there + "SCTP/132: inconclusive", there + "SCTP/133: inconclusive", "lab/server-0 → lab/server-0 SCTP/132: inconclusive", "lab/server-0 → lab/server-0 SCTP/133: inconclusive",
		}, noSCTP, true},
		{"pods that may not ping", "drop", simnet.Config{Mute: []matrix.Protocol{matrix.ICMP}}, judge.ExitInconclusive, []string{back + "ICMP: inconclusive"}, noEcho, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			row.config.Lag = slow
			for _, row.config.Seed = range []uint64{0, 9} { // each makes another mistake on purpose
				result, _ := play(t, speakers(t, row.by), stageFor{Config: row.config, noMutant: row.config.Defect.Name != ""}, "")
				var not []string
				for _, c := range result.Cases {
					if c.Phase == record.PhaseMatrix && c.Verdict != matrix.Pass && c.Unjudged == "" {
						what := string(c.Kind)
						if c.Verdict == matrix.Inconclusive {
							what = "inconclusive"
						}
						not = append(not, c.Name+": "+what)
					}
				}
				slices.Sort(not)
				if !slices.Equal(not, row.not) || result.ExitCode() != row.exit {
					t.Errorf("seed %d: exit %d, did not pass: %q; want %d, %q", row.config.Seed, result.ExitCode(), not, row.exit, row.not)
				}
				if notes := strings.Join(result.Notes, "\n"); !strings.HasPrefix(notes, row.note) || row.note == "" && notes != "" || strings.Count(notes, "cannot be asked") > 1 {
					t.Errorf("notes %q, want %q", notes, row.note)
				}
				// What nobody can ask is not waited for.
				if row.quickly && result.Duration > 150*time.Second {
					t.Errorf("the run took %s", result.Duration)
				}
				if f := findFlow(result, there+"ICMP"); f.Matrix == judge.None || result.Cases[f.Matrix].Unjudged == "" {
					t.Errorf("a ping that the policies leave open is judged: %+v", f)
				}
				if row.note == noSCTP && !noticed(result) {
					t.Errorf("seed %d: the mistake on purpose is one of flows that nobody can ask: %q", row.config.Seed, result.Notes)
				}
			}
		})
	}
}

// findFlow of a result by its text.
func findFlow(r judge.Result, text string) judge.Flow {
	i := slices.IndexFunc(r.Flows, func(f judge.Flow) bool { return f.Flow.Flow.String() == text })
	if i < 0 {
		return judge.Flow{Matrix: judge.None}
	}
	return r.Flows[i]
}
