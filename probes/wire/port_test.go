package wire_test

import (
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/wire"
)

func TestParseListen(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, in, out, err string }{
		{"empty", "", "", ""},
		{"sorted, without doubles", "UDP/53, TCP/8080,TCP/80,TCP/8080", "TCP/80,TCP/8080,UDP/53", ""},
		{"SCTP", "SCTP/65535", "SCTP/65535", ""},
		{"no protocol", "/80", "", `"" is not a protocol`},
		{"no ports", "ICMP/80", "", `"ICMP" is not a protocol (TCP, UDP or SCTP)`},
		{"lower case", "tcp/80", "", `"tcp" is not a protocol`},
		{"no slash", "80", "", "want PROTOCOL/PORT"},
		{"zero", "TCP/0", "", `"0" is not a number from 1 to 65535`},
		{"too large", "TCP/65536", "", "65535"},
		{"name", "TCP/http", "", `"http" is not a number`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			ports, err := wire.ParseListen(row.in)
			if row.err != "" {
				if err == nil || !strings.Contains(err.Error(), row.err) {
					t.Errorf("err = %v, want %q", err, row.err)
				}
				return
			}
			if got := wire.FormatListen(ports); err != nil || got != row.out {
				t.Errorf("got %q, %v, want %q", got, err, row.out)
			}
		})
	}
}
