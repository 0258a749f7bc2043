package prober

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// arrivals is what one receiver logged.
type arrivals struct {
	logged map[wire.Receipt]bool // without At and HalfOpen
	half   map[wire.Receipt]bool // the half-open ones among them
	untold wire.Untold           // since it was greeted
	err    error
}

func (a arrivals) has(protocol matrix.Protocol, source string, port uint16) (seen, half bool) {
	key := wire.Receipt{Protocol: protocol, Source: normal(source), Port: port}
	return a.logged[key], a.half[key]
}

// normal spells an address in one way, IPv4-mapped ones as IPv4.
func normal(source string) string {
	ap, err := netip.ParseAddrPort(source)
	if err != nil {
		return source
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()).String()
}

// followUp completes the blocked cells: what their receivers logged, whether
// their receivers live, and the controls of the same pass.
func (f *Fleet) followUp(ctx context.Context, p Plan, members roster, reports map[matrix.Endpoint]*report, cells []Cell) {
	connected := controls(p, cells)
	lossy := lossOf(p, cells)
	logs := f.receipts(ctx, p, members, reports, cells)
	for i, q := range p.Questions {
		c := &cells[i]
		c.Evidence.Control = connected.control(q, *c)
		proven, doubt := senderWorks(q, reports)
		receiver := receiverProven(q, members, reports)
		c.Evidence.Receiver = proven && receiver == nil
		if !c.Sample.Outcome.Blocked() {
			continue
		}
		if where := arrived(q, members, reports, logs); where != "" {
			c.Evidence.Arrived = true
			c.Sample.Detail = fmt.Sprintf("%s; first read as %s", where, c.Sample.Outcome)
			c.Sample.Outcome, c.Sample.Denial = matrix.OneWay, matrix.DenialUnknown
			continue
		}
		if hasAgents(q, members) {
			doubt = cmp.Or(doubt, receiver, logged(q, members, logs))
		}
		if c.Sample.Outcome == matrix.TimedOut {
			doubt = cmp.Or(doubt, reports[q.From].late, lossy.doubt(c.Sample.Attempts), untold(q, logs))
			c.Sample.Detail = sentence(c.Sample.Detail, wire.Unlogged(q.Protocol))
		}
		if doubt != nil {
			c.Evidence.Cause = fmt.Sprintf("%s, but %v", c.Sample.Outcome, doubt)
			c.Sample.Outcome, c.Sample.Denial = matrix.Unknown, matrix.DenialUnknown
		}
	}
}

// pairs counts the connected flows of a pass by sender and receiver.
type pairs map[[2]matrix.Endpoint]int

func controls(p Plan, cells []Cell) pairs {
	connected := pairs{}
	for i, q := range p.Questions {
		if cells[i].Sample.Outcome == matrix.Connected {
			connected[[2]matrix.Endpoint{q.From, cells[i].Peer.Endpoint}]++
		}
	}
	return connected
}

// control reports that another flow of the same sender connected to each
// endpoint that may receive this one.
func (c pairs) control(q Question, cell Cell) bool {
	for _, to := range q.To {
		n := c[[2]matrix.Endpoint{q.From, to}]
		if cell.Sample.Outcome == matrix.Connected && cell.Peer.Endpoint == to {
			n-- // not its own control
		}
		if n < 1 {
			return false
		}
	}
	return len(q.To) > 0
}

func hasAgents(q Question, members roster) bool {
	return slices.ContainsFunc(q.To, func(ep matrix.Endpoint) bool { _, ok := members[ep]; return ok })
}

// senderWorks is proven when the sender reached one of its own ports, and an
// error when it has ports and reached none.
func senderWorks(q Question, reports map[matrix.Endpoint]*report) (proven bool, doubt error) {
	r := reports[q.From]
	for _, ok := range r.selves {
		if ok {
			return true, nil
		}
	}
	if len(r.selves) > 0 {
		return false, fmt.Errorf("the sender %s does not reach itself", q.From)
	}
	return false, nil
}

// receiverProven is nil when every endpoint that may receive the flow answered
// itself: on the flow's own address where that is the pod's, on all ports of
// the protocol behind a Service.
func receiverProven(q Question, members roster, reports map[matrix.Endpoint]*report) error {
	if len(q.To) == 0 {
		return errors.New("nobody is known to receive it")
	}
	for _, to := range q.To {
		m, ok := members[to]
		if !ok {
			return fmt.Errorf("the receiver %s has no agent", to)
		}
		r := reports[to]
		if r.err != nil {
			return fmt.Errorf("the receiver is not known to live: %w", r.err)
		}
		if !slices.Contains(r.hello.Speaks, q.Protocol) {
			return fmt.Errorf("the receiver %s does not speak %s: its kernel has none for it", to, q.Protocol)
		}
		if !r.answersItself(q, m) {
			return fmt.Errorf("the receiver %s does not answer itself on %s %s", to, q.Protocol, q.Address)
		}
	}
	return nil
}

