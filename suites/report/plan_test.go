package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/segtest/segtest/hack/golden"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/edit"
	"github.com/segtest/segtest/suites/judge"
	planned "github.com/segtest/segtest/suites/plan"
	"github.com/segtest/segtest/suites/plan/plantest"
	"github.com/segtest/segtest/suites/report"
	"github.com/segtest/segtest/suites/run/record"
)

// sheet of flows in order, each endpoint on its own.
func sheet(flows []record.Flow) planned.Sheet {
	s := planned.Sheet{Name: "online-shop", File: "online-shop/scenario.yaml", Flows: slices.Values(flows)}
	at := map[matrix.Endpoint]int{}
	for _, f := range flows {
		for _, e := range []matrix.Endpoint{f.From, f.To} {
			if _, ok := at[e]; !ok {
				at[e] = 0
				s.From = append(s.From, planned.Group{e})
			}
		}
	}
	slices.SortFunc(s.From, func(a, b planned.Group) int { return strings.Compare(string(a[0]), string(b[0])) })
	for i, g := range s.From {
		at[g[0]] = i
	}
	s.To = s.From
	for _, f := range flows {
		c := planned.Cell{From: at[f.From], To: at[f.To], Flow: f.Flow, Declared: f.Declared.Intent, Computed: f.Computed.Intent, Canary: f.Canary, Count: 1}
		s.Cells = append(s.Cells, c)
		s.Tally.Add(c)
		if c.Differs() {
			s.Differ = append(s.Differ, planned.Difference{Flow: f, Count: 1})
		}
		if c.Computed == matrix.Undefined {
			s.Doubts = append(s.Doubts, planned.Doubt{Reason: f.Computed.Reason, Flow: f.Flow, Count: 1})
		}
	}
	return s
}

const nasty = "<script>alert(1)</script>|`x` \"q\" 'p' \\ \n=1+1 *b* [l](u) @all &amp; -->\x1b[31m\x00"

// hostile is a plan in which all foreign text is meant to break something.
func hostile() planned.Sheet {
	at := oracle.Origin{File: "=cmd|' /C calc'!A0" + nasty, Line: 3}
	flow := record.Flow{
		Flow:     matrix.Flow{From: "a/=x<b>|`\"\x1b[31m", To: "a/b\"];\nx[label=\"", Protocol: matrix.TCP, Port: 80},
		Declared: record.Declared{Intent: matrix.Deny, Origin: at, Reason: nasty},
		Computed: oracle.Decision{
			Intent: matrix.Allow, Egress: oracle.Half{Intent: matrix.Allow, Reason: nasty},
			Ingress: oracle.Half{Intent: matrix.Allow, Isolated: true, Reason: "@" + nasty, By: []oracle.RuleRef{{Policy: "+" + nasty, Rule: 2, Origin: at}}},
		},
	}
	s := sheet([]record.Flow{flow})
	for i, what := range []string{"images", nasty, nasty} {
		s.Dropped = append(s.Dropped, record.Dropped{Kind: nasty, Name: nasty, What: what, Field: nasty, Count: 1 + i, Origin: at})
	}
	s.Name = nasty
	s.Foreign = []oracle.Foreign{{APIVersion: nasty, Kind: "-" + nasty, Name: nasty, Origin: at}}
	return s
}

func planSheets() map[string]planned.Sheet {
	cilium := sheet(shopFlows())
	cilium.Foreign = []oracle.Foreign{{APIVersion: "cilium.io/v2", Kind: "CiliumNetworkPolicy", Name: "shop/l7", Origin: oracle.Origin{File: "policies/l7.yaml", Line: 4, Column: 1}}}
	return map[string]planned.Sheet{"agrees": cilium, "differs": sheet(wrong()), "hostile": hostile(), "empty": {Name: "empty", Flows: slices.Values([]record.Flow{})}}
}

func TestPlanFormats(t *testing.T) {
	t.Parallel()
	if err := os.MkdirAll(filepath.Join("testdata", "plan"), 0o755); err != nil {
		t.Fatal(err)
	}
	formats := report.PlanFormats()
	if !slices.IsSortedFunc(formats, func(a, b report.PlanFormat) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the formats are not in order of name")
	}
	for _, f := range formats {
		for name, s := range planSheets() {
			var b bytes.Buffer
			if err := f.Write(&b, s, report.FoldReplicas, report.TextOptions{Width: 100}); err != nil {
				t.Fatal(err)
			}
			golden.Check(t, filepath.Join("testdata", "plan", name+"."+f.Name), b.String())
			if bytes.ContainsAny(b.Bytes(), "\x1b\x00") {
				t.Errorf("%s.%s holds control characters", name, f.Name)
			}
		}
	}
}

