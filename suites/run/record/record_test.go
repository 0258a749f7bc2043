package record_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/wire"
	"github.com/segtest/segtest/suites/run/record"
)

// events is a small run in which every kind of event and every field that
// reads differently from its zero value occurs.
func events() []record.Event {
	flow := matrix.Flow{From: "shop/web-0", To: "shop/db-0", Protocol: matrix.TCP, Port: 5432}
	self := matrix.Flow{From: "shop/db-0", To: "shop/db-0", Protocol: matrix.UDP, Port: 53, Way: matrix.ServiceIP, Family: matrix.IPv6}
	return []record.Event{
		{Header: &record.Header{
			Schema: record.Schema, RunID: "r1", Scenario: "shop", File: "scenario.yaml", Started: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
			Monotonic: time.Second, Seed: 7, Facts: map[string]string{"cni": "closed"}, Labels: map[string]string{"stage": "pr"}, Faults: []string{"1-pod-kill"},
			Changes: &record.Changes{Times: 2, Of: []string{"apply"}, Within: 3, Origin: oracle.Origin{File: "scenario.yaml", Line: 9, Column: 1}},
			Dropped: []record.Dropped{{Kind: "Pod", Name: "shop/db", What: "images", Field: "spec.containers[0].image", Count: 1, Origin: oracle.Origin{File: "db.yaml", Line: 4, Column: 2}}},
			Asked:   record.Asked{Select: []string{"* -> shop/db"}, Shard: "1/2", Rerun: "r0", Repeat: 3, UntilFailure: time.Minute}, Flows: 5, Digest: "d",
		}},
		{Flow: &record.Flow{
			Flow: flow, Declared: record.Declared{Intent: matrix.Deny, Origin: oracle.Origin{File: "scenario.yaml", Line: 9, Column: 3}, Reason: "default"},
			Computed: oracle.Decision{Intent: matrix.Deny, Ingress: oracle.Half{
				Intent: matrix.Deny, Isolated: true, Reason: "no rule",
				By: []oracle.RuleRef{{Policy: "shop/db", Rule: -1, Origin: oracle.Origin{File: "db.yaml", Line: 1}}},
			}, Egress: oracle.Half{Intent: matrix.Allow}},
		}},
		{Flow: &record.Flow{Flow: self, Canary: true, Control: true, Computed: oracle.Decision{Intent: matrix.Undefined, Reason: "itself"}}},
		{Phase: &record.Phase{Name: record.PhaseMatrix, Start: 1, End: 2, Error: "cut"}},
		{Pass: &record.Pass{Phase: record.PhaseMatrix, Start: 1, End: 2, Wait: 3, Settling: true, Repetition: 2, Void: "queue dropped", Unasked: 4, Cells: []record.Cell{
			{Flow: 0, Sample: matrix.Sample{Outcome: matrix.TimedOut, Start: 4, RTT: 5, Attempts: 2, Detail: "x"}, Evidence: record.Evidence{Control: true}},
			{Flow: 1, Sample: matrix.Sample{Outcome: matrix.LocalError}, Evidence: record.Evidence{Cause: "no ports left"}},
		}}},
		{Enforcement: &record.Enforcement{Enforced: true, Detail: "flipped"}},
		{Mutant: &record.Mutant{ID: "m1", What: "dropped", Path: "ingress[0]", At: oracle.RuleRef{Policy: "shop/db", Rule: 1}, Flips: []record.Flip{{Flow: 0, After: matrix.Allow}}, Applied: 3, Restored: 4, None: "none"}},
		{Change: &record.Change{
			What: "relabel", To: matrix.Deny, Round: 2, Node: "n1", Write: [2]time.Duration{3, 4}, Period: 5, Limit: 6, Proof: matrix.OneWay, Error: "gone",
			Series: wire.Series{Runs: []wire.Run{{Outcome: matrix.Connected, Count: 2, First: 1, Last: 2, End: 3}}, Scheduled: 2, Taken: 2},
			Held:   wire.Series{Flow: 1, Runs: []wire.Run{{Outcome: matrix.Refused, Denial: matrix.Reset, Count: 1, First: 1, Last: 1, End: 3}}, Scheduled: 1, Taken: 1},
		}},
		{Convergence: &record.Convergence{What: "policies enforced", Node: "n1", Lower: 1, Upper: 2, Resolution: 3, Error: "late"}},
		{Fault: &record.Fault{
			ID: "1-pod-kill", Kind: "pod-kill", Target: "shop/db-0", Optional: true, Injected: [2]time.Duration{1, 2},
			Effect: record.Proof{Seen: true, At: 3, Detail: "gone"}, HealStart: 4, Healed: record.Proof{Seen: true, At: 5},
			RecoverWithin: 6, SampleFrom: 7, SampleTo: 8, Period: 9,
			Watched: []record.Watched{{
				Flow: 0, Period: 3, Expect: record.Expect{Outage: true, Unobservable: true, Gap: "g", Bound: 1, Link: "l"},
				Series:   wire.Series{Flow: 0, Runs: []wire.Run{{Outcome: matrix.OneWay, Count: 2, First: 1, Last: 2, End: 3}}, Scheduled: 2, Taken: 2, Late: 1},
				Arrivals: []record.Arrival{{HalfOpen: true}, {At: 4}}, Heard: true, Unheard: "u",
			}},
			Void: "queue dropped",
		}},
		{End: &record.End{At: 9, Error: "interrupted", Environment: true, Interrupted: true, LeftBehind: "cluster x"}},
	}
}

