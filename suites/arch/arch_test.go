// Package arch_test holds the directions in which packages may import each
// other. The table is the authority; the linter's copy is for the editor.
package arch_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/segtest/segtest/"

// A rule says what the packages that match may import of this module.
// Patterns are those of path.Match, on the path below the module; "/..." at
// the end takes in every package below.
type rule struct {
	pkg    string
	allow  []string
	reason string
}

// The first rule that matches a package holds for it.
var rules = []rule{
	{"probes/matrix", nil, "the vocabulary stands on the standard library alone"},
	{"probes/oracle", []string{"probes/matrix"}, "the oracle is pure: no cluster, clock or chance"},
	{"probes/oracle/cases", []string{"probes/matrix", "probes/oracle"}, "cases as data: it decides nothing"},
	{"probes/outside", []string{"probes/matrix", "probes/oracle"}, "stand-ins for what no file holds; pure"},
	{"probes/mutate", []string{"probes/matrix", "probes/oracle", "probes/outside"}, "mistakes in policies, judged by the oracle alone"},
	{"probes/wire", []string{"probes/matrix"}, "both ends speak it; it must stay small"},
	{"probes/agent/...", []string{"probes/wire", "probes/matrix", "probes/agent"}, "the agent must stay small"},
	{"probes/prober", []string{"probes/wire", "probes/matrix"}, "it asks agents, wherever they run"},
	{"probes/netns", []string{"probes/agent", "probes/prober", "probes/wire", "probes/matrix"}, "tests on the real kernel"},
	{"probes/simnet/...", []string{"probes/matrix", "probes/oracle", "probes/prober", "probes/wire", "fixtures/cluster"}, "a network in memory stands in for a cluster"},
	{"fixtures/manifest", []string{"probes/oracle", "probes/matrix"}, "files become a World"},
	{"fixtures/scenario", []string{"probes/oracle", "probes/matrix", "fixtures/manifest"}, "the file format knows no cluster"},
	{"fixtures/lint", []string{"probes/oracle", "probes/outside", "probes/matrix", "fixtures/manifest", "fixtures/scenario"}, "rules over what was read; pure"},
	{"fixtures/revision/...", nil, "Git as files; it knows neither scenarios nor policies"},
	{"fixtures/catalog", nil, "shipped files only"},
	{"fixtures/cluster", []string{"probes/matrix"}, "small interfaces"},
	{"fixtures/cluster/e2eprovider", []string{"fixtures/cluster", "fixtures/cluster/kindcluster", "probes/matrix"}, "kind as e2e-framework wants it, through our provider"},
	{"fixtures/cluster/...", []string{"fixtures/cluster", "fixtures/cluster/state", "probes/matrix"}, "providers implement the interfaces"},
	{"fixtures/deploy", []string{"fixtures/cluster", "probes/oracle", "probes/matrix", "probes/wire"}, "deploys without knowing the file format; wire for the agent's environment"},
	{"fixtures/image", []string{"fixtures/cluster", "probes/oracle", "probes/matrix"}, "an image is bytes for nodes"},
	{"chaos/...", []string{"chaos/...", "fixtures/cluster", "probes/matrix"}, "faults know neither scenarios nor probes"},
	{"suites/run/record", []string{"probes/matrix", "probes/oracle", "probes/wire"}, "a history can be judged on any machine"},
	{"suites/run", []string{"probes/...", "fixtures/...", "chaos/...", "suites/run/record"}, "makes the history; judges nothing"},
	{"suites/judge", []string{"probes/oracle", "probes/matrix", "probes/wire", "suites/run/record"}, "pure, so that a dispute can be replayed"},
	{"suites/plan", []string{"suites/judge", "suites/run/record", "fixtures/scenario", "probes/oracle", "probes/outside", "probes/matrix"}, "what is known without a cluster; pure"},
	{"suites/plan/plantest", []string{"suites/plan", "fixtures/catalog", "fixtures/scenario"}, "plans for tests"},
	{"suites/edit", []string{"suites/plan", "probes/oracle", "probes/outside", "probes/matrix"}, "tries edits out with the oracle; pure"},
	{"suites/diff", []string{"suites/plan", "fixtures/revision", "fixtures/scenario", "probes/oracle", "probes/outside", "probes/matrix"}, "two plans side by side; of revision it knows what a commit is"},
	{"suites/bisect", []string{"fixtures/revision", "fixtures/manifest", "fixtures/scenario", "probes/oracle", "probes/matrix"}, "the oracle walks the history"},
	{"suites/report", []string{"suites/edit", "suites/bisect", "suites/diff", "suites/judge", "suites/plan", "suites/run/record", "fixtures/lint", "fixtures/revision", "probes/mutate", "probes/oracle", "probes/matrix"}, "pure renderers of results, plans, findings and mutants"},
	{"suites/specs", []string{"suites/run", "suites/run/record", "suites/judge", "fixtures/scenario", "probes/matrix", "probes/oracle"}, "the Ginkgo tree around one pass"},
	{"suites/...", []string{"suites/...", "fixtures/...", "probes/...", "chaos/..."}, "suites may use everything"},
	{"hack/bench/...", []string{"suites/...", "fixtures/...", "probes/..."}, "measures what the suites do"},
	{"hack/golden", nil, "golden files of tests, of any package; nothing else imports it"},
	{"cmd/...", []string{"cmd/...", "suites/...", "fixtures/...", "probes/...", "chaos/..."}, "the command line ties all together"},
}

