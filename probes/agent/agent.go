package agent

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// Config is who an agent is and where it listens.
type Config struct {
	Identity wire.Identity // Boot is chosen by New
	Listen   []wire.Port
	Canary   uint16     // listened on with TCP and UDP; 0 is none
	Bind     netip.Addr // listen on this address only; the zero value is all
}

// FromEnv reads the configuration that the pod gives its agent.
func FromEnv(getenv func(string) string) (Config, error) {
	c := Config{Identity: wire.Identity{
		Endpoint: matrix.Endpoint(getenv(wire.EnvWorkload)), PodUID: getenv(wire.EnvPodUID), Node: getenv(wire.EnvNode),
	}}
	for _, name := range []string{wire.EnvWorkload, wire.EnvPodUID, wire.EnvNode} {
		if getenv(name) == "" {
			return Config{}, fmt.Errorf("reading the environment: %s is not set; the agent would have no identity", name)
		}
	}
	var err error
	if c.Listen, err = wire.ParseListen(getenv(wire.EnvListen)); err != nil {
		return Config{}, fmt.Errorf("reading the environment: %s: %w", wire.EnvListen, err)
	}
	if s := getenv(wire.EnvCanary); s != "" {
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil || n == 0 {
			return Config{}, fmt.Errorf("reading the environment: %s is %q, not a number from 1 to 65535", wire.EnvCanary, s)
		}
		c.Canary = uint16(n)
	}
	return c, nil
}

// ports are all ports that an agent of this configuration listens on.
func (c Config) ports() []wire.Port {
	ports := append([]wire.Port(nil), c.Listen...)
	if c.Canary != 0 {
		ports = append(ports,
			wire.Port{Protocol: matrix.TCP, Number: c.Canary}, wire.Port{Protocol: matrix.UDP, Number: c.Canary})
	}
	return wire.SortPorts(ports)
}

// Agent listens, tries, samples and remembers. Make it with New, end it with Close.
type Agent struct {
	identity  wire.Identity
	listening []string
	speaks    []matrix.Protocol
	loop      *loop
	ended     chan struct{}
	started   time.Duration // nothing older is in its logs
	tables    *tables
	receipts  receipts

	// The rest belongs to the loop.
	visits   int
	pauses   int // listeners that do not accept at the moment
	late     lateResults
	nonce    uint64
	samplers map[string]*sampler
	names    []string // of samplers, oldest first
	maxLate  time.Duration
}

// New listens on all ports of the protocols that the kernel has and starts the
// agent, or leaves nothing behind.
func New(c Config) (*Agent, error) {
	boot := make([]byte, 8)
	if _, err := unix.Getrandom(boot, 0); err != nil {
		return nil, fmt.Errorf("choosing a boot nonce: %w", err)
	}
	kernel, err := openTables()
	if err != nil {
		return nil, fmt.Errorf("starting the agent: %w", err)
	}
	l, err := newLoop()
	if err != nil {
		kernel.close()
		return nil, fmt.Errorf("starting the agent: %w", err)
	}
	a := &Agent{identity: c.Identity, loop: l, tables: kernel, speaks: spoken(), ended: make(chan struct{}), started: now(), samplers: map[string]*sampler{}}
	a.identity.Boot = hex.EncodeToString(boot)
	for _, p := range c.ports() {
		if !slices.Contains(a.speaks, p.Protocol) {
			continue
		}
		_, bad := listen(a, p, c.Bind)
		err = errors.Join(err, bad)
		a.listening = append(a.listening, p.String())
	}
	if err != nil {
		l.close()
		kernel.close()
		return nil, fmt.Errorf("starting the agent: %w", err)
	}
	a.tick(now())
	go func() {
		defer close(a.ended)
		if err := l.run(); err != nil {
			panic("segtest-agent: " + err.Error()) // an agent that cannot see must not seem to
		}
	}()
	return a, nil
}

// Close ends the agent and all it has open.
func (a *Agent) Close() {
	a.loop.post(func() { a.loop.stopping = true })
	<-a.ended
	a.tables.close()
}

// tickEvery is the period of the ticker that measures the agent's own lateness.
const tickEvery = 10 * time.Millisecond

func (a *Agent) tick(due time.Duration) {
	late := now() - due
	a.maxLate = max(a.maxLate, late)
	next := due + tickEvery
	if late > tickEvery {
		next = now() + tickEvery
	}
	a.loop.at(next, func() { a.tick(next) })
}

// nonces returns a nonce that no other try in the world uses.
func (a *Agent) nonces() string {
	a.nonce++
	return a.identity.Boot + "-" + strconv.FormatUint(a.nonce, 36)
}

// on runs f on the loop and waits for it; false means that the agent has ended.
func (a *Agent) on(f func()) bool {
	done := make(chan struct{})
	if !a.loop.post(func() { f(); close(done) }) {
		return false
	}
	<-done
	return true
}

// keptSamplers is how many samplers an agent holds, stopped ones included.
const keptSamplers = 32

// startSampler takes the place of a stopped sampler of the same name.
func (a *Agent) startSampler(r wire.Sampling) error {
	if err := checkSampling(r); err != nil {
		return err
	}
	if old, ok := a.samplers[r.Name]; ok {
		if !old.stopped {
			return fmt.Errorf("starting sampler %q: one of this name runs; stop it first", r.Name)
		}
		a.forget(r.Name)
	}
	for i := 0; i < len(a.names) && len(a.names) >= keptSamplers; {
		if a.samplers[a.names[i]].stopped {
			a.forget(a.names[i])
			continue
		}
		i++
	}
	if len(a.names) >= keptSamplers {
		return fmt.Errorf("starting sampler %q: %d others run; stop one first", r.Name, len(a.names))
	}
	s := newSampler(a.loop, r, a.nonces)
	a.samplers[r.Name], a.names = s, append(a.names, r.Name)
	s.start()
	return nil
}

func (a *Agent) forget(name string) {
	delete(a.samplers, name)
	for i, n := range a.names {
		if n == name {
			a.names = append(a.names[:i], a.names[i+1:]...)
			return
		}
	}
}

// Economy keeps the process small: it collects early rather than grow.
func Economy() {
	debug.SetGCPercent(25)
	debug.SetMemoryLimit(8 << 20)
}

// rss is the resident memory of this process in bytes.
func rss() (int64, error) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, fmt.Errorf("reading resident memory: %w", err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
		return 0, fmt.Errorf("reading resident memory from %q: %w", b, err)
	}
	return resident * int64(os.Getpagesize()), nil
}
