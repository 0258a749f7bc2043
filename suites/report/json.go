package report

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/judge"
)

// JSONSchema is the version of the JSON report. Fields are only ever added to it.
const JSONSchema = "segtest.dev/result/v1alpha1"

// The types of the file. They are not the judge's, so that a change there
// cannot change the file unseen. Lengths and times are seconds; times count from
// the beginning of the run.
type (
	jsonResult struct {
		Schema        string            `json:"schema"`
		RunID         string            `json:"runID"`
		Scenario      string            `json:"scenario"`
		File          string            `json:"file"`
		Started       string            `json:"started,omitempty"`
		Duration      float64           `json:"duration"`
		Seed          string            `json:"seed"` // a string, because JSON numbers lose digits
		Facts         map[string]string `json:"facts"`
		Labels        map[string]string `json:"labels,omitempty"`
		Verdict       matrix.Verdict    `json:"verdict"`
		ExitCode      int               `json:"exitCode"`
		Unenforced    string            `json:"unenforced,omitempty"`
		Incomplete    string            `json:"incomplete,omitempty"`
		Environment   bool              `json:"environment,omitempty"`
		Interrupted   bool              `json:"interrupted,omitempty"`
		LeftBehind    string            `json:"leftBehind,omitempty"`
		Counts        jsonCounts        `json:"counts"`
		Phases        []jsonPhase       `json:"phases"`
		Disagreements []string          `json:"disagreements"`
		Flows         []jsonFlow        `json:"flows"`
		Cases         []jsonCase        `json:"cases"`
		Faults        []jsonFault       `json:"faults"`
		Convergence   []jsonConvergence `json:"convergence"`
		Notes         []string          `json:"notes,omitempty"`
		Asked         jsonAsked         `json:"asked"`
		// Changes are how soon each kind of change took effect, where that was asked.
		Changes []jsonConverged `json:"changes,omitempty"`
		// Repetitions of the matrix, where it was asked several times.
		Repetitions []jsonRepetition `json:"repetitions,omitempty"`
	}
	jsonCounts struct {
		Pass         int `json:"pass"`
		KnownGap     int `json:"knownGap"`
		Inconclusive int `json:"inconclusive"`
		Fail         int `json:"fail"`
		Unjudged     int `json:"unjudged"`
		Flaky        int `json:"flaky"`
	}
	jsonPhase struct {
		Name string `json:"name"`
		jsonCounts
	}
	jsonFlow struct {
		Flow     string         `json:"flow"`
		Declared matrix.Intent  `json:"declared"`
		Computed matrix.Intent  `json:"computed"`
		Observed matrix.Outcome `json:"observed"`
		Denial   matrix.Denial  `json:"denial,omitempty"`
		By       matrix.Denial  `json:"by,omitempty"` // the denial that the scenario demands
		Evidence string         `json:"evidence,omitempty"`
		Verdict  matrix.Verdict `json:"verdict"` // the worst of all phases
		Unjudged bool           `json:"unjudged,omitempty"`
		Canary   bool           `json:"canary,omitempty"`
		Origin   *oracle.Origin `json:"origin,omitempty"`
		ID       string         `json:"id"`
		Control  bool           `json:"control,omitempty"` // asked as evidence for others, and not judged
		Repeated *jsonCounts    `json:"repeated,omitempty"`
	}
	jsonCase struct {
		Phase      string            `json:"phase"`
		Name       string            `json:"name"`
		Verdict    matrix.Verdict    `json:"verdict"`
		Unjudged   string            `json:"unjudged,omitempty"`
		Kind       string            `json:"kind,omitempty"`
		Expected   string            `json:"expected"`
		Observed   string            `json:"observed"`
		Denial     matrix.Denial     `json:"denial,omitempty"`
		Evidence   string            `json:"evidence,omitempty"`
		Identity   string            `json:"identity,omitempty"`
		Since      float64           `json:"since,omitempty"`
		Duration   float64           `json:"duration"`
		Origin     *oracle.Origin    `json:"origin,omitempty"`
		Rules      []jsonRule        `json:"rules,omitempty"`
		Windows    []jsonWindow      `json:"windows,omitempty"`
		Flaky      string            `json:"flaky,omitempty"`
		Reasons    []string          `json:"reasons,omitempty"`
		Properties map[string]string `json:"properties,omitempty"`
		Repeat     string            `json:"repeat,omitempty"`
	}
	jsonRule struct {
		Source string         `json:"source"`
		Text   string         `json:"text"`
		Origin *oracle.Origin `json:"origin,omitempty"`
	}
	jsonWindow struct {
		Flow         string         `json:"flow,omitempty"`
		First        float64        `json:"first"`
		Last         float64        `json:"last"`
		Lower        float64        `json:"lower"`
		Upper        float64        `json:"upper"`
		OpenStart    bool           `json:"openStart,omitempty"`
		OpenEnd      bool           `json:"openEnd,omitempty"`
		Samples      int            `json:"samples"`
		Outcome      matrix.Outcome `json:"outcome"`
		AtResolution bool           `json:"atResolution,omitempty"`
	}
	jsonFault struct {
		ID           string         `json:"id"`
		Kind         string         `json:"kind"`
		Target       string         `json:"target"`
		Verdict      matrix.Verdict `json:"verdict"`
		Unjudged     string         `json:"unjudged,omitempty"`
		Injected     float64        `json:"injected"`
		Effect       string         `json:"effect"`
		EffectAfter  *float64       `json:"effectAfter,omitempty"`
		Healed       string         `json:"healed"`
		HealedAfter  *float64       `json:"healedAfter,omitempty"`
		Period       float64        `json:"period"`
		Denied       int            `json:"denied"`
		Allowed      int            `json:"allowed"`
		Unobservable int            `json:"unobservable"`
		Void         string         `json:"void,omitempty"`
		Blips        int            `json:"blips"`
		Blind        float64        `json:"blind"`
		Leak         *jsonWindow    `json:"leak,omitempty"`
		Outage       *jsonWindow    `json:"outage,omitempty"`
	}
	jsonConvergence struct {
		What       string  `json:"what"`
		Node       string  `json:"node"`
		Lower      float64 `json:"lower"`
		Upper      float64 `json:"upper"`
		Resolution float64 `json:"resolution,omitempty"`
		Error      string  `json:"error,omitempty"`
	}
)

