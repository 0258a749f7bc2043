package prober_test

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
	"github.com/segtest/segtest/probes/wire"
)

// stubborn is a stream on which nothing moves until it is closed.
type stubborn struct {
	closed chan struct{}
	once   sync.Once
}

func (s *stubborn) Read([]byte) (int, error)  { <-s.closed; return 0, io.EOF }
func (s *stubborn) Write([]byte) (int, error) { <-s.closed; return 0, io.ErrClosedPipe }
func (s *stubborn) Close() error              { s.once.Do(func() { close(s.closed) }); return nil }

type dialFunc func(context.Context, matrix.Endpoint) (io.ReadWriteCloser, error)

func (d dialFunc) Dial(ctx context.Context, ep matrix.Endpoint) (io.ReadWriteCloser, error) {
	return d(ctx, ep)
}

// TestNoGoroutineIsLeft is not parallel: it counts the process's goroutines.
func TestNoGoroutineIsLeft(t *testing.T) {
	w := newTown(t, "TCP/80", "shop/web-0")
	late := &stubborn{closed: make(chan struct{})}
	for _, row := range []struct {
		name string
		dial dialFunc
		bad  error // context's end, nil for a good answer
	}{
		{"good", w.Dial, nil},
		{"hangs", func(context.Context, matrix.Endpoint) (io.ReadWriteCloser, error) {
			return &stubborn{closed: make(chan struct{})}, nil
		}, context.DeadlineExceeded},
		{"dials too late", func(ctx context.Context, _ matrix.Endpoint) (io.ReadWriteCloser, error) {
			<-ctx.Done()
			return late, nil
		}, context.DeadlineExceeded},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			c := prober.NewClient(row.dial, "shop/web-0", prober.Limits{})
			limit := 200 * time.Millisecond
			if row.bad == nil {
				limit = patience
			}
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			lines, err := c.Do(ctx, wire.Request{Stats: &wire.Stats{}}, 0)
			if row.bad == nil && (err != nil || lines[0].Stats.RSSBytes <= 0) || !errors.Is(err, row.bad) {
				t.Errorf("%d lines, %v, want %v", len(lines), err, row.bad)
			}
			if err := c.Close(context.Background()); err != nil {
				t.Error(err)
			}
			if _, err := c.Do(context.Background(), wire.Request{Hello: &wire.Hello{}}, 0); err == nil || !strings.Contains(err.Error(), "closed") {
				t.Errorf("a closed client answers %v", err)
			}
			settled(t, before)
		})
	}
	select {
	case <-late.closed:
	default:
		t.Error("the stream that came too late was left open")
	}
}

// TestHungStreamIsReplaced has a first stream that hangs and a second that works.
func TestHungStreamIsReplaced(t *testing.T) {
	t.Parallel()
	w := newTown(t, "TCP/80", "shop/web-0")
	w.dial = func(_ context.Context, ep matrix.Endpoint) (io.ReadWriteCloser, error) {
		if w.dials == 1 {
			return &stubborn{closed: make(chan struct{})}, nil
		}
		return w.open(ep)
	}
	c := prober.NewClient(w, "shop/web-0", prober.Limits{Reply: 300 * time.Millisecond})
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	if hello, err := c.Hello(context.Background()); err != nil || hello.Identity.Endpoint != "shop/web-0" || w.dials != 2 {
		t.Errorf("hello = %+v, %v after %d dials", hello, err, w.dials)
	}
}

// TestTruncatedAnswerIsAnError takes a line out of an answer.
func TestTruncatedAnswerIsAnError(t *testing.T) {
	t.Parallel()
	w := newTown(t, "TCP/80", "shop/web-0")
	w.dial = func(_ context.Context, ep matrix.Endpoint) (io.ReadWriteCloser, error) {
		return scripted{agent: w.agents[ep], edit: func(r *wire.Response) {
			if r.Done != nil {
				r.Done.Count++
			}
		}}.serve(t), nil
	}
	c := prober.NewClient(w, "shop/web-0", prober.Limits{})
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	lines, err := c.Do(context.Background(), wire.Request{Stats: &wire.Stats{}}, 0)
	if len(lines) != 1 || err == nil || !strings.Contains(err.Error(), "got 1 lines of 2") {
		t.Errorf("%d lines, %v", len(lines), err)
	}
}

func TestCloseDoesNotWaitForever(t *testing.T) {
	t.Parallel()
	held, release := net.Pipe()
	c := prober.NewClient(dialFunc(func(context.Context, matrix.Endpoint) (io.ReadWriteCloser, error) {
		return struct {
			io.ReadWriter
			io.Closer
		}{held, io.NopCloser(nil)}, nil // Close does not end Read
	}), "shop/web-0", prober.Limits{Reply: 50 * time.Millisecond})
	if _, err := c.Do(context.Background(), wire.Request{Hello: &wire.Hello{}}, 0); err == nil {
		t.Error("nobody answered, and no error")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := c.Close(ctx); err == nil || !strings.Contains(err.Error(), "its stream does not end") {
		t.Errorf("close = %v", err)
	}
	_ = release.Close()
	if err := c.Close(context.Background()); err != nil {
		t.Errorf("after the stream ended: %v", err)
	}
}

func TestRequestsShareAStream(t *testing.T) {
	t.Parallel()
	w := newTown(t, "UDP/80", "shop/web-0")
	c := prober.NewClient(w, "shop/web-0", prober.Limits{})
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	silent, err := net.ListenPacket("udp", w.member("shop/web-0").IPs[0]+":99")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	target := wire.Target{Protocol: matrix.UDP, Address: silent.LocalAddr().String(), PeerUID: "x"}
	ctx, cancel := context.WithCancel(context.Background())
	slow := make(chan error)
	go func() {
		_, err := c.Do(ctx, wire.Request{Batch: &wire.Batch{Wait: patience, Attempts: 1, Targets: []wire.Target{target}}}, patience)
		slow <- err
	}()
	if _, _, err := silent.ReadFrom(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Hello(context.Background()); err != nil {
		t.Errorf("while a batch waits: %v", err)
	}
	cancel() // given up by the caller: the stream is good and stays
	if err := <-slow; !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	if _, err := c.Hello(context.Background()); err != nil || w.dials != 1 {
		t.Errorf("after %d dials: %v", w.dials, err)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	w := newTown(t, "TCP/80", "shop/web-0", "shop/db-0")
	delete(w.agents, "shop/db-0")
	got := w.fleet(prober.Limits{}).Health(context.Background(), w.members)
	if h := got[0]; h.Err != nil || h.Endpoint != "shop/web-0" || h.Stats.RSSBytes <= 0 || h.Hello.Listening[0] != "TCP/80" {
		t.Errorf("web = %+v", h)
	}
	if h := got[1]; h.Err == nil || h.Endpoint != "shop/db-0" {
		t.Errorf("db = %+v", h)
	}
}
