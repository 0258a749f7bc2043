// Package wire is what the harness and the agents in the pods say to each
// other: JSON lines over the standard streams of an exec'ed relay. Every
// request has an id, every answer repeats it; a batch is answered by one
// Result per target and closed by one Done that carries their count, so that
// a truncated stream is noticed.
package wire

import (
	"time"

	"github.com/segtest/segtest/probes/matrix"
)

// Version of this protocol. Harness and agent must agree, because the agent is
// built from the harness's own source.
const Version = 4

// SocketName is the abstract unix socket of a pod's agent. Pods in the network
// of one node share such names.
func SocketName(podUID string) string { return "@segtest-agent-" + podUID }

// What a LocalError's detail says, word for word, where the sender cannot speak
// a protocol at all, whatever the target.
const (
	NoSCTP = "sctp not supported by this kernel"
	NoEcho = "icmp echo not allowed to the agent: net.ipv4.ping_group_range leaves its group out"
)

// Unspoken reports that the sender of a sample cannot speak its protocol at all,
// so that to ask again is of no use.
func Unspoken(s matrix.Sample) bool {
	return s.Outcome == matrix.LocalError && (s.Detail == NoSCTP || s.Detail == NoEcho)
}

// Unlogged says what of a protocol no receiver can log, "" for nothing: that the
// receipts do not have it proves nothing then.
func Unlogged(p matrix.Protocol) string {
	switch p {
	case matrix.ICMP:
		return "no receiver logs echo requests, so a lost reply looks the same"
	case matrix.SCTP:
		return "no receiver logs the first packets of SCTP, so a lost answer looks the same"
	case matrix.TCP, matrix.UDP:
	}
	return ""
}

// The environment from which an agent learns who it is and what to do.
const (
	EnvWorkload = "SEGTEST_ENDPOINT" // "shop/db-0"
	EnvPodUID   = "SEGTEST_POD_UID"
	EnvNode     = "SEGTEST_NODE"
	EnvListen   = "SEGTEST_LISTEN" // "TCP/8080,UDP/53"
	EnvCanary   = "SEGTEST_CANARY" // port number, TCP and UDP
)

// Identity is who answers: the pod that holds the endpoint, and which boot of it.
type Identity struct {
	Endpoint matrix.Endpoint `json:"endpoint"`
	PodUID   string          `json:"podUID"`
	Node     string          `json:"node"`
	Boot     string          `json:"boot"` // random, new for each start of the agent
}

// Request is one line from the harness. Exactly one of the pointers is set.
type Request struct {
	ID       uint64    `json:"id"`
	Hello    *Hello    `json:"hello,omitempty"`
	Batch    *Batch    `json:"batch,omitempty"`
	Receipts *Receipts `json:"receipts,omitempty"`
	Late     *Late     `json:"late,omitempty"`
	Sample   *Sampling `json:"sample,omitempty"` // starts a sampler, which runs until Stop or Until
	Stop     *Stop     `json:"stop,omitempty"`   // stops a sampler and flushes it
	Stats    *Stats    `json:"stats,omitempty"`
}

// Response is one line from the agent.
type Response struct {
	ID      uint64     `json:"id"`
	Hello   *HelloInfo `json:"hello,omitempty"`
	Result  *Result    `json:"result,omitempty"`
	Receipt *Receipt   `json:"receipt,omitempty"`
	// Untold ends the receipts.
	Untold *Untold    `json:"untold,omitempty"`
	Series *Series    `json:"series,omitempty"`
	Stats  *StatsInfo `json:"stats,omitempty"`
	Done   *Done      `json:"done,omitempty"`  // last line of every answer
	Error  string     `json:"error,omitempty"` // the request failed as a whole; last line too
}

// Done closes an answer. Count is the number of lines before it with this id.
type Done struct {
	Count int `json:"count"`
	// Truncated says that the agent does not have all receipts, or late results,
	// that were asked for.
	Truncated bool `json:"truncated,omitempty"`
}

// Hello asks who the agent is and what it listens on.
type Hello struct{}

// HelloInfo answers Hello.
type HelloInfo struct {
	Version   int           `json:"version"`
	Identity  Identity      `json:"identity"`
	Listening []string      `json:"listening"` // "TCP/8080"
	Now       time.Duration `json:"now"`       // CLOCK_MONOTONIC
	// Speaks are the protocols for which the kernel gives this agent sockets. A
	// declared port of another protocol is not listened on.
	Speaks []matrix.Protocol `json:"speaks"`
	Untold Untold            `json:"untold"`
}

// Target is one flow to try, numbered by its position in the run's index.
type Target struct {
	Flow     int             `json:"flow"`
	Protocol matrix.Protocol `json:"protocol"`
	Address  string          `json:"address"` // "10.244.1.5:5432", with port 0 for ICMP
	// PeerUID is the pod UID that must answer; a comma separates several (a
	// Service). ICMP has none: whoever has the address answers.
	PeerUID string `json:"peerUID"`
	// Held is for samplers and TCP: one connection is made before the first sample
	// and kept, and every sample is a question over it. What becomes of a flow that
	// a change of policies finds established is seen so. A connection that ended is
	// not made anew.
	Held bool `json:"held,omitempty"`
}

