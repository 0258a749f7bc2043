package report_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/wire"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run/record"
)

const (
	ms     = time.Millisecond
	sec    = time.Second
	tick   = 50 * ms
	canary = 7999
)

// A shop of eight pods: who listens where, and who may ask.
var (
	pods  = []matrix.Endpoint{"shop/web-0", "shop/web-1", "shop/api-0", "shop/api-1", "shop/db-0", "shop/cache-0", "ops/metrics-0", "guest/curl-0"}
	ports = map[string][]uint16{"shop/web": {8080}, "shop/api": {9090}, "shop/db": {5432, 9187}, "shop/cache": {6379}, "ops/metrics": {9100}, "guest/curl": {8080}}
	// Who may reach what; ops/metrics and guest/curl are not isolated.
	may = map[string]bool{
		"guest/curl shop/web 8080": true, "shop/web shop/api 9090": true, "shop/api shop/db 5432": true,
		"shop/api shop/cache 6379": true, "ops/metrics shop/db 9187": true,
	}
)

func workload(e matrix.Endpoint) string { return strings.TrimRight(string(e), "-0123456789") }

// shopFlows are all flows of the shop, with what scenario and policies say.
func shopFlows() []record.Flow {
	var flows []matrix.Flow
	for _, from := range pods {
		for _, to := range pods {
			for _, p := range append([]uint16{canary}, ports[workload(to)]...) {
				if from != to {
					flows = append(flows, matrix.Flow{From: from, To: to, Protocol: matrix.TCP, Port: p})
				}
			}
		}
	}
	index := matrix.NewIndex(flows)
	var out []record.Flow
	for _, f := range index.All() {
		out = append(out, shopFlow(f))
	}
	return out
}

func shopFlow(f matrix.Flow) record.Flow {
	to := workload(f.To)
	out := record.Flow{Flow: f, Canary: f.Port == canary}
	isolated := f.To.Namespace() == "shop"
	intent := matrix.Deny
	if !isolated || may[fmt.Sprintf("%s %s %d", workload(f.From), to, f.Port)] {
		intent = matrix.Allow
	}
	out.Declared = record.Declared{Intent: intent, Origin: oracle.Origin{File: "online-shop/scenario.yaml", Line: 41}, Reason: "default"}
	if isolated && intent == matrix.Allow {
		out.Declared = record.Declared{Intent: intent, Origin: oracle.Origin{File: "online-shop/scenario.yaml", Line: 50}, Reason: "checkout needs it"}
	}
	if out.Canary {
		out.Declared = record.Declared{}
	}
	out.Computed = oracle.Decision{Intent: intent, Egress: oracle.Half{Intent: matrix.Allow}, Ingress: oracle.Half{Intent: matrix.Allow}}
	if isolated {
		name := f.To.Name()[:strings.LastIndexByte(f.To.Name(), '-')]
		rule := oracle.RuleRef{Policy: "shop/" + name, Rule: 0, Origin: oracle.Origin{File: "online-shop/policies/" + name + ".yaml", Line: 14, Column: 5}}
		reason := ""
		if intent == matrix.Deny {
			rule.Rule, rule.Origin.Line, reason = -1, 1, "no rule admits "+string(f.From)
		}
		out.Computed.Ingress = oracle.Half{Intent: intent, Isolated: true, By: []oracle.RuleRef{rule}, Reason: reason}
	}
	return out
}

