package agent

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// A source port comes back only after all others, and one that is taken is left out.
func TestSourcePortsGoInACircle(t *testing.T) {
	t.Parallel()
	ports := sourcePorts{next: lastSource - 2}
	var held []int
	var got []uint16
	for range 6 {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, fd)
		if err := ports.bind(fd, netip.IPv4Unspecified()); err != nil {
			t.Fatal(err)
		}
		local, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, addrPort(local).Port())
	}
	again := sourcePorts{next: int(got[0])}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	held = append(held, fd)
	if err := again.bind(fd, netip.IPv4Unspecified()); err != nil {
		t.Fatal(err)
	}
	local, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range held {
		if err := unix.Close(fd); err != nil {
			t.Error(err)
		}
	}
	wrapped := false
	for i := 1; i < len(got); i++ {
		wrapped = wrapped || got[i] < got[i-1]
		if got[i] < got[i-1] && got[i-1] < lastSource-10 {
			t.Errorf("ports %v do not go in a circle", got)
		}
	}
	if !wrapped || addrPort(local).Port() == got[0] {
		t.Errorf("ports %v, then %v", got, addrPort(local))
	}
}
