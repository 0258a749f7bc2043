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

// Agents says how every agent is. The step "deploy" must have run.
func (s *Session) Agents(ctx context.Context) ([]prober.Health, error) {
	pods, err := s.place.deployment.Pods(ctx)
	if err != nil {
		return nil, err
	}
	return s.place.fleet.Health(ctx, members(pods)), nil
}
