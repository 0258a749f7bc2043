package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/segtest/segtest/hack/golden"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/report"
	"github.com/segtest/segtest/suites/run/record"
)

func render(t *testing.T, f report.Format, r judge.Result) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGoldens(t *testing.T) {
	t.Parallel()
	all := results()
	for name, r := range all {
		for _, f := range report.Formats() {
			golden.Check(t, filepath.Join("testdata", name+"."+f.Name), string(render(t, f, r)))
		}
	}
	want := map[string]matrix.Verdict{
		"pass": matrix.Pass, "leak": matrix.Fail, "narrow": matrix.Fail, "inconclusive": matrix.Inconclusive, "gap": matrix.KnownGap, "unenforced": matrix.Inconclusive, "slow": matrix.Fail, "repeated": matrix.Fail,
	}
	for name, r := range all {
		if r.Verdict != want[name] {
			t.Errorf("%s is %v, want %v", name, r.Verdict, want[name])
		}
	}
}

// TestFormatsAreComplete: each format is in order, documented, and has goldens.
func TestFormatsAreComplete(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	formats := report.Formats()
	if !slices.IsSortedFunc(formats, func(a, b report.Format) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the formats are not in order of name")
	}
	for i, f := range formats {
		if f.Name == "" || f.Summary == "" || f.Write == nil || i > 0 && formats[i-1].Name == f.Name {
			t.Errorf("format %d is not whole, or there twice: %+v", i, f)
		}
		if !strings.Contains(string(doc), "\n//   - "+f.Name+": ") {
			t.Errorf("doc.go has no line for %s", f.Name)
		}
		if _, err := os.Stat(f.Name + ".go"); err != nil {
			t.Errorf("format %s has no file of its own: %v", f.Name, err)
		}
		files, err := filepath.Glob(filepath.Join("testdata", "*."+f.Name))
		if err != nil || len(files) != len(results()) {
			t.Errorf("format %s has %d goldens for %d results (%v)", f.Name, len(files), len(results()), err)
		}
		if found, ok := report.Find(f.Name); !ok || found.Name != f.Name {
			t.Errorf("Find does not find %s", f.Name)
		}
	}
	if _, ok := report.Find("pdf"); ok {
		t.Error("Find finds pdf")
	}
}

// full is a writer without room.
type full struct{}

var errFull = errors.New("no space left on device")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestFullDisk(t *testing.T) {
	t.Parallel()
	r := results()["leak"]
	for _, f := range report.Formats() {
		if err := f.Write(full{}, r); !errors.Is(err, errFull) {
			t.Errorf("%s says %v", f.Name, err)
		}
	}
	for _, f := range report.PlanFormats() {
		if err := f.Write(full{}, sheet(shopFlows()), report.FoldReplicas, report.TextOptions{}); !errors.Is(err, errFull) {
			t.Errorf("the plan as %s says %v", f.Name, err)
		}
	}
}

func TestZeroResult(t *testing.T) {
	t.Parallel()
	for _, f := range report.Formats() {
		if text := render(t, f, judge.Result{}); len(text) == 0 {
			t.Errorf("%s writes nothing", f.Name)
		}
	}
}

