package run_test

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/segtest/segtest/fixtures/catalog"
	"github.com/segtest/segtest/fixtures/deploy"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/simnet"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run"
	"github.com/segtest/segtest/suites/run/record"
)

// Virtual time costs nothing but the passes that fit into it, so lines to agents
// are slow where nothing depends on them.
const (
	slow = 1200 * time.Millisecond
	// Logs of receivers must be readable in time.
	moderate = 300 * time.Millisecond
	// The samplers must be at a new pod before its gap is over.
	quick = 20 * time.Millisecond
)

// found is which shipped scenario finds a defect, and by which findings.
var found = []struct {
	defect, scenario string
	lag              time.Duration
	kinds            []judge.Kind // sorted
}{
	{"drops-echoes", "protocols", slow, []judge.Kind{judge.KindOutage}},
	{"drops-replies", "outbound-rules", slow, []judge.Kind{judge.KindOutage}},
	{"first-packet-leaks", "two-tenants", slow, []judge.Kind{judge.KindLeak}},
	{"forgets-last-removal", "two-tenants", slow, []judge.Kind{judge.KindStillClosed}},
	{"ignores-egress", "outbound-rules", slow, []judge.Kind{judge.KindLeak}},
	{"ignores-end-port", "port-rules", slow, []judge.Kind{judge.KindOutage}},
	{"ignores-except", "outbound-rules", slow, []judge.Kind{judge.KindLeak}},
	{"ignores-namespace-selector", "two-tenants", slow, []judge.Kind{judge.KindLeak}},
	{"ignores-policy-types", "outbound-rules", slow, []judge.Kind{judge.KindLeak, judge.KindOutage}},
	{"leaks-once", "two-tenants", slow, []judge.Kind{judge.KindLeak}},
	{"node-does-not-enforce", "two-tenants", slow, []judge.Kind{judge.KindLeak}},
	{"open-at-pod-start", "restarted-pod", quick, []judge.Kind{judge.KindLeakFault}},
	// At whatever moment an engine falls out, no flow that was open passes.
	{"opens-briefly", "restarted-pod", quick, []judge.Kind{judge.KindLeakFault}},
	{"opens-under-load", "two-tenants", slow, []judge.Kind{judge.KindLeak}},
	{"policy-of-another-namespace", "two-tenants", slow, []judge.Kind{judge.KindOutage}},
	{"sctp-as-tcp", "port-rules", slow, []judge.Kind{judge.KindLeak}},
	{"stale-addresses", "restarted-pod", moderate, []judge.Kind{judge.KindLeakFault, judge.KindLeak}},
	{"stale-after-relabel", "changed-labels", moderate, []judge.Kind{judge.KindNever}},
	{"udp-as-tcp", "port-rules", slow, []judge.Kind{judge.KindLeak, judge.KindOutage}},
	{"wrong-named-port", "port-rules", slow, []judge.Kind{judge.KindLeak, judge.KindOutage}},
}

// TestSimnetFindsEveryDefect: a run over a network with a defect fails, names
// the flows that the defect changed, and no other.
func TestSimnetFindsEveryDefect(t *testing.T) {
	t.Parallel()
	defects := simnet.Defects()
	if len(defects) != len(found) {
		t.Errorf("%d defects and %d rows", len(defects), len(found))
	}
	for i, row := range found {
		if i >= len(defects) || defects[i].Name != row.defect {
			t.Fatalf("row %d is of %s, which is not defect %d", i, row.defect, i)
		}
		t.Run(row.defect, func(t *testing.T) {
			t.Parallel()
			sc, journal := shipped(t, row.scenario), filepath.Join(t.TempDir(), "journal")
			for seed := range seeds(t) {
				result, net := play(t, sc, stageFor{Config: simnet.Config{Seed: seed, Defect: defects[i], Lag: row.lag}, noMutant: true}, journal)
				if result.Verdict != matrix.Fail || result.ExitCode() != judge.ExitFail {
					t.Errorf("seed %d: %s, exit %d", seed, result.Verdict, result.ExitCode())
				}
				leaked, lost, kinds := findings(result)
				same(t, seed, "leaked", leaked, asked(result, net.Leaked()))
				same(t, seed, "lost", lost, asked(result, net.Lost()))
				if !slices.Equal(kinds, row.kinds) {
					t.Errorf("seed %d: findings of the kinds %q, want %q", seed, kinds, row.kinds)
				}
			}
		})
	}
}

