package prober_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
	"github.com/segtest/segtest/probes/wire"
)

func TestReceipts(t *testing.T) {
	t.Parallel()
	w := newTown(t, "UDP/80", "shop/web-0", "shop/db-0")
	f := w.fleet(prober.Limits{})
	ask := prober.Plan{Members: w.members, Questions: []prober.Question{w.ask(0, "shop/web-0", "shop/db-0", matrix.UDP, 80)}}
	since, boot := time.Duration(0), ""
	for range 2 {
		pass(t, f, ask)
		got, err := f.Receipts(t.Context(), w.members[1], since)
		// One is of the receiver's question to itself.
		if err != nil || got.Boot == "" || got.Forgot || len(got.All) != 2 || boot != "" && got.Boot != boot {
			t.Fatalf("since %v: %+v, %v, want what this pass sent", since, got, err)
		}
		since, boot = got.All[1].At+1, got.Boot
	}
}

func TestReceiptsOfAnotherPod(t *testing.T) {
	t.Parallel()
	w := newTown(t, "TCP/80", "shop/db-0")
	gone := w.members[0]
	gone.PodUID = "uid-of-the-first"
	f := w.fleet(prober.Limits{})
	if got, err := f.Receipts(t.Context(), gone, 0); err == nil || !strings.Contains(err.Error(), "pod uid-of-the-first is expected") || len(got.All) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := f.Receipts(t.Context(), w.members[0], 0); err != nil || w.dials != 1 {
		t.Errorf("%d streams and %v, want the first stream to stay", w.dials, err)
	}
}

// TestReceiptsGivenUp: who does not want to wait leaves the stream to others.
func TestReceiptsGivenUp(t *testing.T) {
	t.Parallel()
	w := newTown(t, "TCP/80", "shop/db-0")
	hold := make(chan struct{})
	asked := make(chan struct{}, 8)
	w.dial = func(_ context.Context, ep matrix.Endpoint) (io.ReadWriteCloser, error) {
		return scripted{agent: w.agents[ep], edit: func(*wire.Response) {
			asked <- struct{}{}
			<-hold
		}}.serve(t), nil
	}
	f := w.fleet(prober.Limits{Reply: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel(); close(hold) }()
	if _, err := f.Receipts(ctx, w.members[0], 0); err == nil {
		t.Error("a question that was given up has an answer")
	}
	if _, err := f.Receipts(t.Context(), w.members[0], 0); err != nil {
		t.Errorf("the next question: %v", err)
	}
}
