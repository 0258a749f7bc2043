package prober

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// outwait lets the unanswered flows of a pass be silent for as long as its
// answers demand, and puts the answers that come meanwhile into the cells. The
// agents have kept those flows open. A late answer may be the slowest, and then
// it demands more. Where nothing is slow it costs nothing.
func (f *Fleet) outwait(ctx context.Context, p Plan, involved []Member, reports map[matrix.Endpoint]*report, cells []Cell) {
	for waited := p.Wait; ; {
		wait, silent := p.DenyWait(cells), p.silent(cells)
		if wait <= waited || len(silent) == 0 {
			return
		}
		pause(ctx, wait-waited)
		each(involved, func(m Member) struct{} {
			if silent[m.Endpoint] {
				f.takeLate(ctx, m, reports[m.Endpoint], wait, waited)
			}
			return struct{}{}
		})
		for i, q := range p.Questions {
			if r, ok := reports[q.From].results[q.Flow]; ok {
				cells[i].Sample, cells[i].Peer = r.Sample, r.Peer
			}
		}
		waited = wait
	}
}

// silent are the senders of flows that may be answered yet.
func (p Plan) silent(cells []Cell) map[matrix.Endpoint]bool {
	senders := map[matrix.Endpoint]bool{}
	for i, q := range p.Questions {
		switch cells[i].Sample.Outcome {
		case matrix.TimedOut, matrix.HandshakeOnly:
			senders[q.From] = true
		case matrix.Unknown, matrix.Connected, matrix.WrongPeer, matrix.Refused, matrix.Unreachable, matrix.OneWay, matrix.LocalError:
		}
	}
	return senders
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// takeLate puts what a sender saw after its results into its report.
func (f *Fleet) takeLate(ctx context.Context, m Member, r *report, wait, waited time.Duration) {
	lines, err := f.client(m.Endpoint).Do(ctx, wire.Request{Late: &wire.Late{Since: r.hello.Now}}, 0)
	r.late = nil // one good answer tells everything since the batch
	if err != nil {
		r.late = fmt.Errorf("silence of %s is too short where %s is due, and later answers are not known: %w", waited, wait, err)
	}
	for _, line := range lines {
		if line.Result == nil {
			continue
		}
		// The source ports tell this pass's try from those of another.
		told, ok := r.results[line.Result.Flow]
		if ok && len(told.Sources) > 0 && slices.Equal(told.Sources, line.Result.Sources) {
			r.results[told.Flow] = *line.Result
		}
	}
}
