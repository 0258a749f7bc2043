package agent

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// maxAnswer is the longest answer that is read, in bytes.
const maxAnswer = 2048

// finding is what one attempt ended with.
type finding struct {
	outcome matrix.Outcome
	denial  matrix.Denial
	detail  string
	peer    wire.Identity
	start   time.Duration // of the attempt
	end     time.Duration
}

// attempt is one connection, or one datagram or echo request and the wait for
// its answer, from a fresh source port. It ends once, by calling done, and closes its socket.
type attempt struct {
	loop     *loop
	protocol matrix.Protocol
	address  netip.AddrPort
	peers    []string // pod UIDs, one of which must answer
	nonce    string
	done     func(finding)
	shook    func() // called after a handshake, unless that ended the attempt; nil is fine

	fd        int // -1 before and after
	start     time.Duration
	source    netip.AddrPort // zero when the kernel would not even start
	handshake bool
	note      string // for the detail of a later silence
	buf       []byte
}

// begin sends the first packet. done may be called before begin returns.
func (a *attempt) begin() {
	a.fd, a.start = -1, now()
	fd, err := a.socket()
	if err != nil {
		a.end(matrix.LocalError, err.Error(), wire.Identity{})
		return
	}
	a.fd, a.start = fd, now()
	err = a.connect()
	if err != nil && err != unix.EINPROGRESS { //nolint:errorlint // the kernel's errno is never wrapped
		a.fail(begun, err)
		return
	}
	if local, err := unix.Getsockname(fd); err == nil {
		a.source = addrPort(local)
	}
	events := uint32(unix.EPOLLOUT)
	if !stream(a.protocol) {
		events = unix.EPOLLIN
		if _, err := unix.Write(fd, a.request()); err != nil {
			a.source = netip.AddrPort{}
			a.fail(begun, err)
			return
		}
	}
	if err := a.loop.add(fd, events, a); err != nil {
		a.end(matrix.LocalError, err.Error(), wire.Identity{})
	}
}

func (a *attempt) ready(events uint32) {
	if events&unix.EPOLLERR != 0 && a.failed() {
		return
	}
	if !a.handshake && stream(a.protocol) {
		if events&(unix.EPOLLOUT|unix.EPOLLHUP) != 0 {
			a.connected()
		}
		return
	}
	if events&(unix.EPOLLIN|unix.EPOLLHUP) != 0 {
		a.read()
	}
}

// failed ends the attempt if its socket has an error.
func (a *attempt) failed() bool {
	errno, err := unix.GetsockoptInt(a.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		a.fail(underway, err)
		return true
	}
	return a.told(unix.Errno(errno))
}

// told takes an error that the network reported, 0 for one that the kernel has
// only queued, and reports whether it ended the attempt. Fragmentation-needed
// does not: the kernel sends smaller packets from then on.
func (a *attempt) told(errno unix.Errno) bool {
	said := errorQueue(a.fd)
	if errno == 0 || errno == unix.EMSGSIZE {
		errno = said.errno
	}
	if errno == 0 || errno == unix.EMSGSIZE {
		a.note = cmp.Or(said.text, a.note)
		return false
	}
	a.failFor(underway, errno, said)
	return true
}

func (a *attempt) connected() {
	if errno, err := unix.GetsockoptInt(a.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || errno != 0 {
		a.fail(underway, cmpErr(err, unix.Errno(errno)))
		return
	}
	a.handshake = true
	if _, err := unix.Write(a.fd, a.request()); err != nil {
		a.fail(underway, err)
		return
	}
	a.loop.modify(a.fd, unix.EPOLLIN)
	if a.shook != nil {
		a.shook()
	}
}

func cmpErr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

func (a *attempt) read() {
	if a.protocol == matrix.ICMP {
		a.readEcho()
		return
	}
	var b [maxAnswer]byte
	n, err := unix.Read(a.fd, b[:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case err == unix.EMSGSIZE:
		a.told(unix.EMSGSIZE)
		return
	case err != nil:
		a.fail(underway, err)
		return
	case a.protocol == matrix.UDP:
		a.judge(b[:n])
		return
	case n == 0:
		a.end(matrix.HandshakeOnly, "closed without an answer", wire.Identity{})
		return
	}
	a.buf = append(a.buf, b[:n]...)
	if bytes.IndexByte(a.buf, '\n') >= 0 || len(a.buf) >= maxAnswer {
		a.judge(a.buf)
	}
}

// judge compares an answer with what the expected peer would say.
func (a *attempt) judge(answer []byte) {
	var got wire.Answer
	if err := json.Unmarshal(bytes.TrimSpace(answer), &got); err != nil || got.Nonce == "" {
		a.end(matrix.WrongPeer, "not an agent: answered "+strconv.Quote(string(answer[:min(len(answer), 40)])), wire.Identity{})
		return
	}
	if got.Nonce != a.nonce {
		if a.protocol == matrix.UDP {
			a.note = "an answer to another probe came"
			return
		}
		a.end(matrix.WrongPeer, who(got.Identity)+" repeated a wrong nonce", got.Identity)
		return
	}
	if !slices.Contains(a.peers, got.PodUID) {
		a.end(matrix.WrongPeer, who(got.Identity)+" answered", got.Identity)
		return
	}
	a.end(matrix.Connected, "", got.Identity)
}

func who(id wire.Identity) string {
	return fmt.Sprintf("%s (pod %s on %s)", id.Endpoint, id.PodUID, id.Node)
}

// fail ends the attempt with an error of its socket, failFor with one of which
// the network said more.
func (a *attempt) fail(at stage, err error) { a.failFor(at, err, errorQueue(a.fd)) }

func (a *attempt) failFor(at stage, err error, said message) {
	f := classify(a.protocol, at, err, said.text)
	if a.handshake {
		f = finding{outcome: matrix.HandshakeOnly, detail: "after the handshake: " + f.detail}
	}
	a.conclude(f)
}

// giveUp ends the attempt at its deadline; nothing when it has ended.
func (a *attempt) giveUp() {
	if a.fd >= 0 {
		a.conclude(a.unanswered())
	}
}

// unanswered is what an attempt has seen that still waits for its answer.
func (a *attempt) unanswered() finding {
	f := finding{outcome: matrix.TimedOut, denial: matrix.Dropped, detail: a.note, start: a.start, end: now()}
	if a.handshake {
		f.outcome, f.denial, f.detail = matrix.HandshakeOnly, matrix.DenialUnknown, join("nobody answered", a.note)
	}
	return f
}

func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

// abandon closes the socket without a finding.
func (a *attempt) abandon() {
	if a.fd >= 0 {
		a.loop.drop(a.fd)
		a.fd = -1
	}
}

// linger closes the socket as soon as its handshake is complete, at the latest
// at a time: a socket that is closed before makes its kernel reset the answer,
// and the receiver's then forgets, unlogged, that anything had arrived.
func (a *attempt) linger(until time.Duration) {
	if a.fd < 0 || a.handshake || !stream(a.protocol) {
		a.abandon()
		return
	}
	a.done, a.shook = func(finding) {}, a.abandon
	a.loop.at(until, a.abandon)
}

func (a *attempt) end(o matrix.Outcome, detail string, peer wire.Identity) {
	a.conclude(finding{outcome: o, detail: detail, peer: peer})
}

func (a *attempt) conclude(f finding) {
	a.abandon()
	f.start, f.end = a.start, now()
	a.done(f)
}
