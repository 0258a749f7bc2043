package matrix_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
)

// IDs and shards are in records and in CI systems: no release may change them.
func TestIDsStayAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ flow, id, third string }{
		{"shop/web-0 → shop/db-0 TCP/5432", "f9014c7004a8", "3/3"},
		{"shop/web-1 → shop/db-0 TCP/5432", "24c3a8ef8088", "1/3"},
		{"shop/web-0 → shop/db-0 TCP/5433", "6485adc49aef", "2/3"},
		{"shop/web-0 → shop/db-0 UDP/5432", "69791c42eefa", "2/3"},
		{"shop/web-0 → shop/db-0 ICMP", "54cab6bfd7b5", "1/3"},
		{"shop/web-0 → shop/db-0 TCP/5432 service ipv6", "51c319dbba66", "1/3"},
	} {
		f, err := matrix.ParseFlow(row.flow)
		if err != nil {
			t.Fatal(err)
		}
		var third string
		for i := 1; i <= 3; i++ {
			if s := (matrix.Shard{Index: i, Of: 3}); s.Has(f) {
				third += s.String()
			}
		}
		if f.ID() != row.id || third != row.third {
			t.Errorf("%s has ID %s and is in shard %s, want %s and %s", f, f.ID(), third, row.id, row.third)
		}
	}
}

func TestIDsDiffer(t *testing.T) {
	t.Parallel()
	flows := randomFlows(10_000)
	seen := map[string]matrix.Flow{}
	for _, f := range flows {
		if g, double := seen[f.ID()]; double && f != g {
			t.Errorf("%s and %s have the same ID %s", f, g, f.ID())
		}
		if id := f.ID(); len(id) != 12 || strings.Trim(id, "0123456789abcdef") != "" {
			t.Fatalf("%s has ID %q", f, id)
		}
		seen[f.ID()] = f
	}
}

// Every flow is in exactly one shard, and the shards are about as large: within
// five standard deviations of what chance would give. Random flows and, as they
// are in scenarios, flows that differ in one digit.
func TestShardsArePartsOfAll(t *testing.T) {
	t.Parallel()
	random := randomFlows(2000)
	var alike []matrix.Flow
	for port := range uint16(2000) {
		alike = append(alike, matrix.Flow{From: "shop/web-0", To: "shop/db-0", Protocol: matrix.TCP, Port: 5000 + port})
	}
	for _, flows := range [][]matrix.Flow{random, alike} {
		for _, of := range []int{1, 2, 3, 4, 7, 16} {
			size := make([]int, of)
			for _, f := range flows {
				in := 0
				for i := range of {
					if (matrix.Shard{Index: i + 1, Of: of}).Has(f) {
						size[i]++
						in++
					}
				}
				if in != 1 {
					t.Fatalf("%s is in %d of %d shards", f, in, of)
				}
			}
			n, p := float64(len(flows)), 1/float64(of)
			slack := 5 * math.Sqrt(n*p*(1-p))
			if d := max(n*p-float64(slices.Min(size)), float64(slices.Max(size))-n*p); d > slack {
				t.Errorf("%d shards of %d flows have sizes %v", of, len(flows), size)
			}
		}
	}
	var all matrix.Shard
	if all.String() != "" || !all.Has(random[0]) {
		t.Errorf("the zero shard is %q and has %t", all, all.Has(random[0]))
	}
}

