package kinds_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/segtest/segtest/chaos"
	"github.com/segtest/segtest/chaos/kinds"
	"github.com/segtest/segtest/probes/matrix"
)

// notKinds are the folders of chaos that hold no kind.
var notKinds = []string{"engine", "internal", "kinds", "profiles", "survey"}

// TestEveryKindIsComplete fails where a folder, its line in the list, its
// example or its test is missing.
func TestEveryKindIsComplete(t *testing.T) {
	t.Parallel()
	listed := map[string]chaos.Kind{}
	for _, k := range kinds.All() {
		listed[strings.ReplaceAll(k.Name, "-", "")] = k
	}
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() || slices.Contains(notKinds, e.Name()) {
			continue
		}
		k, ok := listed[e.Name()]
		if !ok {
			t.Errorf("chaos/%s has no line in kinds.All", e.Name())
			continue
		}
		delete(listed, e.Name())
		example, err := os.ReadFile(filepath.Join("..", e.Name(), k.Name+".yaml"))
		if err != nil || string(example) != k.Example {
			t.Errorf("chaos/%s: %s.yaml is not the example of the kind (%v)", e.Name(), k.Name, err)
		}
		if _, err := os.Stat(filepath.Join("..", e.Name(), e.Name()+"_test.go")); err != nil {
			t.Errorf("chaos/%s has no test: %v", e.Name(), err)
		}
	}
	for folder := range listed {
		t.Errorf("%s is in kinds.All, but there is no folder chaos/%s", listed[folder].Name, folder)
	}
}

func TestEveryKindIsDescribedAndSorted(t *testing.T) {
	t.Parallel()
	last := ""
	for _, k := range kinds.All() {
		if k.Name <= last {
			t.Errorf("%s stands after %s", k.Name, last)
		}
		last = k.Name
		if k.Summary == "" || k.Doc == "" || k.Check == nil || k.Plan == nil || k.Expect == nil || k.Fault == nil {
			t.Errorf("%s lacks a part", k.Name)
		}
		if got, err := kinds.Lookup(k.Name); err != nil || got.Name != k.Name {
			t.Errorf("looking up %s finds %q, %v", k.Name, got.Name, err)
		}
	}
	if _, err := kinds.Lookup("pod-kil"); err == nil || !strings.Contains(err.Error(), "pod-kill") {
		t.Errorf("looking up a wrong name gives %v", err)
	}
}

// entry is a fault as a scenario writes it.
type entry struct {
	Fault         string `json:"fault"`
	Target        any    `json:"target"`
	Hold          string `json:"hold"`
	RecoverWithin string `json:"recoverWithin"`
}

func TestEveryExampleIsValid(t *testing.T) {
	t.Parallel()
	for _, k := range kinds.All() {
		var list []entry
		if err := yaml.UnmarshalStrict([]byte(k.Example), &list); err != nil || len(list) != 1 || list[0].Fault != k.Name {
			t.Errorf("%s: the example is not one fault of that name: %+v, %v", k.Name, list, err)
			continue
		}
		if wrong := k.Check(params(t, list[0])); len(wrong) > 0 {
			t.Errorf("%s: the example is wrong: %s", k.Name, strings.Join(wrong, "; "))
		}
		if wrong := k.Check(chaos.Params{Hold: -1}); len(wrong) < 2 {
			t.Errorf("%s: no target and a negative hold give %q; want every problem", k.Name, wrong)
		}
	}
}

func params(t *testing.T, e entry) chaos.Params {
	t.Helper()
	var p chaos.Params
	switch target := e.Target.(type) {
	case string:
		p.Target.Endpoint = matrix.Endpoint(target)
	case map[string]any:
		p.Target.Node, _ = target["node"].(string)
	}
	for _, f := range []struct {
		text string
		to   *time.Duration
	}{{e.Hold, &p.Hold}, {e.RecoverWithin, &p.RecoverWithin}} {
		d, err := time.ParseDuration(f.text)
		if err != nil {
			t.Fatal(err)
		}
		*f.to = d
	}
	return p
}
