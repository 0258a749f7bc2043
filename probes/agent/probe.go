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

// probe tries one target until somebody answers or the wait is over. It calls
// done once. With a hold its attempts then stay open, and it calls late for
// each answer, and each handshake, that says more.
type probe struct {
	loop     *loop
	target   wire.Target
	address  netip.AddrPort
	wait     time.Duration
	hold     time.Duration // after wait; 0 closes everything when wait is over
	gap      time.Duration
	attempts int // still allowed
	nonces   func() string
	done     func(wire.Result)
	late     func(wire.Result)

	open     []*attempt
	best     finding
	sent     int // attempts that ended, those that the kernel refused left out
	sources  []string
	began    time.Duration
	stalled  time.Duration // the loop's sum at the beginning
	deadline *timer
	again    *timer
	trying   bool // inside begin of an attempt
	held     bool // done was called, and attempts are still open
	ended    bool
}

// check finds what makes a target impossible to try, so that it reads
// LocalError and never a deny.
func check(t wire.Target) (netip.AddrPort, error) {
	address, err := netip.ParseAddrPort(t.Address)
	if err != nil {
		return address, fmt.Errorf("parsing target address %q: want IP:PORT", t.Address)
	}
	switch echo := t.Protocol == matrix.ICMP; {
	case echo && address.Port() != 0:
		return address, fmt.Errorf("parsing target address %q: ICMP has no ports, want port 0", t.Address)
	case !echo && address.Port() == 0:
		return address, fmt.Errorf("parsing target address %q: port 0 cannot be reached", t.Address)
	case !echo && t.PeerUID == "":
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
	// Evenly over the wait: what loses a packet loses its neighbours too.
	p.gap = max(minGap, p.wait/time.Duration(max(p.attempts, 1)))
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
		peers: strings.Split(p.target.PeerUID, ","), done: p.attempted, shook: p.shook,
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
	better := rank(f.outcome) > rank(p.best.outcome)
	if better {
		p.best = f
	}
	if p.held && better {
		p.late(p.result())
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
	answered := p.best.outcome == matrix.Connected || p.best.outcome == matrix.WrongPeer
	switch {
	case !answered && (p.attempts > 0 || p.waiting() > 0):
	case p.held:
		p.letGo()
	default:
		p.finish()
	}
}

// waiting counts the attempts that have no end yet.
func (p *probe) waiting() int {
	n := 0
	for _, a := range p.open {
		if a.fd >= 0 {
			n++
		}
	}
	return n
}

// expire is the end of the wait. What is still open is told as unanswered, and
// then closed or held.
func (p *probe) expire() {
	p.attempts = 0
	p.loop.cancel(p.again)
	if p.hold <= 0 || p.waiting() == 0 {
		for _, a := range p.open {
			a.giveUp()
		}
		p.settle()
		return
	}
	p.look()
	p.held = true
	p.deadline = p.loop.after(p.hold, p.abandon)
	p.done(p.result())
}

// look takes what the open attempts have seen so far, and reports whether it
// says more than was known.
func (p *probe) look() bool {
	better := false
	for _, a := range p.open {
		if f := a.unanswered(); a.fd >= 0 && rank(f.outcome) > rank(p.best.outcome) {
			p.best, better = f, true
		}
	}
	return better
}

// shook tells of a handshake that came after the wait: its answer may never come.
func (p *probe) shook() {
	if p.held && p.look() {
		p.late(p.result())
	}
}

// abandon closes everything without a result.
func (p *probe) abandon() {
	p.close()
	for _, a := range p.open {
		a.abandon()
	}
}

// letGo ends a probe that needs none of its attempts any more.
func (p *probe) letGo() {
	p.close()
	for _, a := range p.open {
		a.linger(p.began + p.wait + p.hold)
	}
}

func (p *probe) close() {
	p.ended = true
	p.loop.cancel(p.deadline)
	p.loop.cancel(p.again)
}

func (p *probe) finish() {
	r := p.result()
	p.letGo()
	p.done(r)
}

func (p *probe) result() wire.Result {
	return wire.Result{Flow: p.target.Flow, Sample: p.sample(), Sources: p.sources, Peer: p.best.peer}
}

// lost counts the attempts that have no answer where a later one has it.
func (p *probe) lost() int {
	n := 0
	for _, a := range p.open {
		if p.best.outcome == matrix.Connected && a.fd >= 0 && !a.handshake && a.start < p.best.start {
			n++
		}
	}
	return n
}

// sample is the best finding. Silence counts from the first attempt on.
func (p *probe) sample() matrix.Sample {
	s := matrix.Sample{
		Outcome: p.best.outcome, Start: p.best.start, RTT: p.best.end - p.best.start,
		Attempts: p.sent + p.waiting(), Lost: p.lost(), Denial: p.best.denial, Detail: p.best.detail,
	}
	if s.Outcome == matrix.TimedOut {
		s.Start, s.RTT = p.began, p.best.end-p.began
	}
	s.Starved = p.loop.stalled-p.stalled > starved
	return s
}
