package cli

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/segtest/segtest/fixtures/manifest"
)

// misuse is a mistake in the command line: one line that says what is wrong and
// what is allowed. Main adds the command that shows the help.
func misuse(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...), help: true}
}

// unknownVerb is what cobra refuses by itself: the first word is no verb.
func unknownVerb(root *cobra.Command, args []string) error {
	word := slices.Concat(args, []string{""})[0]
	if strings.HasPrefix(word, "-") {
		return misuse("flag %s stands before the verb; write segtest VERB %[1]s", word)
	}
	var known []string
	for _, verb := range root.Commands() {
		if !verb.Hidden {
			known = append(known, verb.Name())
		}
	}
	return misuse("unknown verb %q; %s", word, manifest.Suggest(word, known))
}

// newHelp shows the help of a verb, as --help does, and refuses a verb that
// nobody knows.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [VERB]",
		Short: "show the help of a verb",
		RunE: func(cmd *cobra.Command, args []string) error {
			verb, _, err := cmd.Root().Find(args)
			if err != nil {
				return unknownVerb(cmd.Root(), args)
			}
			verb.InitDefaultHelpFlag()
			verb.InitDefaultVersionFlag()
			return verb.Help()
		},
	}
}

// one positional argument: its name in the usage line, and what it may be.
func one(name, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return misuse("%s needs a %s: %s", cmd.Name(), name, what)
		case 1:
			return nil
		}
		return misuse("%s takes one %s, not %d: %q", cmd.Name(), name, len(args), args)
	}
}

// none is for verbs without positional arguments.
func none(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return misuse("%s takes flags only, not %q", cmd.Name(), args[0])
	}
	return nil
}

// flagError says what is wrong with a flag, instead of what pflag says.
func flagError(cmd *cobra.Command, err error) error {
	var (
		unknown *pflag.NotExistError
		missing *pflag.ValueRequiredError
		invalid *pflag.InvalidValueError
	)
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return misuse("unknown flag -%s", unknown.GetSpecifiedName())
	case errors.As(err, &unknown):
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, "--"+f.Name) })
		return misuse("unknown flag --%s; %s", unknown.GetSpecifiedName(), manifest.Suggest("--"+unknown.GetSpecifiedName(), known))
	case errors.As(err, &missing):
		f := missing.GetFlag()
		return misuse("--%s needs a value: %s", f.Name, allowed(f))
	case errors.As(err, &invalid):
		f := invalid.GetFlag()
		return misuse("--%s %q: want %s", f.Name, invalid.GetValue(), allowed(f))
	}
	return misuse("%w", err)
}

// allowed are the values that a flag takes.
func allowed(f *pflag.Flag) string {
	switch v := f.Value.(type) {
	case *choice:
		return or(v.words)
	case *times:
		return "a whole number from 1"
	case *span:
		return "a length of time behind the =, for example 10m, or no value at all"
	case *cidrs:
		return wantCIDR
	case *percent:
		return wantPercent
	default:
		switch v.Type() {
		case "uint64":
			return fmt.Sprintf("a whole number from 0 to %d", uint64(math.MaxUint64))
		case "bool":
			return "true or false, or no value at all"
		}
	}
	return strings.ReplaceAll(f.Usage, "`", "") // which name the value in the help
}

// choice is a flag that takes one of a few words. It implements pflag.Value.
type choice struct {
	value string // what it is where nobody says
	words []string
}

func (c *choice) String() string { return c.value }

// Type is what the help shows behind the flag's name.
func (c *choice) Type() string { return strings.Join(c.words, "|") }

// Set implements pflag.Value.
func (c *choice) Set(word string) error {
	if !slices.Contains(c.words, word) {
		return errors.New("want " + or(c.words))
	}
	c.value = word
	return nil
}

// output is how a verb prints what it found.
func output() choice { return choice{"text", []string{"text", "json"}} }

// or lists words: "json, junit or text".
func or(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
