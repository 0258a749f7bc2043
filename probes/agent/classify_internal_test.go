package agent

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/segtest/segtest/probes/matrix"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	const prohibited = "ICMP admin-prohibited from 10.0.0.1"
	for _, row := range []struct {
		protocol matrix.Protocol
		at       stage
		err      error
		cause    string
		want     matrix.Outcome
		denial   matrix.Denial
	}{
		{matrix.TCP, underway, unix.ECONNREFUSED, "", matrix.Refused, matrix.Reset},
		{matrix.TCP, begun, unix.ECONNREFUSED, "", matrix.Refused, matrix.LocalRoute},
		{matrix.TCP, underway, unix.ECONNREFUSED, "ICMP port-unreachable", matrix.Refused, matrix.ICMPError},
		{matrix.SCTP, underway, unix.ECONNREFUSED, "", matrix.Refused, matrix.DenialUnknown},
		{matrix.SCTP, underway, unix.ENOPROTOOPT, "", matrix.Unreachable, matrix.ICMPError},
		{matrix.UDP, underway, unix.ECONNREFUSED, "", matrix.Refused, matrix.ICMPError},
		{matrix.ICMP, underway, unix.EHOSTUNREACH, prohibited, matrix.Unreachable, matrix.ICMPError},
		{matrix.TCP, underway, unix.EACCES, "ICMPv6 policy-fail", matrix.Unreachable, matrix.ICMPError},
		{matrix.TCP, begun, unix.EACCES, "", matrix.Unreachable, matrix.LocalRoute},
		{matrix.UDP, begun, unix.EINVAL, "", matrix.Unreachable, matrix.LocalRoute},
		{matrix.UDP, begun, fmt.Errorf("choosing: %w", unix.ENETUNREACH), "", matrix.Unreachable, matrix.LocalRoute},
		{matrix.TCP, underway, unix.ETIMEDOUT, "", matrix.TimedOut, matrix.Dropped},
		{matrix.TCP, begun, unix.EADDRNOTAVAIL, "", matrix.LocalError, matrix.DenialUnknown},
		{matrix.UDP, begun, fmt.Errorf("choosing: %w", unix.EADDRINUSE), "", matrix.LocalError, matrix.DenialUnknown},
		{matrix.TCP, begun, unix.EMFILE, "", matrix.LocalError, matrix.DenialUnknown},
		{matrix.UDP, begun, unix.EPERM, "", matrix.LocalError, matrix.DenialUnknown},
		{matrix.UDP, begun, unix.EMSGSIZE, "", matrix.LocalError, matrix.DenialUnknown},
		{matrix.UDP, underway, errors.New("what the kernel never says"), "", matrix.LocalError, matrix.DenialUnknown},
	} {
		got := classify(row.protocol, row.at, row.err, row.cause)
		if want := join(row.err.Error(), row.cause); got.outcome != row.want || got.denial != row.denial || len(got.detail) < len(want) {
			t.Errorf("%s %v %q: %s by %s %q, want %s by %s", row.protocol, row.err, row.cause, got.outcome, got.denial, got.detail, row.want, row.denial)
		}
	}
}

func TestCounter(t *testing.T) {
	t.Parallel()
	const netstat = "TcpExt: SyncookiesSent EmbryonicRsts ListenDrops\nTcpExt: 1 22 333\nIpExt: InNoRoutes ListenDrops\nIpExt: 4 5\n"
	const snmp6 = "Ip6InReceives                   \t6\nUdp6RcvbufErrors                \t77\n"
	for _, row := range []struct {
		text, group, name string
		want              uint64
		bad               bool
	}{
		{netstat, "TcpExt", "EmbryonicRsts", 22, false},
		{netstat, "TcpExt", "ListenDrops", 333, false},
		{snmp6, "", "Udp6RcvbufErrors", 77, false},
		{snmp6, "", "Udp6", 0, true},
		{netstat, "TcpExt", "Unheard", 0, true},
		{"TcpExt: ListenDrops\nTcpExt: many\n", "TcpExt", "ListenDrops", 0, true},
		{"", "TcpExt", "ListenDrops", 0, true},
	} {
		if got, err := counter(row.text, row.group, row.name); got != row.want || (err != nil) != row.bad {
			t.Errorf("%s %s: %d, %v", row.group, row.name, got, err)
		}
	}
	kernel, err := openTables()
	if err != nil {
		t.Fatal(err)
	}
	defer kernel.close()
	for range 2 { // a table is read again from its beginning
		if _, err := kernel.untold(); err != nil {
			t.Error(err)
		}
	}
}