// shop is a complete run that passes, all three faults included.
func shop() record.Record {
	rec := record.Record{
		Header: record.Header{
			Schema: record.Schema, RunID: "k3v9", Scenario: "online-shop", File: "online-shop/scenario.yaml", Seed: 42,
			Started: time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC), Monotonic: 1000 * sec,
			Facts:  map[string]string{"kubernetes": "v1.34.0", "cni": "kindnet-like", "profile": "kindnet", "image": "segtest/node:abc", "commit": "e1f9b7e"},
			Labels: map[string]string{"stage": "pr"},
			Faults: []string{"1-pod-kill", "2-policy-agent-kill", "3-node-pause"},
		},
		Flows:       shopFlows(),
		Enforcement: &record.Enforcement{Enforced: true, Detail: "the sentinel on every node flipped"},
		Convergence: []record.Convergence{
			{What: "policies applied", Node: "worker", Lower: 210 * ms, Upper: 260 * ms},
			{What: "policies applied", Node: "worker2", Lower: 330 * ms, Upper: 380 * ms},
			{What: "matrix settled", Lower: 420 * ms, Upper: 1310 * ms, Resolution: 640 * ms},
		},
		End: &record.End{At: 1074 * sec},
	}
	at := 1030 * sec
	for _, phase := range []string{record.PhaseBaseline, record.PhaseMatrix, record.PhaseOpen} {
		p := record.Pass{Phase: phase, Start: at, End: at + sec, Wait: 400 * ms}
		for i, f := range rec.Flows {
			s := matrix.Sample{Outcome: matrix.Connected, Start: at + time.Duration(i)*ms, RTT: ms, Attempts: 1}
			if phase == record.PhaseMatrix && f.Computed.Intent == matrix.Deny {
				s.Outcome, s.Denial, s.RTT, s.Attempts = matrix.TimedOut, matrix.Dropped, 400*ms, 2
			}
			p.Cells = append(p.Cells, record.Cell{Flow: i, Sample: s})
		}
		rec.Phases = append(rec.Phases, record.Phase{Name: phase, Start: p.Start, End: p.End})
		rec.Passes = append(rec.Passes, p)
		at += 2 * sec
		if phase == record.PhaseMatrix {
			at += 36 * sec
		}
	}
	for i, id := range rec.Header.Faults {
		target := []string{"pod shop/db-0", "agent on node worker (of shop/db)", "node worker2 (of shop/web)"}[i]
		rec.Faults = append(rec.Faults, shopFault(rec, id, target, 1034*sec+time.Duration(i)*12*sec))
	}
	return rec
}

// converging is a shop of which one node does not follow the last change.
func converging(r *record.Record) {
	r.Header.Changes = &record.Changes{Times: 3, Of: []string{"apply", "delete", "relabel"}, Within: 5 * sec, Origin: oracle.Origin{File: "online-shop/scenario.yaml", Line: 80, Column: 14}}
	for round, took := range []time.Duration{120 * ms, 95 * ms, 1310 * ms} {
		for k, node := range []string{"worker", "worker2"} {
			took += time.Duration(k) * 40 * ms
			r.Changes = append(r.Changes, shopChange("apply", matrix.Deny, round+1, node, took), shopChange("delete", matrix.Allow, round+1, node, took/2))
			r.Changes = append(r.Changes, shopChange("relabel", matrix.Allow, round+1, node, took+sec), shopChange("relabel", matrix.Deny, round+1, node, took/3))
		}
	}
	r.Changes[4].Held.Runs[1].Outcome = matrix.TimedOut
	last := &r.Changes[len(r.Changes)-1]
	last.Series.Runs = []wire.Run{{Outcome: matrix.Connected, Count: 2550, First: last.Write[0] - 500*ms, Last: last.Write[0] + 25*sec}}
}

// shopChange takes effect so long after it was made.
func shopChange(what string, to matrix.Intent, round int, node string, took time.Duration) record.Change {
	at := 1033*sec + time.Duration(round)*100*ms
	was, is := matrix.Connected, matrix.TimedOut
	if to == matrix.Allow {
		was, is = is, was
	}
	runs := func(was, is matrix.Outcome) wire.Series {
		before := int((took + 200*ms) / (10 * ms))
		return wire.Series{Scheduled: before + 31, Taken: before + 31, Runs: []wire.Run{
			{Outcome: was, Count: before, First: at - 200*ms, Last: at + took - 5*ms, End: at + took},
			{Outcome: is, Count: 31, First: at + took + 6*ms, Last: at + took + 306*ms, End: at + took + 307*ms},
		}}
	}
	c := record.Change{What: what, To: to, Round: round, Node: node, Write: [2]time.Duration{at, at + 4*ms}, Period: 10 * ms, Limit: 25 * sec, Proof: is, Series: runs(was, is)}
	if to == matrix.Deny {
		c.Held = runs(matrix.Connected, matrix.Connected)
	}
	return c
}

