package agent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/segtest/segtest/probes/matrix"
)

// classify reads an error of a socket: of connect or the first send, where at
// is begun, or reported by the network later. cause is what the error queue
// said about it, "" for nothing.
func classify(p matrix.Protocol, at stage, err error, cause string) finding {
	f := finding{outcome: matrix.LocalError, detail: join(err.Error(), cause)}
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return f
	}
	switch errno {
	case unix.ECONNREFUSED, unix.ECONNRESET:
		f.outcome = matrix.Refused
	case unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EACCES, unix.EHOSTDOWN, unix.ENONET,
		unix.ENOPROTOOPT, unix.EOPNOTSUPP, unix.EPROTO, unix.ENETDOWN:
		f.outcome = matrix.Unreachable
	case unix.EINVAL:
		// connect to a good address says so only where the route is a blackhole.
		f.outcome, f.detail = matrix.Unreachable, f.detail+", the sender's route is a blackhole"
	case unix.ETIMEDOUT:
		f.outcome = matrix.TimedOut
	}
	// EPERM is the sender's own packet filter; EADDRNOTAVAIL, EMFILE, ENOBUFS,
	// EAFNOSUPPORT, … are its own lacks.
	f.denial = denial(p, at, f.outcome, cause)
	return f
}

// stage is how far an attempt had come.
type stage bool

const (
	begun    stage = false // the kernel answers at once, no packet has left
	underway stage = true
)

// denial is how the sender was told that it is blocked.
func denial(p matrix.Protocol, at stage, o matrix.Outcome, cause string) matrix.Denial {
	switch {
	case o == matrix.TimedOut:
		return matrix.Dropped
	case !o.Blocked():
		return matrix.DenialUnknown
	case cause != "":
		return matrix.ICMPError
	case at == begun:
		return matrix.LocalRoute
	case o == matrix.Refused && p == matrix.TCP:
		return matrix.Reset
	case o == matrix.Refused && p == matrix.SCTP:
		return matrix.DenialUnknown // an abort or port-unreachable: SCTP does not say which
	}
	return matrix.ICMPError // nothing else says so to a socket that waits
}

// rank orders the outcomes of several attempts: what got further wins, so that
// one arrival on a denied flow is never hidden by a clean retry.
func rank(o matrix.Outcome) int {
	switch o {
	case matrix.Connected:
		return 8
	case matrix.WrongPeer:
		return 7
	case matrix.OneWay:
		return 6
	case matrix.HandshakeOnly:
		return 5
	case matrix.Refused:
		return 4
	case matrix.Unreachable:
		return 3
	case matrix.TimedOut:
		return 2
	case matrix.LocalError:
		return 1
	case matrix.Unknown:
		return 0
	}
	return 0
}

// message is an ICMP error that the kernel kept for a socket. The zero value is
// none.
type message struct {
	errno unix.Errno // what it means to the kernel
	text  string     // what it is and who sent it
}

// hint reports that a message ends nothing: the kernel sends smaller packets.
func (m message) hint() bool { return m.errno == 0 || m.errno == unix.EMSGSIZE }

// errorQueue empties what the kernel kept about the errors of a socket: the last
// message that ends something, the last hint where none does. The kernel queues a message before it sets the error of the socket, and sets none
// that wakes anybody while the socket is in a system call, so the message itself
// has to say what it means.
func errorQueue(fd int) message {
	var said message
	data, oob := make([]byte, 128), make([]byte, 256)
	for range 16 {
		_, n, _, _, err := unix.Recvmsg(fd, data, oob, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if err != nil {
			break
		}
		messages, err := unix.ParseSocketControlMessage(oob[:n])
		if err != nil {
			continue
		}
		for _, m := range messages {
			if next := extendedError(m.Data); isRecvErr(m.Header) && next.text != "" && (said.hint() || !next.hint()) {
				said = next
			}
		}
	}
	return said
}

func isRecvErr(h unix.Cmsghdr) bool {
	return h.Level == unix.SOL_IP && h.Type == unix.IP_RECVERR ||
		h.Level == unix.SOL_IPV6 && h.Type == unix.IPV6_RECVERR
}

// extendedError reads a struct sock_extended_err and the address after it.
func extendedError(b []byte) message {
	const size = 16
	if len(b) < size {
		return message{}
	}
	origin, kind, code := b[4], b[5], b[6]
	var text string
	switch origin {
	case unix.SO_EE_ORIGIN_ICMP:
		text = "ICMP " + name(icmp4, kind, code)
	case unix.SO_EE_ORIGIN_ICMP6:
		text = "ICMPv6 " + name(icmp6, kind, code)
	default:
		return message{}
	}
	if from := offender(b[size:]); from.IsValid() {
		text += " from " + from.String()
	}
	return message{unix.Errno(binary.NativeEndian.Uint32(b)), text}
}

// offender reads the struct sockaddr of who sent an ICMP message.
func offender(b []byte) netip.Addr {
	if len(b) < 2 {
		return netip.Addr{}
	}
	switch binary.NativeEndian.Uint16(b) {
	case unix.AF_INET:
		if len(b) >= 8 {
			return netip.AddrFrom4([4]byte(b[4:8]))
		}
	case unix.AF_INET6:
		if len(b) >= 24 {
			return netip.AddrFrom16([16]byte(b[8:24])).Unmap()
		}
	}
	return netip.Addr{}
}

func name(names map[[2]byte]string, kind, code byte) string {
	if s, ok := names[[2]byte{kind, code}]; ok {
		return s
	}
	return fmt.Sprintf("type %d code %d", kind, code)
}

//nolint:gochecknoglobals // constant tables
var (
	icmp4 = map[[2]byte]string{
		{3, 0}: "net-unreachable", {3, 1}: "host-unreachable", {3, 2}: "protocol-unreachable",
		{3, 3}: "port-unreachable", {3, 4}: "fragmentation-needed", {3, 5}: "source-route-failed",
		{3, 6}: "net-unknown", {3, 7}: "host-unknown", {3, 8}: "host-isolated", {3, 9}: "net-prohibited",
		{3, 10}: "host-prohibited", {3, 11}: "net-unreachable-for-tos", {3, 12}: "host-unreachable-for-tos",
		{3, 13}: "admin-prohibited", {3, 14}: "precedence-violation", {3, 15}: "precedence-cutoff",
		{11, 0}: "time-exceeded", {11, 1}: "reassembly-time-exceeded",
	}
	icmp6 = map[[2]byte]string{
		{1, 0}: "no-route", {1, 1}: "admin-prohibited", {1, 2}: "beyond-scope", {1, 3}: "address-unreachable",
		{1, 4}: "port-unreachable", {1, 5}: "policy-fail", {1, 6}: "reject-route", {2, 0}: "packet-too-big",
		{3, 0}: "time-exceeded", {3, 1}: "reassembly-time-exceeded",
	}
)
