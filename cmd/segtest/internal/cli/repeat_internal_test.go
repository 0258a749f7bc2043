package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run"
	"github.com/segtest/segtest/suites/run/record"
)

// replayed is a session that saw one denied flow so, one letter for each
// repetition: c connected, x silence, ? unknown, ! an error of the machine.
type replayed struct {
	saw string
	rec record.Record
	did []string
}

var errMachine = errors.New("the machine is gone")

func replay(saw string) *replayed {
	f := record.Flow{
		Flow:     matrix.Flow{From: "shop/web-0", To: "shop/db-0", Protocol: matrix.TCP, Port: 5432},
		Declared: record.Declared{Intent: matrix.Deny}, Computed: oracle.Decision{Intent: matrix.Deny},
	}
	base := record.Pass{Phase: record.PhaseBaseline, Cells: []record.Cell{{Sample: matrix.Sample{Outcome: matrix.Connected}}}}
	return &replayed{saw: saw, rec: record.Record{Flows: []record.Flow{f}, Passes: []record.Pass{base}}}
}

func (r *replayed) Steps() []run.Step {
	return []run.Step{{Name: "policies"}, {Name: record.PhaseMatrix}, {Name: record.PhaseOpen}}
}

func (r *replayed) Repetition(n int) run.Step { return run.Step{Name: record.PhaseRepetition(n)} }

func (r *replayed) Record() record.Record { return r.rec }

func (r *replayed) Do(_ context.Context, step run.Step) error {
	r.did = append(r.did, step.Name)
	n := record.RepetitionOf(step.Name)
	if n == 0 && step.Name != record.PhaseMatrix {
		return nil
	}
	letter := r.saw[max(n, 1)-1]
	if letter == '!' {
		return errMachine
	}
	o := map[byte]matrix.Outcome{'c': matrix.Connected, 'x': matrix.TimedOut, '?': matrix.Unknown}[letter]
	r.rec.Passes = append(r.rec.Passes, record.Pass{
		Phase: record.PhaseMatrix, Repetition: n, Start: 1, End: 1 + time.Second,
		Cells: []record.Cell{{Sample: matrix.Sample{Outcome: o, Attempts: 2}}},
	})
	return nil
}

func TestRepeats(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		repeats repeats
		saw     string
		times   int // that the matrix was asked
		err     error
		said    string // last
	}{
		{"three times", repeats{times: 3}, "xxxxx", 3, nil, "repetition 3: 1 pass, 0 fail, 0 inconclusive, in 1.00 s"},
		{"three times, one of which fails", repeats{times: 3}, "xcxxx", 3, nil, "repetition 3: 1 pass, 0 fail, 0 inconclusive, in 1.00 s"},
		{"until the third fails", repeats{until: time.Hour}, "x?cx", 3, nil, "repetition 3: 0 pass, 1 fail, 0 inconclusive, in 1.00 s: shop/web-0 → shop/db-0 TCP/5432"},
		{"the first fails", repeats{until: time.Hour}, "cx", 1, nil, "repetition 1: 0 pass, 1 fail, 0 inconclusive, in 1.00 s: shop/web-0 → shop/db-0 TCP/5432"},
		{"until a failure, four times at most", repeats{times: 4, until: time.Hour}, "xxxxx", 4, nil, "repetition 4: 1 pass, 0 fail, 0 inconclusive, in 1.00 s"},
		{"no time for a second", repeats{until: 1}, "xx", 1, nil, "repetition 1: 1 pass, 0 fail, 0 inconclusive, in 1.00 s"},
		{"the machine ends it", repeats{times: 9}, "xx!", 3, errMachine, "repetition 2: 1 pass, 0 fail, 0 inconclusive, in 1.00 s"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := replay(row.saw)
			var said []string
			err := row.repeats.run(t.Context(), s, func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) })
			want := []string{"policies", record.PhaseMatrix}
			for n := 2; n <= row.times; n++ {
				want = append(want, record.PhaseRepetition(n))
			}
			if row.err == nil {
				want = append(want, record.PhaseOpen)
			}
			if !errors.Is(err, row.err) || !slices.Equal(s.did, want) {
				t.Errorf("did %q, error %v; want %q", s.did, err, want)
			}
			if last := said[len(said)-1]; last != row.said {
				t.Errorf("said last %q, want %q", last, row.said)
			}
			if bound := "asking the matrix until a flow fails, for at most "; row.repeats.until > 0 != strings.HasPrefix(said[0], bound) {
				t.Errorf("said first %q", said[0])
			}
		})
	}
}

func TestPart(t *testing.T) {
	t.Parallel()
	var all []record.Flow
	for _, to := range []matrix.Endpoint{"shop/db-0", "shop/db-1", "shop/web-0"} {
		for _, port := range []uint16{80, 81} {
			all = append(all, record.Flow{Flow: matrix.Flow{From: "shop/web-0", To: to, Protocol: matrix.TCP, Port: port}})
		}
	}
	again := &earlier{
		result: judge.Result{Header: record.Header{Scenario: "shop"}},
		again:  map[matrix.Flow]bool{all[1].Flow: true, all[4].Flow: true},
	}
	for _, f := range all {
		again.result.Flows = append(again.result.Flows, judge.Flow{Flow: f})
	}
	for _, row := range []struct {
		name  string
		flags partFlags
		again bool
		want  []int // of all; nil is no filter
		err   string
	}{
		{"all", partFlags{}, false, nil, ""},
		{"a workload", partFlags{selects: []string{"shop/web -> shop/db TCP/80"}}, false, []int{0, 2}, ""},
		{"two choices", partFlags{selects: []string{"* -> shop/db-1", "* -> shop/web-0 */81"}}, false, []int{2, 3, 5}, ""},
		{"an ID", partFlags{selects: []string{all[3].ID()}}, false, []int{3}, ""},
		{"what did not pass", partFlags{}, true, []int{1, 4}, ""},
		{"what did not pass, to the database", partFlags{selects: []string{"* -> shop/db-*"}}, true, []int{1}, ""},
		{"nothing", partFlags{selects: []string{"* -> shop/web"}, shard: "1/1000"}, false, nil, "--select and --shard 1/1000 together leave none of the 6 flows of shop"},
		{"a choice in vain", partFlags{selects: []string{"* -> *", "shop/db -> *"}}, false, nil, "--select 'shop/db -> *' fits none of the 6 flows of shop"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p, err := row.flags.parse(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if row.again {
				p.before = again
			}
			keep, err := p.of("shop", all, io.Discard)
			if row.err != "" {
				if err == nil || !strings.Contains(err.Error(), row.err) {
					t.Errorf("error %v, want %q", err, row.err)
				}
				return
			}
			var got []int
			for i, f := range all {
				if keep != nil && keep(f.Flow) {
					got = append(got, i)
				}
			}
			if err != nil || !slices.Equal(got, row.want) || (keep == nil) != (row.want == nil) {
				t.Errorf("asks %v, error %v; want %v", got, err, row.want)
			}
		})
	}
}
