package outside

import (
	"cmp"
	"slices"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// Ports by number, without names, on which policies of the worlds may let
// somebody reach what is outside, in order: the ends of all ranges.
func Ports(worlds ...oracle.World) []oracle.Port {
	var found []oracle.Port
	for r := range rules(worlds) {
		for _, p := range r.ports {
			for _, n := range []int32{p.low, p.high} {
				if r.outward && n > 0 && n <= 65535 {
					found = append(found, oracle.Port{Protocol: cmp.Or(p.protocol, matrix.TCP), Port: uint16(n)})
				}
			}
		}
	}
	return sorted(found)
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
