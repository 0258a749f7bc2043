package agent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/segtest/segtest/probes/matrix"
)

// classify reads an error of a socket: of connect, of send, or reported by the
// network later. cause is what the error queue said about it, "" for nothing.
func classify(err error, cause string) (matrix.Outcome, string) {
	detail := err.Error()
	if cause != "" {
		detail += ", " + cause
	}
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return matrix.LocalError, detail
	}
	switch errno {
	case unix.ECONNREFUSED, unix.ECONNRESET:
		return matrix.Refused, detail
	case unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EACCES, unix.EHOSTDOWN, unix.ENONET,
		unix.ENOPROTOOPT, unix.EOPNOTSUPP, unix.EPROTO, unix.EMSGSIZE, unix.ENETDOWN:
		return matrix.Unreachable, detail
	case unix.EINVAL:
		// connect to a good address says so only where the route is a blackhole.
		return matrix.Unreachable, detail + ", the sender's route is a blackhole"
	case unix.ETIMEDOUT:
		return matrix.TimedOut, detail
	}
	// EPERM is the sender's own packet filter; EADDRNOTAVAIL, EMFILE, ENOBUFS,
	// EAFNOSUPPORT, … are its own lacks.
	return matrix.LocalError, detail
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

// errorQueue says what the kernel kept about the last error of a socket: the
// ICMP message and who sent it. It empties the queue.
func errorQueue(fd int) string {
	var said string
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
			if s := extendedError(m.Data); s != "" && isRecvErr(m.Header) {
				said = s
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
func extendedError(b []byte) string {
	const size = 16
	if len(b) < size {
		return ""
	}
	origin, kind, code := b[4], b[5], b[6]
	var text string
	switch origin {
	case unix.SO_EE_ORIGIN_ICMP:
		text = "ICMP " + name(icmp4, kind, code)
	case unix.SO_EE_ORIGIN_ICMP6:
		text = "ICMPv6 " + name(icmp6, kind, code)
	default:
		return ""
	}
	if from := offender(b[size:]); from.IsValid() {
		text += " from " + from.String()
	}
	return text
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
		{3, 3}: "port-unreachable", {3, 4}: "fragmentation-needed", {3, 9}: "net-prohibited",
		{3, 10}: "host-prohibited", {3, 13}: "admin-prohibited", {11, 0}: "time-exceeded",
	}
	icmp6 = map[[2]byte]string{
		{1, 0}: "no-route", {1, 1}: "admin-prohibited", {1, 2}: "beyond-scope", {1, 3}: "address-unreachable",
		{1, 4}: "port-unreachable", {1, 5}: "policy-fail", {1, 6}: "reject-route", {3, 0}: "time-exceeded",
	}
)
