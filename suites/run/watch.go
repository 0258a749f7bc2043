package run

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/segtest/segtest/chaos"
	"github.com/segtest/segtest/fixtures/deploy"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
	"github.com/segtest/segtest/probes/wire"
	"github.com/segtest/segtest/suites/run/record"
)

const (
	// hotFlows is how many flows are sampled at 20 Hz.
	hotFlows = 25
	// The other flows share this many samples a second, none more often than
	// coldPeriod.
	coldPerSecond = 100
	coldPeriod    = 500 * time.Millisecond
	// collectDeadline bounds how long the agents may take to hand over what they saw.
	collectDeadline = 30 * time.Second
)

// watch is the samplers around one fault. Flows to and from the pod that the
// fault replaces are sampled again at its replacement.
type watch struct {
	session *Session
	id      string
	moving  matrix.Endpoint // the slot whose pod is replaced; "" for none
	movedBy string          // UID of the pod that held it at first
	until   time.Duration
	groups  []group
	expect  map[int]record.Expect
	got     map[int]record.Watched
	span    [2]time.Duration
	logs    *receivers // of the flows that ought to be closed
	deafen  func()     // ends the reading of logs
	queues  queueWatch
}

// group is flows that are sampled together.
type group struct {
	name    string
	flows   []int
	period  time.Duration
	running *prober.Watching
}

func (s *Session) newWatch(id string, step chaos.Step, expect func(matrix.Flow) record.Expect) *watch {
	w := &watch{
		session: s, id: id, expect: map[int]record.Expect{}, got: map[int]record.Watched{},
		until:  2*time.Minute + step.Hold + step.RecoverWithin,
		queues: queueWatch{step: step},
	}
	if step.Pod != nil {
		w.moving, w.movedBy = step.Pod.Endpoint, step.Pod.UID
	}
	for i, f := range s.index.All() {
		w.expect[i] = expect(f)
	}
	hot, cold := w.rank()
	slow := max(coldPeriod, time.Duration(len(cold))*time.Second/coldPerSecond)
	for _, part := range []struct {
		name   string
		flows  []int
		period time.Duration
	}{{"hot", hot, prober.Period(len(hot))}, {"cold", cold, slow}} {
		w.split(part.name, part.flows, part.period)
	}
	return w
}

// split sorts flows by how they meet the slot that moves.
func (w *watch) split(name string, flows []int, period time.Duration) {
	stay, to, from := group{name: name, period: period}, group{name: name + "-to", period: period}, group{name: name + "-from", period: period}
	for _, i := range flows {
		switch f := w.session.index.Flow(i); {
		case w.moving != "" && f.From == w.moving:
			from.flows = append(from.flows, i)
		case w.moving != "" && f.To == w.moving:
			to.flows = append(to.flows, i)
		default:
			stay.flows = append(stay.flows, i)
		}
	}
	for _, g := range []group{stay, to, from} {
		if len(g.flows) > 0 {
			w.groups = append(w.groups, g)
		}
	}
}

// rank chooses the hot flows: first the denied ones that a known gap may open,
// then the denied and the allowed ones that the fault touches, then controls;
// within a class one per pair of endpoints before a second.
func (w *watch) rank() (hot, cold []int) {
	type pair struct{ from, to matrix.Endpoint }
	type candidate struct{ flow, class, nth int }
	var all []candidate
	nth := map[pair]int{}
	for i, f := range w.session.index.All() {
		want := w.session.expected(i)
		if want != matrix.Allow && want != matrix.Deny || f.From == f.To || w.session.seen.unspoken[i] {
			continue
		}
		e, p := w.expect[i], pair{f.From, f.To}
		all = append(all, candidate{i, class(want, e, w.session.opts.Scenario.IsCanary(f)), nth[p]})
		nth[p]++
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.nth, b.nth))
	})
	// No class takes more than its share while others wait.
	share := []int{8, 8, 5, 4}
	taken := map[int]bool{}
	for _, c := range all {
		if share[c.class] > 0 {
			share[c.class]--
			taken[c.flow] = true
		}
	}
	for _, c := range all {
		if len(taken) < hotFlows {
			taken[c.flow] = true
		}
	}
	for _, c := range all {
		if taken[c.flow] {
			hot = append(hot, c.flow)
		} else {
			cold = append(cold, c.flow)
		}
	}
	slices.Sort(hot)
	slices.Sort(cold)
	return hot, cold
}

func class(want matrix.Intent, e record.Expect, canary bool) int {
	touched := e.Outage || e.Unobservable
	switch {
	case want == matrix.Deny && e.Gap != "":
		return 0
	case want == matrix.Deny && touched && !canary:
		return 1
	case want == matrix.Allow && touched:
		return 2
	}
	return 3
}

// start begins to sample, and to read what arrives.
func (w *watch) start(ctx context.Context) error {
	w.queues.read(ctx, w.session.place.cluster.Nodes())
	ctx, w.deafen = context.WithCancel(ctx)
	w.span[0] = w.session.now()
	denied := map[route]int{}
	for i, f := range w.session.index.All() {
		if w.session.computed.At(i).Intent == matrix.Deny && f.Way == matrix.PodIP {
			denied[route{f.From, f.To, f.Protocol, f.Port, f.Family}] = i
		}
	}
	w.logs = newReceivers(w.session.place.fleet, w.session.now, w.span[0], denied)
	for i := range w.groups {
		if err := w.launch(ctx, &w.groups[i]); err != nil {
			return err
		}
	}
	return nil
}

