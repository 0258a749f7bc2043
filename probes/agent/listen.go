package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

const (
	backlog        = 4096            // the kernel lowers it to net.core.somaxconn
	visitTime      = 5 * time.Second // of one accepted connection
	heldTime       = time.Minute     // of one that has asked twice, after its last question
	maxVisits      = 2048            // accepted connections at once
	acceptPause    = 20 * time.Millisecond
	acceptsPerTurn = 64
)

// listener is one port. TCP and SCTP listeners accept visits; UDP ones answer at
// once.
type listener struct {
	agent *Agent
	port  wire.Port
	fd    int
}

// listen opens a port on every address of the pod, IPv6 included where the
// kernel has it, or on one address only.
func listen(a *Agent, port wire.Port, bind netip.Addr) (*listener, error) {
	candidates := []netip.Addr{netip.IPv6Unspecified(), netip.IPv4Unspecified()}
	if bind.IsValid() {
		candidates = []netip.Addr{bind}
	}
	var fd int
	var err error
	for _, addr := range candidates {
		fd, err = bound(port.Protocol, netip.AddrPortFrom(addr, port.Number))
		if !errors.Is(err, unix.EAFNOSUPPORT) && !errors.Is(err, unix.EADDRNOTAVAIL) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", port, err)
	}
	if stream(port.Protocol) {
		if err := unix.Listen(fd, backlog); err != nil {
			_ = unix.Close(fd)
			return nil, fmt.Errorf("listening on %s: %w", port, err)
		}
	}
	l := &listener{agent: a, port: port, fd: fd}
	if err := a.loop.add(fd, unix.EPOLLIN, l); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("listening on %s: %w", port, err)
	}
	return l, nil
}

// bound is a socket with a local address. A UDP socket is told to which local
// address each datagram came, so that it answers from that one.
func bound(p matrix.Protocol, at netip.AddrPort) (int, error) {
	var options [][3]int
	if at.Addr().Is6() {
		options = append(options, [3]int{unix.SOL_IPV6, unix.IPV6_V6ONLY, 0})
	}
	switch {
	case stream(p):
		options = append(options, [3]int{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1})
	case at.Addr().Is6():
		options = append(options, [3]int{unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1})
	default:
		options = append(options, [3]int{unix.SOL_IP, unix.IP_PKTINFO, 1})
	}
	fd, err := newSocket(p, at.Addr().Is6())
	if err != nil {
		return -1, err
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o[0], o[1], o[2]); err != nil {
			_ = unix.Close(fd)
			return -1, err
		}
	}
	if err := unix.Bind(fd, sockaddr(at)); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (l *listener) ready(uint32) {
	if l.port.Protocol == matrix.UDP {
		l.answerDatagrams()
		return
	}
	for range acceptsPerTurn {
		fd, from, err := unix.Accept4(l.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case err == unix.EMFILE || err == unix.ENFILE || err == unix.ENOBUFS || err == unix.ENOMEM:
			l.pause()
			return
		case err != nil:
			return // nothing more to accept, or a visitor that is gone already
		}
		l.agent.receipts.add(l.port, addrPort(from))
		l.welcome(fd)
	}
}

// pause stops accepting for a moment; the kernel keeps the visitors.
func (l *listener) pause() {
	l.agent.loop.modify(l.fd, 0)
	l.agent.pauses++
	l.agent.loop.at(now()+acceptPause, func() {
		l.agent.pauses--
		l.agent.loop.modify(l.fd, unix.EPOLLIN)
	})
}

func (l *listener) welcome(fd int) {
	v := &visit{agent: l.agent, fd: fd}
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	if err := l.agent.loop.add(fd, unix.EPOLLIN, v); err != nil {
		_ = unix.Close(fd)
		return
	}
	v.deadline = l.agent.loop.after(visitTime, v.end)
	l.agent.visits++
	if l.agent.visits >= maxVisits {
		l.pause()
	}
}

// answerDatagrams answers each waiting datagram once.
func (l *listener) answerDatagrams() {
	var data [wire.MaxNonce + 2]byte
	var oob [128]byte
	for range acceptsPerTurn {
		n, oobn, _, from, err := unix.Recvmsg(l.fd, data[:], oob[:], 0)
		if err != nil {
			return
		}
		l.agent.receipts.add(l.port, addrPort(from))
		nonce, ok := nonceOf(data[:n])
		if !ok {
			continue
		}
		// A full buffer or an unreachable asker is the network's loss, as for any datagram.
		_ = unix.Sendmsg(l.fd, l.agent.answer(nonce), replyFrom(oob[:oobn]), from, 0)
	}
}

// replyFrom makes, of the control message that tells where a datagram arrived,
// one that sends from there, over whatever interface leads back.
func replyFrom(oob []byte) []byte {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.SOL_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= 20:
			return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: [16]byte(m.Data[:16])})
		case m.Header.Level == unix.SOL_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= 12:
			return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: [4]byte(m.Data[4:8])})
		}
	}
	return nil
}

// nonceOf is the first line of what a caller sent.
func nonceOf(b []byte) (string, bool) {
	i := bytes.IndexByte(b, '\n')
	return string(b[:max(i, 0)]), i > 0 && i <= wire.MaxNonce
}

// answer is the line that says who we are.
func (a *Agent) answer(nonce string) []byte {
	b, err := json.Marshal(wire.Answer{Nonce: nonce, Identity: a.identity})
	if err != nil {
		panic("writing an answer: " + err.Error()) // four strings cannot fail
	}
	return append(b, '\n')
}

// visit is one accepted connection: lines come, a line goes for each, and the
// caller closes it. The time without a question and the size of one are bounded.
type visit struct {
	agent    *Agent
	fd       int
	buf      []byte
	answered int
	deadline *timer
}

func (v *visit) ready(uint32) {
	var b [wire.MaxNonce + 2]byte
	n, err := unix.Read(v.fd, b[:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case err != nil || n == 0:
		v.end()
		return
	}
	v.buf = append(v.buf, b[:n]...)
	for len(v.buf) > 0 {
		nonce, ok := nonceOf(v.buf)
		switch {
		case ok:
			v.buf = v.buf[len(nonce)+1:]
			if !v.answer(nonce) {
				return
			}
		case len(v.buf) > wire.MaxNonce || v.buf[0] == '\n':
			v.end()
			return
		default:
			return // the rest of the line is yet to come
		}
	}
}

// answer one question; false when that ended the visit.
func (v *visit) answer(nonce string) bool {
	if _, err := unix.Write(v.fd, v.agent.answer(nonce)); err != nil {
		v.end()
		return false
	}
	if v.answered++; v.answered > 1 { // a held connection, which a policy may silence for a while
		v.agent.loop.cancel(v.deadline)
		v.deadline = v.agent.loop.after(heldTime, v.end)
	}
	return true
}

func (v *visit) end() {
	v.agent.loop.cancel(v.deadline)
	v.agent.loop.drop(v.fd)
	v.agent.visits--
}