// TestSimnetFindsNothingWithoutDefect: a run over a network that does what its
// policies say passes.
func TestSimnetFindsNothingWithoutDefect(t *testing.T) {
	t.Parallel()
	lags := map[string]time.Duration{}
	for _, row := range found {
		lags[row.scenario] = min(row.lag, cmp.Or(lags[row.scenario], row.lag))
	}
	for _, name := range slices.Sorted(maps.Keys(lags)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc, journal := shipped(t, name), filepath.Join(t.TempDir(), "journal")
			for seed := range seeds(t) {
				result, net := play(t, sc, stageFor{Config: simnet.Config{Seed: seed, Lag: lags[name]}}, journal)
				if result.Verdict != matrix.Pass || result.ExitCode() != judge.ExitPass {
					t.Errorf("seed %d: %s, exit %d: %v", seed, result.Verdict, result.ExitCode(), doubtful(result))
				}
				if !noticed(result) {
					t.Errorf("seed %d: the mistake on purpose was not seen: %v", seed, result.Notes)
				}
				if total := result.Total; total.Pass < 3*len(result.Flows) || total.Flaky > 0 {
					t.Errorf("seed %d: %+v of %d flows in three phases", seed, total, len(result.Flows))
				}
				if leaked, lost := net.Leaked(), net.Lost(); len(leaked)+len(lost) > 0 {
					t.Errorf("seed %d: the network leaked %v and lost %v", seed, leaked, lost)
				}
			}
		})
	}
}

// TestSimnetNoticesThatItNoticesNothing: where a policy is changed and the network
// stays as it is, a run cannot prove that it would see a mistake.
func TestSimnetNoticesThatItNoticesNothing(t *testing.T) {
	t.Parallel()
	for seed := range seeds(t) {
		result, _ := play(t, shipped(t, "two-tenants"), stageFor{Config: simnet.Config{Seed: seed, Lag: slow}, deaf: true}, "")
		if result.Verdict != matrix.Inconclusive || result.ExitCode() != judge.ExitInconclusive || noticed(result) {
			t.Errorf("seed %d: %s, exit %d: %v", seed, result.Verdict, result.ExitCode(), doubtful(result))
		}
		if all := doubtful(result); len(all) != 1 || all[0] != "mutant: a mistake is noticed: nothing" {
			t.Errorf("seed %d: in doubt are %q", seed, all)
		}
	}
}

// TestSimnetConvergence: how soon an engine follows a change is within the bounds
// that a run finds, on every node, and connections that are older fare as they do.
func TestSimnetConvergence(t *testing.T) {
	t.Parallel()
	shipped := *shipped(t, "changed-labels")
	for _, row := range []struct {
		name    string
		config  simnet.Config
		times   int
		within  time.Duration
		verdict matrix.Verdict
		kept    func(judge.Convergence) int
	}{
		{"as the seed has it", simnet.Config{Lag: quick}, 3, 0, matrix.Pass, func(c judge.Convergence) int { return c.Kept }},
		{"in time", simnet.Config{Lag: moderate, Delay: 1234 * time.Millisecond, Established: simnet.Stalled}, 1, 2 * time.Second, matrix.Pass, func(c judge.Convergence) int { return c.Stalled }},
		{"too slow", simnet.Config{Lag: quick, Delay: 2100 * time.Millisecond, Established: simnet.Reset}, 1, 2 * time.Second, matrix.Fail, func(c judge.Convergence) int { return c.Reset }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			sc := shipped
			sc.Convergence = &scenario.Convergence{Times: row.times, Of: scenario.Changes(), Within: row.within}
			for seed := range max(seeds(t), 3) {
				row.config.Seed = seed
				result, net := play(t, &sc, stageFor{Config: row.config, noMutant: true}, "")
				if result.Verdict != row.verdict || len(result.Changes) != 4 {
					t.Errorf("seed %d: %s with %d kinds of change: %v", seed, result.Verdict, len(result.Changes), doubtful(result))
				}
				var truth []time.Duration
				for _, node := range net.Workers() {
					truth = append(truth, net.Delay(node))
				}
				slices.Sort(truth)
				for _, c := range result.Changes {
					around(t, seed, c, truth, row.times)
					if n := row.kept(c); c.To == matrix.Deny && n != c.N || c.Established() != n {
						t.Errorf("seed %d: %s: %s", seed, c.Name(), c)
					}
				}
			}
		})
	}
}

// around checks the figures of a change that took each of two nodes so long, each
// so often.
func around(t *testing.T, seed uint64, c judge.Convergence, truth []time.Duration, times int) {
	t.Helper()
	if c.N != 2*times || c.Resolution <= 0 || c.Resolution > 20*time.Millisecond || c.Period > 20*time.Millisecond {
		t.Errorf("seed %d: %s: %s, every %s", seed, c.Name(), c, c.Period)
	}
	for i, b := range []judge.Bounds{c.P50, c.Max} {
		if b.Lower > truth[i] || b.Upper < truth[i] || b.Upper-b.Lower > c.Resolution {
			t.Errorf("seed %d: %s took %s, not %s", seed, c.Name(), truth[i], b)
		}
	}
}

