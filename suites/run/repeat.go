package run

import (
	"context"

	"github.com/segtest/segtest/probes/prober"
	"github.com/segtest/segtest/suites/run/record"
)

// Pass asks the whole matrix once more, for whoever repeats it, and writes it
// down as a pass that counts. The step record.PhaseMatrix must have run.
func (s *Session) Pass(ctx context.Context) (record.Pass, error) {
	return s.pass(ctx, round{phase: record.PhaseMatrix})
}

// Repetition is the step that asks the whole matrix once more, as the step
// record.PhaseMatrix did once the matrix had settled, and as a repetition of its
// own: n is 2 for the first. It may run any time after that step and before
// the next.
func (s *Session) Repetition(n int) Step {
	return Step{Name: record.PhaseRepetition(n), more: true, run: func(ctx context.Context) error {
		s.seen.again = n
		defer func() { s.seen.again = 0 }()
		_, err := s.conclude(ctx, record.PhaseMatrix, s.expected)
		return err
	}}
}

// Agents says how every agent is. The step "deploy" must have run.
func (s *Session) Agents(ctx context.Context) ([]prober.Health, error) {
	pods, err := s.place.deployment.Pods(ctx)
	if err != nil {
		return nil, err
	}
	return s.place.fleet.Health(ctx, members(pods)), nil
}
