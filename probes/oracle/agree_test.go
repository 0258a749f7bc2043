package oracle_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// TestExplanationsAgree: the long form says of every flow what Decide says.
func TestExplanationsAgree(t *testing.T) {
	t.Parallel()
	for seed := range rounds() {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			w, _ := mixed(seed)
			o := mustNew(t, w)
			for _, f := range someFlows(w) {
				explanationAgrees(t, o, f)
			}
		})
	}
}

// explanationAgrees: the decision is Decide's, and the steps that decide are
// the rules that it names.
func explanationAgrees(t *testing.T, o *oracle.Oracle, f matrix.Flow) {
	t.Helper()
	e := o.Explain(f)
	if want := o.Decide(f); !reflect.DeepEqual(e.Decision, want) || e.Flow != f {
		t.Errorf("%s: explained %+v, want %+v", f, e.Decision, want)
	}
	stepsAgree(t, f, e.Decision.Egress, e.Egress)
	stepsAgree(t, f, e.Decision.Ingress, e.Ingress)
}

func stepsAgree(t *testing.T, f matrix.Flow, half oracle.Half, steps []oracle.Step) {
	t.Helper()
	if len(steps) == 0 {
		if len(half.By) > 0 {
			t.Errorf("%s: %+v, and no step says why", f, half)
		}
		return
	}
	order := []string{"Admin", "NetworkPolicy", "Baseline", "default"}
	for i, s := range steps {
		named := slices.ContainsFunc(half.By, func(r oracle.RuleRef) bool { return r == s.Rule })
		if s.Tier != "default" && s.Decides != named {
			t.Errorf("%s: step %+v decides %t, and %+v names it %t", f, s, s.Decides, half, named)
		}
		if s.Decides && half.Intent != matrix.Undefined && (s.Action == "Deny") != (half.Intent == matrix.Deny) {
			t.Errorf("%s: step %+v decides %s", f, s, half.Intent)
		}
		if i > 0 && slices.Index(order, s.Tier) < slices.Index(order, steps[i-1].Tier) || !slices.Contains(order, s.Tier) {
			t.Errorf("%s: step %d is of tier %q, after %q", f, i, s.Tier, steps[max(i-1, 0)].Tier)
		}
		if s.Why == "" || s.Action == "" {
			t.Errorf("%s: step %+v says not why", f, s)
		}
	}
	if last := steps[len(steps)-1]; last.Tier != "default" {
		t.Errorf("%s: the last step is %+v", f, last)
	}
}
