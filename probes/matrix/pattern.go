package matrix

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Pattern chooses flows. It says who asks whom and, where it likes, over which
// protocol, port, way and family; what it does not say may be anything. A "*"
// stands for any characters. The zero value fits no flow.
type Pattern struct {
	text           string
	id             string // of one flow, or its beginning; "" for a pattern with ends
	from, to       string
	protocol, port string
	ways           []Way    // none: any
	families       []Family // none: any
}

// minID is how much of an ID a pattern must name.
const minID = 6

// ParsePattern reads "FROM → TO", "FROM -> TO PROTOCOL/PORT" as Flow's String
// writes it, with "*" in any place, or the ID of a flow. A pod without its number
// stands for all pods of its workload: "shop/web" for "shop/web-0" and so on.
func ParsePattern(s string) (Pattern, error) {
	p := Pattern{text: strings.TrimSpace(s), protocol: "*", port: "*"}
	from, rest, arrow := strings.Cut(strings.ReplaceAll(p.text, "->", "→"), "→")
	if !arrow {
		if !isID(p.text) {
			return Pattern{}, errors.New("want FROM -> TO, FROM -> TO PROTOCOL/PORT or the ID of a flow, for example 'shop/web-0 -> shop/db-0 TCP/5432' or 'shop/* -> shop/db'")
		}
		p.id = p.text
		return p, nil
	}
	senders, words := strings.Fields(from), strings.Fields(rest)
	if len(senders) != 1 || len(words) == 0 || strings.Contains(rest, "→") {
		return Pattern{}, errors.New("want one sender, one arrow and one receiver; * stands for any")
	}
	p.from, p.to = senders[0], words[0]
	for i, word := range words[1:] {
		if p.way(word) {
			continue
		}
		if i > 0 {
			return Pattern{}, fmt.Errorf("%q is neither a way nor an IP family", word)
		}
		if err := p.readPort(word); err != nil {
			return Pattern{}, err
		}
	}
	return p, nil
}

// way takes a word that is a way or a family.
func (p *Pattern) way(word string) bool {
	var w Way
	var f Family
	switch {
	case w.UnmarshalText([]byte(word)) == nil:
		p.ways = append(p.ways, w)
	case f.UnmarshalText([]byte(word)) == nil:
		p.families = append(p.families, f)
	default:
		return false
	}
	return true
}

// readPort reads "TCP/5432", "TCP/*", "*/53", "TCP" or "ICMP".
func (p *Pattern) readPort(word string) error {
	protocol, port, ported := strings.Cut(strings.ToUpper(word), "/")
	var known Protocol
	if err := known.UnmarshalText([]byte(protocol)); (err != nil || known == 0) && !strings.Contains(protocol, "*") {
		return fmt.Errorf("%q is not PROTOCOL/PORT, a way or an IP family; for example TCP/5432, TCP/*, */53 or ICMP", word)
	}
	p.protocol = protocol
	if !ported {
		return nil
	}
	if known == ICMP {
		return fmt.Errorf("%q has a port, and ICMP has none", word)
	}
	if n, err := strconv.ParseUint(port, 10, 16); (err != nil || n == 0) && !strings.Contains(port, "*") {
		return fmt.Errorf("port %q is neither a number from 1 to 65535 nor *", port)
	}
	p.port = port
	return nil
}

// isID reports an ID or a good part of its beginning.
func isID(s string) bool {
	return len(s) >= minID && strings.Trim(s, "0123456789abcdef") == ""
}

// String is the pattern as it was written.
func (p Pattern) String() string { return p.text }

// Fits reports that the pattern chooses a flow.
func (p Pattern) Fits(f Flow) bool {
	switch {
	case p.text == "":
		return false
	case p.id != "":
		return strings.HasPrefix(f.ID(), p.id)
	}
	return (len(p.ways) == 0 || slices.Contains(p.ways, f.Way)) &&
		(len(p.families) == 0 || slices.Contains(p.families, f.Family)) &&
		glob(p.protocol, f.Protocol.String()) && glob(p.port, strconv.Itoa(int(f.Port))) &&
		fits(p.from, f.From) && fits(p.to, f.To)
}

// fits reports that a word names an endpoint, or the workload of a pod.
func fits(word string, e Endpoint) bool {
	if glob(word, string(e)) {
		return true
	}
	if kind := Endpoint(e.Namespace() + "/"); kind == NodeEndpoint("") || kind == WorldEndpoint("") {
		return false
	}
	workload, numbered := strings.CutSuffix(strings.TrimRight(string(e), "0123456789"), "-")
	return numbered && glob(word, workload)
}

// glob reports that "*" in a word can stand for characters, or none, such that it
// reads as s.
func glob(word, s string) bool {
	parts := strings.Split(word, "*")
	last := len(parts) - 1
	if last == 0 {
		return word == s
	}
	s, ok := strings.CutPrefix(s, parts[0])
	for _, part := range parts[1:last] {
		at := strings.Index(s, part)
		if !ok || at < 0 {
			return false
		}
		s = s[at+len(part):]
	}
	return ok && strings.HasSuffix(s, parts[last])
}