func writePlan(t *testing.T, format string, s planned.Sheet, folding report.Folding) []byte {
	t.Helper()
	for _, f := range report.PlanFormats() {
		if f.Name == format {
			var b bytes.Buffer
			if err := f.Write(&b, s, folding, report.TextOptions{}); err != nil {
				t.Fatal(err)
			}
			return b.Bytes()
		}
	}
	t.Fatalf("no format %s", format)
	return nil
}

// TestPlanOfGroups: equal endpoints of different workloads share rows, columns
// and nodes.
func TestPlanOfGroups(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("apiVersion: segtest.dev/v1alpha1\nkind: Scenario\nmetadata: {name: tenants}\npolicies: [p.yaml]\nexpect: {default: deny}\nworkloads:\n")
	for _, tenant := range []string{"blue", "green", "red"} {
		for _, w := range []string{"{name: web, replicas: 2, labels: {app: web}, ports: [80]", "{name: db, labels: {app: db}, ports: [5432]", "{name: cache, labels: {app: db}, ports: [5432]"} {
			fmt.Fprintf(&b, "  - %s, namespace: %s}\n", w, tenant)
		}
	}
	const policy = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: db, namespace: red}\nspec: {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}\n"
	p := plantest.Of(t, "t.yaml", map[string]string{"t.yaml": b.String(), "p.yaml": policy})
	for _, f := range report.PlanFormats() {
		if f.Folds {
			golden.Check(t, filepath.Join("testdata", "plan", "groups."+f.Name), string(writePlan(t, f.Name, p.Sheet(true), report.FoldGroups)))
		}
	}
}

// TestPlanIsWhatItsReadersExpect reads hostile plans as their readers do.
func TestPlanIsWhatItsReadersExpect(t *testing.T) {
	t.Parallel()
	var got struct {
		Schema       string `json:"schema"`
		NotEvaluated []struct{ Kind, File string }
		Flows        []struct {
			From, To, Protocol, Declared, Computed string
			Port, Line                             int
			Rule                                   struct {
				Policy, File string
				Rule, Line   int
			}
		} `json:"flows"`
	}
	if err := json.Unmarshal(writePlan(t, "json", hostile(), report.FoldReplicas), &got); err != nil {
		t.Fatal(err)
	}
	f := got.Flows[0]
	if got.Schema != report.PlanSchema || f.From != "a/=x<b>|`\"\x1b[31m" || f.Protocol != "TCP" || f.Port != 80 || f.Declared != "deny" || f.Computed != "allow" ||
		f.Rule.Policy != "+"+nasty || f.Rule.Rule != 2 || f.Rule.Line != 3 || len(got.NotEvaluated) != 1 || got.NotEvaluated[0].Kind != "-"+nasty {
		t.Errorf("%+v", got)
	}
	lines, err := csv.NewReader(bytes.NewReader(writePlan(t, "csv", hostile(), report.FoldReplicas))).ReadAll()
	if err != nil || len(lines) != 3 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	for _, line := range lines {
		for _, field := range line {
			if field != "" && strings.ContainsAny(field[:1], "=+-@|%\t\r\n") {
				t.Errorf("the field %q may be a formula", field)
			}
		}
	}
	for d := xml.NewDecoder(bytes.NewReader(writePlan(t, "svg", hostile(), report.FoldReplicas))); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && !slices.Contains([]string{"svg", "title", "rect", "text", "g"}, e.Name.Local) {
			t.Errorf("the picture holds <%s>", e.Name.Local)
		}
	}
	md := string(writePlan(t, "md", hostile(), report.FoldReplicas))
	if strings.Contains(md, "<script") || strings.Contains(md, "@all") || regexp.MustCompile("[^\\\\]`").MatchString(md) {
		t.Errorf("Markdown takes foreign text for its own:\n%s", md)
	}
	for _, line := range strings.Split(md, "\n") {
		if cells := regexp.MustCompile(`(^|[^\\])\|`).FindAllString(line, -1); strings.HasPrefix(line, "| ") && len(cells) != 6 && len(cells) != 3 {
			t.Errorf("a row of %d bars: %s", len(cells), line)
		}
	}
	graph := string(writePlan(t, "dot", hostile(), report.FoldReplicas))
	for _, line := range strings.Split(graph, "\n") {
		if quotes := regexp.MustCompile(`(^|[^\\])(\\\\)*"`).FindAllString(line, -1); len(quotes)%2 != 0 {
			t.Errorf("a line of %d quotes: %s", len(quotes), line)
		}
	}
}

