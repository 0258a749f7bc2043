package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/segtest/segtest/fixtures/cluster"
	"github.com/segtest/segtest/fixtures/image"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run"
	"github.com/segtest/segtest/suites/run/record"
)

// passes is how often segtest asks the whole matrix.
const passes = 20

// segtestFigures is what was measured of segtest.
type segtestFigures struct {
	Flows        int     `json:"flows"`
	Denied       int     `json:"denied"`
	Passes       []pass  `json:"passes"`
	Median       float64 `json:"medianSeconds"`
	Slowest      float64 `json:"slowestSeconds"`
	PeakBytes    int64   `json:"peakResidentBytes"`  // of this process, cluster creation included
	AgentBytes   int64   `json:"agentResidentBytes"` // of the largest agent
	AgentBinary  int64   `json:"agentBinaryBytes"`
	Failed       int     `json:"casesFailed"`       // by segtest's own judgement of the record
	Inconclusive int     `json:"casesInconclusive"` // likewise
}

// pass is one look at the whole matrix.
type pass struct {
	Seconds float64 `json:"seconds"` // from the call to the last verdict
	// DenyWait is how long silence had to last to read as a deny.
	DenyWait float64  `json:"denyWaitSeconds,omitempty"`
	Load     float64  `json:"load"` // of the machine over the last minute, at the end
	Void     string   `json:"void,omitempty"`
	Wrong    []string `json:"wrong"` // cells that differ from what the policies compute to
}

func timeSegtest(ctx context.Context, in inputs, place *stage, progress cluster.Progress) (f segtestFigures, err error) {
	sc, err := scenario.Loader{}.LoadContext(ctx, in.scenario)
	if err != nil {
		return f, err
	}
	history, err := record.Create(filepath.Join(in.out, "record.jsonl"))
	if err != nil {
		return f, err
	}
	session, err := run.New(run.Options{
		Scenario: sc, Provider: place, History: history, RunID: run.NewID(), Progress: progress,
		Select: func(flow matrix.Flow) bool { return !sc.IsCanary(flow) }, // cyclonus has no such port
	})
	if err != nil {
		return f, errors.Join(err, history.Close())
	}
	err = f.repeat(ctx, session, progress)
	// The cluster stays for cyclonus; the stage removes it.
	if err = errors.Join(err, session.Close(ctx, true)); err != nil {
		return f, err
	}
	result := judge.Judge(session.Record())
	f.Failed, f.Inconclusive = result.Total.Fail, result.Total.Inconclusive
	f.PeakBytes, err = peakResident()
	if err != nil {
		return f, err
	}
	agent, err := image.Source{}.Binary(ctx)
	f.AgentBinary = int64(len(agent))
	return f, err
}

// repeat runs a session and, once the matrix stands, asks it again and again.
func (f *segtestFigures) repeat(ctx context.Context, session *run.Session, progress cluster.Progress) error {
	for _, step := range session.Steps() {
		if err := session.Do(ctx, step); err != nil {
			return err
		}
		if step.Name == record.PhaseMatrix {
			if err := f.matrix(ctx, session, progress); err != nil {
				return err
			}
		}
	}
	return nil
}

// matrix makes the passes that are timed, and looks at the agents after them.
func (f *segtestFigures) matrix(ctx context.Context, session *run.Session, progress cluster.Progress) error {
	flows := session.Record().Flows
	f.Flows = len(flows)
	for _, flow := range flows {
		if flow.Computed.Intent == matrix.Deny {
			f.Denied++
		}
	}
	for range passes {
		p, err := onePass(ctx, session, flows)
		if err != nil {
			return err
		}
		f.Passes = append(f.Passes, p)
		progress("segtest: %d flows in %.3f s (deny wait %.0f ms), %d wrong", f.Flows, p.Seconds, 1000*p.DenyWait, len(p.Wrong))
	}
	agents, err := session.Agents(ctx)
	if err != nil {
		return err
	}
	for _, a := range agents {
		if a.Err != nil {
			return a.Err
		}
		f.AgentBytes = max(f.AgentBytes, a.Stats.RSSBytes)
	}
	return nil
}

func onePass(ctx context.Context, session *run.Session, flows []record.Flow) (pass, error) {
	start := time.Now()
	seen, err := session.Pass(ctx)
	if err != nil {
		return pass{}, err
	}
	p := pass{Seconds: time.Since(start).Seconds(), DenyWait: seen.Wait.Seconds(), Void: seen.Void, Wrong: []string{}}
	for _, c := range seen.Cells {
		if flow := flows[c.Flow]; !agrees(flow.Computed.Intent, c.Sample.Outcome) {
			p.Wrong = append(p.Wrong, fmt.Sprintf("%s: %s by the policies, seen %s %s", flow.Flow, flow.Computed.Intent, c.Sample.Outcome, c.Evidence.Cause))
		}
	}
	p.Load, err = load()
	return p, err
}

// agrees reports that one look at a flow says what the oracle says; what could
// not be observed agrees with nothing.
func agrees(want matrix.Intent, seen matrix.Outcome) bool {
	switch want {
	case matrix.Allow:
		return seen == matrix.Connected
	case matrix.Deny:
		return seen.Blocked()
	case matrix.Unstated, matrix.Undefined:
	}
	return false
}
