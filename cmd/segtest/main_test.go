package main_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/segtest/segtest/cmd/segtest/internal/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){
		"segtest": func() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// The scripts need no cluster. $CATALOG is the folder of shipped scenarios.
func TestScript(t *testing.T) {
	t.Parallel()
	catalog, err := filepath.Abs(filepath.Join("..", "..", "fixtures", "catalog"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			env.Setenv("CATALOG", catalog)
			// The scripts start about two hundred short processes. With the race detector
			// each would wait for a second at its end, and collect garbage before main.
			env.Setenv("GOGC", "400")
			races := filepath.Join(env.Getenv("TMPDIR"), "race")
			env.Setenv("GORACE", "atexit_sleep_ms=0 log_path="+races)
			env.Defer(func() { noRaces(env.T(), races) })
			return nil
		},
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		RequireExplicitExec: true,
	})
}

// exits is the command "exits CODE PROGRAM [ARG…]": the program ends with that
// exit code and no other. What it wrote is there for stdout and stderr.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARG...]")
	}
	code := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var ended *exec.ExitError
		if !errors.As(err, &ended) {
			ts.Fatalf("%v", err)
		}
		code = strconv.Itoa(ended.ExitCode())
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

// noRaces fails a script whose processes raced, also where one was to fail: the
// detector's own exit code is a failure like any other.
func noRaces(t testscript.T, log string) {
	reports, err := filepath.Glob(log + ".*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range reports {
		text, err := os.ReadFile(file)
		t.Log(string(text), err)
	}
	if len(reports) > 0 {
		t.FailNow()
	}
}
