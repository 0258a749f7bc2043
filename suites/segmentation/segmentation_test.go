// Package segmentation_test runs the shipped scenario on a real kind cluster
// under `go test` or `ginkgo`, as `segtest run` does in its own process.
package segmentation_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/segtest/segtest/fixtures/cluster/kindcluster"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run"
	"github.com/segtest/segtest/suites/run/record"
	"github.com/segtest/segtest/suites/specs"
)

// SEGTEST_SCENARIO names another scenario than the shipped one.
func TestE2ESegmentation(t *testing.T) {
	if os.Getenv("SEGTEST_E2E") == "" {
		t.Skip("needs Docker: set SEGTEST_E2E=1, or run `make test-e2e`")
	}
	path := os.Getenv("SEGTEST_SCENARIO")
	if path == "" {
		path = filepath.Join("..", "..", "fixtures", "catalog", "closed-shop")
	}
	sc, err := scenario.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	history, err := record.Create(filepath.Join(dir, "record.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	session, err := run.New(run.Options{
		Scenario: sc, History: history, RunID: run.NewID(), Seed: 1,
		Provider: &kindcluster.Provider{RunDir: dir},
		Progress: func(format string, args ...any) { ginkgo.GinkgoWriter.Printf(format+"\n", args...) },
		Safety:   run.Safety{Journal: filepath.Join(dir, "faults.jsonl")},
	})
	if err != nil {
		t.Fatal(err)
	}
	gomega.RegisterFailHandler(ginkgo.Fail)
	specs.Describe(t.Context(), sc.Name, session)
	ginkgo.RunSpecs(t, "segmentation")
	if err := session.Close(t.Context(), false); err != nil {
		t.Error(err)
	}
	if v := judge.Judge(session.Record()).Verdict; v != matrix.Pass && v != matrix.KnownGap {
		t.Errorf("the run as a whole is %v", v)
	}
}
