package chaos

import (
	"fmt"
	"slices"
	"time"

	"github.com/segtest/segtest/probes/matrix"
)

// Profile is what one policy engine is known to do, as data; see
// chaos/profiles. The zero value knows no gap: nothing may open, whatever dies.
type Profile struct {
	Name    string     `json:"name"`
	Summary string     `json:"summary"`
	Agent   AgentDeath `json:"agentDeath"`
	// PodStart is the gap by which flows that are denied at a new pod open until
	// the agents have heard of it; nil where none does.
	PodStart *Gap `json:"podStart,omitempty"`
	// AgentFreeze is the gap by which a denied flow opens while all its owners
	// are frozen; its bound is what comes on top of the time they are. nil where
	// none does.
	AgentFreeze *Gap `json:"agentFreeze,omitempty"`
}

// AgentDeath is what happens to flows while policy agents are dead. A flow's
// owners are the nodes that enforce it, see Profile.Owners.
type AgentDeath struct {
	// Unselected names the data paths on which a node enforces the flows of all its
	// pods. On others it enforces those of pods that a policy selects.
	Unselected []Datapath `json:"unselected,omitempty"`
	// Opens is the gap by which a denied flow opens once all its owners are dead;
	// nil where none does.
	Opens *Gap `json:"opens,omitempty"`
	// Closes is how an allowed flow closes once one of its owners is dead; nil
	// where none does.
	Closes *Outage `json:"closes,omitempty"`
}

// Gap is a known hole in enforcement.
type Gap struct {
	ID       string   `json:"id"` // "agent-death-opens"
	Bound    Duration `json:"bound"`
	Measured string   `json:"measured"` // how the bound was found
	Link     string   `json:"link"`     // where the gap is described
}

// Outage is a known loss of connections, until the fault is healed.
type Outage struct {
	Why      string `json:"why"`
	Measured string `json:"measured"` // how long it was seen to be
}

// Duration is a time.Duration that is written "3s".
type Duration time.Duration

// MarshalText writes the duration as Go spells it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what Go spells.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("reading a duration: %w", err)
	}
	*d = Duration(parsed)
	return nil
}

// Owners lists, in order of name, the nodes that enforce a flow between two
// pods.
func (p Profile) Owners(inv Inventory, from, to Pod) []string {
	var owners []string
	for _, end := range []Pod{from, to} {
		node, _ := inv.Node(end.Node)
		if end.Selected() || slices.Contains(p.Agent.Unselected, node.Datapath) {
			owners = append(owners, end.Node)
		}
	}
	slices.Sort(owners)
	return slices.Compact(owners)
}

// ExpectAgentsDead is what the death of agents explains on a flow. extra is how
// much longer than usual they stay dead.
func (p Profile) ExpectAgentsDead(inv Inventory, flow matrix.Flow, dead []string, extra time.Duration) Expect {
	var e Expect
	isDead := func(node string) bool { return slices.Contains(dead, node) }
	for _, from := range inv.PodsOf(flow.From) {
		for _, to := range inv.PodsOf(flow.To) {
			if from.UID == to.UID {
				continue // no policy applies to a pod that asks itself
			}
			owners := p.Owners(inv, from, to)
			if p.Agent.Closes != nil && slices.ContainsFunc(owners, isDead) {
				e.Outage = true
			}
			alive := slices.ContainsFunc(owners, func(node string) bool { return !isDead(node) })
			if gap := p.Agent.Opens; gap != nil && len(owners) > 0 && !alive {
				e = e.with(gap, extra)
			}
		}
	}
	return e
}

// ExpectFrozen is what a frozen node explains on a flow: its pods can neither
// send nor receive, and flows that nobody else enforces may open, because the
// kernel of the node goes on and the queue of the agent runs over.
func (p Profile) ExpectFrozen(inv Inventory, flow matrix.Flow, node string, hold time.Duration) Expect {
	e := ExpectGone(inv, flow, func(pod Pod) bool { return pod.Node == node })
	if p.AgentFreeze == nil {
		return e
	}
	for _, from := range inv.PodsOf(flow.From) {
		for _, to := range inv.PodsOf(flow.To) {
			if from.UID != to.UID && slices.Equal(p.Owners(inv, from, to), []string{node}) {
				e = e.with(p.AgentFreeze, hold)
			}
		}
	}
	return e
}

// ExpectReplaced is what a new pod in the place of gone explains on a flow.
func (p Profile) ExpectReplaced(inv Inventory, flow matrix.Flow, gone Pod) Expect {
	is := func(q Pod) bool { return q.UID == gone.UID }
	e := ExpectGone(inv, flow, is)
	// An unknown receiver looks as if no policy selected it; an unknown sender too,
	// but receivers that are isolated refuse it.
	receives := slices.ContainsFunc(inv.PodsOf(flow.To), is)
	sends := slices.ContainsFunc(inv.PodsOf(flow.From), is)
	// Where the other end is isolated too, its agent knows its own pod and denies
	// what it does not.
	senderOpen := !slices.ContainsFunc(inv.PodsOf(flow.From), func(p Pod) bool { return p.Egress })
	receiverOpen := !slices.ContainsFunc(inv.PodsOf(flow.To), func(p Pod) bool { return p.Ingress })
	if p.PodStart != nil && (receives && gone.Ingress && senderOpen || sends && gone.Egress && receiverOpen) {
		e = e.with(p.PodStart, 0)
	}
	return e
}

// with adds a gap that may be open for extra longer than its bound, because the
// fault itself may last that long.
func (e Expect) with(gap *Gap, extra time.Duration) Expect {
	e.Gap, e.Grace, e.Link = gap.ID, time.Duration(gap.Bound), gap.Link
	e.Bound = e.Grace + extra
	return e
}

// ExpectGone is what the absence of pods explains on a flow: those for which
// gone holds cannot send, receive or be watched.
func ExpectGone(inv Inventory, flow matrix.Flow, gone func(Pod) bool) Expect {
	var e Expect
	for _, end := range []matrix.Endpoint{flow.From, flow.To} {
		pods := inv.PodsOf(end)
		missing := 0
		for _, p := range pods {
			if gone(p) {
				missing++
			}
		}
		e.Outage = e.Outage || missing > 0
		// A Service with other backends can still be watched.
		e.Unobservable = e.Unobservable || missing > 0 && missing == len(pods)
	}
	return e
}