// shopFault watches the flows to the database for ten seconds.
func shopFault(rec record.Record, id, target string, from time.Duration) record.Fault {
	f := record.Fault{
		ID: id, Kind: id[2:], Target: target, Origin: oracle.Origin{File: "online-shop/scenario.yaml", Line: 70},
		Injected: [2]time.Duration{from + 2*sec, from + 2*sec + 20*ms}, Effect: record.Proof{Seen: true, At: from + 2200*ms, Detail: "it is gone"},
		HealStart: from + 5*sec, Healed: record.Proof{Seen: true, At: from + 6*sec, Detail: "it is back"}, RecoverWithin: 30 * sec,
		SampleFrom: from, SampleTo: from + 10*sec, Period: tick,
	}
	for i, flow := range rec.Flows {
		if flow.To == "shop/db-0" && flow.Port == 5432 {
			w := record.Watched{Flow: i, Heard: true, Series: wire.Series{Flow: i, Scheduled: 200, Taken: 200}}
			o := matrix.Connected
			if flow.Computed.Intent == matrix.Deny {
				o = matrix.TimedOut
			}
			w.Series.Runs = runs(from, o, 200)
			f.Watched = append(f.Watched, w)
		}
	}
	return f
}

func runs(from time.Duration, o matrix.Outcome, n int) []wire.Run {
	last := from + time.Duration(n-1)*tick
	return []wire.Run{{Outcome: o, Count: n, First: from, Last: last, End: last + ms}}
}

// strike replaces the samples of a watched flow from one number up to another.
func strike(f *record.Fault, watched int, o matrix.Outcome, from, to int) {
	w := &f.Watched[watched]
	old := w.Series.Runs[0]
	first := func(k int) time.Duration { return f.SampleFrom + time.Duration(k)*tick }
	w.Series.Runs = append(append(runs(first(0), old.Outcome, from), runs(first(from), o, to-from)...), runs(first(to), old.Outcome, 200-to)...)
}

func position(rec record.Record, from, to matrix.Endpoint, port uint16) int {
	for i, f := range rec.Flows {
		if f.From == from && f.To == to && f.Port == port {
			return i
		}
	}
	panic(fmt.Sprintf("no flow %s → %s %d", from, to, port))
}

