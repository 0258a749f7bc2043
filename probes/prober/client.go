package prober

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// Dialer opens a stream to the agent of an endpoint.
type Dialer interface {
	// Dial connects the caller with the agent in the pod that holds the endpoint
	// now. ctx bounds the dialling only: the stream lives until it is closed, and
	// Close makes a blocked Read or Write return.
	Dial(ctx context.Context, ep matrix.Endpoint) (io.ReadWriteCloser, error)
}

var (
	errClosed = errors.New("the client is closed")
	// errTruncated says that the agent no longer keeps all receipts asked for.
	errTruncated = errors.New("the agent forgot some of what arrived")
	errDialSlow  = errors.New("no connection to the agent in time")
	errReplySlow = errors.New("no answer from the agent in time")
)

// Limits bound how long an agent may take. The zero value is the defaults.
type Limits struct {
	Dial  time.Duration // to open a stream; 0 is 15 s
	Reply time.Duration // to answer, beyond the time that the request itself takes; 0 is 5 s
}

func (l Limits) dial() time.Duration {
	if l.Dial > 0 {
		return l.Dial
	}
	return 15 * time.Second
}

func (l Limits) reply() time.Duration {
	if l.Reply > 0 {
		return l.Reply
	}
	return 5 * time.Second
}

// Client speaks with one agent over one long-lived stream, which it opens when
// it is first needed and again after it broke. It is safe for concurrent use.
type Client struct {
	endpoint matrix.Endpoint
	dialer   Dialer
	limits   Limits
	lock     chan struct{} // held while stream is looked at or dialled
	stream   *stream
	closed   bool
	work     sync.WaitGroup
}

// NewClient makes a client. It dials nothing yet; Close ends it.
func NewClient(d Dialer, ep matrix.Endpoint, limits Limits) *Client {
	return &Client{endpoint: ep, dialer: d, limits: limits, lock: make(chan struct{}, 1)}
}

// Do asks the agent once and returns the lines of its answer, the Done line
// left out. takes is how long the request itself lasts, a batch for example.
// With an error the lines that arrived before it are returned too.
func (c *Client) Do(ctx context.Context, req wire.Request, takes time.Duration) ([]wire.Response, error) {
	s, err := c.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking the agent of %s: %w", c.endpoint, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, takes+c.limits.reply(), errReplySlow)
	defer cancel()
	lines, err := s.do(ctx, req)
	if err != nil {
		return lines, fmt.Errorf("asking the agent of %s: %w", c.endpoint, err)
	}
	return lines, nil
}

// Hello asks the agent who it is. A stream that broke unnoticed since the last
// request is replaced once.
func (c *Client) Hello(ctx context.Context) (wire.HelloInfo, error) {
	lines, err := c.Do(ctx, wire.Request{Hello: &wire.Hello{}}, 0)
	if err != nil && ctx.Err() == nil {
		lines, err = c.Do(ctx, wire.Request{Hello: &wire.Hello{}}, 0)
	}
	if err != nil {
		return wire.HelloInfo{}, err
	}
	if len(lines) != 1 || lines[0].Hello == nil {
		return wire.HelloInfo{}, fmt.Errorf("asking the agent of %s: it does not say who it is", c.endpoint)
	}
	hello := *lines[0].Hello
	if hello.Version != wire.Version {
		return hello, fmt.Errorf("asking the agent of %s: it speaks version %d of the protocol, segtest speaks %d; rebuild the probe image",
			c.endpoint, hello.Version, wire.Version)
	}
	return hello, nil
}

// reset closes the stream; the next request opens another one.
func (c *Client) reset(ctx context.Context) error {
	if err := c.acquire(ctx); err != nil {
		return err
	}
	defer c.release()
	c.hangUp()
	return nil
}

// Close ends the client and waits for its goroutines, as long as ctx allows.
func (c *Client) Close(ctx context.Context) error {
	if err := c.acquire(ctx); err != nil {
		return fmt.Errorf("closing the client of %s: %w", c.endpoint, err)
	}
	c.closed = true
	c.hangUp()
	c.release()
	ended := make(chan struct{})
	go func() {
		c.work.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("closing the client of %s: its stream does not end: %w", c.endpoint, context.Cause(ctx))
	}
}

func (c *Client) acquire(ctx context.Context) error {
	select {
	case c.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *Client) release() { <-c.lock }

func (c *Client) hangUp() {
	if c.stream != nil {
		c.stream.fail(errClosed)
		c.stream = nil
	}
}

// connect returns the stream, a new one where there is none that lives.
func (c *Client) connect(ctx context.Context) (*stream, error) {
	if err := c.acquire(ctx); err != nil {
		return nil, err
	}
	defer c.release()
	if c.closed {
		return nil, errClosed
	}
	if c.stream != nil && c.stream.alive() {
		return c.stream, nil
	}
	c.hangUp()
	rwc, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	c.stream = newStream(rwc, &c.work)
	return c.stream, nil
}

// dial honours ctx also where the dialer does not: a stream that comes too
// late is closed.
func (c *Client) dial(ctx context.Context) (io.ReadWriteCloser, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.limits.dial(), errDialSlow)
	defer cancel()
	type dialled struct {
		rwc io.ReadWriteCloser
		err error
	}
	result := make(chan dialled)
	c.work.Go(func() {
		rwc, err := c.dialer.Dial(ctx, c.endpoint)
		select {
		case result <- dialled{rwc, err}:
		case <-ctx.Done():
			if rwc != nil {
				_ = rwc.Close()
			}
		}
	})
	select {
	case r := <-result:
		if r.err != nil {
			return nil, fmt.Errorf("connecting: %w", r.err)
		}
		return r.rwc, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("connecting: %w", context.Cause(ctx))
	}
}
