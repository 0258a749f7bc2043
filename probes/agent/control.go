package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/segtest/segtest/probes/wire"
)

var errEnded = errors.New("the agent is ending")

// Handle answers the requests that come over a stream, several at once, until
// the stream ends. After the last request it answers what is still open, then
// it closes the stream. A stream that breaks cancels its batches, never a
// sampler.
func (a *Agent) Handle(ctx context.Context, stream io.ReadWriteCloser) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	closing := context.AfterFunc(ctx, func() { _ = stream.Close() })
	defer func() {
		closing()
		_ = stream.Close()
	}()
	out := &answers{buf: bufio.NewWriterSize(stream, 4096), broken: cancel}
	var open sync.WaitGroup
	defer open.Wait()
	in := json.NewDecoder(bufio.NewReaderSize(stream, 4096))
	for {
		var req wire.Request
		err := in.Decode(&req)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case ctx.Err() != nil:
			return nil
		case err != nil:
			cancel()
			return fmt.Errorf("reading a request: %w", err)
		}
		open.Go(func() { a.serve(ctx, req, out) })
	}
}

// answers writes response lines, whole and in turn.
type answers struct {
	mu     sync.Mutex
	buf    *bufio.Writer
	broken func() // called when a line cannot be written
}

func (w *answers) write(flush bool, responses ...wire.Response) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range responses {
		b, err := json.Marshal(r)
		if err == nil {
			_, err = w.buf.Write(append(b, '\n'))
		}
		if err != nil {
			w.broken()
			return
		}
	}
	if flush && w.buf.Flush() != nil {
		w.broken()
	}
}

// serve answers one request.
func (a *Agent) serve(ctx context.Context, req wire.Request, out *answers) {
	reply := func(lines []wire.Response, err error) {
		for i := range lines {
			lines[i].ID = req.ID
		}
		last := wire.Response{ID: req.ID, Done: &wire.Done{Count: len(lines)}}
		if err != nil {
			last = wire.Response{ID: req.ID, Error: err.Error()}
		}
		out.write(true, append(lines, last)...)
	}
	switch {
	case req.Hello != nil:
		reply(a.hello())
	case req.Batch != nil:
		a.serveBatch(ctx, req.ID, *req.Batch, out)
	case req.Receipts != nil:
		a.serveReceipts(ctx, req.ID, *req.Receipts, out)
	case req.Late != nil:
		a.serveLate(ctx, req.ID, *req.Late, out)
	case req.Sample != nil:
		var err error
		if !a.on(func() { err = a.startSampler(*req.Sample) }) {
			err = errEnded
		}
		reply(nil, err)
	case req.Stop != nil:
		reply(a.stopSampler(ctx, req.Stop.Name))
	case req.Stats != nil:
		reply(a.stats())
	default:
		reply(nil, errors.New("reading a request: it asks for nothing that this agent knows"))
	}
}

// hello counts what went untold before it looks at the clock: what is lost from
// then on raises the count.
func (a *Agent) hello() ([]wire.Response, error) {
	untold, err := a.tables.untold()
	if err != nil {
		return nil, err
	}
	return []wire.Response{{Hello: &wire.HelloInfo{
		Version: wire.Version, Identity: a.identity, Listening: a.listening, Speaks: a.speaks, Untold: untold, Now: now(),
	}}}, nil
}

func (a *Agent) serveBatch(ctx context.Context, id uint64, b wire.Batch, out *answers) {
	if err := checkBatch(b); err != nil {
		out.write(true, wire.Response{ID: id, Error: err.Error()})
		return
	}
	results := make(chan wire.Result, len(b.Targets)) // the loop never waits for the stream
	run := newBatch(a.loop, b, a.nonces, func(r wire.Result) { results <- r }, a.late.add)
	if !a.loop.post(run.pump) {
		out.write(true, wire.Response{ID: id, Error: errEnded.Error()})
		return
	}
	for n := range b.Targets {
		select {
		case r := <-results:
			// Lines go out in groups while results come fast, at once when they do not.
			out.write(len(results) == 0, wire.Response{ID: id, Result: &r})
		case <-ctx.Done():
			a.loop.post(run.stop)
			return
		case <-a.ended:
			out.write(true, wire.Response{ID: id, Error: fmt.Sprintf("%v, %d of %d targets tried", errEnded, n, len(b.Targets))})
			return
		}
	}
	out.write(true, wire.Response{ID: id, Done: &wire.Done{Count: len(b.Targets)}})
}

func (a *Agent) serveReceipts(ctx context.Context, id uint64, r wire.Receipts, out *answers) {
	// The half-open ones first, then what waits to be accepted: a connection that
	// moves on meanwhile is then seen twice and not missed.
	half, err := a.tables.halfOpen()
	if err != nil {
		out.write(true, wire.Response{ID: id, Error: err.Error()})
		return
	}
	var kept []wire.Receipt
	var truncated bool
	if !a.upToDate(ctx, func() { kept, truncated = a.receipts.since(r.Since) }) {
		out.write(true, wire.Response{ID: id, Error: errEnded.Error()})
		return
	}
	truncated = truncated || r.Since > 0 && a.started > r.Since
	// Last, so that it counts whatever the log misses.
	untold, err := a.tables.untold()
	if err != nil {
		out.write(true, wire.Response{ID: id, Error: err.Error()})
		return
	}
	kept = append(kept, half...)
	for i := range kept {
		out.write(false, wire.Response{ID: id, Receipt: &kept[i]})
	}
	out.write(true, wire.Response{ID: id, Untold: &untold}, wire.Response{ID: id, Done: &wire.Done{Count: len(kept) + 1, Truncated: truncated}})
}

func (a *Agent) stopSampler(ctx context.Context, name string) ([]wire.Response, error) {
	ready := make(chan []wire.Series, 1)
	known := false
	if !a.on(func() {
		var s *sampler
		if s, known = a.samplers[name]; known {
			s.stop(func(all []wire.Series) { ready <- all })
		}
	}) {
		return nil, errEnded
	}
	if !known {
		return nil, fmt.Errorf("stopping sampler %q: this boot of the agent (%s) has none of that name", name, a.identity.Boot)
	}
	select {
	case all := <-ready:
		lines := make([]wire.Response, len(all))
		for i := range all {
			lines[i].Series = &all[i]
		}
		return lines, nil
	case <-a.ended:
		return nil, errEnded
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (a *Agent) stats() ([]wire.Response, error) {
	resident, err := rss()
	if err != nil {
		return nil, err
	}
	info := wire.StatsInfo{Identity: a.identity, RSSBytes: resident}
	if !a.on(func() {
		info.MaxLate, a.maxLate = a.maxLate, 0
		info.SocketsNow = len(a.loop.fds) - 1 // the eventfd is none
	}) {
		return nil, errEnded
	}
	return []wire.Response{{Stats: &info}}, nil
}
