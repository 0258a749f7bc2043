package main_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/segtest/segtest/fixtures/cluster"
)

// TestE2EExistingCluster keeps the cluster of a run whose report could not be
// written, and has other runs use it as somebody else's: one to its end, and one
// that is killed.
func TestE2EExistingCluster(t *testing.T) {
	owner := install(t)
	out := t.TempDir()
	p := owner.start(t, "run", weather(t, 1, false), "--out", out, "--keep", "--report", "junit=/dev/full")
	name := p.cluster(t)
	if code := p.wait(t, whole); code != 3 {
		t.Errorf("exit %d, want 3 for a report that could not be written", code)
	}
	must(t, "standard output", p.stdout.String(), "PASS")
	must(t, "standard error", p.stderr(), "segtest: writing the junit report: .*/dev/full.*no space left on device",
		`what was observed is in \S+record\.jsonl: segtest report`, "(?m)^remove it with: segtest clean$")
	junit := filepath.Join(out, "later", "junit.xml")
	if code, _, stderr := owner.call(t, "report", filepath.Join(out, "record.jsonl"), "--report", "junit="+junit); code != 0 {
		t.Errorf("the record exits %d, want 0:\n%s", code, stderr)
	}
	if failures := readJUnit(t, junit); len(failures) != 0 {
		t.Errorf("failures in the report made later: %v", failures)
	}

	reach := regexp.MustCompile(`KUBECONFIG=(\S+) kubectl`).FindStringSubmatch(p.stderr())
	if reach == nil {
		t.Fatal("nobody says how to reach the kept cluster")
	}
	b := newBorrowed(t, name, reach[1])
	t.Run("a whole run", b.wholeRun)
	t.Run("a killed run", b.killedRun)
	if pods := b.pods(t); len(pods) != 2 || !slices.Equal(pods, b.was.pods) {
		t.Errorf("the owner's pods were %v and are %v", b.was.pods, pods)
	}
	owner.cleans(t, name)
	owner.nothingLeft(t, name, out)
}

// borrowed is a cluster in the eyes of runs that did not make it.
type borrowed struct {
	binary
	client   kubernetes.Interface
	scenario string
	use      []string // the arguments that name the cluster
	was      struct{ namespaces, pods []string }
}

func newBorrowed(t *testing.T, name, kubeconfig string) *borrowed {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	b := &borrowed{binary: install(t), client: kubernetes.NewForConfigOrDie(config), scenario: elsewhere(t)}
	b.env = []string{"KUBECONFIG=" + kubeconfig}
	pods, err := b.client.CoreV1().Pods("shop").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(pods.Items) == 0 {
		t.Fatalf("the kept cluster has %d pods (%v)", len(pods.Items), err)
	}
	b.use = []string{"--context", "kind-" + name, "--probe-image", pods.Items[0].Spec.Containers[0].Image}
	b.was.namespaces, b.was.pods = b.namespaces(t, ""), b.pods(t)
	return b
}

// elsewhere is the scenario without faults, in a namespace that the owner of
// the cluster has not.
func elsewhere(t *testing.T) string {
	t.Helper()
	path := weather(t, 1, false)
	err := filepath.WalkDir(filepath.Dir(path), func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		return os.WriteFile(file, []byte(strings.ReplaceAll(string(text), "shop", "store")), 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// namespaces that a selector selects, in order of name.
func (b *borrowed) namespaces(t *testing.T, selector string) []string {
	t.Helper()
	list, err := b.client.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, ns := range list.Items {
		names = append(names, ns.Name)
	}
	return names
}

// pods are the owner's, each by its UID.
func (b *borrowed) pods(t *testing.T) []string {
	t.Helper()
	list, err := b.client.CoreV1().Pods("shop").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var uids []string
	for _, p := range list.Items {
		uids = append(uids, p.Name+" "+string(p.UID))
	}
	return uids
}

// begin starts a run and stops it for a moment when everything that it makes is
// there. It must be namespaces with its label, and nobody may take the run for a
// dead one.
func (b *borrowed) begin(t *testing.T, out string) (p *process, id string) {
	t.Helper()
	p = b.start(t, append([]string{"run", b.scenario, "--out", out}, b.use...)...)
	id = strings.TrimPrefix(p.cluster(t), "segtest-")
	p.await(t, "4 of 4 pods ready", ready)
	p.signal(t, syscall.SIGSTOP)
	made := slices.DeleteFunc(b.namespaces(t, ""), func(name string) bool { return slices.Contains(b.was.namespaces, name) })
	if want := []string{"segtest-sentinel-" + id, "store"}; !slices.Equal(made, want) || !slices.Equal(b.namespaces(t, cluster.RunLabel+"="+id), want) {
		t.Errorf("the run made namespaces %v, want %v with its label", made, want)
	}
	if code, stdout, stderr := b.call(t, "clean"); code != 0 || !strings.Contains(stdout, "kept    existing-"+id) {
		t.Errorf("segtest clean while the run goes: exit %d\n%s%s", code, stdout, stderr)
	}
	return p, id
}

// nothingLeftOf checks that a run left the cluster and this machine as they were.
func (b *borrowed) nothingLeftOf(t *testing.T, id, out string) {
	t.Helper()
	if now := b.namespaces(t, ""); !slices.Equal(now, b.was.namespaces) {
		t.Errorf("the namespaces were %v and are %v", b.was.namespaces, now)
	}
	b.nothingLeft(t, "segtest-"+id, out)
}

func (b *borrowed) wholeRun(t *testing.T) {
	out := t.TempDir()
	p, id := b.begin(t, out)
	p.signal(t, syscall.SIGCONT)
	if code := p.wait(t, whole); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
	must(t, "standard output", flat(p.stdout.String()), "PASS")
	if rec := readRecord(t, out); len(rec.Flows) == 0 || len(rec.Passes) == 0 || rec.End == nil || rec.End.Error != "" {
		t.Errorf("the record has %d flows, %d passes and ends with %+v", len(rec.Flows), len(rec.Passes), rec.End)
	}
	b.nothingLeftOf(t, id, out)
}

func (b *borrowed) killedRun(t *testing.T) {
	out := t.TempDir()
	p, id := b.begin(t, out)
	p.signal(t, syscall.SIGKILL)
	p.wait(t, ready)
	if left := b.namespaces(t, cluster.RunLabel+"="+id); len(left) != 2 {
		t.Fatalf("the killed run left namespaces %v, want two", left)
	}
	b.cleans(t, "existing-"+id)
	b.nothingLeftOf(t, id, out)
}