func (r *report) answersItself(q Question, m Member) bool {
	if direct(q, m) {
		return r.selves[endpointPort{q.Protocol, q.Address}]
	}
	tried, all := false, true
	for self, ok := range r.selves {
		if self.protocol == q.Protocol {
			tried, all = true, all && ok
		}
	}
	return tried && all
}

// direct reports that the question is addressed to the member's own address.
func direct(q Question, m Member) bool {
	host, _, err := net.SplitHostPort(q.Address)
	return err == nil && slices.Contains(m.IPs, host)
}

// receipts asks the receivers of all blocked cells what arrived since they
// were greeted.
func (f *Fleet) receipts(ctx context.Context, p Plan, members roster, reports map[matrix.Endpoint]*report, cells []Cell) map[matrix.Endpoint]arrivals {
	var blocked []Question
	for i, q := range p.Questions {
		if cells[i].Sample.Outcome.Blocked() {
			blocked = append(blocked, q)
		}
	}
	var receivers []Member
	for _, m := range members.involved(blocked) {
		if slices.ContainsFunc(blocked, func(q Question) bool { return slices.Contains(q.To, m.Endpoint) }) {
			receivers = append(receivers, m)
		}
	}
	logs := make(map[matrix.Endpoint]arrivals, len(receivers))
	all := each(receivers, func(m Member) arrivals { return f.ask(ctx, m, reports[m.Endpoint]) })
	for i, m := range receivers {
		logs[m.Endpoint] = all[i]
	}
	return logs
}

func (f *Fleet) ask(ctx context.Context, m Member, r *report) arrivals {
	a := arrivals{logged: map[wire.Receipt]bool{}, half: map[wire.Receipt]bool{}}
	if r.hello.Identity.PodUID != m.PodUID {
		a.err = r.err // it was never greeted: there is no moment to ask from
		return a
	}
	lines, err := f.client(m.Endpoint).Do(ctx, wire.Request{Receipts: &wire.Receipts{Since: r.hello.Now}}, 0)
	a.err = err
	if !slices.ContainsFunc(lines, func(l wire.Response) bool { return l.Untold != nil }) {
		a.err = cmp.Or(a.err, errors.New("its agent does not say what its kernel dropped"))
	}
	for _, line := range lines {
		if line.Untold != nil {
			a.untold = wire.Untold{TCP: line.Untold.TCP - r.hello.Untold.TCP, UDP: line.Untold.UDP - r.hello.Untold.UDP}
		}
		if line.Receipt == nil {
			continue
		}
		key := wire.Receipt{Protocol: line.Receipt.Protocol, Source: normal(line.Receipt.Source), Port: line.Receipt.Port}
		for _, k := range []wire.Receipt{key, {Protocol: key.Protocol, Source: key.Source}} {
			a.logged[k] = true
			a.half[k] = a.half[k] || line.Receipt.HalfOpen
		}
	}
	return a
}

// arrived says at whom the packets of a blocked flow arrived, "" for nobody.
// Behind a Service the receiver's port is not the flow's.
func arrived(q Question, members roster, reports map[matrix.Endpoint]*report, logs map[matrix.Endpoint]arrivals) string {
	for _, to := range q.To {
		var port uint16
		if m, ok := members[to]; ok && direct(q, m) {
			if ap, err := netip.ParseAddrPort(q.Address); err == nil {
				port = ap.Port()
			}
		}
		for _, source := range reports[q.From].results[q.Flow].Sources {
			switch seen, half := logs[to].has(q.Protocol, source, port); {
			case half:
				return fmt.Sprintf("arrived at %s from %s, half-open", to, source)
			case seen:
				return fmt.Sprintf("arrived at %s from %s", to, source)
			}
		}
	}
	return ""
}

// logged is nil when every receiver with an agent said what arrived.
func logged(q Question, members roster, logs map[matrix.Endpoint]arrivals) error {
	for _, to := range q.To {
		if _, ok := members[to]; ok && logs[to].err != nil {
			return fmt.Errorf("what arrived at %s is not known: %w", to, logs[to].err)
		}
	}
	return nil
}
