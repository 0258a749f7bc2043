package agent

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// held is one TCP connection that is kept. What is asked before it stands is
// sent as soon as it does; after it has ended every question ends as it did.
type held struct {
	attempt attempt // its socket; it is never begun
	nonces  func() string
	open    []*question // in the order of asking
	stands  bool        // the handshake is complete
	over    *finding    // why it ended; nil while it has not
	buf     []byte
}

// question is one line over a held connection, and the wait for its answer.
type question struct {
	nonce    string
	start    time.Duration
	stalled  time.Duration // the loop's sum when it was asked
	deadline *timer
	done     func(matrix.Sample)
}

// hold opens a connection to a target.
func hold(l *loop, t wire.Target, nonces func() string) *held {
	h := &held{nonces: nonces}
	h.attempt = attempt{loop: l, protocol: t.Protocol, peers: strings.Split(t.PeerUID, ","), fd: -1}
	address, err := check(t)
	if err != nil {
		h.end(finding{outcome: matrix.LocalError, detail: err.Error()})
		return h
	}
	h.connect(address)
	return h
}

func (h *held) connect(to netip.AddrPort) {
	a := &h.attempt
	a.address = to
	fd, err := a.socket()
	if err != nil {
		h.end(finding{outcome: matrix.LocalError, detail: err.Error()})
		return
	}
	a.fd = fd
	if err := a.connect(); err != nil && err != unix.EINPROGRESS { //nolint:errorlint // the kernel's errno is never wrapped
		h.fail(begun, err)
		return
	}
	if err := a.loop.add(fd, unix.EPOLLOUT, h); err != nil {
		h.end(finding{outcome: matrix.LocalError, detail: err.Error()})
	}
}

// ask a question. done is called once, at the latest after the wait.
func (h *held) ask(wait time.Duration, done func(matrix.Sample)) {
	l := h.attempt.loop
	q := &question{nonce: h.nonces(), start: now(), stalled: l.stalled, done: done}
	if h.over != nil {
		h.conclude(q, *h.over)
		return
	}
	h.open = append(h.open, q)
	q.deadline = l.after(wait, func() {
		h.open = slices.DeleteFunc(h.open, func(other *question) bool { return other == q })
		h.conclude(q, finding{outcome: matrix.TimedOut, denial: matrix.Dropped})
	})
	if h.stands {
		h.send(q)
	}
}

func (h *held) send(q *question) {
	// A full buffer loses the line, as a network would that answers none of so many.
	if _, err := unix.Write(h.attempt.fd, []byte(q.nonce+"\n")); err != nil && err != unix.EAGAIN {
		h.fail(underway, err)
	}
}

func (h *held) ready(events uint32) {
	fd := h.attempt.fd
	if events&unix.EPOLLERR != 0 {
		errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		said := errorQueue(fd)
		if err == nil && errno == 0 && said.hint() {
			return
		}
		if errno == 0 {
			errno = int(said.errno)
		}
		h.end(classify(h.attempt.protocol, underway, cmpErr(err, unix.Errno(errno)), said.text))
		return
	}
	switch {
	case !h.stands && events&unix.EPOLLOUT != 0:
		h.stands = true
		h.attempt.loop.modify(fd, unix.EPOLLIN)
		for _, q := range slices.Clone(h.open) {
			if h.over == nil {
				h.send(q)
			}
		}
	case events&(unix.EPOLLIN|unix.EPOLLHUP) != 0:
		h.read()
	}
}

func (h *held) read() {
	var b [maxAnswer]byte
	n, err := unix.Read(h.attempt.fd, b[:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case err != nil:
		h.fail(underway, err)
		return
	case n == 0:
		h.end(finding{outcome: matrix.HandshakeOnly, detail: "the peer closed the connection"})
		return
	}
	h.buf = append(h.buf, b[:n]...)
	for {
		line, rest, ok := bytes.Cut(h.buf, []byte("\n"))
		if !ok {
			return
		}
		h.buf = rest
		h.answered(line)
	}
}

// answered takes one line of the peer. Only an answer that comes in time and
// from who was expected counts.
func (h *held) answered(line []byte) {
	var got wire.Answer
	if err := json.Unmarshal(line, &got); err != nil {
		return
	}
	i := slices.IndexFunc(h.open, func(q *question) bool { return q.nonce == got.Nonce })
	if i < 0 {
		return
	}
	q := h.open[i]
	h.open = slices.Delete(h.open, i, i+1)
	f := finding{outcome: matrix.Connected}
	if !slices.Contains(h.attempt.peers, got.PodUID) {
		f = finding{outcome: matrix.WrongPeer, detail: who(got.Identity) + " answered"}
	}
	h.conclude(q, f)
}

func (h *held) conclude(q *question, f finding) {
	l := h.attempt.loop
	l.cancel(q.deadline)
	q.done(matrix.Sample{
		Outcome: f.outcome, Denial: f.denial, Detail: f.detail, Start: q.start, RTT: now() - q.start, Attempts: 1,
		Starved: l.stalled-q.stalled > starved,
	})
}

func (h *held) fail(at stage, err error) {
	h.end(classify(h.attempt.protocol, at, err, errorQueue(h.attempt.fd).text))
}

// end the connection and everything that was asked over it.
func (h *held) end(f finding) {
	h.attempt.abandon()
	h.over = &f
	open := h.open
	h.open = nil
	for _, q := range open {
		h.conclude(q, f)
	}
}

// letGo closes the connection; nothing where there is none. No question may be open.
func (h *held) letGo() {
	if h != nil {
		h.attempt.abandon()
	}
}
