package bisect_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/segtest/segtest/fixtures/revision"
	"github.com/segtest/segtest/fixtures/revision/revisiontest"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/bisect"
)

const workloads = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: web}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: db, namespace: shop}
spec:
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: db, image: db, ports: [{containerPort: 5432}]}]}}
`

// policy of the database that lets in pods with this label.
func policy(app string) string {
	return fmt.Sprintf(`apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: %s}}}]
`, app)
}

var flow = matrix.Flow{From: "shop/web", To: "shop/db", Protocol: matrix.TCP, Port: 5432}

// search the history of main for the flow.
func search(t testing.TB, repo *revisiontest.Repo, name string, o bisect.Options) bisect.Result {
	t.Helper()
	r, err := revision.Open(t.Context(), repo.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	tip, err := r.Commit(t.Context(), "main")
	if err != nil {
		t.Fatal(err)
	}
	line, err := r.Line(t.Context(), tip, "")
	if err != nil {
		t.Fatal(err)
	}
	result, err := bisect.Find(t.Context(), r, bisect.NewReader(r, name, flow, scenario.Networks{}), line, o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestRealHistory(t *testing.T) {
	t.Parallel()
	repo := revisiontest.New(t)
	repo.Write("README", "x\n")
	repo.Commit("empty")
	repo.Write("deploy/workloads.yaml", workloads)
	repo.Commit("workloads")
	repo.Write("deploy/policies/db.yaml", policy("nobody"))
	repo.Commit("close the database")
	repo.Write("README", "y\n")
	repo.Commit("unrelated")
	repo.Write("deploy/policies/db.yaml", "kind: [\n")
	repo.Commit("break it")
	repo.Write("deploy/policies/db.yaml", policy("web"))
	repo.Commit("open it for web")
	repo.Write("README", "z\n")
	repo.Commit("unrelated too")
	r := search(t, repo, "deploy", bisect.Options{})
	want := "open it for web denied>allowed or break it, close the database allowed>denied, workloads absent>allowed, skipped break it"
	if text(r) != want {
		t.Errorf("got %s, want %s", text(r), want)
	}
	if why := r.Skipped[0].Why; !strings.HasPrefix(why, "deploy/policies/db.yaml:1:") {
		t.Errorf("skipped because of %q", why)
	}
	f := r.Flips[0]
	if f.Before.Decision.Ingress.By[0].String() != "shop/db (deploy/policies/db.yaml:1:1)" || f.After.Decision.Ingress.By[0].String() != "shop/db rule 0 (deploy/policies/db.yaml:7:5)" {
		t.Errorf("the rules are %v and %v", f.Before.Decision.Ingress.By, f.After.Decision.Ingress.By)
	}
	if f.After.Flow.From != "shop/web-0" {
		t.Errorf("asked was %v", f.After.Flow)
	}
}

// merges is a history in which a branch opens the database, and is merged into
// another one that is merged into main.
func merges(t *testing.T) *revisiontest.Repo {
	t.Helper()
	repo := revisiontest.New(t)
	repo.Write("deploy/workloads.yaml", workloads)
	repo.Write("deploy/db.yaml", policy("nobody"))
	repo.Commit("closed")
	repo.Git("switch", "--quiet", "--create", "feature")
	repo.Write("a", "a\n")
	repo.Commit("before it")
	repo.Git("switch", "--quiet", "--create", "detail")
	repo.Write("deploy/db.yaml", policy("web"))
	repo.Commit("open it")
	repo.Write("b", "b\n")
	repo.Commit("after it")
	repo.Git("switch", "--quiet", "feature")
	repo.Write("c", "c\n")
	repo.Commit("beside it")
	repo.Merge("detail")
	repo.Git("switch", "--quiet", "main")
	repo.Write("d", "d\n")
	repo.Commit("meanwhile")
	repo.Merge("feature")
	repo.Write("e", "e\n")
	repo.Commit("later")
	return repo
}

func TestMergesAreFollowed(t *testing.T) {
	t.Parallel()
	repo := merges(t)
	r := search(t, repo, "deploy", bisect.Options{})
	if text(r) != "open it denied>allowed" {
		t.Fatalf("got %s", text(r))
	}
	var through []string
	for _, m := range r.Flips[0].Merges {
		through = append(through, m.Subject)
	}
	if got := strings.Join(through, ", "); got != "merge feature, merge detail" {
		t.Errorf("through %s", got)
	}
	if r := search(t, repo, "deploy", bisect.Options{FirstParent: true}); text(r) != "merge feature denied>allowed" {
		t.Errorf("by first parents: %s", text(r))
	}
}

// A merge that does what neither of its sides did is the answer itself.
func TestMergeItself(t *testing.T) {
	t.Parallel()
	repo := revisiontest.New(t)
	repo.Write("deploy/workloads.yaml", workloads)
	repo.Write("deploy/db.yaml", policy("nobody"))
	repo.Commit("closed")
	repo.Git("switch", "--quiet", "--create", "side")
	repo.Write("a", "a\n")
	repo.Commit("side")
	repo.Git("switch", "--quiet", "main")
	repo.Write("b", "b\n")
	repo.Commit("main")
	repo.Git("merge", "--quiet", "--no-ff", "--no-commit", "side")
	repo.Write("deploy/db.yaml", policy("web"))
	repo.Commit("merge and more")
	if r := search(t, repo, "deploy", bisect.Options{}); text(r) != "merge and more denied>allowed" || len(r.Flips[0].Merges) != 0 {
		t.Errorf("got %s through %v", text(r), r.Flips[0].Merges)
	}
}

// A branch that left the line while the flow was open, and keeps it open, opens
// nothing: the merge does, by taking its side.
func TestMergeTakesTheOtherSide(t *testing.T) {
	t.Parallel()
	repo := revisiontest.New(t)
	repo.Write("deploy/workloads.yaml", workloads)
	repo.Write("deploy/db.yaml", policy("web"))
	repo.Commit("open")
	repo.Git("switch", "--quiet", "--create", "side")
	repo.Write("a", "a\n")
	repo.Commit("side")
	repo.Git("switch", "--quiet", "main")
	repo.Write("deploy/db.yaml", policy("nobody"))
	repo.Commit("close it")
	repo.Git("merge", "--quiet", "--no-ff", "--no-commit", "side")
	repo.Write("deploy/db.yaml", policy("web"))
	repo.Commit("take theirs")
	if r := search(t, repo, "deploy", bisect.Options{}); text(r) != "take theirs denied>allowed, close it allowed>denied" {
		t.Errorf("got %s", text(r))
	}
}

func TestRenamedFolderIsFollowed(t *testing.T) {
	t.Parallel()
	repo := revisiontest.New(t)
	repo.Write("one/workloads.yaml", workloads)
	repo.Write("one/db.yaml", policy("nobody"))
	repo.Commit("closed")
	repo.Write("one/db.yaml", policy("web"))
	repo.Commit("open it")
	repo.Git("mv", "one", "two")
	repo.Commit("rename")
	repo.Write("README", "x\n")
	repo.Commit("unrelated")
	repo.Git("mv", "two", "three")
	repo.Commit("rename again")
	repo.Write("README", "y\n")
	repo.Commit("unrelated too")
	for _, o := range []bisect.Options{{}, {All: true}} {
		if r := search(t, repo, "three", o); text(r) != "open it denied>allowed" {
			t.Errorf("%+v: %s", o, text(r))
		}
	}
}

// Files outside of the named folder count where they are read, and nothing else
// is read twice.
func TestReadsOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	repo := revisiontest.New(t)
	repo.Write("base/workloads.yaml", workloads)
	repo.Write("base/db.yaml", policy("nobody"))
	repo.Write("base/kustomization.yaml", "resources: [workloads.yaml, db.yaml]\n")
	repo.Write("prod/kustomization.yaml", "resources: [../base]\n")
	repo.Commit("closed")
	for i := range 5 {
		repo.Write("README", fmt.Sprintf("%d\n", i))
		repo.Commit("unrelated")
	}
	repo.Write("base/db.yaml", policy("web"))
	repo.Commit("open it")
	r, err := revision.Open(t.Context(), repo.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	tip, err := r.Commit(t.Context(), "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	line, err := r.Line(t.Context(), tip, "")
	if err != nil {
		t.Fatal(err)
	}
	reader := bisect.NewReader(r, "prod", flow, scenario.Networks{})
	result, err := bisect.Find(t.Context(), r, reader, line, bisect.Options{All: true})
	if err != nil || text(result) != "open it denied>allowed" {
		t.Errorf("%s, %v", text(result), err)
	}
	if reader.Reads() != 2 {
		t.Errorf("%d reads of 2 different versions in %d commits", reader.Reads(), len(line))
	}
}

// thousand commits, each of which changes the policies; the 400th opens the flow.
func thousand(t testing.TB) *revisiontest.Repo {
	t.Helper()
	repo := revisiontest.New(t)
	repo.Line("main", "deploy/all.yaml", 1000, func(i int) string {
		app := "nobody"
		if i >= 400 {
			app = "web"
		}
		return fmt.Sprintf("# version %d\n%s---\n%s", i, workloads, policy(app))
	})
	return repo
}

func TestThousandCommits(t *testing.T) {
	t.Parallel()
	repo := thousand(t)
	start := time.Now()
	r := search(t, repo, "deploy", bisect.Options{})
	t.Logf("%s: %d commits", time.Since(start), r.Commits)
	if len(r.Flips) != 1 || r.Flips[0].Commit.Subject != "version 400" || r.Commits != 1000 {
		t.Errorf("of %d commits: %s", r.Commits, text(r))
	}
}

// BenchmarkThousandCommits is to take less than 2 seconds.
func BenchmarkThousandCommits(b *testing.B) {
	repo := thousand(b)
	for b.Loop() {
		if r := search(b, repo, "deploy", bisect.Options{}); len(r.Flips) != 1 {
			b.Fatal(text(r))
		}
	}
}

// BenchmarkThousandCommitsAll looks at each of them.
func BenchmarkThousandCommitsAll(b *testing.B) {
	repo := thousand(b)
	for b.Loop() {
		if r := search(b, repo, "deploy", bisect.Options{All: true}); len(r.Flips) != 1 || r.Unseen != 0 {
			b.Fatal(text(r))
		}
	}
}
