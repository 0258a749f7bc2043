package cli

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/segtest/segtest/chaos/engine"
	"github.com/segtest/segtest/fixtures/cluster/existing"
	"github.com/segtest/segtest/fixtures/cluster/kindcluster"
	"github.com/segtest/segtest/fixtures/cluster/state"
)

func newClean(io stdio) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "clean",
		Short: "remove what killed and kept runs left, and nothing else",
		Long: `Removes the clusters of runs whose process is gone, killed runs and those with
--keep alike, with their kubeconfigs and state files; of a cluster that was
there before the run (--context) only the run's namespaces, by their label.
What carries no name or label of segtest's is never touched, nor is what
belongs to a run that still goes, or of which nobody knows whose it is, unless
--all is given.`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p := newProgress(io.err)
			defer p.Close()
			own, err := kindcluster.Cleaner{All: all}.Clean(cmd.Context(), p.Printf)
			borrowed, errBorrowed := existing.Cleaner{All: all}.Clean(cmd.Context(), p.Printf)
			printCleaned(io.out, own)
			printCleaned(io.out, borrowed)
			if err := errors.Join(err, errBorrowed); err != nil {
				return environmentError(err)
			}
			if len(own.Removed)+len(own.Kept)+len(borrowed.Removed)+len(borrowed.Kept) == 0 {
				fmt.Fprintln(io.out, "nothing of segtest's is left")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also what belongs to runs that still go, or has no state file")
	return cmd
}

// printCleaned says what became of what was found, a line each.
func printCleaned(w io.Writer, c state.Cleaned) {
	for _, f := range c.Removed {
		fmt.Fprintf(w, "removed %s: %s\n", f.File.Name, f.Reason)
	}
	for _, f := range c.Kept {
		fmt.Fprintf(w, "kept    %s: %s\n", f.File.Name, f.Reason)
	}
	for _, f := range c.Failed {
		fmt.Fprintf(w, "failed  %s: %v\n", f.File.Name, f.Err)
	}
}

// reaperSettle is how long the reaper watches a node that it thawed: the dead
// run's own docker pause may still be on its way.
const reaperSettle = 2 * time.Second

// newReaper is the process that mends a fault when the run that injected it
// dies. It is started by segtest itself.
func newReaper(io stdio) *cobra.Command {
	var journal string
	cmd := &cobra.Command{
		Use:    "reaper",
		Short:  "mend the faults of a run that dies (started by segtest itself)",
		Hidden: true,
		Args:   none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if journal == "" {
				return usageError(errors.New("--journal is missing"))
			}
			if err := engine.ReaperMain(cmd.Context(), io.in, journal, engine.HostUndoer{Settle: reaperSettle}, io.err); err != nil {
				return environmentError(err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&journal, "journal", "", "the journal of the run")
	return cmd
}
