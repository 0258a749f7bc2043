package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run/record"
)

// partFlags choose flows of a scenario. The zero value chooses all.
type partFlags struct {
	selects []string
	shard   string
	rerun   string
}

func (p *partFlags) flag(flags *pflag.FlagSet) {
	flags.StringArrayVar(&p.selects, "select", nil, "ask only flows that fit 'FROM -> TO' or 'FROM -> TO PROTOCOL/PORT', * for any characters, or an ID; may be repeated")
	flags.StringVar(&p.shard, "shard", "", "ask only one of several parts of the flows, `I/N`, for example 1/3")
	flags.StringVar(&p.rerun, "rerun-failed", "", "ask only the flows that did not pass in this `RECORD`, a record.jsonl or the output folder of a run")
}

// part is which flows of a scenario a run asks. The zero value is all of them.
type part struct {
	asked    record.Asked
	patterns []matrix.Pattern
	shard    matrix.Shard
	before   *earlier // the run whose flows are asked again, nil for none
}

// earlier is a run that is asked again where it did not pass.
type earlier struct {
	path   string // of the record
	result judge.Result
	again  map[matrix.Flow]bool
}

// errNothingFailed says that there is nothing to ask again.
var errNothingFailed = errors.New("nothing failed")

// parse reads the flags of a run that writes into a folder.
func (p partFlags) parse(out string) (part, error) {
	chosen := part{asked: record.Asked{Select: p.selects}}
	for _, text := range p.selects {
		pattern, err := matrix.ParsePattern(text)
		if err != nil {
			return part{}, misuse("--select %q: %w", text, err)
		}
		chosen.patterns = append(chosen.patterns, pattern)
	}
	if p.shard != "" {
		var err error
		if chosen.shard, err = matrix.ParseShard(p.shard); err != nil {
			return part{}, misuse("--shard %q: %w", p.shard, err)
		}
		chosen.asked.Shard = chosen.shard.String()
	}
	if p.rerun == "" {
		return chosen, nil
	}
	file, err := findRecord(p.rerun)
	if err != nil {
		return part{}, usageError(fmt.Errorf("--rerun-failed: %w", err))
	}
	if sameFile(file, recordFile(out)) {
		return part{}, misuse("--out %s: the record that --rerun-failed reads is there; give the new one another folder", out)
	}
	rec, err := record.ReadFile(file)
	if err != nil {
		return part{}, usageError(fmt.Errorf("--rerun-failed: %w", err))
	}
	chosen.before = &earlier{path: file, result: judge.Judge(rec), again: map[matrix.Flow]bool{}}
	for _, i := range chosen.before.result.Again() {
		chosen.before.again[rec.Flows[i].Flow] = true
	}
	chosen.asked.Rerun = rec.Header.RunID
	return chosen, nil
}

// of says which of all flows of a scenario are asked; nil for all. Notes go to w.
// The error is errNothingFailed where nothing is left to be asked again.
func (p part) of(name string, all []record.Flow, w io.Writer) (func(matrix.Flow) bool, error) {
	if p.before == nil && p.patterns == nil && p.shard.Of == 0 {
		return nil, nil //nolint:nilnil // no filter is not an error
	}
	for _, pattern := range p.patterns {
		if !slices.ContainsFunc(all, func(f record.Flow) bool { return pattern.Fits(f.Flow) }) {
			return nil, usageError(fmt.Errorf("--select '%s' fits none of the %d flows of %s; `segtest plan` lists them", pattern, len(all), name))
		}
	}
	if p.before != nil {
		if err := p.before.check(name, all, w); err != nil {
			return nil, err
		}
	}
	n := 0
	for _, f := range all {
		if p.has(f.Flow) {
			n++
		}
	}
	switch {
	case n > 0:
		return p.has, nil
	case p.before == nil && p.patterns == nil:
		return nil, usageError(fmt.Errorf("--shard %s holds none of the flows of %s, which has %d; take fewer shards", p.shard, name, len(all)))
	}
	return nil, usageError(fmt.Errorf("%s together leave none of the %d flows of %s to ask", p.words(), len(all), name))
}

