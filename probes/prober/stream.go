package prober

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

// stream carries requests to one agent and its answers back, many at once,
// told apart by id. It dies as a whole: with the first error, or when a call
// hangs, because one that hangs cannot be trusted with the next.
type stream struct {
	rwc  io.ReadWriteCloser
	out  chan []byte
	done chan struct{}   // closed with the stream
	work *sync.WaitGroup // the client's: everything that runs for it

	mu    sync.Mutex
	calls map[uint64]*call
	id    uint64
	err   error // why the stream died
}

// call is one request under way.
type call struct {
	lines []wire.Response
	ended chan struct{} // closed after the last line
	err   error
}

func newStream(rwc io.ReadWriteCloser, work *sync.WaitGroup) *stream {
	s := &stream{rwc: rwc, out: make(chan []byte), done: make(chan struct{}), work: work, calls: map[uint64]*call{}}
	s.work.Go(s.read)
	s.work.Go(s.write)
	return s
}

// fail ends the stream; the first error is kept. It does not wait, not even
// for a Close that hangs.
func (s *stream) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.err = err
	close(s.done)
	s.work.Go(func() { _ = s.rwc.Close() }) // ends read and write
}

func (s *stream) alive() bool {
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

func (s *stream) read() {
	in := json.NewDecoder(bufio.NewReader(s.rwc))
	for {
		var r wire.Response
		if err := in.Decode(&r); err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("the stream ended")
			}
			s.fail(fmt.Errorf("reading answers: %w", err))
			return
		}
		s.take(r)
	}
}

// take hands a line to its call; a call that was given up has none.
func (s *stream) take(r wire.Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.calls[r.ID]
	if !ok {
		return
	}
	switch {
	case r.Error != "":
		c.err = fmt.Errorf("the agent says: %s", r.Error)
	case r.Done == nil:
		c.lines = append(c.lines, r)
		return
	case r.Done.Count != len(c.lines):
		c.err = fmt.Errorf("reading an answer: got %d lines of %d", len(c.lines), r.Done.Count)
	case r.Done.Truncated:
		c.err = errTruncated
	}
	delete(s.calls, r.ID)
	close(c.ended)
}

func (s *stream) write() {
	for {
		select {
		case line := <-s.out:
			if _, err := s.rwc.Write(line); err != nil {
				s.fail(fmt.Errorf("sending a request: %w", err))
				return
			}
		case <-s.done:
			return
		}
	}
}

// do sends a request and collects its answer. With an error it returns the
// lines that did arrive; each of them is good.
func (s *stream) do(ctx context.Context, req wire.Request) ([]wire.Response, error) {
	c := &call{ended: make(chan struct{})}
	s.mu.Lock()
	s.id++
	req.ID = s.id
	s.calls[req.ID] = c
	s.mu.Unlock()
	line, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("writing a request: %w", err)
	}
	select {
	case s.out <- append(line, '\n'):
	case <-s.done:
		return s.giveUp(req.ID, c, nil) //nolint:contextcheck // the stream outlives the call
	case <-ctx.Done():
		return s.giveUp(req.ID, c, ctx)
	}
	select {
	case <-c.ended:
		return c.lines, c.err
	case <-s.done:
		return s.giveUp(req.ID, c, nil) //nolint:contextcheck // the stream outlives the call
	case <-ctx.Done():
		return s.giveUp(req.ID, c, ctx)
	}
}

// giveUp takes what arrived so far. A call that ran into its deadline takes
// the stream with it.
func (s *stream) giveUp(id uint64, c *call, ctx context.Context) ([]wire.Response, error) {
	var err error
	if ctx != nil {
		err = context.Cause(ctx)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			s.fail(fmt.Errorf("waiting for an answer: %w", err))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.calls, id)
	select {
	case <-c.ended: // the last line won the race
		return c.lines, c.err
	default:
	}
	if err == nil {
		err = s.err
	}
	return c.lines, err
}
