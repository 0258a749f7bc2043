package main_test

import (
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/segtest/segtest/suites/run/record"
)

// Bounds of what a step may take on a busy machine.
const (
	ready = 3 * time.Minute  // until a cluster stands and its workloads answer
	whole = 5 * time.Minute  // a whole run
	tidy  = 90 * time.Second // the removal of a cluster
)

// These tests are segtest as people meet it, on real kind clusters: what it says
// and what it exits with when all is well, when a policy is wrong, and when the
// machine lets it down. Whatever happens, nothing is left behind unsaid.

func TestE2ENoDocker(t *testing.T) {
	b := install(t)
	b.env = []string{"DOCKER_HOST=unix:///nowhere/docker.sock"}
	out := t.TempDir()
	code, stdout, _ := b.call(t, "run", filepath.Join("testdata", "weather"), "--out", out)
	if code != 3 {
		t.Errorf("exit %d, want 3", code)
	}
	must(t, "standard output", flat(stdout), "INCONCLUSIVE", "docker daemon does not answer")
	if n := strings.Count(stdout, "\n"); n > 8 {
		t.Errorf("%d lines for one error:\n%s", n, stdout)
	}
	if code, _, _ := b.call(t, "report", filepath.Join(out, "record.jsonl")); code != 3 {
		t.Errorf("the record of it exits %d, want 3", code)
	}
	if code, _, stderr := b.call(t, "clean"); code != 3 || !strings.Contains(stderr, "docker daemon does not answer") {
		t.Errorf("segtest clean: exit %d\n%s", code, stderr)
	}
}

// tmpfs is a folder on a disk of that size.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounts a tmpfs: needs root")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Fatalf("mounting a tmpfs: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("unmounting: %v\n%s", err, out)
		}
	})
	return dir
}

func TestE2ENoRoomForTheRecord(t *testing.T) {
	b := install(t)
	out := filepath.Join(tmpfs(t, "4k"), "run")
	code, stdout, stderr := b.call(t, "run", filepath.Join("..", "..", "fixtures", "catalog", "online-shop"), "--out", out)
	if code != 3 || stdout != "" {
		t.Errorf("exit %d, want 3 and nothing on standard output: %s", code, stdout)
	}
	must(t, "standard error", stderr, "segtest: writing the record: .*no space left on device")
	if strings.Contains(stderr, "Creating cluster") {
		t.Errorf("a cluster was made for a record that cannot be written:\n%s", stderr)
	}
}

func TestE2EWrongLabel(t *testing.T) {
	b := install(t)
	out := t.TempDir()
	junit := filepath.Join(out, "junit.xml")
	scenario := filepath.Join("..", "..", "fixtures", "catalog", "online-shop-wrong-label")
	p := b.start(t, "run", scenario, "--out", out, "--report", "junit="+junit)
	cluster := p.cluster(t)
	if code := p.wait(t, whole); code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
	b.nothingLeft(t, cluster, out)
	must(t, "standard output", flat(p.stdout.String()),
		"FAIL", "shop/api-0 → shop/db-0 TCP/5432", "deny by shop/default-deny", `online-shop/policies/default-deny\.yaml:2`)

	failures := readJUnit(t, junit)
	text, ok := failures["shop/api-0 -> shop/db-0 TCP/5432"]
	if !ok || len(failures) != 1 {
		t.Fatalf("failures %v, want the one of shop/api-0 -> shop/db-0 TCP/5432", failures)
	}
	must(t, "the failure", text,
		`\A\S+online-shop/policies/default-deny\.yaml:2: `, "(?m)^expected: +allow", "(?m)^observed: +timed-out",
		`(?m)^ingress: +deny by shop/default-deny \(\S+/default-deny\.yaml:2:1\)`, "(?m)^evidence: +[abc] ",
		`(?m)^repeat: +segtest run \S+ --select 'shop/api-0 -> shop/db-0 TCP/5432'$`)
	if code, _, _ := b.call(t, "report", filepath.Join(out, "record.jsonl")); code != 1 {
		t.Errorf("the record exits %d, want 1", code)
	}
}

