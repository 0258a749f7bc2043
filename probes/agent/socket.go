package agent

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// transport is how the kernel calls a protocol.
type transport struct{ kind, number4, number6 int }

func transportOf(p matrix.Protocol) (transport, error) {
	switch p {
	case matrix.TCP:
		return transport{unix.SOCK_STREAM, unix.IPPROTO_TCP, unix.IPPROTO_TCP}, nil
	case matrix.UDP:
		return transport{unix.SOCK_DGRAM, unix.IPPROTO_UDP, unix.IPPROTO_UDP}, nil
	case matrix.SCTP: // one association for each socket
		return transport{unix.SOCK_STREAM, unix.IPPROTO_SCTP, unix.IPPROTO_SCTP}, nil
	case matrix.ICMP: // a ping socket, which needs no privilege
		return transport{unix.SOCK_DGRAM, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6}, nil
	}
	return transport{}, fmt.Errorf("%q is no protocol", p)
}

// stream reports that a protocol shakes hands before it carries anything.
func stream(p matrix.Protocol) bool { return p == matrix.TCP || p == matrix.SCTP }

// newSocket opens a nonblocking socket. Where this kernel does not have the
// protocol, or not for this user, the error is one of wire's, word for word.
func newSocket(p matrix.Protocol, v6 bool) (int, error) {
	t, err := transportOf(p)
	if err != nil {
		return -1, fmt.Errorf("opening a socket: %w", err)
	}
	domain, number := unix.AF_INET, t.number4
	if v6 {
		domain, number = unix.AF_INET6, t.number6
	}
	fd, err := unix.Socket(domain, t.kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, number)
	switch {
	case err == nil:
		return fd, nil
	case p == matrix.SCTP && (errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.ESOCKTNOSUPPORT)):
		return -1, errors.New(wire.NoSCTP)
	case p == matrix.ICMP && (errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)):
		return -1, errors.New(wire.NoEcho)
	}
	return -1, fmt.Errorf("opening a socket: %w", err)
}

// spoken are the protocols for which there are sockets, found out by trying.
func spoken() []matrix.Protocol {
	all := []matrix.Protocol{matrix.TCP, matrix.UDP, matrix.SCTP, matrix.ICMP}
	return slices.DeleteFunc(all, func(p matrix.Protocol) bool {
		for _, v6 := range []bool{false, true} {
			fd, err := newSocket(p, v6)
			if err != nil {
				continue
			}
			if p == matrix.SCTP { // some kernels can do nothing but open the socket
				err = unix.Listen(fd, 1)
			}
			_ = unix.Close(fd)
			if err == nil {
				return false
			}
		}
		return true
	})
}

// socket is one for this attempt, with all that is set before it connects.
func (a *attempt) socket() (int, error) {
	v6 := a.address.Addr().Is6()
	fd, err := newSocket(a.protocol, v6)
	if err != nil {
		return -1, err
	}
	if err := a.prepare(fd, v6); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (a *attempt) prepare(fd int, v6 bool) error {
	level, opt := unix.SOL_IP, unix.IP_RECVERR
	if v6 {
		level, opt = unix.SOL_IPV6, unix.IPV6_RECVERR
	}
	if err := unix.SetsockoptInt(fd, level, opt, 1); err != nil {
		return fmt.Errorf("asking for ICMP errors: %w", err)
	}
	if stream(a.protocol) {
		// Closing sends a reset: no TIME_WAIT here, a short conntrack entry there.
		if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
			return fmt.Errorf("asking for a reset on close: %w", err)
		}
	}
	if a.protocol == matrix.UDP {
		return a.loop.sources.bind(fd, unspecified(v6))
	}
	return nil
}

// connect sends the first packet of a protocol that shakes hands, and names the
// peer of the others.
func (a *attempt) connect() error {
	switch a.protocol {
	case matrix.SCTP:
		// An association that is bound to no address offers all that the pod has, and
		// would go on over another one than the flow's.
		local, err := sourceTo(a.address)
		if err != nil {
			return err
		}
		if err := a.loop.sources.bind(a.fd, local); err != nil {
			return err
		}
	case matrix.ICMP: // the kernel chooses identifiers in a circle
		if err := unix.Bind(a.fd, sockaddr(netip.AddrPortFrom(unspecified(a.address.Addr().Is6()), 0))); err != nil {
			return fmt.Errorf("choosing an identifier: %w", err)
		}
	case matrix.TCP, matrix.UDP:
	}
	return unix.Connect(a.fd, sockaddr(a.address))
}

// sourceTo is the address from which the pod sends to another. No packet leaves.
func sourceTo(to netip.AddrPort) (netip.Addr, error) {
	fd, err := newSocket(matrix.UDP, to.Addr().Is6())
	if err != nil {
		return netip.Addr{}, err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Connect(fd, sockaddr(to)); err != nil {
		return netip.Addr{}, err
	}
	local, err := unix.Getsockname(fd)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("choosing a source address: %w", err)
	}
	return addrPort(local).Addr(), nil
}

func unspecified(v6 bool) netip.Addr {
	if v6 {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}