// TestPlanDisagreementsComeFirst holds for every format that lists flows.
func TestPlanDisagreementsComeFirst(t *testing.T) {
	t.Parallel()
	s := sheet(wrong())
	lines, err := csv.NewReader(bytes.NewReader(writePlan(t, "csv", s, report.FoldReplicas))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Flows []struct{ Disagree bool } }
	if err := json.Unmarshal(writePlan(t, "json", s, report.FoldReplicas), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Flows) != s.Tally.Flows || len(lines) != s.Tally.Flows+1 || s.Tally.Disagree == 0 {
		t.Fatalf("%d flows in JSON, %d lines in CSV, %+v", len(got.Flows), len(lines), s.Tally)
	}
	for i, f := range got.Flows {
		if want := i < s.Tally.Disagree; f.Disagree != want || (lines[i+1][9] == "no") != want {
			t.Errorf("flow %d: disagree is %t, CSV says %q", i, f.Disagree, lines[i+1][9])
		}
	}
}

// TestFoldedChartAgrees is the law of folding: what a row and a column show is
// what each of their flows shows on its own.
func TestFoldedChartAgrees(t *testing.T) {
	t.Parallel()
	symbols := map[matrix.Intent]string{matrix.Allow: "●", matrix.Deny: "·"}
	rng := rand.New(rand.NewPCG(1, 2))
	smaller := 0
	for n := range 60 {
		flows := randomFlows(rng)
		s := sheet(flows)
		for _, folding := range []report.Folding{report.FoldReplicas, report.FoldNothing, report.FoldGroups} {
			shown, rows := report.Shown(s, folding)
			if folding == report.FoldGroups && rows < len(s.From) {
				smaller++
			}
			for _, f := range flows {
				want := symbols[f.Computed.Intent]
				if judge.Disagree(f) {
					want = symbols[f.Declared.Intent] + "≠" + want
				}
				if got, ok := shown(f.Flow); ok && got != want && f.From != f.To {
					t.Fatalf("%d: folding %d shows %s for %s, it is %s", n, folding, got, f.Flow, want)
				} else if !ok && f.From != f.To && (!f.Canary || judge.Disagree(f)) {
					t.Fatalf("%d: folding %d does not show %s", n, folding, f.Flow)
				}
			}
		}
	}
	if smaller < 20 {
		t.Errorf("%d of 60 charts became smaller: the test proves little", smaller)
	}
}

// randomFlows of pods of two sorts: most cells depend on the sorts alone.
func randomFlows(rng *rand.Rand) []record.Flow {
	var all []matrix.Endpoint
	for i := range 2 + rng.IntN(4) {
		for k := range 1 + rng.IntN(2) {
			all = append(all, matrix.Endpoint(fmt.Sprintf("n%d/w%d-%d", i%2, i, k)))
		}
	}
	sort := map[matrix.Endpoint]int{}
	for _, e := range all {
		sort[e] = rng.IntN(2)
	}
	var flows []record.Flow
	rules := map[string]record.Flow{}
	for _, from := range all {
		for _, to := range all {
			for _, port := range []uint16{80, canary} {
				k := fmt.Sprint(sort[from], sort[to], port)
				f, ok := rules[k]
				if !ok || rng.IntN(30) == 0 {
					f = record.Flow{
						Declared: record.Declared{Intent: matrix.Intent(rng.IntN(3))},     //nolint:gosec // below 3
						Computed: oracle.Decision{Intent: matrix.Intent(1 + rng.IntN(2))}, //nolint:gosec // below 3
					}
					rules[k] = f
				}
				f.Flow, f.Canary = matrix.Flow{From: from, To: to, Protocol: matrix.TCP, Port: port}, port == canary
				if from == to {
					f.Declared.Intent, f.Computed.Intent = matrix.Allow, matrix.Allow
				}
				if from != to || !f.Canary {
					flows = append(flows, f)
				}
			}
		}
	}
	return flows
}

