package report_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/segtest/segtest/fixtures/revision"
	"github.com/segtest/segtest/hack/golden"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/bisect"
	"github.com/segtest/segtest/suites/diff"
	"github.com/segtest/segtest/suites/plan/plantest"
	"github.com/segtest/segtest/suites/report"
)

const diffWorkloads = `apiVersion: segtest.dev/v1alpha1
kind: Scenario
metadata: {name: shop}
workloads:
- {name: web, namespace: shop, labels: {app: web}, replicas: 2, ports: [{port: 8080}]}
- {name: db, namespace: shop, labels: {app: db}, ports: [{port: 5432}]}
policies: [policies]
`

// hostileFile is a file whose name is markup, and mentions somebody.
const hostileFile = "policies/<b>|`@team` [x](y).yaml"

func ingress(rules string) string {
	return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: db, namespace: shop}\nspec:\n  podSelector: {matchLabels: {app: db}}\n  ingress: " + rules + "\n"
}

var someday = time.Date(2026, 3, 1, 10, 0, 0, 0, time.FixedZone("", 3600))

// shopDiff is a database that is opened to the world, apart from a block, against
// what the scenario declares; a pod comes and a pod goes.
func shopDiff(t *testing.T) diff.Diff {
	t.Helper()
	before := plantest.Of(t, "shop.yaml", map[string]string{
		"shop.yaml": strings.Replace(diffWorkloads, "policies:", "- {name: old, namespace: shop, labels: {app: old}}\npolicies:", 1),
		hostileFile: ingress("[]"),
	})
	after := plantest.Of(t, "shop.yaml", map[string]string{
		"shop.yaml": strings.Replace(diffWorkloads, "policies:", "- {name: new, namespace: shop, labels: {app: new}}\npolicies:", 1) +
			"expect: {default: deny, rules: [{allow: {from: '*', to: [shop/web, shop/new], ports: [any]}}]}\n",
		hostileFile: ingress("[{from: [{podSelector: {matchLabels: {app: web}}}, {ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]}]"),
	})
	d, err := diff.Of(before, after)
	if err != nil {
		t.Fatal(err)
	}
	d.Before = diff.Version{Name: "origin/main", Commit: revision.Commit{Hash: strings.Repeat("a", 40), Author: "Ann", Date: someday, Subject: "first"}, File: "shop.yaml"}
	d.After = diff.Version{Name: "work tree", File: "shop.yaml"}
	was, is := d.Causes()
	for _, c := range was {
		c.Credit = diff.Credit{Known: true, Commit: revision.Commit{Hash: strings.Repeat("b", 40), Author: "Eve | <script> \x1b[31m@team", Date: someday, Subject: "x"}}
	}
	for _, c := range is {
		c.Credit = diff.Credit{Known: true}
	}
	return d
}

func TestDiffGolden(t *testing.T) {
	t.Parallel()
	d := shopDiff(t)
	none := diff.Diff{Before: d.Before, After: d.After}
	for name, write := range map[string]func(*bytes.Buffer) error{
		"diff/opened.txt":       func(b *bytes.Buffer) error { return report.DiffText(b, d, report.TextOptions{}) },
		"diff/opened-ascii.txt": func(b *bytes.Buffer) error { return report.DiffText(b, d, report.TextOptions{ASCII: true, Width: 60}) },
		"diff/opened.md":        func(b *bytes.Buffer) error { return report.DiffMarkdown(b, d) },
		"diff/opened.json":      func(b *bytes.Buffer) error { return report.DiffJSON(b, d) },
		"diff/none.md":          func(b *bytes.Buffer) error { return report.DiffMarkdown(b, none) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, filepath.Join("testdata", name), b.String())
	}
}