// results are what the goldens show.
func results() map[string]judge.Result {
	type tweak func(*record.Record)
	out := map[string]judge.Result{}
	for name, t := range map[string]tweak{
		"pass": func(r *record.Record) { // one allowed flow needed a second try, a pod was gone
			again := record.Pass{Phase: record.PhaseMatrix, Cells: []record.Cell{r.Passes[1].Cells[position(*r, "shop/web-0", "shop/api-0", 9090)]}}
			r.Passes[1].Cells[again.Cells[0].Flow].Sample.Outcome = matrix.TimedOut
			r.Passes = append(r.Passes, again)
			for i := range r.Faults[0].Watched {
				r.Faults[0].Watched[i].Expect = record.Expect{Outage: true, Unobservable: true}
			}
			strike(&r.Faults[0], 3, matrix.TimedOut, 42, 71)
			strike(&r.Faults[2], 2, matrix.TimedOut, 60, 61)
		},
		"leak": func(r *record.Record) {
			cell := &r.Passes[1].Cells[position(*r, "guest/curl-0", "shop/db-0", 5432)]
			cell.Sample.Outcome, cell.Sample.Detail = matrix.Connected, "answered by pod db-0 \x1b[31mred\x1b[0m"
			strike(&r.Faults[1], 0, matrix.HandshakeOnly, 45, 90)
			r.Convergence[2] = record.Convergence{What: "matrix settled", Lower: 19 * sec, Resolution: 640 * ms, Error: "within 20s never 2 passes in a row as expected; flows that were not in the last: 1"}
		},
		"narrow": func(r *record.Record) { // the policy of the database has a wrong label
			for i, f := range r.Flows {
				if f.To == "shop/db-0" && workload(f.From) == "shop/api" && f.Port == 5432 {
					f.Computed.Intent = matrix.Deny
					f.Computed.Ingress = oracle.Half{Intent: matrix.Deny, Isolated: true, Reason: "no rule admits " + string(f.From), By: []oracle.RuleRef{
						{Policy: "shop/db", Rule: -1, Origin: oracle.Origin{File: "online-shop/policies/db.yaml", Line: 1}},
					}}
					r.Flows[i] = f
					r.Passes[1].Cells[i] = record.Cell{
						Flow: i, Evidence: record.Evidence{Receiver: true, Identity: "by address"},
						Sample: matrix.Sample{Outcome: matrix.Refused, Denial: matrix.Reset, Start: 1032 * sec, RTT: 400 * ms, Attempts: 2},
					}
				}
			}
		},
		"slow": converging,
		"inconclusive": func(r *record.Record) {
			cell := &r.Passes[1].Cells[position(*r, "shop/web-1", "shop/cache-0", 6379)]
			cell.Sample.Outcome, cell.Evidence.Cause = matrix.Unknown, "the relay of shop/web-1 broke off"
			r.Faults[0].Effect = record.Proof{Detail: "the pod is still there"}
			r.Faults = r.Faults[:1]
			r.End = &record.End{At: 1050 * sec, Error: "docker stopped <half way>", Environment: true, LeftBehind: "cluster segtest-k3v9"}
			r.Notes = []string{"line 9 of the record was torn off and is not read"}
		},
		"gap": func(r *record.Record) {
			f := &r.Faults[1]
			for i := range f.Watched {
				f.Watched[i].Expect = record.Expect{Gap: "agent-death-opens", Bound: 10 * sec, Link: "https://github.com/kubernetes-sigs/kind/issues/3713"}
			}
			strike(f, 0, matrix.Connected, 45, 92)
		},
		"repeated": func(r *record.Record) { // one shard, three times; one flow leaks once, another is lost twice
			r.Header.Asked, r.Header.Flows = record.Asked{Select: []string{"* -> */*-0"}, Shard: "1/2", Repeat: 3}, 250
			r.Flows[position(*r, "shop/api-0", "shop/db-0", 5432)].Control = true
			for n := 2; n <= 3; n++ {
				p := r.Passes[1]
				p.Repetition, p.Cells = n, slices.Clone(p.Cells)
				p.Start, p.End = p.Start+time.Duration(n)*sec, p.End+time.Duration(n)*sec
				p.Cells[position(*r, "shop/api-0", "shop/cache-0", 6379)].Sample.Outcome = matrix.Unknown
				if n == 2 {
					p.Cells[position(*r, "guest/curl-0", "shop/db-0", 5432)].Sample.Outcome = matrix.Connected
				}
				r.Passes = append(r.Passes, p)
			}
		},
		"unenforced": func(r *record.Record) {
			r.Enforcement = &record.Enforcement{Detail: "a deny-all policy left 3 of 3 sentinels open for 20 s"}
			r.Passes, r.Faults, r.Header.Faults, r.Convergence = r.Passes[:1], nil, nil, nil
			r.End.At = 1040 * sec
		},
	} {
		rec := shop()
		t(&rec)
		out[name] = judge.Judge(rec)
	}
	return out
}
