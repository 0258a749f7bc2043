package agent

import (
	"bytes"
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
	detail  string
	peer    wire.Identity
	start   time.Duration // of the attempt
	end     time.Duration
}

// attempt is one connection, or one datagram and the wait for its answer, from
// a fresh source port. It ends once, by calling done, and closes its socket.
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
	err = unix.Connect(fd, sockaddr(a.address))
	if err != nil && err != unix.EINPROGRESS { //nolint:errorlint // the kernel's errno is never wrapped
		a.fail(err)
		return
	}
	if local, err := unix.Getsockname(fd); err == nil {
		a.source = addrPort(local)
	}
	events := uint32(unix.EPOLLOUT)
	if a.protocol == matrix.UDP {
		events = unix.EPOLLIN
		if _, err := unix.Write(fd, []byte(a.nonce+"\n")); err != nil {
			a.source = netip.AddrPort{}
			a.fail(err)
			return
		}
	}
	if err := a.loop.add(fd, events, a); err != nil {
		a.end(matrix.LocalError, err.Error(), wire.Identity{})
	}
}

func (a *attempt) socket() (int, error) {
	domain, level, opt := unix.AF_INET, unix.SOL_IP, unix.IP_RECVERR
	if a.address.Addr().Is6() {
		domain, level, opt = unix.AF_INET6, unix.SOL_IPV6, unix.IPV6_RECVERR
	}
	kind := unix.SOCK_STREAM
	switch a.protocol {
	case matrix.TCP:
	case matrix.UDP:
		kind = unix.SOCK_DGRAM
	case matrix.SCTP:
		return -1, fmt.Errorf("opening a socket: this agent does not speak %s", a.protocol)
	default:
		return -1, fmt.Errorf("opening a socket: %s is no protocol", a.protocol)
	}
	fd, err := unix.Socket(domain, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("opening a socket: %w", err)
	}
	if err := unix.SetsockoptInt(fd, level, opt, 1); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("asking for ICMP errors: %w", err)
	}
	if kind == unix.SOCK_DGRAM {
		if err := a.loop.sources.bind(fd, domain == unix.AF_INET6); err != nil {
			_ = unix.Close(fd)
			return -1, err
		}
	}
	if kind == unix.SOCK_STREAM {
		// Closing sends a reset: no TIME_WAIT here, a short conntrack entry there.
		if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
			_ = unix.Close(fd)
			return -1, fmt.Errorf("asking for a reset on close: %w", err)
		}
	}
	return fd, nil
}

func (a *attempt) ready(events uint32) {
	if events&unix.EPOLLERR != 0 {
		errno, err := unix.GetsockoptInt(a.fd, unix.SOL_SOCKET, unix.SO_ERROR)
		switch {
		case err != nil:
			a.fail(err)
			return
		case errno != 0:
			a.fail(unix.Errno(errno))
			return
		}
		a.note = errorQueue(a.fd) // a hint that ended nothing
	}
	if !a.handshake && a.protocol == matrix.TCP {
		if events&(unix.EPOLLOUT|unix.EPOLLHUP) != 0 {
			a.connected()
		}
		return
	}
	if events&(unix.EPOLLIN|unix.EPOLLHUP) != 0 {
		a.read()
	}
}

func (a *attempt) connected() {
	if errno, err := unix.GetsockoptInt(a.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || errno != 0 {
		a.fail(cmpErr(err, unix.Errno(errno)))
		return
	}
	a.handshake = true
	if _, err := unix.Write(a.fd, []byte(a.nonce+"\n")); err != nil {
		a.fail(err)
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
	var b [maxAnswer]byte
	n, err := unix.Read(a.fd, b[:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case err != nil:
		a.fail(err)
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

// fail ends the attempt with an error of its socket.
func (a *attempt) fail(err error) {
	outcome, detail := classify(err, errorQueue(a.fd))
	if a.handshake {
		outcome, detail = matrix.HandshakeOnly, "after the handshake: "+detail
	}
	a.end(outcome, detail, wire.Identity{})
}

// giveUp ends the attempt at its deadline; nothing when it has ended.
func (a *attempt) giveUp() {
	if a.fd >= 0 {
		f := a.unanswered()
		a.end(f.outcome, f.detail, f.peer)
	}
}

// unanswered is what an attempt has seen that still waits for its answer.
func (a *attempt) unanswered() finding {
	f := finding{outcome: matrix.TimedOut, detail: a.note, start: a.start, end: now()}
	if a.handshake {
		f.outcome, f.detail = matrix.HandshakeOnly, join("nobody answered", a.note)
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

func (a *attempt) end(o matrix.Outcome, detail string, peer wire.Identity) {
	a.abandon()
	a.done(finding{outcome: o, detail: detail, peer: peer, start: a.start, end: now()})
}
