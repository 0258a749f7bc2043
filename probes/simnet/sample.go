package simnet

import (
	"fmt"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// silence is how long a sample waits for its answer.
const silence = 400 * time.Millisecond

// sampler tries its targets once a period.
type sampler struct {
	request wire.Sampling
	stopped chan struct{}
	ended   chan struct{}
	series  []wire.Series // the sampler's own until it ended
}

// sample starts a sampler.
func (a *agent) sample(r wire.Sampling) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s, ok := a.samplers[r.Name]; ok && !isClosed(s.ended) {
		return fmt.Errorf("starting sampler %q: it runs already", r.Name)
	}
	s := &sampler{request: r, stopped: make(chan struct{}), ended: make(chan struct{}), series: make([]wire.Series, len(r.Targets))}
	for i, t := range r.Targets {
		s.series[i].Flow = t.Flow
	}
	a.samplers[r.Name] = s
	go s.run(a)
	return nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// stop a sampler and tell what it saw.
func (a *agent) stop(name string) []wire.Response {
	a.mu.Lock()
	s, ok := a.samplers[name]
	if ok && !isClosed(s.stopped) {
		close(s.stopped)
	}
	a.mu.Unlock()
	if !ok {
		return failed(fmt.Errorf("stopping sampler %q: there is none", name))
	}
	<-s.ended
	lines := make([]wire.Response, len(s.series))
	for i := range s.series {
		lines[i] = wire.Response{Series: &s.series[i]}
	}
	return lines
}

// run tries all targets at once, again and again.
func (s *sampler) run(a *agent) {
	defer close(s.ended)
	ticker := time.NewTicker(s.request.Period)
	defer ticker.Stop()
	for end := a.net.Now() + s.request.Until; a.net.Now() < end; {
		for i, t := range s.request.Targets {
			s.take(a, i, t)
		}
		select {
		case <-ticker.C:
		case <-s.stopped:
			return
		case <-a.gone:
			return
		}
	}
}

// take one sample.
func (s *sampler) take(a *agent, i int, t wire.Target) {
	var r wire.Run
	if t.Held {
		r = s.ask(a, i, t)
	} else {
		r = fresh(a, t)
	}
	series := &s.series[i]
	series.Scheduled++
	series.Taken++
	if n := len(series.Runs); n > 0 && series.Runs[n-1].Outcome == r.Outcome && series.Runs[n-1].Denial == r.Denial && series.Runs[n-1].Detail == r.Detail {
		last := &series.Runs[n-1]
		last.Count++
		last.Last, last.End = r.Last, max(last.End, r.End)
		return
	}
	series.Runs = append(series.Runs, r)
}

// fresh is a sample of a connection, or datagram, of its own.
func fresh(a *agent, t wire.Target) wire.Run {
	now := a.net.Now()
	r := wire.Run{Outcome: matrix.TimedOut, Denial: matrix.Dropped, Count: 1, First: now, Last: now, End: now + silence}
	p, f, who, err := a.dial(t)
	if o, denial := outcome(p, f, who, t.PeerUID); o != matrix.Unknown {
		r.Outcome, r.Denial, r.End = o, denial, now+a.net.delay(p)
	}
	if err != nil {
		r.Outcome, r.Denial, r.Detail, r.End = matrix.LocalError, matrix.DenialUnknown, err.Error(), now
	}
	return r
}

// ask over the connection that the first sample made. While its flow is closed
// it fares as the network has it; one that never stood, or was reset, stays so.
func (s *sampler) ask(a *agent, i int, t wire.Target) wire.Run {
	r := fresh(a, t)
	runs := s.series[i].Runs
	if len(runs) == 0 || r.Outcome == matrix.Connected && runs[len(runs)-1].Outcome == matrix.Connected {
		return r
	}
	last := runs[len(runs)-1]
	switch {
	case last.Outcome == matrix.Refused || runs[0].Outcome != matrix.Connected:
		r.Outcome, r.Denial = last.Outcome, last.Denial
	case a.net.config.Established == Kept:
		r.Outcome, r.Denial, r.End = matrix.Connected, matrix.DenialUnknown, r.First
	case a.net.config.Established == Reset:
		r.Outcome, r.Denial, r.End = matrix.Refused, matrix.Reset, r.First
	}
	return r
}
