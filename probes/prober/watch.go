package prober

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// WatchPlan is what to sample.
type WatchPlan struct {
	Name      string // of the samplers; unique among those that run
	Members   []Member
	Questions []Question
	Period    time.Duration // see Period
	Deadline  time.Duration // of one sample; 0 is 400 ms for TCP, 300 ms for UDP
	// Until ends the samplers if nobody stops them.
	Until time.Duration
	Seed  uint64
}

// Watched is what became of one flow of a watch: a series, or an error.
type Watched struct {
	Flow   int
	Series wire.Series
	Error  string // why there is no series, or an incomplete one
}

// Watching is a set of samplers that run in the agents. It holds nothing that
// needs to be closed: samplers end by themselves after WatchPlan.Until.
type Watching struct {
	fleet    *Fleet
	plan     WatchPlan
	senders  []Member
	greeting map[matrix.Endpoint]wire.HelloInfo
	failed   map[matrix.Endpoint]error
}

// Watch starts a sampler on the agent of every sender. When some could not be
// started it returns the others, running, and an error that names those.
func (f *Fleet) Watch(ctx context.Context, p WatchPlan) (*Watching, error) {
	members, err := enroll(p.Members)
	err = errors.Join(err, checkQuestions(members, p.Questions))
	if p.Name == "" || p.Period <= 0 || p.Until <= 0 {
		err = errors.Join(err, errors.New("a watch needs a name, a period and an end"))
	}
	if err != nil {
		return nil, fmt.Errorf("planning a watch: %w", err)
	}
	w := &Watching{fleet: f, plan: p, greeting: map[matrix.Endpoint]wire.HelloInfo{}, failed: map[matrix.Endpoint]error{}}
	requests := map[matrix.Endpoint]*wire.Sampling{}
	for _, q := range p.Questions {
		s, ok := requests[q.From]
		if !ok {
			s = &wire.Sampling{Name: p.Name, Period: p.Period, Deadline: p.Deadline, Until: p.Until, Seed: p.Seed}
			requests[q.From] = s
		}
		s.Targets = append(s.Targets, members.target(q))
	}
	for _, m := range members.involved(p.Questions) {
		if requests[m.Endpoint] != nil {
			w.senders = append(w.senders, m)
		}
	}
	type started struct {
		hello wire.HelloInfo
		err   error
	}
	all := each(w.senders, func(m Member) started {
		hello, err := f.hello(ctx, m)
		if err == nil {
			_, err = f.client(m.Endpoint).Do(ctx, wire.Request{Sample: requests[m.Endpoint]}, 0)
		}
		return started{hello, err}
	})
	for i, m := range w.senders {
		w.greeting[m.Endpoint] = all[i].hello
		if all[i].err != nil {
			w.failed[m.Endpoint] = all[i].err
			err = errors.Join(err, fmt.Errorf("starting sampler %q: %w", p.Name, all[i].err))
		}
	}
	return w, err
}

// Stop ends the samplers and returns one Watched per question of the plan, in
// its order. A sender that cannot be reached, or whose agent was started anew
// and forgot, has an error and no series.
func (w *Watching) Stop(ctx context.Context) []Watched {
	all := each(w.senders, func(m Member) collected {
		if err := w.failed[m.Endpoint]; err != nil {
			return collected{err: err}
		}
		return w.collect(ctx, m)
	})
	out := make([]Watched, len(w.plan.Questions))
	for i, q := range w.plan.Questions {
		out[i] = Watched{Flow: q.Flow}
		from := slices.IndexFunc(w.senders, func(m Member) bool { return m.Endpoint == q.From })
		series, ok := all[from].series[q.Flow]
		switch {
		case ok && series.Scheduled > 0:
			out[i].Series = series
		case all[from].err != nil:
			out[i].Error = all[from].err.Error()
		case ok:
			out[i].Error = fmt.Sprintf("sampling at %s: nothing was scheduled before the stop", q.From)
		default:
			out[i].Error = fmt.Sprintf("sampling at %s: the agent returned no series of this flow", q.From)
		}
	}
	return out
}

// collected is what one sender returned.
type collected struct {
	series map[int]wire.Series
	err    error
}

// collect stops the sampler of one sender. Stop may be repeated, so a stream
// that breaks is replaced once.
func (w *Watching) collect(ctx context.Context, m Member) collected {
	c := w.fleet.client(m.Endpoint)
	stop := func() ([]wire.Response, error) {
		hello, err := c.Hello(ctx)
		if err != nil {
			return nil, err
		}
		if was := w.greeting[m.Endpoint].Identity; hello.Identity != was {
			return nil, fmt.Errorf("asking the agent of %s: it was started anew (boot %s of pod %s, was %s of %s) and forgot its samples",
				m.Endpoint, hello.Identity.Boot, hello.Identity.PodUID, was.Boot, was.PodUID)
		}
		return c.Do(ctx, wire.Request{Stop: &wire.Stop{Name: w.plan.Name}}, time.Second)
	}
	lines, err := stop()
	if err != nil && ctx.Err() == nil {
		lines, err = stop()
	}
	got := collected{series: map[int]wire.Series{}, err: err}
	for _, line := range lines {
		if line.Series != nil {
			got.series[line.Series.Flow] = *line.Series
		}
	}
	return got
}