// What files and authors say is no markup, mentions nobody and colours nothing.
func TestDiffIsEscaped(t *testing.T) {
	t.Parallel()
	var md, text, data bytes.Buffer
	d := shopDiff(t)
	for _, err := range []error{report.DiffMarkdown(&md, d), report.DiffText(&text, d, report.TextOptions{}), report.DiffJSON(&data, d)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{"<b>", "<script>", "@team", "|`", "[x](y)"} {
		if strings.Contains(md.String(), bad) {
			t.Errorf("the comment holds %q:\n%s", bad, md.String())
		}
	}
	if strings.Contains(text.String()+md.String()+data.String(), "\x1b") {
		t.Error("an author colours the terminal")
	}
	columns := 0
	for line := range strings.Lines(md.String()) {
		if strings.HasPrefix(line, "|") {
			n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
			if columns == 0 {
				columns = n
			}
			if n != columns {
				t.Errorf("a row has %d bars, not %d: %s", n, columns, line)
			}
		}
	}
	if columns == 0 {
		t.Error("there is no table")
	}
}

// A comment has a bound, and says how much it leaves out.
func TestDiffCommentIsBounded(t *testing.T) {
	t.Parallel()
	d := shopDiff(t)
	f := d.Flips[0]
	for i := range 3000 {
		g := f
		g.From = []matrix.Endpoint{matrix.Endpoint(fmt.Sprintf("shop/%s-%d", strings.Repeat("x", 200), i))}
		d.Flips = append(d.Flips, g)
	}
	var md bytes.Buffer
	if err := report.DiffMarkdown(&md, d); err != nil {
		t.Fatal(err)
	}
	rows := strings.Count(md.String(), "\n| **")
	if md.Len() > 65_000 || !strings.Contains(md.String(), fmt.Sprintf("… and %d rows more", len(d.Flips)-rows)) || rows < 50 {
		t.Errorf("%d bytes with %d of %d rows, ending in %q", md.Len(), rows, len(d.Flips), md.String()[md.Len()-200:])
	}
}

// Ports that lie side by side are one range, and a flip of many ports is one line.
func TestDiffPorts(t *testing.T) {
	t.Parallel()
	var many []diff.Port
	for n := range uint16(20) {
		many = append(many, diff.Port{Protocol: matrix.TCP, Port: 100 + 2*n})
	}
	for _, row := range []struct {
		name  string
		ports []diff.Port
		want  string
	}{
		{
			"a range with a declared port inside",
			[]diff.Port{{Protocol: matrix.TCP, Port: 80}, {Protocol: matrix.TCP, Port: 8000, Last: 8079}, {Protocol: matrix.TCP, Port: 8080}, {Protocol: matrix.TCP, Port: 8081, Last: 9000}, {Protocol: matrix.TCP, Port: 9002, Last: 9002}},
			"TCP/80, TCP/8000-9000, TCP/9002",
		},
		{
			"neighbours of other protocols and families",
			[]diff.Port{{Protocol: matrix.TCP, Port: 53}, {Protocol: matrix.UDP, Port: 54, Last: 60}, {Protocol: matrix.UDP, Port: 61, Family: matrix.IPv6}},
			"TCP/53, UDP/54-60, UDP/61 ipv6",
		},
		{
			"two protocols side by side",
			[]diff.Port{{Protocol: matrix.TCP, Port: 1, Last: 9}, {Protocol: matrix.UDP, Port: 1, Last: 9}, {Protocol: matrix.TCP, Port: 10}, {Protocol: matrix.UDP, Port: 10}},
			"TCP/1-10, UDP/1-10",
		},
		{
			"up to the last", []diff.Port{{Protocol: matrix.TCP, Port: 1, Last: 65534}, {Protocol: matrix.TCP, Port: 65535, Last: 65535}, {Protocol: matrix.UDP, Port: 65000, Canary: true}},
			"TCP/1-65535, any other UDP",
		},
		{
			"many", append(many, diff.Port{Protocol: matrix.TCP, Port: 65000, Canary: true}),
			"TCP/100, TCP/102, TCP/104, TCP/106, TCP/108, TCP/110, TCP/112, TCP/114 and 12 more, any other TCP",
		},
	} {
		d := diff.Diff{Compared: 9, Flips: []diff.Flip{{From: []matrix.Endpoint{"shop/a-0"}, To: []matrix.Endpoint{"shop/b-0"}, Ports: row.ports, Count: 1, Before: matrix.Deny, After: matrix.Allow}}}
		var b bytes.Buffer
		if err := report.DiffText(&b, d, report.TextOptions{Width: 200}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), "shop/b-0  "+row.want+"  1 flow\n") {
			t.Errorf("%s: want %s in\n%s", row.name, row.want, b.String())
		}
	}
}