// Where a module from outside may be imported at all.
var outside = []struct {
	module string
	in     []string
	reason string
}{
	{"sigs.k8s.io/kind", []string{"fixtures/cluster/kindcluster", "fixtures/cluster/e2eprovider"}, "kind stays behind one package"},
	{"github.com/onsi", []string{"suites/specs"}, "helpers return errors; only the specs assert"},
	{"sigs.k8s.io/kustomize", []string{"fixtures/manifest"}, "kustomizations are built in one place, where nothing is fetched"},
	{"github.com/spf13", []string{"cmd/..."}, "flags live in cmd"},
	{"flag", []string{"cmd/...", "suites/specs", "hack/golden"}, "flags live in cmd; ginkgo wants testing's flags initialised; -update of tests"},
}

func TestImportDirections(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		r, ok := ruleFor(name)
		if !ok {
			t.Errorf("%s has no rule: add it to the table with its reason", name)
			continue
		}
		for _, imp := range p.Imports {
			if own, ok := strings.CutPrefix(imp, module); ok {
				if !matchAny(r.allow, own) {
					t.Errorf("%s imports %s: only %v may be (%s)", name, own, r.allow, r.reason)
				}
				continue
			}
			for _, o := range outside {
				if (imp == o.module || strings.HasPrefix(imp, o.module+"/")) && !matchAny(o.in, name) {
					t.Errorf("%s imports %s, which is for %v (%s)", name, imp, o.in, o.reason)
				}
			}
		}
	}
}

// TestNothingRunsOverSimnet: a network in memory proves things to tests, and
// stands in for the cluster of no user.
func TestNothingRunsOverSimnet(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if name := strings.TrimPrefix(p.ImportPath, module); !match("probes/simnet/...", name) && slices.Contains(p.Imports, module+"probes/simnet") {
			t.Errorf("%s imports probes/simnet: only tests may", name)
		}
	}
}

func TestMatrixAndAgentStayOnTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if !matchAny([]string{"probes/matrix", "probes/wire", "probes/agent/..."}, name) {
			continue
		}
		for _, imp := range p.Imports {
			first, _, _ := strings.Cut(imp, "/")
			if strings.Contains(first, ".") && !strings.HasPrefix(imp, module) && !strings.HasPrefix(imp, "golang.org/x/sys/") {
				t.Errorf("%s imports %s: only the standard library and golang.org/x/sys may be", name, imp)
			}
		}
	}
}

func ruleFor(name string) (rule, bool) {
	for _, r := range rules {
		if match(r.pkg, name) {
			return r, true
		}
	}
	return rule{}, false
}

func matchAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if match(p, name) {
			return true
		}
	}
	return false
}

func match(pattern, name string) bool {
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return name == base || strings.HasPrefix(name, base+"/")
	}
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

type pkg struct {
	ImportPath string
	Imports    []string
}

// packages lists the module's packages with their direct imports, tests left out.
func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("listing packages: %v", err)
	}
	var list []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("reading go list: %v", err)
		}
		list = append(list, p)
	}
	if len(list) < 10 {
		t.Fatalf("go list found %d packages; the test looks at the wrong module", len(list))
	}
	return list
}