func TestParseShard(t *testing.T) {
	t.Parallel()
	if s, err := matrix.ParseShard("2/3"); err != nil || s != (matrix.Shard{Index: 2, Of: 3}) || s.String() != "2/3" {
		t.Errorf("2/3 is %v, %v", s, err)
	}
	for _, text := range []string{"", "x", "1", "/", "1/", "/3", "0/3", "4/3", "-1/3", "1/0", "1/3/5", "1 / 3", "1.0/3"} {
		if s, err := matrix.ParseShard(text); err == nil || s != (matrix.Shard{}) || !strings.Contains(err.Error(), "1/3") {
			t.Errorf("%q is %v, %v", text, s, err)
		}
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	const db = "shop/web-0 → shop/db-0 TCP/5432"
	id := must(t, db).ID()
	for _, row := range []struct {
		pattern   string
		fits, not []string
	}{
		{"shop/web-0 → shop/db-0", []string{db, "shop/web-0 → shop/db-0 UDP/53 service ipv6", "shop/web-0 → shop/db-0 ICMP"}, []string{"shop/web-1 → shop/db-0 TCP/5432", "shop/db-0 → shop/web-0 TCP/5432"}},
		{"shop/web-0->shop/db-0 TCP/5432", []string{db, db + " service", db + " ipv6"}, []string{"shop/web-0 → shop/db-0 UDP/5432", "shop/web-0 → shop/db-0 TCP/5433"}},
		{"shop/web -> shop/db", []string{db, "shop/web-12 → shop/db-3 TCP/1"}, []string{"shop/web2-0 → shop/db-0 TCP/1", "shop/web-front-0 → shop/db-0 TCP/1"}},
		{"shop/web3 -> *", []string{"shop/web3-0 → shop/db-0 TCP/1"}, []string{"shop/web-3 → shop/db-0 TCP/1"}},
		{"* -> shop/*", []string{db, "world/192.0.2.1 → shop/db-0 TCP/1"}, []string{"shop/web-0 → shopping/db-0 TCP/1"}},
		{"* -> */db-*", []string{db}, []string{"shop/web-0 → shop/api-0 TCP/1"}},
		{"s*p/w*b-0 -> *", []string{db}, []string{"shop/wb-1 → shop/db-0 TCP/1"}},
		{"node/pool -> *", []string{"node/pool → shop/db-0 TCP/1"}, []string{"node/pool-1 → shop/db-0 TCP/1"}},
		{"* -> * tcp/*", []string{db}, []string{"a/b-0 → c/d-0 UDP/53", "a/b-0 → c/d-0 ICMP"}},
		{"* -> * TCP", []string{db}, []string{"a/b-0 → c/d-0 UDP/53"}},
		{"* -> * */5432", []string{db, "a/b-0 → c/d-0 UDP/5432"}, []string{"a/b-0 → c/d-0 TCP/53", "a/b-0 → c/d-0 ICMP"}},
		{"* -> * icmp", []string{"a/b-0 → c/d-0 ICMP"}, []string{db}},
		{"* -> * TCP/5432 pod ipv4", []string{db}, []string{db + " service", db + " ipv6"}},
		{"* -> * ipv6", []string{db + " ipv6"}, []string{db}},
		{"* -> * */* service ipv6", []string{db + " service ipv6"}, []string{db, db + " service", db + " ipv6"}},
		{id, []string{db}, []string{db + " ipv6"}},
		{id[:6], []string{db}, []string{db + " ipv6"}},
	} {
		p, err := matrix.ParsePattern(row.pattern)
		if err != nil || p.String() != row.pattern {
			t.Errorf("ParsePattern(%q) = %v, %v", row.pattern, p, err)
		}
		for _, text := range row.fits {
			if !p.Fits(must(t, text)) {
				t.Errorf("%q does not fit %s", row.pattern, text)
			}
		}
		for _, text := range row.not {
			if p.Fits(must(t, text)) {
				t.Errorf("%q fits %s", row.pattern, text)
			}
		}
	}
	// What reports write chooses its flow.
	for _, f := range randomFlows(200) {
		for _, text := range []string{f.String(), strings.ReplaceAll(f.String(), "→", "->"), f.ID()} {
			if p, err := matrix.ParsePattern(text); err != nil || !p.Fits(f) {
				t.Errorf("ParsePattern(%q) = %v, %v, which does not fit %s", text, p, err, f)
			}
		}
	}
	if (matrix.Pattern{}).Fits(must(t, db)) {
		t.Error("the zero pattern fits")
	}
}

func TestParsePatternErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                       "want FROM -> TO",
		"shop/web":               "want FROM -> TO",
		"cafe":                   "want FROM -> TO", // too little of an ID
		"a/b c/d TCP/80":         "want FROM -> TO",
		"-> c/d":                 "one sender",
		"a/b ->":                 "one sender",
		"a/b x -> c/d":           "one sender",
		"a/b -> c/d 80":          "not PROTOCOL/PORT",
		"a/b -> c/d /80":         "not PROTOCOL/PORT",
		"a/b -> c/d GRE/8":       "not PROTOCOL/PORT",
		"a/b -> c/d TCP/0":       "from 1 to 65535",
		"a/b -> c/d TCP/":        "from 1 to 65535",
		"a/b -> c/d TCP/70000":   "from 1 to 65535",
		"a/b -> c/d ICMP/8":      "ICMP has none",
		"a/b -> c/d TCP/8 radio": "neither a way nor an IP family",
		"a/b -> c/d ipv6 TCP/8":  "neither a way nor an IP family",
		"a/b -> c/d -> e/f":      "one arrow",
	} {
		if p, err := matrix.ParsePattern(text); err == nil || !strings.Contains(err.Error(), want) || p.String() != "" {
			t.Errorf("ParsePattern(%q) gave %v, %v, want an error with %q", text, p, err, want)
		}
	}
}

func must(t *testing.T, text string) matrix.Flow {
	t.Helper()
	f, err := matrix.ParseFlow(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
