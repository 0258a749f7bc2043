package judge

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/wire"
	"github.com/segtest/segtest/suites/run/record"
)

// LoadSCTP is what to do about a kernel without SCTP.
const LoadSCTP = "load the kernel module sctp on the hosts of the nodes (modprobe sctp)"

// unspoken makes the cause of a case the same for all flows of a protocol that
// their senders cannot speak.
func (c *Case) unspoken(p matrix.Protocol, seen []*record.Cell) {
	if c.Verdict != matrix.Inconclusive || c.Unjudged != "" || len(seen) == 0 {
		return
	}
	if last := seen[len(seen)-1]; wire.Unspoken(last.Sample) {
		c.Reasons = []string{mute(p) + ": " + last.Sample.Detail}
	}
}

// mute says that a protocol cannot be asked.
func mute(p matrix.Protocol) string {
	if p == matrix.SCTP {
		return "SCTP cannot be asked on this kernel"
	}
	return p.String() + " cannot be asked"
}

// unspoken says, once for each protocol that senders cannot speak, of which flows
// nothing is proven for that, and what to do.
func unspoken(rec record.Record) []string {
	details := map[matrix.Protocol]string{}
	flows := map[matrix.Protocol]map[int]bool{}
	for _, p := range rec.Passes {
		for _, c := range p.Cells {
			if !wire.Unspoken(c.Sample) || c.Flow < 0 || c.Flow >= len(rec.Flows) || rec.Flows[c.Flow].Control {
				continue
			}
			protocol := rec.Flows[c.Flow].Protocol
			if flows[protocol] == nil {
				flows[protocol] = map[int]bool{}
			}
			details[protocol], flows[protocol][c.Flow] = c.Sample.Detail, true
		}
	}
	var notes []string
	for _, p := range slices.Sorted(maps.Keys(details)) {
		cure := LoadSCTP
		if p != matrix.SCTP {
			cure = "widen net.ipv4.ping_group_range on the nodes"
		}
		notes = append(notes, fmt.Sprintf("%s: %s; %s; %s%s", mute(p), details[p], left(rec, flows[p]), cure, others(rec, p)))
	}
	return notes
}

// left says how many flows nothing is proven of, and who asks them.
func left(rec record.Record, flows map[int]bool) string {
	var senders []string
	for i := range flows {
		senders = append(senders, string(rec.Flows[i].From))
	}
	slices.Sort(senders)
	senders = slices.Compact(senders)
	if n := len(senders); n > 3 {
		senders = append(senders[:3], fmt.Sprintf("%d more", n-3))
	}
	return fmt.Sprintf("nothing is proven of %d flows from %s", len(flows), strings.Join(senders, ", "))
}

// others is how to ask the flows of all other protocols alone, "" where there are
// none.
func others(rec record.Record, p matrix.Protocol) string {
	known := map[matrix.Protocol]bool{}
	for _, f := range rec.Flows {
		known[f.Protocol] = true
	}
	delete(known, p)
	var words []string
	for _, other := range slices.Sorted(maps.Keys(known)) {
		words = append(words, fmt.Sprintf("--select '* -> * %s'", other))
	}
	if words == nil {
		return ""
	}
	return ", or leave these flows out: " + strings.Join(words, " ")
}
