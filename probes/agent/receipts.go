package agent

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// keptReceipts is how many arrivals an agent remembers.
const keptReceipts = 16384

// arrival is a receipt in few bytes.
type arrival struct {
	at     time.Duration
	source netip.AddrPort
	port   wire.Port
}

// receipts is the log of what arrived: a ring that forgets the oldest.
type receipts struct {
	mu    sync.Mutex
	ring  []arrival
	first int           // position of the oldest once the ring is full
	lost  time.Duration // when the newest of the forgotten arrived, 0 for none
}

func (r *receipts) add(port wire.Port, source netip.AddrPort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := arrival{at: now(), source: source, port: port}
	if len(r.ring) < keptReceipts {
		r.ring = append(r.ring, next)
		return
	}
	r.lost = r.ring[r.first].at
	r.ring[r.first] = next
	r.first = (r.first + 1) % keptReceipts
}

// since returns the arrivals from a moment on, oldest first, and whether some
// of them are forgotten.
func (r *receipts) since(t time.Duration) ([]wire.Receipt, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []wire.Receipt
	for i := range r.ring {
		a := r.ring[(r.first+i)%len(r.ring)]
		if a.at >= t {
			out = append(out, wire.Receipt{At: a.at, Protocol: a.port.Protocol, Source: a.source.String(), Port: a.port.Number})
		}
	}
	return out, r.lost > 0 && r.lost >= t
}

// stateSynRecv is TCP_SYN_RECV in /proc/net/tcp.
const stateSynRecv = "03"

func parseHalfOpen(r io.Reader, at time.Duration) ([]wire.Receipt, error) {
	var out []wire.Receipt
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || fields[3] != stateSynRecv {
			continue
		}
		local, err := procAddress(fields[1])
		if err != nil {
			return nil, err
		}
		remote, err := procAddress(fields[2])
		if err != nil {
			return nil, err
		}
		out = append(out, wire.Receipt{
			At: synArrived(fields, at), Protocol: matrix.TCP, Source: remote.String(), Port: local.Port(), HalfOpen: true,
		})
	}
	return out, lines.Err()
}

// synArrived tells from a row of /proc/net/tcp that was read at a time when its
// SYN arrived, 0 where the row does not say. The kernel repeats its answer after
// 1 s, then after twice as long each time (inet_csk_reqsk_queue_hash_add and
// reqsk_timer_handler in net/ipv4/inet_connection_sock.c); the row has the time
// to the next repetition, in hundredths of a second, and how many there were.
// A late timer makes the result later than the truth, by parts of a second at
// first and by a few seconds after many repetitions.
func synArrived(fields []string, at time.Duration) time.Duration {
	const most = 6 // repetitions; the kernel's default is 5
	if len(fields) < 7 {
		return 0
	}
	active, left, _ := strings.Cut(fields[5], ":")
	hundredths, err := strconv.ParseUint(left, 16, 32)
	repeated, countErr := strconv.ParseUint(fields[6], 16, 32)
	if err != nil || countErr != nil || active != "01" || repeated > most {
		return 0
	}
	next := at + time.Duration(hundredths)*10*time.Millisecond
	return max(0, min(at, next-(2<<repeated-1)*time.Second))
}

// procAddress reads "0100007F:1F90": 32-bit words in the machine's byte order.
func procAddress(s string) (netip.AddrPort, error) {
	host, port, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	number, portErr := strconv.ParseUint(port, 16, 16)
	if err = errors.Join(err, portErr); err != nil {
		return netip.AddrPort{}, fmt.Errorf("parsing address %q: %w", s, err)
	}
	if len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, fmt.Errorf("parsing address %q: want 4 or 16 bytes", s)
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(number)), nil
}
