package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/segtest/segtest/chaos/kinds"
	"github.com/segtest/segtest/chaos/profiles"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run"
)

// The scenario and the policies in the README work as they stand: what is
// declared is what the policies compute to.
func TestReadmeScenarioWorks(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```yaml\n# (\\S+)\n(.*?)```").FindAllSubmatch(text, -1)
	if len(found) != 2 {
		t.Fatalf("the README shows %d files, want a scenario and its policies", len(found))
	}
	dir := t.TempDir()
	for _, f := range found {
		write(t, filepath.Join(dir, string(f[1])), string(f[2]))
	}
	sc, err := scenario.Load(filepath.Join(dir, "shop.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(sc.Workloads) != 2 || len(sc.Policies) != 2 || len(sc.Chaos) != 1 || len(sc.Warnings) != 0 {
		t.Errorf("it has %d workloads, %d policies, %d faults; %v", len(sc.Workloads), len(sc.Policies), len(sc.Chaos), sc.Warnings)
	}
	flows, err := run.Flows(sc, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range flows {
		if judge.Disagree(f) {
			t.Errorf("%s: declared %s, computed %s", f.Flow, f.Declared.Intent, f.Computed.Intent)
		}
	}
}

// docs/scenario.md has a row for every fault and names every profile.
func TestScenarioReferenceIsComplete(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "scenario.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds.All() {
		if !strings.Contains(string(text), "\n| `"+k.Name+"` |") {
			t.Errorf("the table of faults has no row for %s", k.Name)
		}
	}
	all, err := profiles.All()
	if err != nil || len(all) == 0 {
		t.Fatalf("%d profiles, %v", len(all), err)
	}
	for _, p := range all {
		if !strings.Contains(string(text), "`"+p.Name+"`") {
			t.Errorf("profile %s is not named", p.Name)
		}
	}
}

// Every pattern in docs/run.md can be given to --select.
func TestPatternsInDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "run.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("docs/run.md shows no pattern")
	}
	for line := range strings.Lines(string(block[1])) {
		pattern, what, ok := strings.Cut(line, "  ")
		if _, err := matrix.ParsePattern(pattern); err != nil || !ok || strings.TrimSpace(what) == "" {
			t.Errorf("%q: %v", line, err)
		}
	}
}

// Every relative link in the documents leads somewhere.
func TestDocumentLinks(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	var files []string
	for _, pattern := range []string{"*.md", "docs/*.md", "fixtures/catalog/*/README.md", "hack/*/README.md"} {
		more, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, more...)
	}
	links := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(string(text), -1) {
			links++
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", strings.TrimPrefix(file, root), m[1], err)
			}
		}
	}
	if links == 0 {
		t.Error("no links were found: the test looks at nothing")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
