package matrix

// Intent is what should happen to a Flow. The zero value claims nothing.
type Intent uint8

// The intents. Undefined means that the specification leaves the answer open:
// such a flow is reported and never judged.
const (
	Unstated Intent = iota
	Allow
	Deny
	Undefined
)

var intentNames = names[Intent]{"unstated", "allow", "deny", "undefined"} //nolint:gochecknoglobals // constant table

func (i Intent) String() string                { return intentNames.of(i) }
func (i Intent) MarshalText() ([]byte, error)  { return intentNames.marshal(i) }
func (i *Intent) UnmarshalText(b []byte) error { return intentNames.unmarshal(i, b, "intent") }

// Outcome is what one probe of a Flow saw. The zero value is Unknown: nothing
// was seen, which proves nothing.
type Outcome uint8

// The outcomes.
const (
	Unknown       Outcome = iota // no probe ran, or its result was lost
	Connected                    // the expected peer answered with our nonce
	WrongPeer                    // somebody else answered
	HandshakeOnly                // the kernel accepted, nobody answered
	Refused                      // reset, or ICMP port unreachable
	Unreachable                  // another ICMP error, or no route
	TimedOut                     // silence until the deadline
	OneWay                       // the receiver saw us, its answer did not arrive
	LocalError                   // the sender could not even try
)

var outcomeNames = names[Outcome]{ //nolint:gochecknoglobals // constant table
	"unknown", "connected", "wrong-peer", "handshake-only", "refused", "unreachable", "timed-out", "one-way", "local-error",
}

func (o Outcome) String() string                { return outcomeNames.of(o) }
func (o Outcome) MarshalText() ([]byte, error)  { return outcomeNames.marshal(o) }
func (o *Outcome) UnmarshalText(b []byte) error { return outcomeNames.unmarshal(o, b, "outcome") }

// Passed reports that at least a packet of the flow got through to some
// receiver: on a denied flow each of these is a leak.
func (o Outcome) Passed() bool {
	switch o {
	case Connected, WrongPeer, HandshakeOnly, OneWay:
		return true
	case Unknown, Refused, Unreachable, TimedOut, LocalError:
		return false
	}
	return false
}

// Blocked reports that the probe ran and nothing got through. It is not yet a
// proof of a deny: that needs evidence that the flow could have worked.
func (o Outcome) Blocked() bool {
	switch o {
	case Refused, Unreachable, TimedOut:
		return true
	case Unknown, Connected, WrongPeer, HandshakeOnly, OneWay, LocalError:
		return false
	}
	return false
}

// Denial is how a blocked flow showed it to its sender. The zero value
// says that it was not blocked, or that nothing tells how.
type Denial uint8

// The denials. Sample.Detail has the ICMP message and who sent it.
const (
	DenialUnknown Denial = iota
	Dropped              // silence
	Reset                // a TCP reset or an SCTP abort
	ICMPError            // an ICMP or ICMPv6 error of the network
	LocalRoute           // the sender's own routes lead nowhere
)

var denialNames = names[Denial]{"unknown", "drop", "reset", "icmp", "route"} //nolint:gochecknoglobals // constant table

func (d Denial) String() string                { return denialNames.of(d) }
func (d Denial) MarshalText() ([]byte, error)  { return denialNames.marshal(d) }
func (d *Denial) UnmarshalText(b []byte) error { return denialNames.unmarshal(d, b, "denial") }

// Verdict is what the evidence means. The zero value is Inconclusive: what
// nobody judged is not a pass.
type Verdict uint8

// The verdicts.
const (
	Inconclusive Verdict = iota
	Pass
	KnownGap
	Fail
)

var verdictNames = names[Verdict]{"inconclusive", "pass", "known-gap", "fail"} //nolint:gochecknoglobals // constant table

func (v Verdict) String() string                { return verdictNames.of(v) }
func (v Verdict) MarshalText() ([]byte, error)  { return verdictNames.marshal(v) }
func (v *Verdict) UnmarshalText(b []byte) error { return verdictNames.unmarshal(v, b, "verdict") }

// severity orders verdicts for Worst: Fail beats Inconclusive beats KnownGap
// beats Pass.
func (v Verdict) severity() int {
	switch v {
	case Fail:
		return 3
	case Inconclusive:
		return 2
	case KnownGap:
		return 1
	case Pass:
		return 0
	}
	return 2 // an invalid verdict proves nothing
}

// Worst is the verdict of a whole from the verdicts of its parts:
// Inconclusive for no parts, because nothing was proven.
func Worst(verdicts ...Verdict) Verdict {
	if len(verdicts) == 0 {
		return Inconclusive
	}
	worst := verdicts[0]
	for _, v := range verdicts[1:] {
		if v.severity() > worst.severity() {
			worst = v
		}
	}
	return worst
}