// JSON writes the whole result, indented, with a schema version.
func JSON(w io.Writer, r judge.Result) error {
	out := jsonResult{
		Schema: JSONSchema, RunID: r.Header.RunID, Scenario: r.Header.Scenario, File: r.Header.File,
		Duration: r.Duration.Seconds(), Seed: fmt.Sprint(r.Header.Seed), Facts: r.Header.Facts, Labels: r.Header.Labels,
		Verdict: r.Verdict, ExitCode: r.ExitCode(), Unenforced: r.Unenforced, Incomplete: r.Incomplete,
		Environment: r.Environment, Interrupted: r.Interrupted, LeftBehind: r.LeftBehind, Counts: jsonCounts(r.Total),
		Phases: []jsonPhase{}, Disagreements: []string{}, Flows: []jsonFlow{}, Cases: []jsonCase{}, Faults: []jsonFault{}, Convergence: []jsonConvergence{},
	}
	if !r.Header.Started.IsZero() {
		out.Started = r.Header.Started.UTC().Format(time.RFC3339Nano)
	}
	for _, p := range r.Phases {
		out.Phases = append(out.Phases, jsonPhase{p.Phase, jsonCounts(p.Counts)})
	}
	for _, i := range r.Disagreements {
		out.Disagreements = append(out.Disagreements, r.Flows[i].Flow.Flow.String())
	}
	for _, f := range r.Flows {
		out.Flows = append(out.Flows, jsonFlow{
			Flow: f.Flow.Flow.String(), Declared: f.Declared.Intent, Computed: f.Computed.Intent, Observed: f.Observed,
			Denial: f.Denial, By: f.Declared.By, Evidence: f.Grade, Verdict: f.Worst, Unjudged: f.Unjudged, Canary: f.Canary, Origin: known(f.Declared.Origin),
			ID: f.ID(), Control: f.Control, Repeated: repeatedJSON(f.Repeated),
		})
	}
	for _, c := range r.Cases {
		out.Cases = append(out.Cases, caseJSON(r, c))
	}
	for _, f := range r.Faults {
		out.Faults = append(out.Faults, faultJSON(r, f))
	}
	for _, c := range r.Convergence {
		out.Convergence = append(out.Convergence, jsonConvergence{c.What, c.Node, c.Lower.Seconds(), c.Upper.Seconds(), c.Resolution.Seconds(), c.Error})
	}
	out.Notes, out.Asked, out.Repetitions, out.Changes = r.Notes, askedJSON(r), repetitionsJSON(r), convergedJSON(r)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(out); err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	return nil
}