func (p part) has(f matrix.Flow) bool {
	return (p.before == nil || p.before.again[f]) && p.shard.Has(f) &&
		(p.patterns == nil || slices.ContainsFunc(p.patterns, func(pattern matrix.Pattern) bool { return pattern.Fits(f) }))
}

// words name the flags that choose.
func (p part) words() string {
	var parts []string
	if p.before != nil {
		parts = append(parts, "--rerun-failed "+p.before.path)
	}
	if p.patterns != nil {
		parts = append(parts, "--select")
	}
	if p.shard.Of > 0 {
		parts = append(parts, "--shard "+p.shard.String())
	}
	return strings.Join(parts, " and ")
}

// check refuses a scenario that is not the one of the earlier run, and says what
// differs. Policies and expectations may differ: they are what one mends.
func (e *earlier) check(name string, all []record.Flow, w io.Writer) error {
	header := e.result.Header
	refuse := func(format string, args ...any) error {
		return usageError(fmt.Errorf("--rerun-failed %s: "+format+"; run the whole scenario, without --rerun-failed", append([]any{e.path}, args...)...))
	}
	if header.Scenario != name {
		return refuse("run %s is of scenario %s, not of %s", header.RunID, header.Scenario, name)
	}
	now := make(map[matrix.Flow]record.Flow, len(all))
	index := make([]matrix.Flow, len(all))
	for i, f := range all {
		now[f.Flow], index[i] = f, f.Flow
	}
	var gone, added []matrix.Flow
	then := make(map[matrix.Flow]bool, len(e.result.Flows))
	changed, controls := 0, 0
	for _, f := range e.result.Flows {
		is, ok := now[f.Flow.Flow]
		switch {
		case !ok:
			gone = append(gone, f.Flow.Flow)
		case is.Declared.Intent != f.Declared.Intent, is.Computed.Intent != f.Computed.Intent:
			changed++
		}
		if then[f.Flow.Flow] = true; f.Control {
			controls++
		}
	}
	if header.Flows == 0 || header.Flows == len(e.result.Flows)-controls {
		added = slices.DeleteFunc(slices.Clone(index), func(f matrix.Flow) bool { return then[f] })
	}
	switch {
	case len(gone)+len(added) > 0:
		return refuse("run %s asked other flows than %s has now: %s", header.RunID, name, differences(gone, added))
	case header.Digest != "" && header.Digest != record.Digest(slices.All(index)):
		return refuse("%s had other flows in run %s, %d then and %d now", name, header.RunID, header.Flows, len(all))
	case len(e.again) == 0:
		return errNothingFailed
	}
	fmt.Fprintf(w, "asking only the %d of %d flows that did not pass in run %s\n", len(e.again), len(all), header.RunID)
	if changed > 0 {
		fmt.Fprintf(w, "note: policies or expectations changed since, on %d of its flows; the others are not asked again: run all of them before you rely on it\n", changed)
	}
	return nil
}

// nothing says that an earlier run left nothing to ask again.
func (e *earlier) nothing() string {
	judged := 0
	for _, f := range e.result.Flows {
		if !f.Unjudged {
			judged++
		}
	}
	return fmt.Sprintf("nothing to run: all %d flows that run %s of %s judged have passed", judged, e.result.Header.RunID, e.result.Header.Scenario)
}

// differences name flows that are gone and flows that are new.
func differences(gone, added []matrix.Flow) string {
	var parts []string
	for _, d := range []struct {
		what  string
		flows []matrix.Flow
	}{{"gone", gone}, {"new", added}} {
		if len(d.flows) > 0 {
			parts = append(parts, fmt.Sprintf("%d %s (%s)", len(d.flows), d.what, some(d.flows)))
		}
	}
	return strings.Join(parts, ", ")
}

// some names the first of several flows.
func some(flows []matrix.Flow) string {
	const most = 3
	var names []string
	for _, f := range flows[:min(most, len(flows))] {
		names = append(names, f.String())
	}
	if n := len(flows) - most; n > 0 {
		names = append(names, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(names, ", ")
}
