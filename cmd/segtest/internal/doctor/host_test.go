package doctor_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/segtest/segtest/cmd/segtest/internal/doctor"
	"github.com/segtest/segtest/fixtures/image"
)

// TestAgent: the folder that the agent is built from is named, and where there
// is none, no run can start.
func TestAgent(t *testing.T) {
	t.Parallel()
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	if c := doctor.Agent(t.Context(), image.Source{Dir: "."}); c.State != doctor.OK || !c.Required || !strings.Contains(c.Detail, here) {
		t.Errorf("in a checkout: %+v", c)
	}
	if c := doctor.Agent(t.Context(), image.Source{Dir: t.TempDir()}); c.State != doctor.Missing || !c.Required || !strings.Contains(c.Cure, "make install") {
		t.Errorf("without a checkout: %+v", c)
	}
}
