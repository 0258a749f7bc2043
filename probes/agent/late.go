package agent

import (
	"context"
	"time"

	"github.com/segtest/segtest/probes/wire"
)

// keptLate is how many late results an agent remembers.
const keptLate = 4096

// lateResults is the log of answers that came after their target's wait.
type lateResults struct {
	log  []lateResult // oldest first
	lost time.Duration
}

type lateResult struct {
	at     time.Duration
	result wire.Result
}

func (l *lateResults) add(r wire.Result) {
	if len(l.log) == keptLate {
		l.lost = l.log[0].at
		l.log = l.log[1:]
	}
	l.log = append(l.log, lateResult{now(), r})
}

// since returns the late results from a moment on, oldest first, and whether
// some of them are forgotten.
func (l *lateResults) since(t time.Duration) ([]wire.Result, bool) {
	var out []wire.Result
	for _, late := range l.log {
		if late.at >= t {
			out = append(out, late.result)
		}
	}
	return out, l.lost > 0 && l.lost >= t
}

// serveLate answers with what came late.
func (a *Agent) serveLate(ctx context.Context, id uint64, r wire.Late, out *answers) {
	var kept []wire.Result
	var truncated bool
	if !a.upToDate(ctx, func() { kept, truncated = a.late.since(r.Since) }) {
		out.write(true, wire.Response{ID: id, Error: errEnded.Error()})
		return
	}
	for i := range kept {
		out.write(false, wire.Response{ID: id, Result: &kept[i]})
	}
	out.write(true, wire.Response{ID: id, Done: &wire.Done{Count: len(kept), Truncated: truncated || a.started > r.Since}})
}

// upToDate runs f on the loop once the agent has taken everything that its
// kernel held for it when upToDate was called, and waits for it, as long as ctx
// lets it: while a listener is paused somebody may wait to be accepted. What the
// agent has not seen after that had not arrived. False means that ctx or the
// agent has ended.
func (a *Agent) upToDate(ctx context.Context, f func()) bool {
	done := make(chan struct{})
	var look func()
	look = func() {
		a.loop.caughtUp(func() {
			switch {
			case ctx.Err() != nil:
			case a.pauses > 0:
				a.loop.at(now()+acceptPause, func() { a.loop.soon(look) })
			default:
				f()
				close(done)
			}
		})
	}
	if !a.loop.post(look) {
		return false
	}
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	case <-a.ended:
		return false
	}
}
