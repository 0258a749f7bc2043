package outside

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// Ports by number, without names, that stand for all on which policies of the
// worlds may let somebody reach what is outside, in order: the first one of each
// range that a policy names, one of each part of a range that rules tell apart,
// and the undeclared ones of TCP and UDP, which stand for all others. Those of SCTP
// are there where a rule tells it from both.
func Ports(undeclared []uint16, worlds ...oracle.World) []oracle.Port {
	var lists [][]port // of rules
	for r := range rules(worlds) {
		if r.outward {
			lists = append(lists, r.ports)
		}
	}
	var found []oracle.Port
	known := map[string]bool{}
	add := func(p oracle.Port) {
		known[p.Protocol.String()+covers(lists, p)] = true
		found = append(found, p)
	}
	protocols := protocolsOf(lists, undeclared)
	for _, protocol := range protocols {
		for _, n := range undeclared {
			add(oracle.Port{Protocol: protocol, Port: n})
		}
	}
	rest := []oracle.Port{} // the first ones that are in no range, or in no more of them
	for _, protocol := range protocols {
		rest = append(rest, oracle.Port{Protocol: protocol, Port: 1})
	}
	for _, p := range slices.Concat(lists...) {
		if p.low <= 0 || p.low > p.high || p.high > LastPort {
			continue
		}
		protocol := cmp.Or(p.protocol, matrix.TCP)
		add(oracle.Port{Protocol: protocol, Port: uint16(p.low)}) //nolint:gosec // checked
		if p.high < LastPort {
			rest = append(rest, oracle.Port{Protocol: protocol, Port: uint16(p.high + 1)}) //nolint:gosec // checked
		}
	}
	for _, p := range sorted(rest) {
		if !known[p.Protocol.String()+covers(lists, p)] {
			add(p)
		}
	}
	return sorted(found)
}

// LastPort that there is.
const LastPort = 65535

// Protocols of which ports that no policy names by number are to be asked: TCP and
// UDP, and SCTP where a rule of the worlds tells it from both. Undeclared ports
// stand for them.
func Protocols(undeclared []uint16, worlds ...oracle.World) []matrix.Protocol {
	var lists [][]port
	for r := range rules(worlds) {
		lists = append(lists, r.ports)
	}
	return protocolsOf(lists, undeclared)
}

// protocolsOf which an undeclared port is asked: SCTP's where a rule names a range
// of it, or where rules decide it like that of neither TCP nor UDP.
func protocolsOf(lists [][]port, undeclared []uint16) []matrix.Protocol {
	common := []matrix.Protocol{matrix.TCP, matrix.UDP}
	told := slices.ContainsFunc(slices.Concat(lists...), func(p port) bool { return p.protocol == matrix.SCTP && p.low > 0 })
	for _, n := range undeclared {
		sctp := covers(lists, oracle.Port{Protocol: matrix.SCTP, Port: n})
		told = told || !slices.ContainsFunc(common, func(p matrix.Protocol) bool { return covers(lists, oracle.Port{Protocol: p, Port: n}) == sctp })
	}
	if told {
		return append(common, matrix.SCTP)
	}
	return common
}

// covers says which rules are about a port; none of their names is asked.
func covers(lists [][]port, q oracle.Port) string {
	var key strings.Builder
	for i, list := range lists {
		if len(list) == 0 || slices.ContainsFunc(list, func(p port) bool { return p.covers(q) }) {
			fmt.Fprint(&key, " ", i)
		}
	}
	return key.String()
}

func (p port) covers(q oracle.Port) bool {
	n := int32(q.Port)
	return p.name == "" && (p.protocol == 0 || p.protocol == q.Protocol) && (p.low == 0 || p.low <= n && n <= p.high)
}

func sorted(ports []oracle.Port) []oracle.Port {
	slices.SortFunc(ports, func(p, q oracle.Port) int {
		return cmp.Or(cmp.Compare(p.Port, q.Port), cmp.Compare(p.Protocol, q.Protocol), cmp.Compare(p.Name, q.Name))
	})
	return slices.Compact(ports)
}

// firstNumber of a port of which only a name is known.
const firstNumber = 20000

// served are the ports of a pod outside: each that a policy names by its name,
// with the number that a pod gives to it, the least one where they differ.
func served(worlds []oracle.World) []oracle.Port {
	least := map[oracle.Port]uint16{} // by name and protocol
	for _, w := range worlds {
		for _, pod := range w.Pods {
			for _, p := range pod.Ports {
				key := oracle.Port{Name: p.Name, Protocol: p.Protocol}
				if n := least[key]; p.Name != "" && (n == 0 || p.Port < n) {
					least[key] = p.Port
				}
			}
		}
	}
	var found []oracle.Port
	unknown := uint16(firstNumber)
	for r := range rules(worlds) {
		for _, p := range r.ports {
			key := oracle.Port{Name: p.name, Protocol: cmp.Or(p.protocol, matrix.TCP)}
			if p.name == "" || slices.ContainsFunc(found, func(q oracle.Port) bool { return q.Name == key.Name && q.Protocol == key.Protocol }) {
				continue
			}
			if key.Port = least[key]; key.Port == 0 {
				key.Port = unknown
				unknown++
			}
			found = append(found, key)
		}
	}
	return sorted(found)
}