func TestReach(t *testing.T) {
	t.Parallel()
	p := plantest.Shipped(t, "online-shop")
	for name, from := range map[string][]matrix.Endpoint{
		"all": nil, "visitor": {"lab/visitor-0"}, "web": {"shop/web-0", "shop/web-1"}, "nobody": {"payments/gateway-0"}, "world": {matrix.WorldEndpoint("192.0.2.1")},
	} {
		b := p.Blast(from...)
		var text, program bytes.Buffer
		if err := errors.Join(report.ReachTable(&text, b, report.TextOptions{Width: 100}), report.ReachJSON(&program, b)); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, filepath.Join("testdata", "plan", "reach-"+name+".table"), text.String())
		golden.Check(t, filepath.Join("testdata", "plan", "reach-"+name+".json"), program.String())
		if err := errors.Join(report.ReachTable(full{}, b, report.TextOptions{}), report.ReachJSON(full{}, b)); !errors.Is(err, errFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// explained answers a question about the shop whose database policy has a
// misspelt label.
func explained(t *testing.T, from, to string, port uint16, want matrix.Intent) report.Explained {
	t.Helper()
	p := plantest.Shipped(t, "online-shop-wrong-label")
	f := matrix.Flow{From: matrix.Endpoint(from), To: matrix.Endpoint(to), Protocol: matrix.TCP, Port: port}
	e := report.Explained{
		Name: p.Scenario.Name, File: p.Scenario.Source.File, Want: want,
		Answers: []report.Answer{{Flow: p.Flow(f), Explanation: p.Oracle.Explain(f), Alike: 1}},
	}
	if want != matrix.Unstated {
		found, err := edit.Smallest(t.Context(), p, edit.Aim{Flows: []matrix.Flow{f}, Want: want})
		if err != nil {
			t.Fatal(err)
		}
		e.Search = &found
	}
	return e
}

func TestExplain(t *testing.T) {
	t.Parallel()
	nasty := explained(t, "shop/api-0", "shop/db-0", 5432, matrix.Allow)
	nasty.Answers[0].Flow.Declared.Reason = hostile().Name
	nasty.Answers[0].Explanation.Ingress[0].Why = hostile().Name
	nasty.Search.Remedy.Edits[0].Caveat = hostile().Name
	nasty.Search.Remedy.Edits[0].Diff[0].Text = hostile().Name
	nasty.Search.Remedy.Side = []planned.Change{{Flow: matrix.Flow{From: "a/<b>\x1b[31m", To: "c/d", Protocol: matrix.UDP, Port: 53}, Before: matrix.Deny, After: matrix.Allow}}
	nasty.Search.Remedy.Opens, nasty.Search.Remedy.Wrong, nasty.Search.Remedy.Mends = nasty.Search.Remedy.Side, nasty.Search.Remedy.Side, 2
	none := explained(t, "shop/web-0", "shop/db-0", 5432, matrix.Unstated)
	none.Want, none.Search = matrix.Allow, &edit.Result{Tried: 7, Nearest: "to add a peer would turn x from deny to allow, which is declared deny"}
	for name, e := range map[string]report.Explained{
		"narrow":  explained(t, "shop/api-0", "shop/db-0", 5432, matrix.Allow),
		"agrees":  explained(t, "shop/web-0", "shop/api-0", 8080, matrix.Unstated),
		"outside": explained(t, "world/192.0.2.1", "shop/db-0", 5432, matrix.Unstated),
		"hostile": nasty, "none": none,
	} {
		var text, program bytes.Buffer
		if err := errors.Join(report.ExplainText(&text, e, report.TextOptions{Width: 100}), report.ExplainJSON(&program, e)); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, filepath.Join("testdata", "plan", "explain-"+name+".text"), text.String())
		golden.Check(t, filepath.Join("testdata", "plan", "explain-"+name+".json"), program.String())
		if bytes.ContainsAny(text.Bytes(), "\x1b\x00") || !json.Valid(program.Bytes()) {
			t.Errorf("%s is not fit to be read", name)
		}
		if err := errors.Join(report.ExplainText(full{}, e, report.TextOptions{}), report.ExplainJSON(full{}, e)); !errors.Is(err, errFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
