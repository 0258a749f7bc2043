package matrix_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
)

var verdicts = []matrix.Verdict{matrix.Inconclusive, matrix.Pass, matrix.KnownGap, matrix.Fail}

func TestZeroValuesClaimNothing(t *testing.T) {
	t.Parallel()
	var (
		v matrix.Verdict
		o matrix.Outcome
		i matrix.Intent
		d matrix.Denial
	)
	if v != matrix.Inconclusive || o != matrix.Unknown || i != matrix.Unstated || d != matrix.DenialUnknown {
		t.Errorf("zero values are %v, %v, %v, %v", v, o, i, d)
	}
	if o.Passed() || o.Blocked() {
		t.Errorf("Unknown reads as passed (%t) or blocked (%t)", o.Passed(), o.Blocked())
	}
}

func TestWorst(t *testing.T) {
	t.Parallel()
	if got := matrix.Worst(); got != matrix.Inconclusive {
		t.Errorf("Worst of nothing is %v, want inconclusive", got)
	}
	order := []matrix.Verdict{matrix.Pass, matrix.KnownGap, matrix.Inconclusive, matrix.Fail}
	for i, a := range order {
		for _, b := range order[i:] {
			if got := matrix.Worst(a, b); got != b {
				t.Errorf("Worst(%v, %v) = %v, want %v", a, b, got, b)
			}
		}
	}
	for _, a := range verdicts {
		for _, b := range verdicts {
			if matrix.Worst(a, b) != matrix.Worst(b, a) {
				t.Errorf("Worst(%v, %v) depends on the order", a, b)
			}
			for _, c := range verdicts {
				if matrix.Worst(matrix.Worst(a, b), c) != matrix.Worst(a, matrix.Worst(b, c)) {
					t.Errorf("Worst of %v, %v, %v depends on the grouping", a, b, c)
				}
			}
		}
	}
}

func TestEveryOutcomeIsAtMostOneOfPassedAndBlocked(t *testing.T) {
	t.Parallel()
	for o := matrix.Unknown; o <= matrix.LocalError; o++ {
		if o.Passed() && o.Blocked() {
			t.Errorf("%v is both", o)
		}
		if strings.HasPrefix(o.String(), "invalid") {
			t.Errorf("outcome %d has no name", o)
		}
	}
}

func TestFlowStringRoundTrip(t *testing.T) {
	t.Parallel()
	for _, f := range randomFlows(200) {
		got, err := matrix.ParseFlow(f.String())
		if err != nil || got != f {
			t.Errorf("ParseFlow(%q) = %v, %v", f, got, err)
		}
		ascii := strings.ReplaceAll(f.String(), "→", "->")
		if got, err := matrix.ParseFlow(ascii); err != nil || got != f {
			t.Errorf("ParseFlow(%q) = %v, %v", ascii, got, err)
		}
		var back matrix.Flow
		b, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &back); err != nil || back != f {
			t.Errorf("JSON %s became %v, %v", b, back, err)
		}
	}
}

func TestParseFlowErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                       "want FROM",
		"a/b → c/d":              "want FROM",
		"a/b → c/d 80":           "not PROTOCOL/PORT",
		"a/b → c/d GRE/8":        `"GRE" is not a protocol`,
		"a/b → c/d ICMP/8":       "ICMP has none",
		"a/b → c/d TCP/0":        "not a number from 1",
		"a/b → c/d TCP/70000":    "not a number from 1",
		"a/b → c/d TCP/80 radio": "neither a way nor an IP family",
	} {
		if _, err := matrix.ParseFlow(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseFlow(%q) gave %v, want an error with %q", text, err, want)
		}
	}
}

func TestIndexIsSortedUniqueAndFindsItsFlows(t *testing.T) {
	t.Parallel()
	flows := randomFlows(500)
	x := matrix.NewIndex(append(flows, flows...))
	var all []matrix.Flow
	for i, f := range x.All() {
		all = append(all, f)
		if p, ok := x.Position(f); !ok || p != i {
			t.Fatalf("Position(%v) = %d, %t, want %d", f, p, ok, i)
		}
	}
	if !slices.IsSortedFunc(all, matrix.Flow.Compare) || len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Error("the index is not sorted and unique")
	}
	for _, f := range flows {
		if _, ok := x.Position(f); !ok {
			t.Errorf("the index lost %v", f)
		}
	}
	if _, ok := x.Position(matrix.Flow{From: "nobody"}); ok {
		t.Error("the index found a flow that it does not hold")
	}
}

func TestMatrixHoldsOneValuePerFlow(t *testing.T) {
	t.Parallel()
	x := matrix.NewIndex(randomFlows(50))
	m := matrix.New[int](x)
	for i := range m.Len() {
		m.Set(i, i+1)
	}
	i := 0
	for f, v := range m.All() {
		i++
		got, ok := m.Of(f)
		if v != i || got != i || !ok {
			t.Fatalf("cell of %v is %d and %d (%t), want %d", f, v, got, ok, i)
		}
	}
	var zero matrix.Matrix[int]
	if _, ok := zero.Of(x.Flow(0)); ok || zero.Len() != 0 {
		t.Error("the zero Matrix holds something")
	}
}

func TestNamesRejectWhatTheyDoNotKnow(t *testing.T) {
	t.Parallel()
	var o matrix.Outcome
	if err := o.UnmarshalText([]byte("fine")); err == nil || !strings.Contains(err.Error(), "one of unknown, connected") {
		t.Errorf("got %v", err)
	}
	if _, err := matrix.Outcome(200).MarshalText(); err == nil {
		t.Error("an invalid outcome was written")
	}
}

func randomFlows(n int) []matrix.Flow {
	rng := rand.New(rand.NewPCG(1, 2))
	flows := make([]matrix.Flow, n)
	for i := range flows {
		flows[i] = matrix.Flow{
			From:     matrix.Endpoint(fmt.Sprintf("ns%d/pod-%d", rng.IntN(3), rng.IntN(5))),
			To:       matrix.Endpoint(fmt.Sprintf("ns%d/pod-%d", rng.IntN(3), rng.IntN(5))),
			Protocol: matrix.Protocol(1 + rng.IntN(3)),
			Port:     uint16(1 + rng.IntN(65535)),
			Way:      matrix.Way(rng.IntN(2)),
			Family:   matrix.Family(rng.IntN(2)),
		}
		if i%5 == 0 {
			flows[i].Protocol, flows[i].Port = matrix.ICMP, 0
		}
	}
	return flows
}

func ExampleMatrix() {
	x := matrix.NewIndex([]matrix.Flow{
		{From: "shop/web-0", To: "shop/db-0", Protocol: matrix.TCP, Port: 5432},
		{From: "lab/visitor-0", To: "shop/db-0", Protocol: matrix.TCP, Port: 5432},
	})
	declared := matrix.New[matrix.Intent](x)
	declared.Set(0, matrix.Deny)
	declared.Set(1, matrix.Allow)
	for flow, intent := range declared.All() {
		fmt.Println(flow, intent)
	}
	// Output:
	// lab/visitor-0 → shop/db-0 TCP/5432 deny
	// shop/web-0 → shop/db-0 TCP/5432 allow
}
