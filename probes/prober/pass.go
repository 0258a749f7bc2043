package prober

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// Cell is what a pass saw on one flow.
type Cell struct {
	Flow     int
	Sample   matrix.Sample
	Evidence Evidence
	Peer     wire.Identity // who answered, if anybody did
}

// Evidence is what makes the absence of an answer a deny. The zero value is no
// evidence. The fields are those of the record.
type Evidence struct {
	// Control: another flow of the same sender to the same receiver connected in
	// this pass.
	Control bool
	// Baseline: this flow connected before there were policies.
	Baseline bool
	// Receiver: the receiver answered itself on this port in this pass, and the
	// sender answered itself too.
	Receiver bool
	// Arrived: the receiver logged this flow's packets.
	Arrived bool
	// Identity says how the peer is known where it does not say itself who it is:
	// ByAddress, or "".
	Identity string
	// Cause says why an Unknown or LocalError sample is not known.
	Cause string
}

// ByAddress is the Evidence.Identity of a peer of which only its address is known.
const ByAddress = "by address"

// report is what one member said in a pass.
type report struct {
	hello   wire.HelloInfo
	results map[int]wire.Result // by flow; self-probes have negative numbers
	selves  map[endpointPort]bool
	err     error // why results are missing
	late    error // why answers that came late are not known
}

// endpointPort is one of a member's own listening addresses.
type endpointPort struct {
	protocol matrix.Protocol
	address  string
}

// Pass asks every question of the plan once, all at the same moment, and
// returns one cell per question in the order of the plan. Silence lasts as long
// as the plan's DenyWait says of these very cells. What could not be
// asked, or not be proven to have been asked of a living receiver, is Unknown
// with a cause. The error is for a plan that makes no sense.
func (f *Fleet) Pass(ctx context.Context, p Plan) ([]Cell, error) {
	members, err := p.check()
	if err != nil {
		return nil, err
	}
	involved := members.involved(p.Questions)
	reports := make(map[matrix.Endpoint]*report, len(involved))
	// Everybody is greeted before anybody starts, so that no packet of this pass
	// is older than the moment from which receipts are asked for.
	for i, r := range each(involved, func(m Member) *report { return f.greet(ctx, m) }) {
		reports[involved[i].Endpoint] = r
	}
	batches := p.batches(members, involved, reports)
	each(involved, func(m Member) struct{} {
		f.runBatch(ctx, m, batches[m.Endpoint], reports[m.Endpoint])
		return struct{}{}
	})
	cells := p.cells(reports)
	f.outwait(ctx, p, involved, reports, cells)
	f.followUp(ctx, p, members, reports, cells)
	return cells, nil
}

func (f *Fleet) greet(ctx context.Context, m Member) *report {
	r := &report{results: map[int]wire.Result{}, selves: map[endpointPort]bool{}}
	r.hello, r.err = f.hello(ctx, m)
	return r
}

// batches shares the questions out: to every reachable member its own, and a
// self-probe for each port it listens on, at its own addresses.
func (p Plan) batches(members roster, involved []Member, reports map[matrix.Endpoint]*report) map[matrix.Endpoint]*wire.Batch {
	out := make(map[matrix.Endpoint]*wire.Batch, len(involved))
	perNode := map[string]int{}
	for i, m := range involved {
		out[m.Endpoint] = &wire.Batch{
			Wait: p.Wait, Hold: max(p.MaxWait-p.Wait, 0), Attempts: p.attempts(), Spread: p.spread(), Seed: p.Seed + uint64(i),
		}
	}
	echo := map[matrix.Endpoint]bool{} // who is asked by ICMP, and proves that it would answer
	for _, q := range p.Questions {
		b := out[q.From]
		b.Targets = append(b.Targets, members.target(q))
		perNode[members[q.From].Node]++
		for _, to := range q.To {
			echo[to] = echo[to] || q.Protocol == matrix.ICMP
		}
	}
	for _, m := range involved {
		b, r := out[m.Endpoint], reports[m.Endpoint]
		if asked := len(b.Targets); asked > 0 {
			share := p.perNode() * asked / perNode[m.Node]
			b.InFlight = max(share, 1)
		}
		selves := selfTargets(m, r.hello, echo[m.Endpoint])
		b.Targets = append(b.Targets, selves...)
		if b.InFlight > 0 {
			b.InFlight += len(selves) // they never leave the pod
		}
	}
	return out
}

func selfTargets(m Member, hello wire.HelloInfo, echo bool) []wire.Target {
	var targets []wire.Target
	add := func(p matrix.Protocol, ip string, port uint16) {
		targets = append(targets, wire.Target{
			Flow: -1 - len(targets), Protocol: p, PeerUID: m.PodUID, Address: net.JoinHostPort(ip, fmt.Sprint(port)),
		})
	}
	for _, ip := range m.IPs {
		for _, word := range hello.Listening {
			port, err := wire.ParsePort(word)
			if err != nil {
				continue // a port that this version cannot probe proves nothing
			}
			add(port.Protocol, ip, port.Number)
		}
		if echo {
			add(matrix.ICMP, ip, 0)
		}
	}
	return targets
}

// runBatch fills the report of one member.
func (f *Fleet) runBatch(ctx context.Context, m Member, b *wire.Batch, r *report) {
	if r.err != nil || len(b.Targets) == 0 {
		return
	}
	rounds := 1
	if b.InFlight > 0 {
		rounds = (len(b.Targets) + b.InFlight - 1) / b.InFlight
	}
	lines, err := f.client(m.Endpoint).Do(ctx, wire.Request{Batch: b}, b.Spread+time.Duration(rounds)*b.Wait)
	r.err = err
	for _, line := range lines {
		if line.Result != nil {
			r.results[line.Result.Flow] = *line.Result
		}
	}
	for _, t := range b.Targets {
		if t.Flow < 0 {
			r.selves[endpointPort{t.Protocol, t.Address}] = r.results[t.Flow].Sample.Outcome == matrix.Connected
		}
	}
}

// cells puts the results in the order of the questions.
func (p Plan) cells(reports map[matrix.Endpoint]*report) []Cell {
	cells := make([]Cell, len(p.Questions))
	for i, q := range p.Questions {
		r := reports[q.From]
		c := Cell{Flow: q.Flow}
		c.Evidence.Baseline = p.Baseline[q.Flow]
		if q.Protocol == matrix.ICMP {
			c.Evidence.Identity = ByAddress
		}
		result, ok := r.results[q.Flow]
		switch {
		case ok:
			c.Sample, c.Peer = result.Sample, result.Peer
			if c.Sample.Outcome == matrix.LocalError || c.Sample.Outcome == matrix.Unknown {
				c.Evidence.Cause = c.Sample.Detail
			}
		case r.err != nil:
			c.Evidence.Cause = r.err.Error()
		default:
			c.Evidence.Cause = fmt.Sprintf("asking the agent of %s: it left this flow out", q.From)
		}
		cells[i] = c
	}
	return cells
}