// suites is JUnit as its readers read it.
type suites struct {
	XMLName  xml.Name `xml:"testsuites"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Errors   int      `xml:"errors,attr"`
	Suites   []struct {
		Name      string `xml:"name,attr"`
		Timestamp string `xml:"timestamp,attr"`
		Cases     []struct {
			Name    string  `xml:"name,attr"`
			Class   string  `xml:"classname,attr"`
			Time    string  `xml:"time,attr"`
			File    string  `xml:"file,attr"`
			Line    int     `xml:"line,attr"`
			Failure *string `xml:"failure"`
			Error   *string `xml:"error"`
			Skipped *string `xml:"skipped"`
			Flaky   *string `xml:"flakyFailure"`
			Out     string  `xml:"system-out"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

var fileLine = regexp.MustCompile(`^[^\s:]+\.yaml:\d+: `)

func TestJUnitIsWhatReadersRead(t *testing.T) {
	t.Parallel()
	for name, r := range results() {
		var b bytes.Buffer
		if err := report.JUnit(&b, r); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(b.String(), "\x1b\uFFFD") {
			t.Errorf("%s: an escape came through", name)
		}
		d := xml.NewDecoder(&b)
		d.Strict = true
		var got suites
		if err := d.Decode(&got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if rest, err := d.Token(); err == nil && strings.TrimSpace(fmt.Sprintf("%s", rest)) != "" {
			t.Errorf("%s: %v follows the document", name, rest)
		}
		if got.Tests != len(r.Cases) || got.Failures != r.Total.Fail || got.Errors != r.Total.Inconclusive {
			t.Errorf("%s: %d tests, %d failures, %d errors for %d cases, %+v", name, got.Tests, got.Failures, got.Errors, len(r.Cases), r.Total)
		}
		checkCases(t, name, r, got)
	}
}

func checkCases(t *testing.T, name string, r judge.Result, got suites) {
	t.Helper()
	seen := map[string]bool{}
	failures, bad := 0, 0
	for _, s := range got.Suites {
		if _, err := time.Parse(time.RFC3339, s.Timestamp); err != nil || !strings.HasSuffix(s.Timestamp, "Z") {
			t.Errorf("%s: timestamp %q", name, s.Timestamp)
		}
		for _, c := range s.Cases {
			key := c.Class + "\x00" + c.Name
			if seen[key] || strings.Count(c.Class, ".") != 2 || !strings.HasPrefix(c.Class, "segtest.online-shop.") {
				t.Errorf("%s: case %q of class %q", name, c.Name, c.Class)
			}
			seen[key] = true
			if _, err := strconv.ParseFloat(c.Time, 64); err != nil {
				t.Errorf("%s: time %q", name, c.Time)
			}
			if c.Error != nil {
				bad++
			}
			if c.Failure == nil {
				continue
			}
			failures++
			wants := []string{"expected:", "observed:", "declared:", "evidence:", "since:", "repeat:     segtest run online-shop/scenario.yaml --select '" + c.Name + "'"}
			if strings.HasSuffix(c.Class, "."+record.PhaseConvergence) {
				wants = wants[:2] // it is about no flow of the scenario
			}
			for _, want := range wants {
				if !strings.Contains(*c.Failure, want) {
					t.Errorf("%s: the failure of %s lacks %q:\n%s", name, c.Name, want, *c.Failure)
				}
			}
			if !fileLine.MatchString(*c.Failure) || c.File == "" || c.Line == 0 {
				t.Errorf("%s: the failure of %s points nowhere: file %q line %d\n%s", name, c.Name, c.File, c.Line, *c.Failure)
			}
		}
	}
	if failures != r.Total.Fail || bad != r.Total.Inconclusive {
		t.Errorf("%s: %d failures and %d errors for %+v", name, failures, bad, r.Total)
	}
}

func TestJUnitCapsAndCleans(t *testing.T) {
	t.Parallel()
	r := results()["leak"]
	long := strings.Repeat("é\x1b[1mx\x1b[0m\x00\x1b]0;title\x07", 1_000) + strings.Repeat("é", 40_000)
	for i := range r.Cases {
		if r.Cases[i].Verdict == matrix.Fail {
			r.Cases[i].Reasons = []string{long, "\xff\xfe", "]]>"}
		}
	}
	var b bytes.Buffer
	if err := report.JUnit(&b, r); err != nil {
		t.Fatal(err)
	}
	var got suites
	if err := xml.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, s := range got.Suites {
		for _, c := range s.Cases {
			if c.Failure == nil {
				continue
			}
			checked++
			if len(*c.Failure) > 64<<10 || !utf8.ValidString(*c.Failure) || !strings.Contains(*c.Failure, "… cut") || strings.ContainsAny(*c.Failure, "\x1b\x00\x07[") {
				t.Errorf("a text of %d bytes came through: %.80q", len(*c.Failure), *c.Failure)
			}
		}
	}
	if checked == 0 {
		t.Error("no failure was checked")
	}
}

func TestJUnitKnownGapAndFlaky(t *testing.T) {
	t.Parallel()
	gap := string(render(t, must(t, "junit"), results()["gap"]))
	for _, want := range []string{`<property name="segtest.knownGap" value="agent-death-opens">`, "<system-out>", "kind/issues/3713"} {
		if !strings.Contains(gap, want) {
			t.Errorf("a known gap lacks %q", want)
		}
	}
	if strings.Contains(gap, "<failure") || strings.Contains(gap, "<error") {
		t.Error("a known gap fails")
	}
	if flaky := string(render(t, must(t, "junit"), results()["pass"])); strings.Count(flaky, "<flakyFailure") != 1 {
		t.Error("a pass after a retry is no flakyFailure")
	}
}

func must(t *testing.T, name string) report.Format {
	t.Helper()
	f, ok := report.Find(name)
	if !ok {
		t.Fatalf("no format %s", name)
	}
	return f
}

func TestJSONIsVersioned(t *testing.T) {
	t.Parallel()
	r := results()["leak"]
	var got struct {
		Schema   string
		ExitCode int
		Verdict  string
		Cases    []struct{ Verdict string }
		Faults   []struct {
			Leak *struct{ Lower, Upper float64 }
		}
	}
	if err := json.Unmarshal(render(t, must(t, "json"), r), &got); err != nil {
		t.Fatal(err)
	}
	if got.Schema != report.JSONSchema || got.ExitCode != 1 || got.Verdict != "fail" || len(got.Cases) != len(r.Cases) {
		t.Errorf("%+v", got)
	}
	if l := got.Faults[1].Leak; l == nil || l.Lower != 2.2 || l.Upper != 2.3 {
		t.Errorf("leak %+v, want 2.2 to 2.3 s", l)
	}
}

// TestFromTheRecord: the reports of a record that went through a file are the
// same, byte for byte.
func TestFromTheRecord(t *testing.T) {
	t.Parallel()
	rec := shop()
	path := filepath.Join(t.TempDir(), "record.jsonl")
	write(t, path, rec)
	back, err := record.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Formats() {
		if !bytes.Equal(render(t, f, judge.Judge(rec)), render(t, f, judge.Judge(back))) {
			t.Errorf("the %s report differs after the record was read back", f.Name)
		}
	}
}

func write(t *testing.T, path string, rec record.Record) {
	t.Helper()
	w, err := record.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	events := []record.Event{{Header: &rec.Header}, {Enforcement: rec.Enforcement}}
	for i := range rec.Flows {
		events = append(events, record.Event{Flow: &rec.Flows[i]})
	}
	for i := range rec.Phases {
		events = append(events, record.Event{Phase: &rec.Phases[i]})
	}
	for i := range rec.Passes {
		events = append(events, record.Event{Pass: &rec.Passes[i]})
	}
	for i := range rec.Convergence {
		events = append(events, record.Event{Convergence: &rec.Convergence[i]})
	}
	for i := range rec.Faults {
		events = append(events, record.Event{Fault: &rec.Faults[i]})
	}
	for _, e := range append(events, record.Event{End: rec.End}) {
		if err := w.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
