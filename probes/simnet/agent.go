package simnet

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// agent is the probe agent of a pod.
type agent struct {
	net  *Network
	pod  *pod
	gone chan struct{} // closed when the pod dies

	mu       sync.Mutex
	port     uint16 // from which it dialled last
	receipts []wire.Receipt
	samplers map[string]*sampler
}

// halfOpenLife is how long a kernel lists a half-open connection.
const halfOpenLife = 63 * time.Second

func newAgent(n *Network, p *pod) *agent {
	return &agent{net: n, pod: p, gone: make(chan struct{}), port: 32768, samplers: map[string]*sampler{}}
}

// Dial opens a stream to the agent of a pod, which ends with the pod.
func (n *Network) Dial(_ context.Context, ep matrix.Endpoint) (io.ReadWriteCloser, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, ok := n.pods[ep]
	if !ok {
		return nil, fmt.Errorf("dialling %s: it has no pod at the moment", ep)
	}
	near, far := net.Pipe()
	go p.agent.serve(far)
	go func() {
		<-p.agent.gone
		_ = far.Close() // never fails
	}()
	return near, nil
}

// serve answers requests until the stream ends, each when its time has come.
func (a *agent) serve(stream net.Conn) {
	in := json.NewDecoder(stream)
	var out sync.Mutex
	for {
		var r wire.Request
		if err := in.Decode(&r); err != nil {
			_ = stream.Close() // never fails
			return
		}
		go func() {
			if !a.wait(a.net.config.Lag) {
				return
			}
			text, err := written(r.ID, a.answer(r))
			if err != nil || !a.wait(a.net.config.Lag) {
				return
			}
			out.Lock()
			defer out.Unlock()
			_, _ = stream.Write(text) // whoever reads notices a stream that broke
		}()
	}
}

// wait for so long; false when the pod dies meanwhile.
func (a *agent) wait(d time.Duration) bool {
	if d <= 0 {
		select {
		case <-a.gone:
			return false
		default:
			return true
		}
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-a.gone:
		return false
	}
}

// until waits for a time of the network.
func (a *agent) until(at time.Duration) bool { return a.wait(at - a.net.Now()) }

// written is an answer as it goes over the wire, with its last line.
func written(id uint64, lines []wire.Response) ([]byte, error) {
	if n := len(lines); n == 0 || lines[n-1].Error == "" {
		lines = append(lines, wire.Response{Done: &wire.Done{Count: n}})
	}
	var text []byte
	for _, l := range lines {
		l.ID = id
		line, err := json.Marshal(l)
		if err != nil {
			return nil, err
		}
		text = append(append(text, line...), '\n')
	}
	return text, nil
}

// answer a request, without its last line.
func (a *agent) answer(r wire.Request) []wire.Response {
	switch {
	case r.Hello != nil:
		return []wire.Response{{Hello: a.hello()}}
	case r.Batch != nil:
		return a.batch(*r.Batch)
	case r.Receipts != nil:
		return a.arrivals(r.Receipts.Since)
	case r.Late != nil: // an answer comes in time or never
		return nil
	case r.Sample != nil:
		return failed(a.sample(*r.Sample))
	case r.Stop != nil:
		return a.stop(r.Stop.Name)
	case r.Stats != nil:
		return []wire.Response{{Stats: &wire.StatsInfo{Identity: a.identity()}}}
	}
	return failed(errors.New("the request asks for nothing that this agent knows"))
}

func failed(err error) []wire.Response {
	if err == nil {
		return nil
	}
	return []wire.Response{{Error: err.Error()}}
}

func (a *agent) identity() wire.Identity {
	return wire.Identity{Endpoint: a.pod.Name, PodUID: a.pod.uid, Node: a.pod.Node, Boot: "boot-" + a.pod.uid}
}

func (a *agent) hello() *wire.HelloInfo {
	h := &wire.HelloInfo{Version: wire.Version, Identity: a.identity(), Now: a.net.Now()}
	for _, p := range []matrix.Protocol{matrix.TCP, matrix.UDP, matrix.SCTP, matrix.ICMP} {
		if a.mute(p) == "" {
			h.Speaks = append(h.Speaks, p)
		}
	}
	for _, p := range a.pod.Listen {
		if a.mute(p.Protocol) == "" {
			h.Listening = append(h.Listening, p.String())
		}
	}
	return h
}

// mute says why the agent cannot speak a protocol, "" where it can.
func (a *agent) mute(p matrix.Protocol) string {
	switch {
	case !slices.Contains(a.net.config.Mute, p):
		return ""
	case p == matrix.SCTP:
		return wire.NoSCTP
	}
	return wire.NoEcho
}

// log an arrival.
func (a *agent) log(r wire.Receipt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.receipts = append(a.receipts, r)
}

// arrivals since a time, and all connections that are half-open yet. Nothing
// goes untold.
func (a *agent) arrivals(since time.Duration) []wire.Response {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.net.Now()
	var lines []wire.Response
	from, _ := slices.BinarySearchFunc(a.receipts, min(since, now-halfOpenLife), func(r wire.Receipt, at time.Duration) int { return cmp.Compare(r.At, at) })
	for _, r := range a.receipts[from:] {
		if r.HalfOpen && now-r.At < halfOpenLife || !r.HalfOpen && r.At >= since {
			lines = append(lines, wire.Response{Receipt: &r})
		}
	}
	return append(lines, wire.Response{Untold: &wire.Untold{}})
}

// dial tries a target once.
func (a *agent) dial(t wire.Target) (packet, fate, *pod, error) {
	if why := a.mute(t.Protocol); why != "" {
		return packet{}, unknown, nil, errors.New(why)
	}
	to, err := netip.ParseAddrPort(t.Address)
	if err != nil {
		return packet{}, unknown, nil, fmt.Errorf("dialling %q: %w", t.Address, err)
	}
	a.mu.Lock()
	a.port = max(a.port+1, 32768)
	p := packet{protocol: t.Protocol, from: netip.AddrPortFrom(a.pod.address, a.port), to: to}
	a.mu.Unlock()
	f, who := a.net.send(p)
	return p, f, who, nil
}
