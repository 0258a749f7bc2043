// Package plantest makes plans for tests.
package plantest

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/segtest/segtest/fixtures/catalog"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/suites/plan"
)

// Of makes the plan of the scenario or folder with this name among files, which are
// texts by path.
func Of(t testing.TB, name string, files map[string]string) *plan.Plan {
	t.Helper()
	fsys := fstest.MapFS{}
	for path, text := range files {
		fsys[path] = &fstest.MapFile{Data: []byte(text)}
	}
	return from(t, fsys, name)
}

// Shipped makes the plan of a scenario of the catalog.
func Shipped(t testing.TB, name string) *plan.Plan {
	t.Helper()
	return from(t, catalog.FS(), name)
}

func from(t testing.TB, fsys fs.FS, name string) *plan.Plan {
	t.Helper()
	sc, err := scenario.Loader{FS: fsys}.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Of(sc)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
