package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// errInterrupted is the cause of a context that Ctrl-C cancelled.
var errInterrupted = errors.New("interrupted")

// parting is how long a verb that has nothing to clean up may go on after an
// interrupt: long enough to kill the commands that it runs.
const parting = 250 * time.Millisecond

// cleansUp reports that the arguments name a verb that makes something, which it
// removes after an interrupt. All others just end.
func cleansUp(root *cobra.Command, args []string) bool {
	verb, _, err := root.Find(args)
	return err == nil && slices.Contains([]string{"clean", "reaper", "run"}, verb.Name())
}

// interruptible cancels the context on the first SIGINT or SIGTERM, with
// errInterrupted. It ends the process on the second, and where there is nothing to
// clean up soon after the first; leave says so and gives the exit code.
func interruptible(parent context.Context, errOut io.Writer, cleansUp bool, leave func() int) (context.Context, context.CancelFunc) {
	life, end := context.WithCancel(parent)
	ctx, cancel := context.WithCancelCause(life)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		code := func() int { return exitInterrupted }
		var soon <-chan time.Time
		select {
		case <-life.Done():
			return
		case s := <-signals:
			if cleansUp {
				fmt.Fprintf(errOut, "segtest: %v: cleaning up; once more to leave at once (then `segtest clean` removes the rest)\n", s)
			} else {
				soon, code = time.After(parting), leave
			}
			cancel(errInterrupted)
		}
		select {
		case <-life.Done():
		case <-soon:
			os.Exit(code()) //nolint:forbidigo // a long computation asks no context
		case <-signals:
			os.Exit(code()) //nolint:forbidigo // the second interrupt means now
		}
	}()
	return ctx, func() { signal.Stop(signals); end() }
}