func caseJSON(r judge.Result, c judge.Case) jsonCase {
	out := jsonCase{
		Phase: c.Phase, Name: c.Name, Verdict: c.Verdict, Unjudged: c.Unjudged, Kind: string(c.Kind), Expected: c.Expected, Observed: c.Observed,
		Denial: c.Denial, Evidence: c.Evidence, Identity: c.Identity, Duration: c.Duration.Seconds(), Origin: known(c.Origin), Flaky: c.Flaky, Reasons: c.Reasons, Repeat: repeat(r, c),
	}
	if c.Since != 0 {
		out.Since = r.Offset(c.Since).Seconds()
	}
	for _, rule := range c.Rules {
		out.Rules = append(out.Rules, jsonRule{rule.Source, rule.Text, known(rule.Origin)})
	}
	for _, w := range c.Windows {
		out.Windows = append(out.Windows, windowJSON(r, w))
	}
	if len(c.Properties) > 0 {
		out.Properties = map[string]string{}
	}
	for _, p := range c.Properties {
		out.Properties[p.Name] = p.Value
	}
	return out
}

func windowJSON(r judge.Result, w judge.Window) jsonWindow {
	return jsonWindow{
		First: r.Offset(w.First).Seconds(), Last: r.Offset(w.Last).Seconds(), Lower: w.Lower.Seconds(), Upper: w.Upper.Seconds(),
		OpenStart: w.OpenStart, OpenEnd: w.OpenEnd, Samples: w.Samples, Outcome: w.Outcome, AtResolution: w.AtResolution,
	}
}

func faultJSON(r judge.Result, f judge.Fault) jsonFault {
	out := jsonFault{
		ID: f.ID, Kind: f.Kind, Target: f.Target, Verdict: f.Verdict, Unjudged: f.Unjudged,
		Effect: f.Effect.Detail, Healed: f.Healed.Detail, Period: f.Period.Seconds(),
		Denied: f.Denied, Allowed: f.Allowed, Unobservable: f.Unobservable, Void: f.Void, Blips: f.Blips, Blind: f.Blind.Seconds(),
		Leak: extremeJSON(r, f.Leak), Outage: extremeJSON(r, f.Outage),
	}
	if f.Injected[0] != 0 {
		out.Injected = r.Offset(f.Injected[0]).Seconds()
	}
	if f.Effect.Seen {
		s := (f.Effect.At - f.Injected[0]).Seconds()
		out.EffectAfter = &s
	}
	if f.Healed.Seen {
		s := (f.Healed.At - f.HealStart).Seconds()
		out.HealedAfter = &s
	}
	return out
}

func extremeJSON(r judge.Result, e *judge.Extreme) *jsonWindow {
	if e == nil {
		return nil
	}
	w := windowJSON(r, e.Window)
	w.Flow = r.Flows[e.Flow].Flow.Flow.String()
	return &w
}

// known is nil for an unknown place, so that the field is left out.
func known(o oracle.Origin) *oracle.Origin {
	if o.IsZero() {
		return nil
	}
	return &o
}
