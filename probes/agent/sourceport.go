package agent

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"golang.org/x/sys/unix"
)

// The ports that datagrams are sent from, Linux's own choice by default.
const (
	firstSource = 32768
	lastSource  = 60999
	// triedSources bounds the search for a free one, which holds up everything
	// else. The next search goes on behind it.
	triedSources = 1024
)

// sourcePorts hands out the source ports of datagrams, and of associations, in
// a circle. The kernel's
// random choice repeats itself now and then, and a repeated one meets the
// conntrack entry of an earlier, allowed try, which lives for up to 120 s: the
// datagram is then let through whatever the policies say now.
type sourcePorts struct{ next int }

func newSourcePorts() sourcePorts {
	return sourcePorts{next: firstSource + rand.IntN(lastSource-firstSource+1)} //nolint:gosec // a place to begin
}

// bind gives the socket a local address and the next port of the circle that is
// free.
func (p *sourcePorts) bind(fd int, local netip.Addr) error {
	var err error
	for range triedSources {
		port := p.next
		if p.next++; p.next > lastSource {
			p.next = firstSource
		}
		if err = unix.Bind(fd, sockaddr(netip.AddrPortFrom(local, uint16(port)))); err != unix.EADDRINUSE {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("choosing a source port: %w", err)
	}
	return nil
}
