package agent

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/segtest/segtest/probes/wire"
)

// tables are what the kernel tells of this network namespace. They stay open, so
// that an agent that has run out of descriptors can still say what arrived.
type tables struct {
	mu   sync.Mutex // held while one is read
	open map[string]*os.File
}

// openTables opens all; the IPv6 ones may be missing.
func openTables() (*tables, error) {
	t := &tables{open: map[string]*os.File{}}
	for _, name := range []string{"tcp", "tcp6", "netstat", "snmp", "snmp6"} {
		f, err := os.Open("/proc/self/net/" + name)
		switch {
		case errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(name, "6"):
		case err != nil:
			t.close()
			return nil, fmt.Errorf("opening the kernel's tables: %w", err)
		default:
			t.open[name] = f
		}
	}
	return t, nil
}

func (t *tables) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.open {
		_ = f.Close()
	}
}

// read calls take with a table from its beginning, not at all where this kernel
// has none of the name.
func (t *tables) read(name string, take func(io.Reader) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	f, ok := t.open[name]
	if !ok {
		return nil
	}
	if err := take(io.NewSectionReader(f, 0, math.MaxInt64)); err != nil {
		return fmt.Errorf("reading %s: %w", f.Name(), err)
	}
	return nil
}

// halfOpen are the connections that the kernel knows and nobody accepted yet:
// somebody's SYN arrived.
func (t *tables) halfOpen() ([]wire.Receipt, error) {
	var all []wire.Receipt
	for _, name := range []string{"tcp", "tcp6"} {
		err := t.read(name, func(r io.Reader) error {
			found, err := parseHalfOpen(r, now())
			all = append(all, found...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// untold is what the kernel dropped since the namespace began.
func (t *tables) untold() (wire.Untold, error) {
	var u wire.Untold
	for _, c := range []struct {
		table, group, name string
		into               *uint64
	}{
		{"netstat", "TcpExt", "ListenDrops", &u.TCP},   // no room, or an ICMP error to the answer
		{"netstat", "TcpExt", "EmbryonicRsts", &u.TCP}, // a reset to the answer
		{"snmp", "Udp", "RcvbufErrors", &u.UDP},
		{"snmp6", "", "Udp6RcvbufErrors", &u.UDP},
	} {
		err := t.read(c.table, func(r io.Reader) error {
			b, err := io.ReadAll(r)
			if err != nil {
				return err
			}
			n, err := counter(string(b), c.group, c.name)
			*c.into += n
			return err
		})
		if err != nil {
			return u, err
		}
	}
	return u, nil
}

// counter finds a figure: in the second of a group's two lines, below its name,
// or, without a group, on a line of its own behind its name.
func counter(text, group, name string) (uint64, error) {
	var names []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case group == "" && fields[0] == name && len(fields) == 2:
			return strconv.ParseUint(fields[1], 10, 64)
		case group == "" || fields[0] != group+":":
		case names == nil:
			names = fields
		default:
			for i, n := range names[:min(len(names), len(fields))] {
				if n == name {
					return strconv.ParseUint(fields[i], 10, 64)
				}
			}
		}
	}
	return 0, fmt.Errorf("no counter %s", name)
}
