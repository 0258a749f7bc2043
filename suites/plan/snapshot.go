package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/run/record"
)

// Statement is an allow rule of an expectation, in the words of a scenario file.
type Statement struct {
	From, To, Ports []string
	Reason          string
}

// Snapshot states everything that the policies allow, for an expectation whose
// default is deny. Endpoints are named one by one, so that what is new tomorrow
// is denied. Unsaid are flows that the file format cannot state as they are: the
// policies tell IP families apart, or open the canary port and not the declared
// ones.
func (p *Plan) Snapshot() (rules []Statement, unsaid []record.Flow) {
	units := p.units()
	type key struct{ one, ports, reason string }
	var order []key
	merged := map[key][]string{}
	gather := func(k key, more string) {
		if merged[k] == nil {
			order = append(order, k)
		}
		merged[k] = append(merged[k], more)
	}
	for _, to := range units {
		for _, from := range units {
			if len(to.slots) == 1 && from.name == to.name {
				continue // a pod may always reach itself
			}
			allowed, missed := p.allowed(from.slots, to.slots)
			unsaid = append(unsaid, missed...)
			for _, a := range allowed {
				gather(key{to.name, strings.Join(a.ports, " "), a.reason}, from.name)
			}
		}
	}
	byTarget, from := order, merged
	order, merged = nil, map[key][]string{}
	for _, k := range byTarget {
		gather(key{strings.Join(from[k], " "), k.ports, k.reason}, k.one)
	}
	for _, k := range order {
		rules = append(rules, Statement{From: strings.Fields(k.one), To: merged[k], Ports: strings.Fields(k.ports), Reason: k.reason})
	}
	return rules, unsaid
}

// unit is what a rule names: a workload, or one of its pods where they differ.
type unit struct {
	name  string
	slots Group
}

// units in order of name.
func (p *Plan) units() []unit {
	from, to := p.groups()
	home := func(groups []Group) map[matrix.Endpoint]int {
		homes := map[matrix.Endpoint]int{}
		for i, g := range groups {
			for _, e := range g {
				homes[e] = i
			}
		}
		return homes
	}
	sender, receiver := home(from), home(to)
	var units []unit
	for _, w := range p.Scenario.Workloads {
		slots := w.Slots()
		slices.Sort(slots)
		if !slices.ContainsFunc(slots, func(e matrix.Endpoint) bool {
			return sender[e] != sender[slots[0]] || receiver[e] != receiver[slots[0]]
		}) {
			units = append(units, unit{string(w.Key()), slots})
			continue
		}
		for _, slot := range slots {
			units = append(units, unit{string(slot), Group{slot}})
		}
	}
	slices.SortFunc(units, func(a, b unit) int { return cmp.Compare(a.name, b.name) })
	return units
}

// allowance is ports that are allowed for one reason.
type allowance struct {
	ports  []string
	reason string
}

// allowed ports between two units, in order.
func (p *Plan) allowed(from, to Group) (allowed []allowance, unsaid []record.Flow) {
	a, b := distinct(from, to)
	reasons := map[oracle.Port]string{} // of what is allowed
	var ports, canaries []oracle.Port
	for _, port := range p.questions.Ports(a, b) {
		reason, split := p.allows(matrix.Flow{From: a, To: b, Protocol: port.Protocol, Port: port.Port})
		unsaid = append(unsaid, split...)
		if reason != "" {
			reasons[port] = reason
		}
		if p.Scenario.IsCanary(matrix.Flow{Port: port.Port}) {
			canaries = append(canaries, port)
		} else {
			ports = append(ports, port)
		}
	}
	if reason, ok := sole(reasons, len(ports)+len(canaries)); ok {
		return []allowance{{[]string{"any"}, reason}}, unsaid
	}
	wide := map[matrix.Protocol]bool{} // all ports of it, the canary's included
	for _, canary := range canaries {
		if reasons[canary] == "" {
			continue
		}
		closed := slices.ContainsFunc(ports, func(q oracle.Port) bool { return q.Protocol == canary.Protocol && reasons[q] == "" })
		if closed {
			unsaid = append(unsaid, p.Flow(matrix.Flow{From: a, To: b, Protocol: canary.Protocol, Port: canary.Port, Family: p.Scenario.Cluster.IPs[0]}))
			continue
		}
		wide[canary.Protocol] = true
		allowed = add(allowed, reasons[canary], canary.Protocol.String()+"/any")
	}
	for _, port := range ports {
		if reasons[port] != "" && !wide[port.Protocol] {
			allowed = add(allowed, reasons[port], portText(port))
		}
	}
	return allowed, unsaid
}

// sole is the one reason why all of so many ports are allowed.
func sole(reasons map[oracle.Port]string, ports int) (string, bool) {
	distinct := map[string]bool{}
	for _, reason := range reasons {
		distinct[reason] = true
	}
	for reason := range distinct {
		return reason, len(distinct) == 1 && len(reasons) == ports
	}
	return "", false
}

// add a port to what is allowed for a reason.
func add(all []allowance, reason, port string) []allowance {
	i := slices.IndexFunc(all, func(a allowance) bool { return a.reason == reason })
	if i < 0 {
		return append(all, allowance{[]string{port}, reason})
	}
	all[i].ports = append(all[i].ports, port)
	return all
}

func portText(p oracle.Port) string {
	return fmt.Sprintf("%s/%d", p.Protocol, p.Port)
}

// allows gives the reason why a flow is allowed in every IP family in which it
// is decided, "" where it is not. A flow that is allowed in one and denied in
// another is split.
func (p *Plan) allows(f matrix.Flow) (reason string, split []record.Flow) {
	denied := false
	var open []record.Flow
	for _, family := range p.Scenario.Cluster.IPs {
		f.Family = family
		flow := p.Flow(f)
		switch flow.Computed.Intent {
		case matrix.Allow:
			open = append(open, flow)
		case matrix.Deny:
			denied = true
		case matrix.Unstated, matrix.Undefined:
		}
	}
	switch {
	case len(open) == 0:
		return "", nil
	case denied:
		return "", open
	}
	return p.reason(open[0]), nil
}

// reason why the flow is allowed: that of the scenario where it has one, else the
// policies.
func (p *Plan) reason(f record.Flow) string {
	if d := f.Declared; d.Intent == matrix.Allow && d.Reason != "" && d.Origin != p.Scenario.Expect.Origin {
		return d.Reason
	}
	egress, ingress := policyOf(f.Computed.Egress), policyOf(f.Computed.Ingress)
	switch {
	case egress == "" && ingress == "":
		return "no policy limits egress or ingress"
	case egress == "":
		return "allowed by " + ingress + " (ingress); no policy limits egress"
	case ingress == "":
		return "allowed by " + egress + " (egress); no policy limits ingress"
	}
	return "allowed by " + egress + " (egress) and " + ingress + " (ingress)"
}

// policyOf names the policy that allows this half, "" where none is asked.
func policyOf(h oracle.Half) string {
	if len(h.By) == 0 {
		return ""
	}
	by := h.By[0]
	if by.Kind != "" {
		return by.Kind + " " + by.Policy
	}
	return by.Policy
}
