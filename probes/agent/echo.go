package agent

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// The header of an echo request or reply, and its types. The kernel fills in
// checksum and identifier, and hands over only replies to its own identifier.
const (
	echoHeader   = 8
	echoRequest4 = 8
	echoRequest6 = 128
	echoReply4   = 0
	echoReply6   = 129
)

// request is the first thing that an attempt says.
func (a *attempt) request() []byte {
	if a.protocol != matrix.ICMP {
		return []byte(a.nonce + "\n")
	}
	header := [echoHeader]byte{echoRequest4, 0, 0, 0, 0, 0, 0, 1}
	if a.address.Addr().Is6() {
		header[0] = echoRequest6
	}
	return append(header[:], a.nonce...)
}

// readEcho takes a reply. The nonce says which request it answers, and nothing
// says who answered but the address that it comes from.
func (a *attempt) readEcho() {
	var b [maxAnswer]byte
	n, from, err := unix.Recvfrom(a.fd, b[:], 0)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case err == unix.EMSGSIZE:
		a.told(unix.EMSGSIZE)
		return
	case err != nil:
		a.fail(underway, err)
		return
	}
	reply := byte(echoReply4)
	if a.address.Addr().Is6() {
		reply = echoReply6
	}
	if n < echoHeader || b[0] != reply || !bytes.Equal(b[echoHeader:n], []byte(a.nonce)) {
		a.note = "an answer to another probe came"
		return
	}
	if who := addrPort(from).Addr(); who != a.address.Addr() {
		a.end(matrix.WrongPeer, who.String()+" answered", wire.Identity{})
		return
	}
	a.end(matrix.Connected, "", wire.Identity{})
}
