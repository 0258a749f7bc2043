package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/segtest/segtest/fixtures/scenario"
)

// The scenario in the README loads as it stands.
func TestReadmeScenarioLoads(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(text)
	if found == nil {
		t.Fatal("the README shows no scenario")
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "policies", "db.yaml"), `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec: {podSelector: {matchLabels: {app: db}}}
`)
	path := filepath.Join(dir, "shop.yaml")
	write(t, path, string(found[1]))
	sc, err := scenario.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(sc.Workloads) != 2 || len(sc.Policies) != 1 || len(sc.Chaos) != 1 {
		t.Errorf("it has %d workloads, %d policies, %d faults", len(sc.Workloads), len(sc.Policies), len(sc.Chaos))
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
