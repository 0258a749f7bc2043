package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/segtest/segtest/chaos"
)

// look is one observation of a fault's effect or healing.
type look func(context.Context) (chaos.Proof, error)

// await repeats a look until its proof is seen or the context ends. The last
// thing that was missing, or the last error, is in the Detail of a proof that
// was not seen and in the error.
func (e *Engine) await(ctx context.Context, what string, look look) (chaos.Proof, error) {
	ticker := time.NewTicker(e.pause())
	defer ticker.Stop()
	var last chaos.Proof
	var lastErr error
	for {
		proof, err := look(ctx)
		if err == nil && proof.Seen {
			proof.At = e.now()
			return proof, nil
		}
		// An observation that was cut off says less than the one before it.
		if ctx.Err() == nil || last.Detail == "" {
			last, lastErr = proof, err
			if err != nil {
				last = chaos.Proof{Detail: err.Error()}
			}
		}
		select {
		case <-ctx.Done():
			return last, notSeen(ctx, what, last, lastErr)
		case <-ticker.C:
		}
	}
}

func notSeen(ctx context.Context, what string, last chaos.Proof, lastErr error) error {
	if lastErr != nil {
		return fmt.Errorf("%s: %w; last error: %w", what, context.Cause(ctx), lastErr)
	}
	return fmt.Errorf("%s: %w; last seen: %s", what, context.Cause(ctx), last.Detail)
}

// stay waits until the time has passed or the context ends.
func stay(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("holding the fault: %w", context.Cause(ctx))
	case <-timer.C:
		return nil
	}
}
