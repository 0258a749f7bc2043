// Package cli is the command line: one file per verb. Flags live here and
// nowhere else. Results go to standard output, progress to standard error.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/spf13/cobra"
)

// The exit codes, the same for every verb.
const (
	exitOK           = 0   // as expected
	exitViolated     = 1   // an expectation is violated
	exitUsage        = 2   // usage or file error
	exitEnvironment  = 3   // cluster, Docker, image
	exitInconclusive = 4   // nothing is proven
	exitFindings     = 5   // lint found something of the severity that fails
	exitInterrupted  = 130 // Ctrl-C
)

// exitError carries an exit code. A nil err prints nothing: what there was to
// say has been said.
type exitError struct {
	code int
	err  error
	help bool // the verb's help says how to do better
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usageError is a mistake in the command line or in a file.
func usageError(err error) error { return &exitError{code: exitUsage, err: err} }

// environmentError is the machine's or the cluster's fault.
func environmentError(err error) error { return &exitError{code: exitEnvironment, err: err} }

// stdio are the streams of one invocation.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// Main runs segtest with the given arguments and returns its exit code. An
// interrupt cancels what runs, which then cleans up; a second one does not
// wait for that. A verb that has nothing to clean up ends with the first.
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRoot(stdio{in, out, errOut})
	root.SetArgs(args)
	tidy := cleansUp(root, args)
	leave := sync.OnceValue(func() int {
		fmt.Fprintln(errOut, "segtest:", errInterrupted)
		return exitInterrupted
	})
	ctx, stop := interruptible(context.Background(), errOut, tidy, leave)
	defer stop()
	cmd, err := root.ExecuteContextC(ctx)
	if !tidy && errors.Is(context.Cause(ctx), errInterrupted) {
		return leave()
	}
	if err == nil {
		return exitOK
	}
	var exit *exitError
	if !errors.As(err, &exit) { // cobra's own: all other errors come from here
		exit = &exitError{code: exitUsage, err: err, help: true}
		if cmd == root {
			exit.err = unknownVerb(root, args)
		}
	}
	switch {
	case exit.help:
		fmt.Fprintf(errOut, "segtest: %v (see %s --help)\n", exit.err, cmd.CommandPath())
	case exit.err != nil:
		fmt.Fprintln(errOut, "segtest:", exit.err)
	}
	return exit.code
}

func newRoot(io stdio) *cobra.Command {
	root := &cobra.Command{
		Use:   "segtest",
		Short: "prove network segmentation on ephemeral Kubernetes clusters",
		Long: `segtest answers one question with evidence: does the network segmentation that
a team wrote down hold on a real cluster, also while things break?

Exit codes: 0 as expected, 1 expectation violated, 2 usage or file error,
3 environment (cluster, Docker, image), 4 inconclusive, 5 lint findings,
130 interrupted.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       buildVersion().String(),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(newHelp())
	root.AddCommand(verbs(io)...)
	return root
}

// verbs is the list of all verbs, in order of name.
func verbs(io stdio) []*cobra.Command {
	return []*cobra.Command{
		newBisect(io),
		newClean(io),
		newDiff(io),
		newDoctor(io),
		newExplain(io),
		newLint(io),
		newMutate(io),
		newPlan(io),
		newReaper(io),
		newReport(io),
		newRun(io),
		newVersion(io),
	}
}
