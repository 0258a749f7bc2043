package prober

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
)

// Member is an agent as it is now: the pod that holds an endpoint.
type Member struct {
	Endpoint matrix.Endpoint
	Node     string   // the in-flight budget is shared per node
	PodUID   string   // who must answer
	IPs      []string // the pod's own addresses, one per family
}

// Question is one flow of the run's index and where it leads at the moment.
type Question struct {
	Flow     int // position in the index; each once in a plan
	From     matrix.Endpoint
	Protocol matrix.Protocol
	Address  string // "10.244.1.5:5432", with port 0 for ICMP
	// To are the endpoints that may receive the packets: the one behind a pod
	// address, all behind a Service. Pod UIDs come from the members. An endpoint
	// that is no member has no agent.
	To []matrix.Endpoint
	// PeerUID overrides the pod UID that must answer; "" takes the members of To.
	// ICMP needs none.
	PeerUID string
	// Held is for watches: one TCP connection is kept, and every sample is a
	// question over it.
	Held bool
}

// DefaultPerNode is how many flows one node's agents have in flight together. A
// data plane that asks a process for each verdict holds no more packets than fit
// into the process's socket, 256 with Linux's default (net.core.rmem_default of
// 212,992 bytes, 832 each), and what more comes it drops or lets through. A flow
// waits at both of its nodes.
const DefaultPerNode = 128

// startEvery is the pace at which the flows of a pass begin, over all senders.
// All at once they would queue up in a data plane that asks a process for each
// verdict, which takes some five thousand connections a second on two
// processors, and the deny wait would be a multiple of the length of that queue.
const startEvery = 800 * time.Microsecond

// Plan is one pass over some flows. It is input only: Pass changes nothing in it.
type Plan struct {
	Members   []Member
	Questions []Question
	Wait      time.Duration // silence that is shorter is no deny
	MaxWait   time.Duration // what DenyWait may make of Wait; 0 leaves Wait as it is
	Attempts  int           // 0 is 2, without which silence is no deny
	PerNode   int           // in flight per node; 0 is DefaultPerNode
	Seed      uint64
	Baseline  map[int]bool // flows that connected before there were policies
}

func (p Plan) attempts() int {
	if p.Attempts > 0 {
		return p.Attempts
	}
	return 2
}

// spread is how long it takes until the last flow has begun.
func (p Plan) spread() time.Duration { return time.Duration(len(p.Questions)) * startEvery }

func (p Plan) perNode() int {
	if p.PerNode > 0 {
		return p.PerNode
	}
	return DefaultPerNode
}

// roster is the members of a plan by endpoint.
type roster map[matrix.Endpoint]Member

// check finds all that is wrong with a plan.
func (p Plan) check() (roster, error) {
	var errs []error
	if p.Wait <= 0 {
		errs = append(errs, errors.New("the wait is not positive"))
	}
	members, err := enroll(p.Members)
	errs = append(errs, err, checkQuestions(members, p.Questions))
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("planning a pass: %w", err)
	}
	return members, nil
}

func enroll(all []Member) (roster, error) {
	var errs []error
	members := make(roster, len(all))
	for _, m := range all {
		if _, double := members[m.Endpoint]; double {
			errs = append(errs, fmt.Errorf("%s is a member twice", m.Endpoint))
		}
		if m.PodUID == "" {
			errs = append(errs, fmt.Errorf("%s has no pod UID", m.Endpoint))
		}
		members[m.Endpoint] = m
	}
	return members, errors.Join(errs...)
}

func checkQuestions(members roster, questions []Question) error {
	var errs []error
	seen := make(map[int]bool, len(questions))
	for _, q := range questions {
		switch {
		case q.Flow < 0:
			errs = append(errs, fmt.Errorf("flow %d is no position", q.Flow))
		case seen[q.Flow]:
			errs = append(errs, fmt.Errorf("flow %d is asked twice", q.Flow))
		case members.peers(q) == "" && q.Protocol != matrix.ICMP:
			errs = append(errs, fmt.Errorf("flow %d to %q has no pod UID to expect", q.Flow, q.To))
		}
		if _, ok := members[q.From]; !ok {
			errs = append(errs, fmt.Errorf("flow %d starts at %s, which is no member", q.Flow, q.From))
		}
		seen[q.Flow] = true
	}
	return errors.Join(errs...)
}

// peers are the pod UIDs one of which must answer a question.
func (r roster) peers(q Question) string {
	if q.PeerUID != "" {
		return q.PeerUID
	}
	var uids string
	for _, ep := range q.To {
		if m, ok := r[ep]; ok {
			if uids != "" {
				uids += ","
			}
			uids += m.PodUID
		}
	}
	return uids
}

func (r roster) target(q Question) wire.Target {
	return wire.Target{Flow: q.Flow, Protocol: q.Protocol, Address: q.Address, PeerUID: r.peers(q), Held: q.Held}
}

// involved are the members that ask or may receive, in order of name.
func (r roster) involved(questions []Question) []Member {
	names := map[matrix.Endpoint]bool{}
	for _, q := range questions {
		names[q.From] = true
		for _, ep := range q.To {
			if _, ok := r[ep]; ok {
				names[ep] = true
			}
		}
	}
	sorted := make([]matrix.Endpoint, 0, len(names))
	for ep := range names {
		sorted = append(sorted, ep)
	}
	slices.Sort(sorted)
	members := make([]Member, len(sorted))
	for i, ep := range sorted {
		members[i] = r[ep]
	}
	return members
}
