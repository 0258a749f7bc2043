package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/segtest/segtest/fixtures/manifest"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/plan"
)

// question is a flow in the words of the command line, before anything is read.
type question struct {
	from, to string // workloads, pods, nodes, addresses; to may be a Service
	port     string // "5432", "UDP/53", "53/UDP", "ICMP" or the name of a port
	way      matrix.Way
	family   matrix.Family // that of an address among the ends
}

// questionOf tells the flow among the arguments of a verb from the SCENARIO behind
// it, which is "" where it was left out. The flow is FROM and TO:PORT, or both in
// one word, or as reports write it.
func questionOf(verb string, args []string) (q question, target string, err error) {
	var flow string
	var rest []string
	switch {
	case len(args) > 0 && strings.Contains(ascii(args[0]), "->"):
		flow, rest = ascii(args[0]), args[1:]
	case len(args) > 2 && strings.EqualFold(args[2], matrix.ICMP.String()):
		flow, rest = args[0]+"->"+args[1]+" "+args[2], args[3:]
	case len(args) > 1:
		flow, rest = args[0]+"->"+args[1], args[2:]
	default:
		return q, "", misuse("%s needs FROM and TO:PORT, for example shop/web shop/db:5432", verb)
	}
	switch len(rest) {
	case 0:
	case 1:
		target = rest[0]
	default:
		return q, "", misuse("%s takes FROM, TO:PORT and one SCENARIO, not %d arguments: %q", verb, len(args), args)
	}
	q, err = parseQuestion(flow)
	return q, target, err
}

// ascii is a flow as one can type it.
func ascii(s string) string { return strings.ReplaceAll(s, "→", "->") }

func parseQuestion(flow string) (question, error) {
	from, rest, _ := strings.Cut(flow, "->")
	from, rest = strings.TrimSpace(from), strings.TrimSpace(rest)
	if strings.ContainsAny(rest, " \t") {
		f, err := matrix.ParseFlow(flow)
		if err != nil {
			return question{}, misuse("%w", err)
		}
		q := question{from: string(f.From), to: string(f.To), port: f.Protocol.String(), way: f.Way, family: f.Family}
		if f.Protocol.HasPorts() {
			q.port += fmt.Sprintf("/%d", f.Port)
		}
		return q, q.speak(f.Family == matrix.IPv6)
	}
	q := question{from: from, to: rest}
	i := strings.LastIndex(rest, ":")
	if i < 0 {
		return q, misuse("%q names no port: want TO:PORT, for example shop/db:5432", rest)
	}
	q.to, q.port = rest[:i], rest[i+1:]
	return q, q.speak(false)
}

// speak takes the family of the addresses among the ends, which must be one; said
// means that the family of the question is not to be changed.
func (q *question) speak(said bool) error {
	for _, word := range []string{q.from, q.to} {
		e := matrix.Endpoint(word)
		if err := possible(e); err != nil || !isWorld(e) {
			if err != nil {
				return err
			}
			continue
		}
		family := familyOf(e)
		if said && family != q.family {
			return usageError(fmt.Errorf("%s is an address of %s, and the flow shall be %s", e, family, q.family))
		}
		q.family, said = family, true
	}
	return nil
}

// receivers are whom the question is about, and the ports that they have.
func (q question) receivers(p *plan.Plan) ([]matrix.Endpoint, []oracle.Port, error) {
	if q.way == matrix.ServiceIP {
		return service(p, q.to)
	}
	receivers, err := speakers(p, q.to)
	var ports []oracle.Port
	for _, pod := range p.World.Pods {
		if slices.Contains(receivers, pod.Name) {
			ports = append(ports, pod.Ports...)
		}
	}
	return receivers, ports, err
}

// flows that the question means: those between all pods of its ends.
func (q question) flows(p *plan.Plan) ([]matrix.Flow, error) {
	senders, err := speakers(p, q.from)
	if err != nil {
		return nil, err
	}
	receivers, ports, err := q.receivers(p)
	if err != nil {
		return nil, err
	}
	flow := matrix.Flow{Way: q.way, Family: q.family}
	if flow.Protocol, flow.Port, err = portOf(q.port, ports); err != nil {
		return nil, err
	}
	if q.way == matrix.ServiceIP {
		if err := served(p.World, receivers[0], flow.Protocol, flow.Port); err != nil {
			return nil, err
		}
	}
	var flows []matrix.Flow
	for _, a := range senders {
		for _, b := range receivers {
			if a != b || len(senders)*len(receivers) == 1 {
				flow.From, flow.To = a, b
				flows = append(flows, flow)
			}
		}
	}
	return flows, nil
}

// portOf reads "5432", "UDP/53", "53/UDP", a name among the ports, or "ICMP", which
// has none.
func portOf(word string, among []oracle.Port) (matrix.Protocol, uint16, error) {
	if strings.EqualFold(word, matrix.ICMP.String()) {
		return matrix.ICMP, 0, nil
	}
	protocol, number := matrix.TCP, word
	if a, b, ok := strings.Cut(word, "/"); ok {
		if protocol.UnmarshalText([]byte(strings.ToUpper(a))) == nil && protocol.HasPorts() {
			number = b
		} else if protocol.UnmarshalText([]byte(strings.ToUpper(b))) == nil && protocol.HasPorts() {
			number = a
		} else {
			return 0, 0, usageError(fmt.Errorf("%q is no port: want 5432, UDP/53, 53/UDP, ICMP or the name of a port", word))
		}
	}
	if n, err := strconv.ParseUint(number, 10, 16); err == nil && n > 0 {
		return protocol, uint16(n), nil
	}
	var names []string
	for _, p := range among {
		if p.Name == number && p.Name != "" && (number == word || p.Protocol == protocol) {
			return p.Protocol, p.Port, nil
		}
		if p.Name != "" {
			names = append(names, p.Name)
		}
	}
	hint := "no port there has a name"
	if slices.Sort(names); len(names) > 0 {
		hint = manifest.Suggest(number, slices.Compact(names))
	}
	return 0, 0, usageError(fmt.Errorf("%q is no port from 1 to 65535 and no name of one there; %s", word, hint))
}
