package profiles_test

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/segtest/segtest/chaos"
	"github.com/segtest/segtest/chaos/profiles"
)

func TestEveryGapHasABoundAMeasurementAndALink(t *testing.T) {
	t.Parallel()
	all, err := profiles.All()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) != len(all) {
		t.Fatalf("%d profiles of %d files, %v", len(all), len(files), err)
	}
	for i, p := range all {
		if p.Name+".yaml" != files[i] || p.Summary == "" {
			t.Errorf("%s holds profile %q with summary %q", files[i], p.Name, p.Summary)
		}
		for _, gap := range []*chaos.Gap{p.Agent.Opens, p.PodStart, p.AgentFreeze} {
			if gap == nil {
				continue
			}
			link, err := url.Parse(gap.Link)
			if gap.ID == "" || gap.Bound <= 0 || gap.Measured == "" || err != nil || link.Scheme != "https" {
				t.Errorf("%s: gap %+v lacks a part (%v)", p.Name, *gap, err)
			}
		}
		if out := p.Agent.Closes; out != nil && (out.Why == "" || out.Measured == "") {
			t.Errorf("%s: outage %+v lacks a part", p.Name, *out)
		}
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	// What each flavour of the node image does when its agents die.
	for name, opens := range map[string]bool{"kindnet-like": true, "cnp": true, "strict": true, "kindnet": true, "closed": false, "none": false, "fail-static": false} {
		p, err := profiles.Lookup(name)
		if err != nil || p.Name != name || (p.Agent.Opens != nil) != opens {
			t.Errorf("%s: %+v, %v; want that it opens: %v", name, p, err, opens)
		}
	}
	if _, err := profiles.Lookup("kindnett"); err == nil || !strings.Contains(err.Error(), "kindnet-like") {
		t.Errorf("a wrong name gives %v; want the list", err)
	}
}
