package record

import (
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/wire"
)

// Changes are what a scenario asks to be measured of changes.
type Changes struct {
	Times  int           `json:"times"`            // each is made so often
	Of     []string      `json:"of"`               // "apply", "delete", "relabel"
	Within time.Duration `json:"within,omitempty"` // on every node; 0 is no bound
	Origin oracle.Origin `json:"origin"`
}

// Change is one change of a policy or a label, and how the flow between the two
// sentinels of one node followed it. The harness's own pods and policy are
// changed, never the team's.
type Change struct {
	What  string        `json:"what"`  // "apply", "delete", "relabel"
	To    matrix.Intent `json:"to"`    // Deny: it closes the flow, Allow: it opens it
	Round int           `json:"round"` // from 1
	Node  string        `json:"node"`
	// Write brackets the call of the API server: before and after. Both are 0 where
	// it was never made.
	Write [2]time.Duration `json:"write"`
	// Period is how often the flow was to be sampled, and Limit how long after the
	// call the change was waited for.
	Period time.Duration `json:"period"`
	Limit  time.Duration `json:"limit"`
	// Series has a fresh connection for each sample. Held is one connection that is
	// older than a change to Deny, with a question over it for each sample.
	Series wire.Series `json:"series"`
	Held   wire.Series `json:"held,omitzero"`
	// Proof is what a pass over the flow saw last: unlike a sample, it asks whether
	// the receiver is up and what arrived there.
	Proof matrix.Outcome `json:"proof"`
	Error string         `json:"error,omitempty"` // why nothing, or not all, was sampled
}