func whole(t *testing.T, events []record.Event) record.Record {
	t.Helper()
	var rec record.Record
	for _, e := range events {
		if err := rec.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	return rec
}

func write(t *testing.T, events []record.Event) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "record.jsonl")
	w, err := record.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if err := w.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	path := write(t, events())
	got, err := record.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := whole(t, events()); !reflect.DeepEqual(got, want) {
		t.Errorf("read back\n%+v\nwant\n%+v", got, want)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(text, []byte("\n")); lines != len(events()) {
		t.Errorf("%d lines for %d events", lines, len(events()))
	}
}

// TestTornAtEveryByte cuts the file at every byte: what was whole stays
// readable, and nothing is made up.
func TestTornAtEveryByte(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(write(t, events()))
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(text) {
		rec, err := record.Read(bytes.NewReader(text[:n]))
		lines := bytes.Count(text[:n], []byte("\n"))
		wholeUnended := text[n] == '\n' // only the line's end is missing
		if wholeUnended {
			lines++
		}
		if lines == 0 {
			if err == nil {
				t.Fatalf("cut at %d: a record without a header was read", n)
			}
			continue
		}
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		torn := text[n-1] != '\n' && !wholeUnended
		want := whole(t, events()[:lines])
		if torn {
			want.Notes = append(want.Notes, rec.Notes[len(rec.Notes)-1])
			if last := want.Notes[len(want.Notes)-1]; !strings.Contains(last, "torn") {
				t.Fatalf("cut at %d: the note is %q", n, last)
			}
		}
		if !reflect.DeepEqual(rec, want) {
			t.Fatalf("cut at %d: read\n%+v\nwant\n%+v", n, rec, want)
		}
	}
}

func TestAskedInWords(t *testing.T) {
	t.Parallel()
	for want, asked := range map[string]record.Asked{
		"":          {Repeat: 3},
		"shard 1/2": {Shard: "1/2"},
		"those that did not pass in run r0, 'shop/web -> *', '* -> shop/db', shard 2/2": {Rerun: "r0", Select: []string{"shop/web -> *", "* -> shop/db"}, Shard: "2/2"},
	} {
		if got := asked.Part(); got != want {
			t.Errorf("%+v is %q, want %q", asked, got, want)
		}
	}
}

