// Package specs is the Ginkgo tree over scenarios: one spec per step of a run
// and one per phase and sender, each with one assertion. It is built from
// sessions that exist before RunSpecs, and a session runs exactly once.
package specs

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/formatter"
	"github.com/onsi/gomega"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run"
	"github.com/segtest/segtest/suites/run/record"
)

// grace is how long an interrupted step may take to clean up.
const grace = 3 * time.Minute

// Describe adds one session to the tree. parent may be nil; when it ends, so
// does the step that runs.
func Describe(parent context.Context, name string, session *run.Session) bool {
	return ginkgo.Describe(name, ginkgo.Ordered, ginkgo.ContinueOnFailure, func() {
		for _, step := range session.Steps() {
			ginkgo.It(step.Name, func(ctx ginkgo.SpecContext) {
				do(ctx, parent, session, step)
			}, ginkgo.GracePeriod(grace))
			if !slices.Contains([]string{record.PhaseBaseline, record.PhaseMatrix, record.PhaseOpen}, step.Name) {
				continue
			}
			for _, sender := range senders(session.Record().Flows) {
				ginkgo.It(fmt.Sprintf("%s: from %s", step.Name, sender), func() {
					skipAfterFailure(session)
					gomega.Expect(wrong(session.Record(), step.Name, sender)).To(gomega.BeEmpty())
				})
			}
		}
	})
}

// do runs one step and, where the step is a fault, judges it.
func do(ctx, parent context.Context, session *run.Session, step run.Step) {
	skipAfterFailure(session)
	merged, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if parent != nil {
		defer context.AfterFunc(parent, func() { cancel(context.Cause(parent)) })()
	}
	if err := session.Do(merged, step); err != nil {
		ginkgo.Fail(err.Error())
	}
	if strings.HasPrefix(step.Name, record.PhaseFault("")) {
		gomega.Expect(wrong(session.Record(), step.Name, "")).To(gomega.BeEmpty())
	}
}

func skipAfterFailure(session *run.Session) {
	if err := session.Err(); err != nil {
		ginkgo.Skip("a step before this one failed: " + err.Error())
	}
}

// wrong lists the cases of a phase that are neither passed nor known gaps.
// from "" takes all senders and the phases that follow a fault too.
func wrong(rec record.Record, phase string, from matrix.Endpoint) []string {
	result := judge.Judge(rec)
	var lines []string
	for _, c := range result.Cases {
		switch {
		case from == "" && !strings.HasPrefix(c.Phase, phase), from != "" && c.Phase != phase:
			continue
		case from != "" && c.Flow != judge.None && result.Flows[c.Flow].From != from:
			continue
		case c.Unjudged != "", c.Verdict == matrix.Pass, c.Verdict == matrix.KnownGap:
			continue
		}
		lines = append(lines, fmt.Sprintf("%s: %s: expected %s, observed %s", c.Verdict, c.Name, c.Expected, c.Observed))
	}
	return lines
}

func senders(flows []record.Flow) []matrix.Endpoint {
	var all []matrix.Endpoint
	for _, f := range flows {
		all = append(all, f.From)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// verdict takes Ginkgo's word that a spec failed; the Result says what it means.
type verdict struct{ failed bool }

func (v *verdict) Fail() { v.failed = true }

// Run runs the tree from a program that is no test binary, once per process.
// What Ginkgo says goes to out.
func Run(suite string, out io.Writer) bool {
	testing.Init()
	gomega.RegisterFailHandler(ginkgo.Fail)
	formatter.ColorableStdOut = out
	config, reporter := ginkgo.GinkgoConfiguration()
	config.GracePeriod = grace
	config.Timeout = 24 * time.Hour // runs bound their own steps
	reporter.Succinct, reporter.NoColor = true, true
	v := &verdict{}
	return ginkgo.RunSpecs(v, suite, config, reporter) && !v.failed
}
