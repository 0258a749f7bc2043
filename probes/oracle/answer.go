package oracle

// truth is a three-valued answer. The zero value is no.
type truth uint8

const (
	no truth = iota
	maybe
	yes
)

// not is no for yes, yes for no, and else maybe.
func (t truth) not() truth { return yes - t }

// answer is a truth and, where it is maybe, what leaves it open.
type answer struct {
	is  truth
	why doubt
}

// doubt is the reason of a maybe: what kind, at which peer or port of the rule
// that was asked, and at which block of the peer. It becomes words only where
// somebody reads them.
type doubt struct {
	kind      doubtKind
	at, block uint16
}

type doubtKind uint8

const (
	certain       doubtKind = iota
	sharesNetwork           // a selector and a pod in its node's network
	noAddress               // a block and a pod whose addresses are not known
	noSuchFamily            // a block and a pod without an address of this family
	severalSides            // a block that holds some addresses of a machine
	rewritten               // a block and a Service's address
	translated              // a block and a sender whose address may be replaced
	unknownNode             // nodes and a pod that may run on any of them
	unresolved              // a domain name
	twoPorts                // a name that two ports of the receiver bear
	hostPort                // a name for a port of a pod in its node's network
	whosePort               // a named port at a block
	notOfICMP               // a NetworkPolicy and ICMP
)

// or is yes where one is; the first maybe gives the reason.
func (a answer) or(b answer) answer {
	if b.is > a.is {
		return b
	}
	return a
}

// and is no where one is; the first maybe gives the reason.
func (a answer) and(b answer) answer {
	if b.is < a.is {
		return b
	}
	return a
}

// at puts the place into the doubt.
func (a answer) at(place uint16) answer {
	a.why.at = place
	return a
}