// Batch asks for one Sample per target. All targets are in flight at once, up
// to InFlight, in random order from Seed, from fresh source ports.
type Batch struct {
	Targets  []Target      `json:"targets"`
	Wait     time.Duration `json:"wait"`     // silence this long reads TimedOut
	Attempts int           `json:"attempts"` // evenly over Wait, at least 50 ms apart; 2 for a deny to count
	InFlight int           `json:"inFlight"` // targets at once; 0 is no limit
	Spread   time.Duration `json:"spread"`   // targets begin evenly over this long; 0 is as fast as can be
	Seed     uint64        `json:"seed"`
	// Hold is how long after its Wait, when its Result is told and its place in
	// flight is free, a target without an answer stays open; 0 closes it. An
	// answer that comes meanwhile is told to whoever asks for Late.
	Hold time.Duration `json:"hold,omitempty"`
}

// Result answers one Target of a Batch.
type Result struct {
	Flow   int           `json:"flow"`
	Sample matrix.Sample `json:"sample"`
	// Sources are the local addresses ("10.244.2.7:40112") of the attempts, by
	// which the receiver's receipts are found.
	Sources []string `json:"sources,omitempty"`
	Peer    Identity `json:"peer,omitzero"` // who answered, if anybody did
}

// Receipts asks a receiver what arrived there, half-open connections included:
// one line for each arrival, and one with what went untold. Echo requests, and
// SCTP before its handshake is complete, leave nothing that an agent without
// privileges could see.
type Receipts struct {
	Since time.Duration `json:"since"` // CLOCK_MONOTONIC; 0 is everything kept
}

// Late asks for better Results of targets whose Wait was over: one line for
// each answer, and each handshake, that came since.
type Late struct {
	Since time.Duration `json:"since"` // CLOCK_MONOTONIC
}

// Receipt is one arrival at a receiver.
type Receipt struct {
	// At is when the agent took notice, CLOCK_MONOTONIC. Of a half-open connection
	// it is what the kernel's timers tell of its arrival, 0 where they do not.
	At       time.Duration   `json:"at"`
	Protocol matrix.Protocol `json:"protocol"`
	Source   string          `json:"source"` // "10.244.2.7:40112"
	Port     uint16          `json:"port"`   // local port
	// HalfOpen is an arrival that the kernel knows and nobody accepted: a
	// SYN_RECV row of /proc/net/tcp.
	HalfOpen bool `json:"halfOpen,omitempty"`
}

// Untold counts what arrived at a pod since it began and was gone before its
// agent could log it, so that silence there proves nothing. Nobody knows whose
// it was: only that the counts did not rise proves something.
type Untold struct {
	// TCP are first packets that the kernel dropped, because an accept queue was
	// full for example, and half-open connections that a reset or an ICMP error
	// removed.
	TCP uint64 `json:"tcp"`
	UDP uint64 `json:"udp"` // datagrams for which a socket had no room
}

// Sampling starts a sampler: every target is tried once each Period on an
// open-loop schedule, whatever became of the try before.
type Sampling struct {
	Name     string        `json:"name"`
	Targets  []Target      `json:"targets"`
	Period   time.Duration `json:"period"`   // 50 ms for hot flows
	Deadline time.Duration `json:"deadline"` // of one sample; under 1 s, so that it is one SYN
	Until    time.Duration `json:"until"`    // at the latest it ends by itself, this long after its start
	Seed     uint64        `json:"seed"`
}

// Stop ends a sampler and asks for what it saw. It may be repeated, over any
// stream, until a sampler of the same name is started.
type Stop struct {
	Name string `json:"name"`
}

// Series is what a sampler saw on one flow, run-length encoded in the order of
// the schedule.
type Series struct {
	Flow int   `json:"flow"`
	Runs []Run `json:"runs"`
	// Scheduled = Taken + Late counts ticks. A Late tick came up more than half a
	// period after its time, because the agent was frozen or starved: it sent
	// nothing and is in Runs as Unknown, at its scheduled time.
	Scheduled int `json:"scheduled"`
	Taken     int `json:"taken"`
	Late      int `json:"late"`
}

// Run is a stretch of consecutive samples with one outcome. The times are
// CLOCK_MONOTONIC: of the first and last SYN (or datagram) of the run, and of
// the last answer or deadline.
type Run struct {
	Outcome matrix.Outcome `json:"outcome"`
	Denial  matrix.Denial  `json:"denial,omitempty"`
	Detail  string         `json:"detail,omitempty"`
	Starved bool           `json:"starved,omitempty"` // see matrix.Sample
	Count   int            `json:"count"`
	First   time.Duration  `json:"first"`
	Last    time.Duration  `json:"last"`
	End     time.Duration  `json:"end"`
}

// Stats asks for the agent's own health.
type Stats struct{}

// StatsInfo answers Stats.
type StatsInfo struct {
	Identity   Identity      `json:"identity"`
	RSSBytes   int64         `json:"rssBytes"`
	MaxLate    time.Duration `json:"maxLate"` // of a 10 ms ticker since the last Stats
	SocketsNow int           `json:"socketsNow"`
}
