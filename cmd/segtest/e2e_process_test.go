package main_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is segtest as it is installed, in an environment of its own: what one
// test leaves behind, another does not see.
type binary struct {
	path  string
	state string   // $XDG_STATE_HOME
	env   []string // further variables
}

// builtIn is the folder of the binary of all tests, which is built once.
var builtIn string

var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "segtest-e2e")
	if err != nil {
		return "", err
	}
	builtIn = dir
	path := filepath.Join(dir, "segtest")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return path, fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

// install skips where no clusters may be made, and returns segtest for one test.
func install(t *testing.T) binary {
	t.Helper()
	if os.Getenv("SEGTEST_E2E") != "1" {
		t.Skip("makes kind clusters: set SEGTEST_E2E=1 on a machine with Docker")
	}
	path, err := built()
	if err != nil {
		t.Fatalf("building segtest: %v", err)
	}
	return binary{path: path, state: t.TempDir()}
}

// tests removes what install built when all tests are through.
type tests struct{ *testing.M }

func (m tests) Run() int {
	code := m.M.Run()
	if builtIn != "" {
		_ = os.RemoveAll(builtIn)
	}
	return code
}

// process is one segtest that runs in a process group of its own, as a shell
// starts it.
type process struct {
	cmd    *exec.Cmd
	stdout *bytes.Buffer
	ended  chan struct{} // closed when it is over and all its output was read

	mu    sync.Mutex
	lines []string      // of standard error
	news  chan struct{} // closed and replaced with each line
}

// start runs segtest. When the test ends the process is over, and no container
// of its cluster is left.
func (b binary) start(t *testing.T, args ...string) *process {
	t.Helper()
	cmd := b.command(args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := &process{cmd: cmd, stdout: &bytes.Buffer{}, ended: make(chan struct{}), news: make(chan struct{})}
	cmd.Stdout = p.stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", b.path, err)
	}
	go p.read(stderr)
	t.Cleanup(func() { b.sweep(t, p) })
	return p
}

func (p *process) read(stderr io.Reader) {
	for in := bufio.NewScanner(stderr); in.Scan(); {
		p.mu.Lock()
		p.lines = append(p.lines, in.Text())
		close(p.news)
		p.news = make(chan struct{})
		p.mu.Unlock()
	}
	_ = p.cmd.Wait() // the exit code is in ProcessState
	close(p.ended)
}

// sweep ends a process that a failed test left, and removes its cluster.
func (b binary) sweep(t *testing.T, p *process) {
	t.Helper()
	select {
	case <-p.ended:
	default:
		t.Errorf("segtest still runs at the end of the test:\n%s", p.stderr())
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	if t.Failed() {
		t.Logf("standard error:\n%s\nstandard output:\n%s", p.stderr(), p.stdout)
	}
	if spray := klogLine.FindString(p.stderr()); spray != "" {
		t.Errorf("a library writes over the progress: %s", spray)
	}
	id := runLine.FindStringSubmatch(p.stderr())
	if id == nil || containersOf(t, "segtest-"+id[1]) == "" {
		return
	}
	t.Errorf("containers of cluster segtest-%s are left", id[1])
	if out, err := b.command("clean").CombinedOutput(); err != nil {
		t.Errorf("segtest clean: %v\n%s", err, out)
	}
}

// command is segtest for a short call.
func (b binary) command(args ...string) *exec.Cmd {
	cmd := exec.Command(b.path, args...)
	cmd.Env = append(append(os.Environ(), "XDG_STATE_HOME="+b.state, "NO_COLOR=1", "LC_ALL=C.UTF-8"), b.env...)
	return cmd
}

// call runs segtest to its end and returns its exit code.
func (b binary) call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := b.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("running segtest %s: %v", strings.Join(args, " "), err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func (p *process) stderr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// await waits for a line on standard error that matches, and returns it.
func (p *process) await(t *testing.T, pattern string, within time.Duration) string {
	t.Helper()
	want := regexp.MustCompile(pattern)
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	for seen := 0; ; {
		p.mu.Lock()
		lines, news := p.lines[seen:], p.news
		p.mu.Unlock()
		for _, line := range lines {
			seen++
			if want.MatchString(line) {
				return line
			}
		}
		select {
		case <-news:
		case <-p.ended:
			if len(p.stderrFrom(seen)) == 0 {
				t.Fatalf("segtest ended and never said %q", pattern)
			}
		case <-ctx.Done():
			t.Fatalf("segtest did not say %q within %s", pattern, within)
		}
	}
}

func (p *process) stderrFrom(seen int) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lines[seen:]
}

// wait waits for the end and returns the exit code, -1 after a signal.
func (p *process) wait(t *testing.T, within time.Duration) int {
	t.Helper()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-timer.C:
		t.Fatalf("segtest still runs after %s", within)
		return 0
	}
}

// interrupt is Ctrl-C: the terminal sends it to the whole process group.
func (p *process) interrupt(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
}

// signal reaches this process alone.
func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// klogLine is what the Kubernetes libraries log where nobody keeps them from it.
var klogLine = regexp.MustCompile(`(?m)^[IWEF]\d{4} \d\d:\d\d:\d\d.*`)

var runLine = regexp.MustCompile(`run ([0-9a-f]{8}) of `)

// cluster is the name of the cluster of a run.
func (p *process) cluster(t *testing.T) string {
	t.Helper()
	return "segtest-" + runLine.FindStringSubmatch(p.await(t, runLine.String(), 20*time.Second))[1]
}

// must fails the test unless each text holds, somewhere, what it must.
func must(t *testing.T, what, text string, patterns ...string) {
	t.Helper()
	for _, pattern := range patterns {
		if !regexp.MustCompile(pattern).MatchString(text) {
			t.Errorf("%s does not say %q:\n%s", what, pattern, text)
		}
	}
}

// flat is a text without its line breaks, which depend on lengths of names.
func flat(text string) string { return strings.Join(strings.Fields(text), " ") }

// weather writes the scenario of bad weather with so many workers, with its
// fault or without, and returns its path.
func weather(t *testing.T, workers int, fault bool) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "weather"))); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "scenario.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := strings.Replace(string(text), "workers: 1", fmt.Sprintf("workers: %d", workers), 1)
	if !fault {
		s, _, _ = strings.Cut(s, "chaos:")
	}
	if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
