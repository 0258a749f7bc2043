package agent

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// minGap is the least time between two attempts at one target.
const minGap = 50 * time.Millisecond

// starved is how much of a try may fall into a stall of the agent before the
// result says so.
const starved = 100 * time.Millisecond

// probe tries one target until somebody answers or the wait is over. It ends
// once, by calling done.
type probe struct {
	loop     *loop
	target   wire.Target
	address  netip.AddrPort
	wait     time.Duration
	gap      time.Duration
	attempts int // still allowed
	nonces   func() string
	done     func(wire.Result)

	open     []*attempt
	best     finding
	sent     int
	sources  []string
	began    time.Duration
	stalled  time.Duration // the loop's sum at the beginning
	deadline *timer
	again    *timer
	trying   bool // inside begin of an attempt
	ended    bool
}

// check finds what makes a target impossible to try, so that it reads
// LocalError and never a deny.
func check(t wire.Target) (netip.AddrPort, error) {
	address, err := netip.ParseAddrPort(t.Address)
	if err != nil {
		return address, fmt.Errorf("parsing target address %q: want IP:PORT", t.Address)
	}
	if address.Port() == 0 {
		return address, fmt.Errorf("parsing target address %q: port 0 cannot be reached", t.Address)
	}
	if t.PeerUID == "" {
		return address, fmt.Errorf("trying %s: no pod UID to expect was given", t.Address)
	}
	return netip.AddrPortFrom(address.Addr().Unmap(), address.Port()), nil
}

// start begins the first attempt. done may be called before start returns.
func (p *probe) start() {
	p.began, p.stalled = now(), p.loop.stalled
	address, err := check(p.target)
	if err != nil {
		p.best = finding{outcome: matrix.LocalError, detail: err.Error(), start: p.began, end: p.began}
		p.finish()
		return
	}
	p.address = address
	p.gap = max(minGap, p.wait/time.Duration(2*max(p.attempts, 1)))
	p.deadline = p.loop.after(p.wait, p.expire)
	p.try()
}

func (p *probe) try() {
	if p.ended {
		return
	}
	p.attempts--
	if p.attempts > 0 {
		p.again = p.loop.after(p.gap, p.try)
	}
	a := &attempt{
		loop: p.loop, protocol: p.target.Protocol, address: p.address, nonce: p.nonces(),
		peers: strings.Split(p.target.PeerUID, ","), done: p.attempted,
	}
	p.open = append(p.open, a)
	p.trying = true
	a.begin()
	p.trying = false
	if a.source.IsValid() {
		p.sources = append(p.sources, a.source.String())
	}
	p.settle()
}

// attempted takes what an attempt found.
func (p *probe) attempted(f finding) {
	if f.outcome != matrix.LocalError {
		p.sent++
	}
	if rank(f.outcome) > rank(p.best.outcome) {
		p.best = f
	}
	if !p.trying {
		p.settle()
	}
}

// settle ends the probe when a peer answered, or when every attempt that will
// ever be made has ended.
func (p *probe) settle() {
	if p.ended {
		return
	}
	if p.best.outcome == matrix.Connected || p.best.outcome == matrix.WrongPeer {
		p.finish()
		return
	}
	for _, a := range p.open {
		if a.fd >= 0 {
			return
		}
	}
	if p.attempts <= 0 {
		p.finish()
	}
}

// expire is the end of the wait.
func (p *probe) expire() {
	p.attempts = 0
	p.loop.cancel(p.again)
	for _, a := range p.open {
		a.giveUp()
	}
	p.settle()
}

// abandon closes everything without a result.
func (p *probe) abandon() {
	p.ended = true
	p.loop.cancel(p.deadline)
	p.loop.cancel(p.again)
	for _, a := range p.open {
		a.abandon()
	}
}

func (p *probe) finish() {
	for _, a := range p.open {
		if a.fd >= 0 {
			p.sent++ // an attempt that the answer to another one ended
		}
	}
	p.abandon()
	p.done(wire.Result{Flow: p.target.Flow, Sample: p.sample(), Sources: p.sources, Peer: p.best.peer})
}

// sample is the best finding. Silence counts from the first attempt on.
func (p *probe) sample() matrix.Sample {
	s := matrix.Sample{
		Outcome: p.best.outcome, Start: p.best.start, RTT: p.best.end - p.best.start,
		Attempts: p.sent, Detail: p.best.detail,
	}
	if s.Outcome == matrix.TimedOut {
		s.Start, s.RTT = p.began, p.best.end-p.began
	}
	if p.loop.stalled-p.stalled > starved {
		s.Detail = join(s.Detail, "the agent was frozen or starved during this try")
	}
	return s
}
