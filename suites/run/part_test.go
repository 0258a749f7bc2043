package run_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/segtest/segtest/fixtures/deploy"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/simnet"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/report"
	"github.com/segtest/segtest/suites/run"
	"github.com/segtest/segtest/suites/run/record"
)

// playPart runs a part of a scenario over a network in memory, as a caller steps
// through it.
func playPart(t *testing.T, sc *scenario.Scenario, config simnet.Config, keep func(matrix.Flow) bool, asked record.Asked, step func(context.Context, *run.Session)) judge.Result {
	t.Helper()
	var result judge.Result
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(config)
		s, err := run.New(run.Options{
			Scenario: sc, Provider: net, History: record.NewWriter(&full{room: 1 << 30}), RunID: "0badcafe",
			ProbeImage: "in memory", Select: keep, Asked: asked,
			StandIn: run.StandIn{Now: net.Now, Deploy: func(p deploy.Plan) (run.Deployment, error) { return &stage{Network: net, plan: p}, nil }},
		})
		if err != nil {
			t.Fatal(err)
		}
		step(t.Context(), s)
		result = judge.Judge(s.Record())
	})
	return result
}

// toTheEnd runs every step, and the matrix so many times.
func toTheEnd(t *testing.T, times int) func(context.Context, *run.Session) {
	return func(ctx context.Context, s *run.Session) {
		for _, step := range s.Steps() {
			all := []run.Step{step}
			for n := 2; step.Name == record.PhaseMatrix && n <= times; n++ {
				all = append(all, s.Repetition(n))
			}
			for _, step := range all {
				if err := s.Do(ctx, step); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := s.Close(ctx, false); err != nil {
			t.Fatal(err)
		}
	}
}

// grades are the evidence of every flow that a run judged.
func grades(r judge.Result) map[string]string {
	of := map[string]string{}
	for _, c := range r.Cases {
		if c.Phase == record.PhaseMatrix && c.Flow != judge.None {
			of[c.Name] = c.Verdict.String() + " " + c.Evidence
		}
	}
	return of
}

// named lists the cases of a phase in JUnit.
func named(t *testing.T, r judge.Result, phase string) []string {
	t.Helper()
	var b bytes.Buffer
	if err := report.JUnit(&b, r); err != nil {
		t.Fatal(err)
	}
	var read struct {
		Suites []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Name string `xml:"name,attr"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b.Bytes(), &read); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range read.Suites {
		for _, c := range s.Cases {
			if strings.HasSuffix(s.Name, "."+phase) {
				names = append(names, c.Name)
			}
		}
	}
	return names
}

// Shards together ask every flow once, and each proves its denies as well as the
// whole run does.
func TestShardsAreOneRun(t *testing.T) {
	t.Parallel()
	const of = 3
	for _, name := range []string{"two-tenants", "port-rules"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc := shipped(t, name)
			config := simnet.Config{Seed: 1, Lag: slow}
			whole := playPart(t, sc, config, nil, record.Asked{}, toTheEnd(t, 1))
			want := grades(whole)
			byControl, controls := 0, 0
			got := map[string]string{}
			var names []string
			for i := range of {
				shard := matrix.Shard{Index: i + 1, Of: of}
				part := playPart(t, sc, config, shard.Has, record.Asked{Shard: shard.String()}, toTheEnd(t, 1))
				if part.Verdict != matrix.Pass || part.Header.Flows != len(whole.Flows) || part.Header.Digest != whole.Header.Digest {
					t.Errorf("shard %s is %s, of %d flows", shard, part.Verdict, part.Header.Flows)
				}
				for _, f := range part.Flows {
					if f.Control {
						controls++
					}
					if f.Control == shard.Has(f.Flow.Flow) || f.Control && f.Computed.Intent != matrix.Allow {
						t.Errorf("shard %s asks %s as a control: %t", shard, f.Flow.Flow, f.Control)
					}
				}
				maps.Copy(got, grades(part))
				names = append(names, named(t, part, record.PhaseMatrix)...)
			}
			if !maps.Equal(got, want) {
				t.Errorf("the shards judge\n%v, the whole run\n%v", got, want)
			}
			for _, grade := range want {
				if grade == "pass a" {
					byControl++
				}
			}
			if byControl == 0 || controls == 0 {
				t.Errorf("%d denies need a control and %d were asked: this scenario tells nothing", byControl, controls)
			}
			all := named(t, whole, record.PhaseMatrix)
			slices.Sort(names)
			slices.Sort(all)
			if !slices.Equal(names, all) || len(all) != len(whole.Flows) {
				t.Errorf("the shards' JUnit names %d flows, that of the whole run %d of %d", len(names), len(all), len(whole.Flows))
			}
		})
	}
}

// A single deny that is chosen is proven by the control that comes along.
func TestSelectedDenyIsProven(t *testing.T) {
	t.Parallel()
	sc := shipped(t, "two-tenants")
	config := simnet.Config{Seed: 1, Lag: slow}
	whole := playPart(t, sc, config, nil, record.Asked{}, toTheEnd(t, 1))
	i := slices.IndexFunc(whole.Flows, func(f judge.Flow) bool { return f.Grade == "a" })
	if i < 0 {
		t.Fatal("no deny of the scenario has a control")
	}
	chosen := whole.Flows[i].Flow.Flow
	part := playPart(t, sc, config, func(f matrix.Flow) bool { return f == chosen }, record.Asked{}, toTheEnd(t, 1))
	if part.Verdict != matrix.Pass || len(part.Flows) != 2 || len(named(t, part, record.PhaseMatrix)) != 1 {
		t.Errorf("%s, with %d flows: %v", part.Verdict, len(part.Flows), named(t, part, record.PhaseMatrix))
	}
	if got := grades(part); len(got) != 1 || got[chosen.String()] != "pass a" {
		t.Errorf("the evidence is %v", got)
	}
}

// A leak that shows in one repetition only fails the run.
func TestRepetitionsFindWhatHappensOnce(t *testing.T) {
	t.Parallel()
	sc := shipped(t, "two-tenants")
	asked := record.Asked{Repeat: 4}
	clean := playPart(t, sc, simnet.Config{Seed: 1, Lag: slow}, nil, asked, toTheEnd(t, 4))
	if clean.Verdict != matrix.Pass || len(clean.Repetitions) != 4 {
		t.Errorf("%s in %d repetitions", clean.Verdict, len(clean.Repetitions))
	}
	for _, r := range clean.Repetitions {
		if r.Verdict() != matrix.Pass || r.All() != len(clean.Flows) {
			t.Errorf("repetition %d: %+v of %d flows", r.Number, r, len(clean.Flows))
		}
	}
	if n := len(named(t, clean, record.PhaseMatrix)); n != len(clean.Flows) {
		t.Errorf("JUnit names %d flows of %d", n, len(clean.Flows))
	}
	defects := simnet.Defects()
	i := slices.IndexFunc(defects, func(d simnet.Defect) bool { return d.Name == "leaks-once" })
	leaky := playPart(t, sc, simnet.Config{Seed: 1, Lag: slow, Defect: defects[i]}, nil, asked, toTheEnd(t, 4))
	failed := 0
	for _, r := range leaky.Repetitions {
		failed += r.Fail
	}
	if leaky.Verdict != matrix.Fail || failed == 0 {
		t.Errorf("%s, %d failures in the repetitions", leaky.Verdict, failed)
	}
}

// Repetitions are no steps of the run: one that is interrupted after many of them
// is not taken for a whole one.
func TestInterruptedAfterRepetitions(t *testing.T) {
	t.Parallel()
	sc := shipped(t, "two-tenants")
	result := playPart(t, sc, simnet.Config{Seed: 1, Lag: slow}, nil, record.Asked{Repeat: 9}, func(ctx context.Context, s *run.Session) {
		ctx, cancel := context.WithCancelCause(ctx)
		for _, step := range s.Steps() {
			if err := s.Do(ctx, step); err != nil {
				t.Fatal(err)
			}
			if step.Name == record.PhaseMatrix {
				break
			}
		}
		for n := 2; n < 9; n++ {
			if err := s.Do(ctx, s.Repetition(n)); err != nil {
				t.Fatal(err)
			}
		}
		cancel(errors.New("interrupted by the test"))
		if err := s.Close(ctx, false); err != nil {
			t.Fatal(err)
		}
	})
	if !result.Interrupted || result.ExitCode() != judge.ExitInterrupted || len(result.Repetitions) != 8 {
		t.Errorf("exit %d after %d repetitions, interrupted: %t", result.ExitCode(), len(result.Repetitions), result.Interrupted)
	}
}
