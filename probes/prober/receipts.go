package prober

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segtest/segtest/probes/wire"
)

// Receipts is what one agent logged. The zero value is that of an agent that
// said nothing.
type Receipts struct {
	Boot string // of the agent; another boot has forgotten what this one logged
	All  []wire.Receipt
	// Untold is what went unlogged since the pod began.
	Untold wire.Untold
	// Forgot says that the agent logged more since the moment asked for than it
	// keeps.
	Forgot bool
}

// Receipts asks a member what arrived there since a moment of CLOCK_MONOTONIC;
// half-open connections are listed whatever their age. Unlike a pass it leaves
// a stream that leads to another pod of the endpoint alone, which is an error,
// so that it may be asked while others use the agent. A caller that does not
// want to wait cancels ctx, which keeps the stream; a deadline ends it.
func (f *Fleet) Receipts(ctx context.Context, m Member, since time.Duration) (Receipts, error) {
	c := f.client(m.Endpoint)
	hello, err := c.Hello(ctx)
	if err != nil {
		return Receipts{}, err
	}
	if hello.Identity.PodUID != m.PodUID {
		return Receipts{}, fmt.Errorf("asking the agent of %s: pod %s answers, and pod %s is expected", m.Endpoint, hello.Identity.PodUID, m.PodUID)
	}
	lines, err := c.Do(ctx, wire.Request{Receipts: &wire.Receipts{Since: since}}, 0)
	got := Receipts{Boot: hello.Identity.Boot, Forgot: errors.Is(err, errTruncated)}
	if err != nil && !got.Forgot {
		return Receipts{}, err
	}
	for _, line := range lines {
		if line.Untold != nil {
			got.Untold = *line.Untold
		}
		if line.Receipt != nil {
			r := *line.Receipt
			r.Source = normal(r.Source)
			got.All = append(got.All, r)
		}
	}
	return got, nil
}
