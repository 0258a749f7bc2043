package netns_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// inside runs f in a namespace. Sockets that it opens stay there.
func (l *lab) inside(ns string, f func() error) error {
	ended := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		ended <- func() error {
			fd, err := unix.Open("/var/run/netns/"+l.name+ns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer func() { _ = unix.Close(fd) }()
			if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
				return err
			}
			return f()
		}()
	}()
	return <-ended
}

// mtu is what a forged fragmentation-needed says.
const mtu = 1400

// forge makes the router tell the sender of every first packet for the port, and
// of every echo request, an ICMP error that no rule of nftables sends.
func (l *lab) forge(kind, code byte) {
	l.t.Helper()
	v6 := kind < 3 // the types of ICMPv6 errors that are forged here
	etherType, family, protocol := uint16(unix.ETH_P_IP), unix.AF_INET, unix.IPPROTO_ICMP
	if v6 {
		etherType, family, protocol = unix.ETH_P_IPV6, unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	var tap, out int
	err := l.inside(router, func() error {
		side, err := net.InterfaceByName("to-" + sender)
		if err != nil {
			return err
		}
		wire := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, etherType))
		if tap, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(wire)); err != nil {
			return err
		}
		if out, err = unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol); err != nil {
			return err
		}
		return unix.Bind(tap, &unix.SockaddrLinklayer{Protocol: wire, Ifindex: side.Index})
	})
	stop := unix.Timeval{Usec: 50_000}
	err = errors.Join(err, unix.SetsockoptTimeval(tap, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &stop), unix.SetsockoptInt(tap, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20))
	if err != nil {
		l.t.Fatal(err)
	}
	ended := make(chan struct{})
	l.t.Cleanup(func() {
		<-ended // once the test's context has
		_, _ = unix.Close(tap), unix.Close(out)
	})
	go forge(l.t, tap, out, v6, [8]byte{kind, code, 6: mtu >> 8, 7: mtu & 0xff}, ended)
}

func forge(t testing.TB, tap, out int, v6 bool, header [8]byte, ended chan<- struct{}) {
	defer close(ended)
	packet := make([]byte, 2048)
	for {
		n, from, err := unix.Recvfrom(tap, packet, 0)
		if link, ok := from.(*unix.SockaddrLinklayer); ok && link.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		switch {
		case (err == unix.EAGAIN || err == unix.EINTR) && t.Context().Err() == nil:
			continue
		case err != nil || n == 0:
			return
		}
		to, ok := asks(packet[:n], v6)
		if !ok {
			continue
		}
		message := append(header[:], packet[:min(n, 576)]...)
		var dest unix.Sockaddr = &unix.SockaddrInet6{Addr: to.As16()}
		if !v6 {
			binary.BigEndian.PutUint16(message[2:], checksum(message))
			dest = &unix.SockaddrInet4{Addr: to.As4()}
		}
		if err := unix.Sendto(out, message, 0, dest); err != nil {
			t.Error(fmt.Errorf("forging an ICMP error: %w", err))
			return
		}
	}
}

// asks tells a probe's first packet, and who sent it.
func asks(packet []byte, v6 bool) (netip.Addr, bool) {
	from, rest, protocol, echo := netip.Addr{}, []byte(nil), byte(0), byte(8)
	switch {
	case v6 && len(packet) > 48:
		from, protocol, rest, echo = netip.AddrFrom16([16]byte(packet[8:24])), packet[6], packet[40:], 128
	case !v6 && len(packet) > 28:
		from, protocol, rest = netip.AddrFrom4([4]byte(packet[12:16])), packet[9], packet[int(packet[0]&15)*4:]
	default:
		return from, false
	}
	switch protocol {
	case unix.IPPROTO_TCP:
		const syn, ack = 2, 16
		return from, binary.BigEndian.Uint16(rest[2:]) == port && rest[13]&(syn|ack) == syn
	case unix.IPPROTO_UDP, unix.IPPROTO_SCTP:
		return from, binary.BigEndian.Uint16(rest[2:]) == port
	case unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
		return from, rest[0] == echo
	}
	return from, false
}

// checksum is that of RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for i, c := range b {
		sum += uint32(c) << (8 * (1 - i%2))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
