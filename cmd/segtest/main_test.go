package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/segtest/segtest/cmd/segtest/internal/cli"
)

var scripts = filepath.Join("testdata", "script")

func TestMain(m *testing.M) {
	if os.Args[0] == serverName {
		serve()
		return
	}
	testscript.Main(tests{m}, map[string]func(){
		"segtest": func() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// The scripts need no cluster. $CATALOG is the folder of shipped scenarios. The
// command "cli ARG…" is "exec segtest ARG…", but with -short all of a script run
// in one process, which saves starting some hundred. Without, each has its own, so
// that what one leaves behind in its process is seen: in another outcome.
func TestScript(t *testing.T) {
	t.Parallel()
	catalog, err := filepath.Abs(filepath.Join("..", "..", "fixtures", "catalog"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: scripts,
		Setup: func(env *testscript.Env) error {
			env.Setenv("CATALOG", catalog)
			// With the race detector each process would wait for a second at its end, and
			// collect garbage before main.
			env.Setenv("GOGC", "400")
			races := filepath.Join(env.Getenv("TMPDIR"), "race")
			env.Setenv("GORACE", "atexit_sleep_ms=0 log_path="+races)
			env.Defer(func() { noRaces(env.T(), races) })
			if testing.Short() {
				s, err := newServer(env)
				env.Values[serverName] = s
				env.Defer(func() {
					if err := s.stop(); err != nil {
						env.T().Fatal(err)
					}
				})
				return err
			}
			return nil
		},
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"cli": cliCommand, "exits": exits},
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		RequireExplicitExec: true,
	})
}

func cliCommand(ts *testscript.TestScript, neg bool, args []string) {
	if code := exitCode(ts, "cli", args); (code != 0) != neg {
		ts.Fatalf("unexpected exit code %d", code)
	}
}

// exits is the command "exits CODE PROGRAM [ARG…]": the program, or cli, ends with
// that exit code and no other. What it wrote is there for stdout and stderr.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARG...]")
	}
	if code := strconv.Itoa(exitCode(ts, args[1], args[2:])); code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

func exitCode(ts *testscript.TestScript, program string, args []string) int {
	if program == "cli" {
		if s, ok := ts.Value(serverName).(*server); ok {
			return s.exitCode(ts, args)
		}
		program = "segtest"
	}
	err := ts.Exec(program, args...)
	if ended := (*exec.ExitError)(nil); errors.As(err, &ended) {
		return ended.ExitCode()
	}
	ts.Check(err)
	return 0
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

// server runs the lines of a script one after the other in one process: another
// one where the script has set a variable. A process that ends before it is
// stopped, or writes elsewhere than to the streams of a line, fails the script.
type server struct {
	variables []string // names
	process   *exec.Cmd
	stdin     io.Closer
	lines     *json.Encoder
	ends      *json.Decoder
}

// serverName is the first argument of a test binary that is to serve.
const serverName = "segtest-server"

type line struct {
	Dir  string
	Args []string
}

type end struct {
	Code           int
	Stdout, Stderr []byte
}

func serve() {
	lines, ends := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var l line
		if err := lines.Decode(&l); errors.Is(err, io.EOF) {
			return
		} else if err := errors.Join(err, os.Chdir(l.Dir), os.Setenv("PWD", l.Dir)); err != nil {
			panic(err)
		}
		var out, errOut bytes.Buffer
		code := cli.Main(l.Args, iotest.ErrReader(errors.New("cli has no standard input: use exec segtest")), &out, &errOut)
		if err := ends.Encode(end{code, out.Bytes(), errOut.Bytes()}); err != nil {
			panic(err)
		}
	}
}

// newServer knows the variables that a script begins with, and what in its text
// looks like one that it sets: testscript tells the value of a name, not the names.
func newServer(env *testscript.Env) (*server, error) {
	text, err := os.ReadFile(filepath.Join(scripts, strings.TrimPrefix(filepath.Base(env.WorkDir), "script-")+".txtar"))
	s := &server{}
	for _, v := range env.Vars {
		name, _, _ := strings.Cut(v, "=")
		s.variables = append(s.variables, name)
	}
	for _, m := range regexp.MustCompile(`(\w+)=`).FindAllSubmatch(text, -1) {
		s.variables = append(s.variables, string(m[1]))
	}
	return s, err
}

func (s *server) exitCode(ts *testscript.TestScript, args []string) int {
	var env []string
	for _, name := range s.variables {
		if value := ts.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	if s.process == nil || !slices.Equal(env, s.process.Env) {
		ts.Check(s.stop())
		ts.Check(s.start(env))
	}
	var e end
	if err := errors.Join(s.lines.Encode(line{ts.MkAbs("."), args}), s.ends.Decode(&e)); err != nil {
		ts.Fatalf("the process of cli is gone: %v, %v", err, s.stop())
	}
	_, _ = ts.Stdout().Write(e.Stdout)
	_, _ = ts.Stderr().Write(e.Stderr)
	return e.Code
}

func (s *server) start(env []string) error {
	program, err := os.Executable()
	process := &exec.Cmd{Path: program, Args: []string{serverName}, Env: env, Stderr: new(strings.Builder)}
	in, inErr := process.StdinPipe()
	out, outErr := process.StdoutPipe()
	*s = server{s.variables, process, in, json.NewEncoder(in), json.NewDecoder(out)}
	return errors.Join(err, inErr, outErr, process.Start())
}

func (s *server) stop() error {
	if s.process == nil {
		return nil
	}
	err := s.stdin.Close()
	if more := s.ends.Decode(&end{}); !errors.Is(more, io.EOF) {
		err = errors.Join(err, fmt.Errorf("cli wrote to its process's standard output: %w", more))
	}
	err = errors.Join(err, s.process.Wait())
	if stray := fmt.Sprint(s.process.Stderr); stray != "" {
		err = errors.Join(err, fmt.Errorf("cli wrote to its process's standard error: %s", stray))
	}
	s.process = nil
	return err
}