// noticed reports that a run saw the mistake that it made.
func noticed(r judge.Result) bool {
	return slices.ContainsFunc(r.Cases, func(c judge.Case) bool { return c.Phase == record.PhaseMutant && c.Verdict == matrix.Pass })
}

// stageFor is the network of one run.
type stageFor struct {
	simnet.Config
	noMutant bool
	deaf     bool // no engine hears that a policy has changed
}

// play runs a scenario over a network in memory, in virtual time, and judges it.
// The journal of its faults goes into a file of that name.
func play(t *testing.T, sc *scenario.Scenario, config stageFor, journal string) (judge.Result, *simnet.Network) {
	t.Helper()
	var result judge.Result
	var net *simnet.Network
	synctest.Test(t, func(t *testing.T) {
		net = simnet.New(config.Config)
		s, err := run.New(run.Options{
			Scenario: sc, Provider: net, History: record.NewWriter(&full{room: 1 << 30}), RunID: "0badcafe", Seed: config.Seed,
			ProbeImage: "in memory", Safety: run.Safety{Journal: journal}, NoMutant: config.noMutant,
			StandIn: run.StandIn{Now: net.Now, Deploy: func(p deploy.Plan) (run.Deployment, error) {
				return &stage{Network: net, plan: p, deaf: config.deaf}, nil
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		ran := s.All(t.Context())
		if closed := s.Close(t.Context(), false); ran != nil || closed != nil {
			t.Fatalf("seed %d: ran: %v; closed: %v", config.Seed, ran, closed)
		}
		result = judge.Judge(s.Record())
	})
	return result, net
}

func shipped(t *testing.T, name string) *scenario.Scenario {
	t.Helper()
	sc, err := scenario.Loader{FS: catalog.FS()}.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

// seeds is how many a test tries: one, or as many as SEGTEST_SEEDS says.
func seeds(t *testing.T) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(cmp.Or(os.Getenv("SEGTEST_SEEDS"), "1"), 10, 32)
	if err != nil || n == 0 {
		t.Fatalf("SEGTEST_SEEDS=%q is no number of seeds: %v", os.Getenv("SEGTEST_SEEDS"), err)
	}
	return n
}

// findings are the flows that failed, by what they failed with, and the kinds.
func findings(r judge.Result) (leaked, lost []matrix.Flow, kinds []judge.Kind) {
	for _, c := range r.Cases {
		if c.Verdict != matrix.Fail || c.Unjudged != "" {
			continue
		}
		if kinds = append(kinds, c.Kind); c.Flow == judge.None {
			continue // of the run's own pods
		}
		switch flow := r.Flows[c.Flow].Flow.Flow; c.Kind {
		case judge.KindLeak, judge.KindLeakFault:
			leaked = append(leaked, flow)
		case judge.KindOutage, judge.KindOutageFault, judge.KindStillClosed:
			lost = append(lost, flow)
		case judge.KindTooWide, judge.KindTooWideDiffers, judge.KindTooNarrow, judge.KindTooNarrowDiffers, judge.KindEnforcement, judge.KindNever, judge.KindSlow, judge.KindGap, judge.KindOtherwise:
		}
	}
	slices.Sort(kinds)
	slices.SortFunc(leaked, matrix.Flow.Compare)
	slices.SortFunc(lost, matrix.Flow.Compare)
	return slices.Compact(leaked), slices.Compact(lost), slices.Compact(kinds)
}

// asked keeps the flows of a run: those of its sentinels are none.
func asked(r judge.Result, flows []matrix.Flow) []matrix.Flow {
	var index []matrix.Flow
	for _, f := range r.Flows {
		index = append(index, f.Flow.Flow)
	}
	return slices.DeleteFunc(flows, func(f matrix.Flow) bool { return !slices.Contains(index, f) })
}

func same(t *testing.T, seed uint64, what string, got, want []matrix.Flow) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("seed %d: the run found that the network %s %v, and it %s %v", seed, what, got, what, want)
	}
}

// doubtful are the cases that did not pass.
func doubtful(r judge.Result) []string {
	var all []string
	for _, c := range r.Cases {
		if c.Verdict != matrix.Pass && c.Unjudged == "" {
			all = append(all, c.Phase+": "+c.Name+": "+c.Observed)
		}
	}
	return all
}