func TestDiffJSONAddsUp(t *testing.T) {
	t.Parallel()
	d := shopDiff(t)
	var b bytes.Buffer
	if err := report.DiffJSON(&b, d); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Counts struct{ Flips, Opened, Closed, Unclear, Against int }
		Flips  []struct {
			Flows   int
			Changes []struct {
				Before, After struct{ Rules []map[string]any }
			}
		}
		Added, Removed []struct{ Pods []string }
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	flows := 0
	for _, f := range got.Flips {
		flows += f.Flows
	}
	c := got.Counts
	if flows == 0 || flows != c.Flips || c.Flips != c.Opened+c.Closed+c.Unclear || c.Against == 0 {
		t.Errorf("the flips hold %d flows, the counts are %+v", flows, c)
	}
	rules := got.Flips[0].Changes[0]
	if rules.Before.Rules[0]["commit"] == nil || rules.After.Rules[0]["uncommitted"] != true {
		t.Errorf("who wrote the rules: %v and %v", rules.Before.Rules, rules.After.Rules)
	}
	if len(got.Added) != 1 || len(got.Removed) != 1 {
		t.Errorf("added %v, removed %v", got.Added, got.Removed)
	}
}

// opening is a flow that was opened on a branch, then closed and opened again.
func opening(t *testing.T) report.Bisection {
	t.Helper()
	d := shopDiff(t)
	commit := func(c string, subject string) revision.Commit {
		return revision.Commit{Hash: strings.Repeat(c, 40), Author: "Eve \x1b[31m", Date: someday, Subject: subject}
	}
	flow := matrix.Flow{From: "shop/web", To: "shop/db", Protocol: matrix.TCP, Port: 5432}
	slots := flow
	slots.From, slots.To = "shop/web-0", "shop/db-0"
	open, closed := bisect.Sight{State: bisect.Allowed, Flow: slots}, bisect.Sight{State: bisect.Denied, Flow: slots}
	absent := bisect.Sight{State: bisect.Absent, Why: "there is no shop/db"}
	return report.Bisection{
		Flow: flow, Tip: "HEAD",
		Result: bisect.Result{
			Newest: commit("1", "newest"), State: open, Commits: 1000, Unseen: 12,
			Flips: []bisect.Flip{
				{Commit: commit("2", "open it"), Earlier: commit("4", "before it"), Before: closed, After: open, Suspects: []revision.Commit{commit("3", "break it")}, Merges: []revision.Commit{commit("5", "merge it")}},
				{Commit: commit("6", "add the database"), Earlier: commit("7", "begin"), Before: absent, After: closed},
			},
			Skipped: []bisect.Skip{{Commit: commit("3", "break it"), Why: "deploy/x.yaml:3:1: bad"}},
		},
		Changes: [][]diff.Change{d.Flips[0].Changes, nil}, Shallow: true,
	}
}

func TestBisectGolden(t *testing.T) {
	t.Parallel()
	b := opening(t)
	all := b
	all.All = true
	nothing := report.Bisection{Flow: b.Flow, Tip: "HEAD", Result: bisect.Result{Newest: b.Newest, State: b.State, Commits: 3}}
	for name, write := range map[string]func(*bytes.Buffer) error{
		"bisect/opened.txt":  func(w *bytes.Buffer) error { return report.Bisected(w, b, report.TextOptions{}) },
		"bisect/all.txt":     func(w *bytes.Buffer) error { return report.Bisected(w, all, report.TextOptions{ASCII: true}) },
		"bisect/opened.json": func(w *bytes.Buffer) error { return report.BisectJSON(w, b) },
		"bisect/nothing.txt": func(w *bytes.Buffer) error { return report.Bisected(w, nothing, report.TextOptions{}) },
		"bisect/broken.txt": func(w *bytes.Buffer) error {
			return report.Bisected(w, report.Bisection{Flow: b.Flow, Tip: "HEAD", Result: bisect.Result{Commits: 3, Skipped: b.Skipped}}, report.TextOptions{})
		},
	} {
		var out bytes.Buffer
		if err := write(&out); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "\x1b") || strings.Contains(out.String(), `\u001b`) {
			t.Errorf("%s: an author colours the terminal", name)
		}
		golden.Check(t, filepath.Join("testdata", name), out.String())
	}
}