// A set of flows has the digest that it always had, and no other set has it.
func TestDigest(t *testing.T) {
	t.Parallel()
	flows := []matrix.Flow{
		{From: "shop/web-0", To: "shop/db-0", Protocol: matrix.TCP, Port: 5432},
		{From: "shop/web-1", To: "shop/db-0", Protocol: matrix.TCP, Port: 5432},
	}
	if got := record.Digest(matrix.NewIndex(flows).All()); got != "482ef0ca7956" {
		t.Errorf("the digest is %s", got)
	}
	if a, b := record.Digest(matrix.NewIndex(flows).All()), record.Digest(matrix.NewIndex(flows[:1]).All()); a == b {
		t.Errorf("two sets have the digest %s", a)
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	header := `{"header":{"schema":"` + record.Schema + `","runID":"","scenario":"","file":"","started":"2026-01-02T03:04:05Z","seed":1,"facts":null}}` + "\n"
	flow := `{"flow":{"from":"a/a","to":"a/b","protocol":"TCP","port":1,"declared":{"intent":"deny","origin":{}},"computed":{"intent":"deny","egress":{"intent":"allow","isolated":false},"ingress":{"intent":"deny","isolated":true}}}}` + "\n"
	for _, tc := range []struct{ name, text, want string }{
		{"empty", "", "record:1: this is not a record"},
		{"other schema", `{"header":{"schema":"segtest.dev/record/v9","colour":1}}` + "\n", `record:1: schema "segtest.dev/record/v9" is not`},
		{"no header", flow, "record:1: this is not a record"},
		{"second header", header + header, "record:2: a record has one header"},
		{"unknown field", header + `{"enforcement":{"enforced":true,"detial":"x"}}` + "\n", `record:2: reading an event: json: unknown field "detial"`},
		{"empty event", header + "{}\n", "record:2: an event sets exactly one field, this one sets 0"},
		{"two fields", header + `{"facts":{"a":"b"},"end":{"at":1}}` + "\n", "this one sets 2"},
		{"two events", header + `{"facts":{"a":"b"}}{}` + "\n", "record:2: a line holds one event"},
		{"broken middle", header + "{\n" + flow, "record:2: reading an event"},
		{"unknown outcome", header + flow + `{"pass":{"phase":"matrix","start":0,"end":0,"wait":0,"cells":[{"flow":0,"sample":{"outcome":"fine","start":0,"rtt":0}}]}}` + "\n", `"fine" is not a outcome`},
		{"flow twice", header + flow + flow, "record:3: flow a/a → a/b TCP/1 is listed twice"},
		{"cell of no flow", header + `{"pass":{"phase":"matrix","start":0,"end":0,"wait":0,"cells":[{"flow":3,"sample":{"outcome":"connected","start":0,"rtt":0}}]}}` + "\n", "record:2: a cell of a matrix pass: flow 3 does not exist"},
		{"whole but wrong last line", header + `{"colour":1}`, `record:2: reading an event: json: unknown field "colour"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := record.Read(strings.NewReader(tc.text))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %v, want %q", err, tc.want)
			}
		})
	}
}

func TestReadNamesTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "old.jsonl")
	if err := os.WriteFile(path, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := record.ReadFile(path); err == nil || !strings.Contains(err.Error(), path+":1:") {
		t.Errorf("error is %v, want it to name %s:1", err, path)
	}
}

// disk is a file on a disk with room for so many bytes.
type disk struct {
	bytes.Buffer
	room   int
	writes int
	closed int
}

var errFull = errors.New("no space left on device")

func (d *disk) Write(p []byte) (int, error) {
	d.writes++
	if n := d.room - d.Len(); n < len(p) {
		_, _ = d.Buffer.Write(p[:n])
		return n, errFull
	}
	return d.Buffer.Write(p)
}

func (d *disk) Close() error { d.closed++; return nil }

func TestFullDisk(t *testing.T) {
	t.Parallel()
	d := &disk{room: 2000}
	w := record.NewWriter(d)
	failed := -1
	for i, e := range events() {
		err := w.Append(e)
		if err != nil && !errors.Is(err, errFull) {
			t.Fatalf("event %d: %v", i, err)
		}
		if failed >= 0 && err == nil {
			t.Errorf("event %d was taken after event %d failed", i, failed)
		}
		if err != nil && failed < 0 {
			failed = i
		}
	}
	if failed < 1 {
		t.Fatalf("event %d failed, want one after the header", failed)
	}
	if d.writes != failed+1 {
		t.Errorf("%d writes, want one per event and none after the error in event %d", d.writes, failed)
	}
	for range 2 {
		if err := w.Close(); !errors.Is(err, errFull) {
			t.Errorf("Close says %v, want the first error", err)
		}
	}
	if d.closed != 1 {
		t.Errorf("closed %d times", d.closed)
	}
	rec, err := record.Read(&d.Buffer)
	if err != nil {
		t.Fatal(err)
	}
	want := whole(t, events()[:failed])
	if !reflect.DeepEqual(rec.Flows, want.Flows) || rec.End != nil {
		t.Errorf("read back %+v", rec)
	}
	if len(rec.Notes) != 1 {
		t.Errorf("notes are %+v, want one about the torn line", rec.Notes)
	}
}

func TestWriterRefuses(t *testing.T) {
	t.Parallel()
	header := record.Event{Header: &record.Header{}}
	for _, tc := range []struct {
		name   string
		events []record.Event
		want   string
	}{
		{"nothing", []record.Event{{}}, "sets 0"},
		{"no header", []record.Event{{End: &record.End{}}}, "first event of a record is its header, this is a end"},
		{"two headers", []record.Event{header, header}, "one header"},
		{"both", []record.Event{header, {Phase: &record.Phase{}, End: &record.End{}}}, "sets 2"},
		{"nameless enum", []record.Event{header, {Flow: &record.Flow{Declared: record.Declared{Intent: 77}}}}, "has no name"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := record.NewWriter(&disk{room: 1 << 20})
			var err error
			for _, e := range tc.events {
				err = w.Append(e)
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error is %v, want %q", err, tc.want)
			}
			if again := w.Append(header); !errors.Is(again, err) {
				t.Errorf("the next call says %v, want the error kept", again)
			}
		})
	}
}

// TestAppendAtOnce writes from many goroutines: no line may be torn.
func TestAppendAtOnce(t *testing.T) {
	t.Parallel()
	d := &disk{room: 1 << 20}
	w := record.NewWriter(d)
	if err := w.Append(record.Event{Header: &record.Header{}}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 20 {
				if err := w.Append(record.Event{Phase: &record.Phase{Name: strings.Repeat("x", 100)}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Append(record.Event{Phase: &record.Phase{}}); err == nil {
		t.Error("a closed Writer took an event")
	}
	rec, err := record.Read(&d.Buffer)
	if err != nil || len(rec.Phases) != 400 {
		t.Errorf("%d phases, error %v", len(rec.Phases), err)
	}
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	w := record.NewWriter(struct {
		io.Writer
		io.Closer
	}{&b, io.NopCloser(nil)})
	for _, e := range events() {
		if err := w.Append(e); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		rec, err := record.Read(bytes.NewReader(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "record:") {
				t.Errorf("error without a place: %v", err)
			}
			return
		}
		if rec.Header.Schema != record.Schema {
			t.Errorf("read schema %q", rec.Header.Schema)
		}
		for _, p := range rec.Passes {
			for _, c := range p.Cells {
				_ = rec.Flows[c.Flow] // panics where Read let a wrong number in
			}
		}
	})
}