// readJUnit reads a report: texts of the failed and erroneous cases by name.
// Names must be unique within their class.
func readJUnit(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	type message struct {
		Text string `xml:",chardata"`
	}
	var suites struct {
		Suites []struct {
			Tests int `xml:"tests,attr"`
			Cases []struct {
				Name    string   `xml:"name,attr"`
				Class   string   `xml:"classname,attr"`
				Failure *message `xml:"failure"`
				Error   *message `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(text, &suites); err != nil {
		t.Fatalf("reading %s: %v", path, err)
	}
	bad, seen := map[string]string{}, map[[2]string]bool{}
	for _, s := range suites.Suites {
		if s.Tests != len(s.Cases) || s.Tests == 0 {
			t.Errorf("a suite of %d cases says that it has %d", len(s.Cases), s.Tests)
		}
		for _, c := range s.Cases {
			if key := [2]string{c.Class, c.Name}; seen[key] {
				t.Errorf("two cases are named %v", key)
			} else {
				seen[key] = true
			}
			switch {
			case c.Failure != nil:
				bad[c.Name] = c.Failure.Text
			case c.Error != nil:
				bad[c.Name] = c.Error.Text
			}
		}
	}
	return bad
}

func TestE2EOpenCluster(t *testing.T) {
	b := install(t)
	out := t.TempDir()
	p := b.start(t, "run", filepath.Join("..", "..", "fixtures", "catalog", "open-cluster"), "--out", out)
	cluster := p.cluster(t)
	p.await(t, "ready: all 2 nodes", ready)
	start := time.Now()
	p.await(t, "removing cluster", time.Minute)
	t.Logf("known %s after all nodes were ready", time.Since(start).Round(time.Second))
	if code := p.wait(t, tidy); code != 4 {
		t.Errorf("exit %d, want 4", code)
	}
	b.nothingLeft(t, cluster, out)
	stdout := p.stdout.String()
	must(t, "standard output", flat(stdout), "INCONCLUSIVE", "this cluster enforces no NetworkPolicy")
	if n := strings.Count(stdout, "\n"); n > 6 || strings.Count(stdout, "enforces no") != 1 {
		t.Errorf("%d lines where one would do:\n%s", n, stdout)
	}
}

// cleans checks that segtest clean removes what a name stands for, says so, and has
// nothing to remove a second time.
func (b binary) cleans(t *testing.T, name string) {
	t.Helper()
	code, stdout, stderr := b.call(t, "clean")
	if code != 0 || !strings.Contains(stdout, "removed "+name+": its run") {
		t.Errorf("segtest clean: exit %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr = b.call(t, "clean")
	if code != 0 || strings.Contains(stdout, "removed ") || strings.Contains(stdout, name) {
		t.Errorf("segtest clean once more: exit %d\n%s%s", code, stdout, stderr)
	}
}

// interrupted checks what Ctrl-C must leave: exit 130, nothing behind, and a
// record that says so.
func (b binary) interrupted(t *testing.T, p *process, out string) {
	t.Helper()
	cluster := p.cluster(t)
	p.interrupt(t)
	start := time.Now()
	if code := p.wait(t, tidy); code != 130 {
		t.Errorf("exit %d, want 130", code)
	}
	t.Logf("gone after %s", time.Since(start).Round(time.Second))
	must(t, "standard output", flat(p.stdout.String()), "INCONCLUSIVE", "the run was interrupted")
	b.nothingLeft(t, cluster, out)
	code, stdout, stderr := b.call(t, "report", filepath.Join(out, "record.jsonl"))
	if code != 130 || !strings.Contains(stdout, "interrupted") {
		t.Errorf("the record exits %d, want 130:\n%s%s", code, stdout, stderr)
	}
}

func TestE2EInterruptedCreation(t *testing.T) {
	b := install(t)
	out := t.TempDir()
	p := b.start(t, "run", weather(t, 1, true), "--out", out)
	p.await(t, "Starting control-plane", ready)
	b.interrupted(t, p, out)
}

func TestE2EInterruptedMatrix(t *testing.T) {
	b := install(t)
	out := t.TempDir()
	p := b.start(t, "run", weather(t, 1, true), "--out", out)
	p.await(t, "applying 1 policies", ready)
	b.interrupted(t, p, out)
	rec := readRecord(t, out)
	if len(rec.Passes) == 0 || rec.End == nil || !rec.End.Interrupted {
		t.Errorf("the record has %d passes and ends with %+v", len(rec.Passes), rec.End)
	}
}

func readRecord(t *testing.T, out string) record.Record {
	t.Helper()
	rec, err := record.ReadFile(filepath.Join(out, "record.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// pausedNode waits until the worker of a run is frozen.
func pausedNode(t *testing.T, p *process) string {
	t.Helper()
	node := p.cluster(t) + "-worker"
	p.await(t, "node-pause: ", ready)
	eventually(t, node+" is paused", time.Minute, func() bool { return paused(t, node) })
	return node
}

func paused(t *testing.T, node string) bool {
	t.Helper()
	return docker(t, "container", "inspect", "--format", "{{.State.Paused}}", node) == "true"
}

func TestE2EInterruptedPause(t *testing.T) {
	b := install(t)
	out := t.TempDir()
	p := b.start(t, "run", weather(t, 1, true), "--out", out)
	pausedNode(t, p)
	b.interrupted(t, p, out)
	if rec := readRecord(t, out); len(rec.Faults) != 1 || rec.Faults[0].Error == "" {
		t.Errorf("the record does not hold the fault that was broken off: %+v", rec.Faults)
	}
}

func TestE2EKilledPause(t *testing.T) {
	b := install(t)
	out := t.TempDir()
	p := b.start(t, "run", weather(t, 1, true), "--out", out)
	node, cluster := pausedNode(t, p), p.cluster(t)
	stranger(t, docker(t, "container", "inspect", "--format", "{{.Image}}", node))
	p.signal(t, syscall.SIGKILL)
	start := time.Now()
	p.wait(t, 10*time.Second)
	eventually(t, "the reaper thaws "+node, 10*time.Second, func() bool { return !paused(t, node) })
	t.Logf("thawed after %s", time.Since(start).Round(100*time.Millisecond))
	code, stdout, _ := b.call(t, "report", filepath.Join(out, "record.jsonl"))
	if code != 3 || !strings.Contains(stdout, "the run died") {
		t.Errorf("the record of a killed run exits %d, want 3:\n%s", code, stdout)
	}
	b.cleans(t, cluster)
	b.nothingLeft(t, cluster, out)
}

func TestE2EDeadWorker(t *testing.T) {
	b := install(t)
	out := t.TempDir()
	p := b.start(t, "run", weather(t, 2, true), "--out", out)
	cluster := p.cluster(t)
	p.await(t, "baseline: 8 flows", ready)
	dead := cluster + "-worker"
	docker(t, "kill", dead)
	start := time.Now()
	p.await(t, "removing cluster", 45*time.Second)
	t.Logf("given up %s after the death", time.Since(start).Round(time.Second))
	if code := p.wait(t, tidy); code != 3 {
		t.Errorf("exit %d, want 3", code)
	}
	must(t, "standard output", flat(p.stdout.String()),
		"INCONCLUSIVE", "node "+dead+" answers no command")
	b.nothingLeft(t, cluster, out)
	if rec := readRecord(t, out); len(rec.Passes) == 0 || rec.End == nil || !rec.End.Environment {
		t.Errorf("the record has %d passes and ends with %+v", len(rec.Passes), rec.End)
	}
}

func TestE2EFullDisk(t *testing.T) {
	b := install(t)
	disk := tmpfs(t, "128k")
	out := filepath.Join(disk, "run")
	p := b.start(t, "run", weather(t, 1, true), "--out", out)
	cluster := p.cluster(t)
	p.await(t, "deploying", ready)
	ballast := make([]byte, 1<<20)
	if err := os.WriteFile(filepath.Join(disk, "ballast"), ballast, 0o600); err == nil {
		t.Fatal("the disk takes more than it can hold")
	}
	p.await(t, "removing cluster", time.Minute)
	if code := p.wait(t, tidy); code != 3 {
		t.Errorf("exit %d, want 3", code)
	}
	must(t, "standard error", p.stderr(), "segtest: writing the record: .*no space left on device")
	if strings.Contains(p.stdout.String(), "PASS") {
		t.Errorf("a pass without a record:\n%s", p.stdout)
	}
	b.nothingLeft(t, cluster, out)
	if code, stdout, stderr := b.call(t, "report", filepath.Join(out, "record.jsonl")); code != 3 {
		t.Errorf("what was recorded exits %d, want 3:\n%s%s", code, stdout, stderr)
	}
}

func TestE2EDockerStopped(t *testing.T) {
	b := install(t)
	gate, host := newDockerGate(t)
	out := t.TempDir()
	behind := b
	behind.env = []string{"DOCKER_HOST=" + host}
	p := behind.start(t, "run", weather(t, 1, true), "--out", out)
	cluster := p.cluster(t)
	p.await(t, "applying 1 policies", ready)
	gate.close()
	if code := p.wait(t, time.Minute); code != 3 {
		t.Errorf("exit %d, want 3", code)
	}
	must(t, "standard output", flat(p.stdout.String()),
		"INCONCLUSIVE", "docker daemon does not answer", "left behind: .*"+cluster)
	if rec := readRecord(t, out); len(rec.Passes) == 0 || rec.End == nil || rec.End.LeftBehind == "" {
		t.Errorf("the record has %d passes and ends with %+v", len(rec.Passes), rec.End)
	}
	b.cleans(t, cluster)
	b.nothingLeft(t, cluster, out)
}
