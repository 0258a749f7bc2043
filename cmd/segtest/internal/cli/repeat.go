package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/segtest/segtest/fixtures/cluster"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run"
	"github.com/segtest/segtest/suites/run/record"
)

// untilFailure is how long --until-failure repeats where nobody says.
const untilFailure = 15 * time.Minute

// repeats is how often a run asks the matrix. The zero value is once.
type repeats struct {
	times times         // 0: no bound by number
	until time.Duration // 0: not until a failure; else at most so long
}

func (r *repeats) flag(flags *pflag.FlagSet) {
	flags.Var(&r.times, "repeat", "ask the matrix `N` times on the same cluster; a flow that fails once has failed")
	flags.Var((*span)(&r.until), "until-failure", "ask the matrix until a flow fails, for `DURATION` at most and, with --repeat, N times at most")
	flags.Lookup("until-failure").NoOptDefVal = untilFailure.String()
}

// stray finds the value of --until-failure among the arguments, where a space
// before it put it.
func (r repeats) stray(args []string) error {
	for _, word := range args {
		if _, err := time.ParseDuration(word); err == nil && r.until > 0 && len(args) > 1 {
			return misuse("--until-failure %s: write --until-failure=%[1]s", word)
		}
	}
	return nil
}

// several reports that the matrix may be asked more than once.
func (r repeats) several() bool { return r.times > 1 || r.until > 0 }

// write says it in a record.
func (r repeats) write(a *record.Asked) {
	if r.several() {
		a.Repeat, a.UntilFailure = int(r.times), r.until
	}
}

// repeatable is a run.Session.
type repeatable interface {
	Steps() []run.Step
	Repetition(n int) run.Step
	Do(ctx context.Context, step run.Step) error
	Record() record.Record
}

// run does all steps of a session and repeats the matrix before what follows it.
// The error is that of the step that failed.
func (r repeats) run(ctx context.Context, s repeatable, progress cluster.Progress) error {
	for _, step := range s.Steps() {
		if err := s.Do(ctx, step); err != nil {
			return err
		}
		if step.Name == record.PhaseMatrix {
			if err := r.matrix(ctx, s, progress); err != nil {
				return err
			}
		}
	}
	return nil
}

// matrix judges the first repetition, which ran, and runs and judges the others.
func (r repeats) matrix(ctx context.Context, s repeatable, progress cluster.Progress) error {
	if r.until > 0 {
		progress("asking the matrix until a flow fails, for at most %s%s", judge.Short(r.until), r.times.atMost())
	}
	start := time.Now()
	for n := 1; ; n++ {
		if n > 1 {
			if err := s.Do(ctx, s.Repetition(n)); err != nil {
				return err
			}
		}
		seen := judge.Repeated(s.Record(), n)
		progress("%s", repetitionLine(seen, s.Record().Flows))
		if r.done(seen, time.Since(start)) {
			return nil
		}
	}
}

// done reports that no repetition follows one that ended so long after the first
// began.
func (r repeats) done(seen judge.Repetition, since time.Duration) bool {
	switch {
	case r.times > 0 && seen.Number >= int(r.times):
		return true
	case r.until > 0:
		return seen.Fail > 0 || since >= r.until
	}
	return r.times == 0
}

// repetitionLine is one repetition in one line.
func repetitionLine(seen judge.Repetition, flows []record.Flow) string {
	line := fmt.Sprintf("repetition %d: %d pass, %d fail, %d inconclusive, in %s",
		seen.Number, seen.Pass+seen.KnownGap, seen.Fail, seen.Inconclusive, judge.Short(seen.Duration))
	var bad []matrix.Flow
	for _, i := range seen.Bad {
		bad = append(bad, flows[i].Flow)
	}
	if len(bad) > 0 {
		line += ": " + some(bad)
	}
	return line
}

// times is a flag that takes a number from 1. It implements pflag.Value; the zero
// value is no number.
type times int

func (t *times) String() string {
	if *t == 0 {
		return ""
	}
	return strconv.Itoa(int(*t))
}

// Type is what the help shows behind the flag's name.
func (t *times) Type() string { return "N" }

// Set implements pflag.Value.
func (t *times) Set(word string) error {
	n, err := strconv.ParseUint(word, 10, 31)
	if err != nil || n == 0 {
		return errors.New("want a whole number from 1")
	}
	*t = times(n) //nolint:gosec // it has 31 bits
	return nil
}

func (t times) atMost() string {
	if t == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d times", int(t))
}

// span is a flag that takes a length of time. It implements pflag.Value; the zero
// value is none.
type span time.Duration

func (s *span) String() string {
	if *s == 0 {
		return ""
	}
	return time.Duration(*s).String()
}

// Type is what the help shows behind the flag's name.
func (s *span) Type() string { return "DURATION" }

// Set implements pflag.Value.
func (s *span) Set(word string) error {
	d, err := time.ParseDuration(word)
	if err != nil || d <= 0 {
		return errors.New("want a length of time, for example 10m")
	}
	*s = span(d)
	return nil
}
