package oracle_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/oracle/cases"
)

// TestCatalogue holds the oracle against the cases of other projects' suites:
// every flow of every step, half by half, and every one decided.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	for _, suite := range []struct {
		folder string
		cases  int // as the suite counts them
	}{
		{"cyclonus", 230},
		{"netpol", 51},               // 49 tests of the network, 2 of the API
		{"clusternetworkpolicy", 24}, // with 92 subtests, which are the steps
	} {
		all, err := cases.Load(os.DirFS(filepath.Join("testdata", "catalogue", suite.folder)))
		if err != nil {
			t.Fatal(err)
		}
		if len(all) != suite.cases {
			t.Errorf("%s has %d cases, want %d", suite.folder, len(all), suite.cases)
		}
		for _, c := range all {
			t.Run(suite.folder+"/"+c.Name, func(t *testing.T) {
				t.Parallel()
				for _, s := range c.Steps {
					checkStep(t, s)
				}
			})
		}
	}
}

func checkStep(t *testing.T, s cases.Step) {
	t.Helper()
	o, err := oracle.New(s.World)
	if s.Invalid != "" {
		if err == nil || !strings.Contains(err.Error(), s.Invalid) {
			t.Errorf("step %q: got %v, want an error that says %q", s.Name, err, s.Invalid)
		}
		return
	}
	if err != nil {
		t.Errorf("step %q: %v", s.Name, err)
		return
	}
	for _, want := range s.Cells {
		got := o.Decide(want.Flow)
		if got.Intent != want.Intent() || !agrees(got.Egress, want.Egress) || !agrees(got.Ingress, want.Ingress) {
			t.Errorf("step %q: %s: got %s, want %s\n  egress  want %s, got %+v\n  ingress want %s, got %+v",
				s.Name, want.Flow, got.Intent, want.Intent(), want.Egress, got.Egress, want.Ingress, got.Ingress)
		}
	}
}

func agrees(got oracle.Half, want matrix.Intent) bool { return got.Intent == want }
