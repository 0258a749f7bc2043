package oracle_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

const (
	allow     = matrix.Allow
	deny      = matrix.Deny
	undefined = matrix.Undefined
)

// want maps flows (in the form of matrix.Flow.String) to intents.
type want map[string]matrix.Intent

func check(t *testing.T, w oracle.World, flows want) {
	t.Helper()
	o := mustNew(t, w)
	for text, intent := range flows {
		d := o.Decide(mustFlow(t, text))
		if d.Intent != intent {
			t.Errorf("%s: got %s, want %s\n  egress  %+v\n  ingress %+v", text, d.Intent, intent, d.Egress, d.Ingress)
		}
		if d.Intent == undefined && d.Reason == "" {
			t.Errorf("%s: Undefined without a reason", text)
		}
		for _, h := range []oracle.Half{d.Egress, d.Ingress} {
			if d.Intent != undefined && h.Reason == "" {
				t.Errorf("%s: a half without a reason: %+v", text, h)
			}
		}
	}
}

// row is one corner case. Its name begins with the number that the case has in
// section A of the case catalogue.
type row struct {
	name  string
	world oracle.World
	flows want
}

// TestCornerCases goes through section A of the case catalogue.
func TestCornerCases(t *testing.T) {
	t.Parallel()
	for _, c := range cornerRows() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			check(t, c.world, c.flows)
		})
	}
}

func cornerRows() []row {
	return slices.Concat(isolationRows(), selectorRows(), portRows(), icmpRows(), blockRows(), hostRows(), serviceRows(), tierRows(), clusterPeerRows())
}

// outside are the cases that no oracle can decide, because they are about time,
// about probes, or about the state of a running cluster.
func outside() map[int]string {
	return map[int]string{
		16: "a World holds slots, not pods that ended: who gets their address is known only on a running cluster",
		24: "what an unanswered datagram proves is the prober's business; the oracle says only what policies allow",
		26: "whether somebody listens on a port is no question of policies",
		31: "a policy says that a flow is denied, not in which way the sender learns of it",
		36: "whether a name resolves is the prober's business, and so is the difference to a denied flow",
		37: "how early a policy holds for a new pod can only be measured",
		38: "how soon a new policy holds for a running pod can only be measured",
		39: "whether established connections outlive a change of policies is up to the implementation",
		41: "what an old connection track entry lets through can only be measured",
		48: "whether the API server pruned a policy shows only when it is read back",
	}
}

func TestEveryCornerCaseIsDecidedOrStatedToBeOutside(t *testing.T) {
	t.Parallel()
	rows := map[int]int{}
	for _, c := range cornerRows() {
		var number int
		if _, err := fmt.Sscanf(c.name, "%02d ", &number); err != nil {
			t.Errorf("row %q has no number: %v", c.name, err)
		}
		if len(c.flows) == 0 {
			t.Errorf("row %q asks nothing", c.name)
		}
		rows[number]++
	}
	for _, c := range refusals() {
		var number int
		if _, err := fmt.Sscanf(c.name, "%02d ", &number); err == nil {
			rows[number]++
		}
	}
	for number := 1; number <= 48; number++ {
		why := outside()[number]
		if (rows[number] > 0) == (why != "") {
			t.Errorf("case %d has %d rows and, for being outside, the reason %q: want one or the other", number, rows[number], why)
		}
		delete(rows, number)
	}
	if len(rows) > 0 {
		t.Errorf("rows of cases that there are not: %v", rows)
	}
}
