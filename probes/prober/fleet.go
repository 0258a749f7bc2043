package prober

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// dialsAtOnce is how many streams are opened at the same time.
const dialsAtOnce = 32

// Fleet is the clients of all agents of a run. Its streams outlive a pass. It
// is safe for concurrent use.
type Fleet struct {
	dialer Dialer
	limits Limits

	mu      sync.Mutex
	clients map[matrix.Endpoint]*Client
}

// NewFleet makes a fleet. It dials nothing yet; Close ends it.
func NewFleet(d Dialer, limits Limits) *Fleet {
	return &Fleet{
		dialer: &turnstile{dialer: d, slots: make(chan struct{}, dialsAtOnce)}, limits: limits,
		clients: map[matrix.Endpoint]*Client{},
	}
}

// Close ends all clients and waits for their goroutines, as long as ctx allows.
func (f *Fleet) Close(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	errs := make(chan error, len(f.clients))
	for _, c := range f.clients {
		go func() { errs <- c.Close(ctx) }()
	}
	var err error
	for range f.clients {
		err = errors.Join(err, <-errs)
	}
	return err
}

// turnstile lets only so many callers dial at once.
type turnstile struct {
	dialer Dialer
	slots  chan struct{}
}

func (t *turnstile) Dial(ctx context.Context, ep matrix.Endpoint) (io.ReadWriteCloser, error) {
	select {
	case t.slots <- struct{}{}:
		defer func() { <-t.slots }()
		return t.dialer.Dial(ctx, ep)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (f *Fleet) client(ep matrix.Endpoint) *Client {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, ok := f.clients[ep]
	if !ok {
		c = NewClient(f.dialer, ep, f.limits)
		f.clients[ep] = c
	}
	return c
}

// each runs a call per member, all at the same moment, and waits for them.
// The results are in the order of the members.
func each[T any](members []Member, call func(Member) T) []T {
	results := make([]T, len(members))
	var open sync.WaitGroup
	for i, m := range members {
		open.Go(func() { results[i] = call(m) })
	}
	open.Wait()
	return results
}

// hello asks a member who it is and insists on the pod that the caller knows:
// a stream that leads to an earlier pod of the endpoint is replaced once.
func (f *Fleet) hello(ctx context.Context, m Member) (wire.HelloInfo, error) {
	c := f.client(m.Endpoint)
	info, err := c.Hello(ctx)
	if err == nil && info.Identity.PodUID != m.PodUID {
		if err := c.reset(ctx); err != nil {
			return info, err
		}
		info, err = c.Hello(ctx)
	}
	if err != nil {
		return info, err
	}
	if info.Identity.PodUID != m.PodUID {
		return info, fmt.Errorf("asking the agent of %s: pod %s answers, and pod %s is expected; look up the pods again",
			m.Endpoint, info.Identity.PodUID, m.PodUID)
	}
	return info, nil
}

// Health is how one agent is.
type Health struct {
	Endpoint matrix.Endpoint
	Hello    wire.HelloInfo
	Stats    wire.StatsInfo
	Err      error // nil when the agent of the expected pod answered
}

// Health asks every member who it is and how it is, in the order of the
// members. MaxLate counts from the last time that it was asked.
func (f *Fleet) Health(ctx context.Context, members []Member) []Health {
	return each(members, func(m Member) Health {
		h := Health{Endpoint: m.Endpoint}
		if h.Hello, h.Err = f.hello(ctx, m); h.Err != nil {
			return h
		}
		lines, err := f.client(m.Endpoint).Do(ctx, wire.Request{Stats: &wire.Stats{}}, 0)
		switch {
		case err != nil:
			h.Err = err
		case len(lines) != 1 || lines[0].Stats == nil:
			h.Err = fmt.Errorf("asking the agent of %s: it does not say how it is", m.Endpoint)
		default:
			h.Stats = *lines[0].Stats
		}
		return h
	})
}
