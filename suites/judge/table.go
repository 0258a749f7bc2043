package judge

import (
	"slices"

	"github.com/segtest/segtest/probes/matrix"
)

// sight is what the samples of a flow prove. The zero value proves nothing.
type sight uint8

const (
	unproven  sight = iota // nothing was seen, or it can have another cause
	connected              // the expected peer answered
	arrived                // something got through, but not as it should: WrongPeer, HandshakeOnly, OneWay
	denied                 // nothing got through, and it is proven that it could have
)

// row is one line of the verdict table. An empty list means any.
type row struct {
	name     string
	declared []matrix.Intent
	computed []matrix.Intent
	seen     []sight
	unjudged bool // reported, not judged
	verdict  matrix.Verdict
	kind     Kind
}

func (r row) matches(declared, computed matrix.Intent, seen sight) bool {
	return (len(r.declared) == 0 || slices.Contains(r.declared, declared)) &&
		(len(r.computed) == 0 || slices.Contains(r.computed, computed)) &&
		(len(r.seen) == 0 || slices.Contains(r.seen, seen))
}

type (
	intents = []matrix.Intent
	sights  = []sight
)

// table is DESIGN's verdict table; the first row that matches decides. The
// first two rows come first because what the specification leaves open is not
// judged even where nothing was seen.
var table = []row{ //nolint:gochecknoglobals // constant table
	{name: "undefined by the policies", computed: intents{matrix.Undefined}, unjudged: true},
	{name: "undefined by the scenario", declared: intents{matrix.Undefined}, unjudged: true},
	{name: "no decision of the oracle", computed: intents{matrix.Unstated}, verdict: matrix.Inconclusive},
	{name: "unproven", seen: sights{unproven}, verdict: matrix.Inconclusive},

	{name: "allow, connected", declared: intents{matrix.Allow}, computed: intents{matrix.Allow}, seen: sights{connected}, verdict: matrix.Pass},
	{name: "allow, anything else", declared: intents{matrix.Allow}, computed: intents{matrix.Allow}, seen: sights{arrived, denied}, verdict: matrix.Fail, kind: KindOutage},
	{name: "deny, denied", declared: intents{matrix.Deny}, computed: intents{matrix.Deny}, seen: sights{denied}, verdict: matrix.Pass},
	{name: "deny, got through", declared: intents{matrix.Deny}, computed: intents{matrix.Deny}, seen: sights{connected, arrived}, verdict: matrix.Fail, kind: KindLeak},
	{name: "too wide, connected", declared: intents{matrix.Deny}, computed: intents{matrix.Allow}, seen: sights{connected}, verdict: matrix.Fail, kind: KindTooWide},
	{name: "too wide, not connected", declared: intents{matrix.Deny}, computed: intents{matrix.Allow}, seen: sights{denied, arrived}, verdict: matrix.Fail, kind: KindTooWideDiffers},
	{name: "too narrow, denied", declared: intents{matrix.Allow}, computed: intents{matrix.Deny}, seen: sights{denied}, verdict: matrix.Fail, kind: KindTooNarrow},
	{name: "too narrow, got through", declared: intents{matrix.Allow}, computed: intents{matrix.Deny}, seen: sights{connected, arrived}, verdict: matrix.Fail, kind: KindTooNarrowDiffers},
	{name: "unstated allow, connected", declared: intents{matrix.Unstated}, computed: intents{matrix.Allow}, seen: sights{connected}, verdict: matrix.Pass},
	{name: "unstated allow, differs", declared: intents{matrix.Unstated}, computed: intents{matrix.Allow}, seen: sights{arrived, denied}, verdict: matrix.Fail, kind: KindEnforcement},
	{name: "unstated deny, denied", declared: intents{matrix.Unstated}, computed: intents{matrix.Deny}, seen: sights{denied}, verdict: matrix.Pass},
	{name: "unstated deny, differs", declared: intents{matrix.Unstated}, computed: intents{matrix.Deny}, seen: sights{connected, arrived}, verdict: matrix.Fail, kind: KindEnforcement},
}

// decide looks a cell up. A combination without a row is Inconclusive.
func decide(declared, computed matrix.Intent, seen sight) row {
	for _, r := range table {
		if r.matches(declared, computed, seen) {
			return r
		}
	}
	return row{name: "no row", verdict: matrix.Inconclusive}
}
