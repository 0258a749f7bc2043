package cases

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// expectation is what a step expects. In holds who may reach a pod, Out whom a
// pod may reach; a pod that is in neither is open in that direction.
type expectation struct {
	In      sides  `json:"in"`
	Out     sides  `json:"out"`
	Invalid string `json:"invalid"`
}

// sides are the limited pods, by patterns: "x/a x/b" or "x/*".
type sides map[string]side

// side is who the peers of a pod may be, by port. The most exact of the ports
// "TCP/80", "TCP" and "any" holds; where there is none, nobody may. Several
// ports stand in one key with blanks between them.
//
// The peers are patterns with blanks between them: "any", "x/b y/*". A pattern
// after "-" takes away from what stands before it. One after "~" makes the
// answer Undefined.
type side map[string]string

func (e expectation) isZero() bool { return e.In == nil && e.Out == nil && e.Invalid == "" }

// cells lists every flow from every pod to every pod and node. Flows of a pod
// to itself are left out: no policy decides them.
func (e expectation) cells(w oracle.World, ask []portText) ([]Cell, error) {
	x := endpointsOf(w)
	in, err := x.expand(e.In, ask)
	if err != nil {
		return nil, fmt.Errorf("in: %w", err)
	}
	out, err := x.expand(e.Out, ask)
	if err != nil {
		return nil, fmt.Errorf("out: %w", err)
	}
	var cells []Cell
	for _, from := range x.pods {
		for _, to := range x.all {
			for _, port := range ask {
				if from == to {
					continue
				}
				cells = append(cells, Cell{
					Flow:    matrix.Flow{From: from, To: to, Protocol: port.Protocol, Port: port.Port, Family: x.family},
					Egress:  out.intent(from, to, port),
					Ingress: in.intent(to, from, port),
				})
			}
		}
	}
	return cells, nil
}

// endpoints are the names that patterns stand for.
type endpoints struct {
	pods, all []matrix.Endpoint
	family    matrix.Family // of the first pod's first address
}

func endpointsOf(w oracle.World) endpoints {
	var x endpoints
	for _, p := range w.Pods {
		x.pods = append(x.pods, p.Name)
	}
	x.all = slices.Clone(x.pods)
	for _, n := range w.Nodes {
		x.all = append(x.all, matrix.NodeEndpoint(n.Name))
	}
	if len(w.Pods) > 0 && len(w.Pods[0].Addresses) > 0 && w.Pods[0].Addresses[0].Is6() {
		x.family = matrix.IPv6
	}
	return x
}

// limits says for a limited pod and a port what its peers may expect.
type limits map[matrix.Endpoint]map[portText]map[matrix.Endpoint]matrix.Intent

func (l limits) intent(self, peer matrix.Endpoint, port portText) matrix.Intent {
	ports, limited := l[self]
	if !limited {
		return matrix.Allow
	}
	if intent, ok := ports[port][peer]; ok {
		return intent
	}
	return matrix.Deny
}

func (x endpoints) expand(s sides, ask []portText) (limits, error) {
	out := limits{}
	for _, pattern := range slices.Sorted(maps.Keys(s)) {
		selves, err := x.match(x.pods, pattern)
		if err != nil {
			return nil, err
		}
		ports, err := x.ports(s[pattern], ask)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", pattern, err)
		}
		for _, self := range selves {
			if out[self] != nil {
				return nil, fmt.Errorf("%s is there twice", self)
			}
			out[self] = ports
		}
	}
	return out, nil
}

func (x endpoints) ports(s side, ask []portText) (map[portText]map[matrix.Endpoint]matrix.Intent, error) {
	out, rank := map[portText]map[matrix.Endpoint]matrix.Intent{}, map[portText]int{}
	for _, key := range slices.Sorted(maps.Keys(s)) {
		peers, err := x.peers(s[key])
		if err != nil {
			return nil, err
		}
		for _, word := range strings.Fields(key) {
			hit := false
			for _, port := range ask {
				exactness := port.exactness(word)
				hit = hit || exactness > 0
				if exactness > rank[port] {
					out[port], rank[port] = peers, exactness
				}
			}
			if !hit {
				return nil, fmt.Errorf("nobody asks for port %q", word)
			}
		}
	}
	return out, nil
}

func (x endpoints) peers(text string) (map[matrix.Endpoint]matrix.Intent, error) {
	out := map[matrix.Endpoint]matrix.Intent{}
	for _, word := range strings.Fields(text) {
		pattern := strings.TrimLeft(word, "-~")
		found, err := x.match(x.all, pattern)
		if err != nil {
			return nil, err
		}
		for _, e := range found {
			switch word[0] {
			case '-':
				delete(out, e)
			case '~':
				out[e] = matrix.Undefined
			default:
				out[e] = matrix.Allow
			}
		}
	}
	return out, nil
}

// match finds the names that the patterns fit; each has to fit one.
func (x endpoints) match(names []matrix.Endpoint, patterns string) ([]matrix.Endpoint, error) {
	var found []matrix.Endpoint
	for _, pattern := range strings.Fields(patterns) {
		before := len(found)
		for _, e := range names {
			if ok, err := path.Match(pattern, string(e)); err != nil {
				return nil, fmt.Errorf("pattern %q: %w", pattern, err)
			} else if ok || pattern == "any" {
				found = append(found, e)
			}
		}
		if len(found) == before {
			return nil, fmt.Errorf("pattern %q fits nothing", pattern)
		}
	}
	return found, nil
}

// portText is a port as "TCP/80".
type portText struct {
	Protocol matrix.Protocol
	Port     uint16
}

// UnmarshalText reads "TCP/80".
func (p *portText) UnmarshalText(text []byte) error {
	protocol, number, ok := strings.Cut(string(text), "/")
	n, err := strconv.ParseUint(number, 10, 16)
	if !ok || err != nil || n == 0 {
		return fmt.Errorf("port %q is not PROTOCOL/NUMBER", text)
	}
	p.Port = uint16(n)
	return p.Protocol.UnmarshalText([]byte(protocol))
}

// portTexts are ports with blanks between them.
type portTexts []portText

// UnmarshalText reads "TCP/80 UDP/80".
func (p *portTexts) UnmarshalText(text []byte) error {
	for _, word := range strings.Fields(string(text)) {
		var port portText
		if err := port.UnmarshalText([]byte(word)); err != nil {
			return err
		}
		*p = append(*p, port)
	}
	return nil
}

// exactness is 0 where the word does not mean the port, else how exactly it does.
func (p portText) exactness(word string) int {
	switch word {
	case fmt.Sprintf("%s/%d", p.Protocol, p.Port):
		return 3
	case p.Protocol.String():
		return 2
	case "any":
		return 1
	}
	return 0
}
