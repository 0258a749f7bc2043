package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segtest/segtest/suites/run/record"
)

// write appends to the record, on disk and in memory.
func (s *Session) write(e record.Event) error {
	if e.Header != nil {
		e.Header.Schema = record.Schema
	}
	if err := s.seen.record.Add(e); err != nil {
		return fmt.Errorf("keeping the record: %w", err)
	}
	return s.opts.History.Append(e)
}

func (s *Session) writeHead() error {
	sc := s.opts.Scenario
	header := &record.Header{
		RunID: s.opts.RunID, Scenario: sc.Name, File: sc.Source.File,
		Started: time.Now().UTC(), Monotonic: s.now(), Seed: s.opts.Seed,
		Facts: s.opts.Facts, Labels: sc.Labels, Dropped: withoutStandIn(sc),
		Asked: s.opts.Asked, Flows: s.whole.Len(), Digest: record.Digest(s.whole.All()),
	}
	for i, spec := range sc.Chaos {
		header.Faults = append(header.Faults, faultID(i, spec))
	}
	if c := sc.Convergence; c != nil {
		header.Changes = &record.Changes{Times: c.Times, Within: c.Within, Origin: c.Origin}
		for _, what := range c.Of {
			header.Changes.Of = append(header.Changes.Of, string(what))
		}
	}
	if err := s.write(record.Event{Header: header}); err != nil {
		return err
	}
	for _, f := range s.subject.flows(sc) {
		if err := s.write(record.Event{Flow: &f}); err != nil {
			return err
		}
	}
	return nil
}

// finish writes the end of the record.
func (s *Session) finish(ctx context.Context, leftBehind error) error {
	end := &record.End{At: s.now()}
	if s.failed == nil && ctx.Err() != nil && s.done < len(s.Steps()) {
		s.failed = context.Cause(ctx) // between two steps
	}
	switch {
	case errors.Is(s.failed, ErrUnenforced):
	case s.failed != nil:
		end.Error = s.failed.Error()
		end.Interrupted = ctx.Err() != nil
		end.Environment = !end.Interrupted
	}
	if leftBehind != nil {
		end.LeftBehind = leftBehind.Error()
	}
	return s.write(record.Event{End: end})
}