func (w *watch) launch(ctx context.Context, g *group) error {
	pods, err := w.session.place.deployment.Pods(ctx)
	if err != nil {
		return err
	}
	w.logs.follow(ctx, members(pods))
	at := byEndpoint(pods)
	plan := prober.WatchPlan{
		Name: w.id + "-" + g.name, Members: members(pods), Period: g.period, Until: w.until,
		Seed: w.session.opts.Seed,
	}
	for _, i := range g.flows {
		q, ok := question(i, w.session.index.Flow(i), at)
		if !ok {
			w.merge(i, wire.Series{}, "it had no pod with an address when sampling began", g.period)
			continue
		}
		plan.Questions = append(plan.Questions, q)
	}
	if len(plan.Questions) == 0 {
		return nil
	}
	g.running, err = w.session.place.fleet.Watch(ctx, plan)
	return err
}

// linger waits while the samplers run.
func linger(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// follow waits for the replacement of the pod that moves and samples at its
// new address as soon as it has one, and from it as soon as it is ready.
func (w *watch) follow(ctx context.Context) {
	if w.moving == "" {
		return
	}
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	addressed := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		pod, ok := w.replacement(ctx)
		if !ok {
			continue
		}
		if !addressed {
			addressed = true
			w.retarget(ctx, "-to", true)
		}
		if pod.Ready {
			w.retarget(ctx, "-from", false)
			return
		}
	}
}

func (w *watch) replacement(ctx context.Context) (deploy.Pod, bool) {
	pods, err := w.session.place.deployment.Pods(ctx)
	if err != nil {
		return deploy.Pod{}, false // asked again at the next tick
	}
	for _, p := range pods {
		if p.Endpoint == w.moving && p.UID != w.movedBy && len(p.Addresses) > 0 {
			return p, true
		}
	}
	return deploy.Pod{}, false
}

// retarget samples the flows of some groups anew. Those that still run are
// stopped first, so that no two samplers speak of one flow at one time.
func (w *watch) retarget(ctx context.Context, suffix string, running bool) {
	for i := range w.groups {
		g := &w.groups[i]
		if name, ok := cutSuffix(g.name, suffix); ok {
			next := group{name: name + suffix + "-new", flows: g.flows, period: g.period}
			if running {
				w.collect(ctx, g)
			}
			if err := w.launch(ctx, &next); err != nil {
				for _, flow := range next.flows {
					w.merge(flow, wire.Series{}, err.Error(), next.period)
				}
			}
			w.groups = append(w.groups, next)
		}
	}
}

func cutSuffix(name, suffix string) (string, bool) {
	if len(name) > len(suffix) && name[len(name)-len(suffix):] == suffix {
		return name[:len(name)-len(suffix)], true
	}
	return "", false
}

// before reads, right before a fault, what it may take away.
func (w *watch) before(ctx context.Context) {
	w.queues.read(ctx, w.session.place.cluster.Nodes())
	w.logs.before(ctx)
}

// stop ends all samplers and gathers what they saw and what arrived.
func (w *watch) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeoutCause(ctx, collectDeadline, fmt.Errorf("the agents did not return their samples within %s", collectDeadline))
	defer cancel()
	w.span[1] = w.session.now()
	for i := range w.groups {
		w.collect(ctx, &w.groups[i])
	}
	w.deafen()
	w.logs.close(ctx, collectDeadline)
	w.queues.read(ctx, w.session.place.cluster.Nodes())
}

func (w *watch) collect(ctx context.Context, g *group) {
	if g.running == nil {
		return
	}
	for _, seen := range g.running.Stop(ctx) {
		w.merge(seen.Flow, seen.Series, seen.Error, g.period)
	}
	g.running = nil
}

// merge adds what one sampler saw on a flow to what another saw before it. Of
// the errors the last one counts, unless samples followed it.
func (w *watch) merge(flow int, s wire.Series, problem string, period time.Duration) {
	m, ok := w.got[flow]
	if !ok {
		m = record.Watched{Flow: flow, Expect: w.expect[flow], Period: period, Series: wire.Series{Flow: flow}}
	}
	m.Series.Runs = append(m.Series.Runs, s.Runs...)
	m.Series.Scheduled += s.Scheduled
	m.Series.Taken += s.Taken
	m.Series.Late += s.Late
	// The agent of a pod that was replaced took its samples with it; what its
	// replacement saw counts.
	if s.Scheduled > 0 {
		m.Error = ""
	}
	if problem != "" {
		m.Error = problem
	}
	w.got[flow] = m
}

// fill puts what was watched into the fault's event.
func (w *watch) fill(f *record.Fault) {
	f.SampleFrom, f.SampleTo = w.span[0], w.span[1]
	for _, g := range w.groups {
		if f.Period == 0 || g.period < f.Period {
			f.Period = g.period
		}
	}
	f.Void = w.queues.overran()
	for i, m := range w.got {
		if s := w.session; s.computed.At(i).Intent == matrix.Deny {
			w.logs.tell(&m, s.index.Flow(i).To, s.index.Flow(i).Protocol)
		}
		f.Watched = append(f.Watched, m)
	}
	slices.SortFunc(f.Watched, func(a, b record.Watched) int { return cmp.Compare(a.Flow, b.Flow) })
}

// String says what is watched, for people.
func (w *watch) String() string {
	hot := 0
	for _, g := range w.groups {
		if g.period < coldPeriod {
			hot += len(g.flows)
		}
	}
	return fmt.Sprintf("%d of %d flows at 20 Hz", hot, len(w.expect))
}
