package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/segtest/segtest/chaos/engine"
	"github.com/segtest/segtest/fixtures/cluster/kindcluster"
)

func newClean(io stdio) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "clean",
		Short: "remove what killed and kept runs left, and nothing else",
		Long: `Removes the clusters of runs whose process is gone, killed runs and those with
--keep alike, with their kubeconfigs and state files. What carries no name of
segtest's is never touched, nor is the cluster of a run that still goes, or of
which nobody knows whose it is, unless --all is given.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p := newProgress(io.err)
			defer p.Close()
			cleaned, err := kindcluster.Cleaner{All: all}.Clean(cmd.Context(), p.Printf)
			for _, f := range cleaned.Removed {
				fmt.Fprintf(io.out, "removed %s: %s\n", f.Name, f.Reason)
			}
			for _, f := range cleaned.Kept {
				fmt.Fprintf(io.out, "kept    %s: %s\n", f.Name, f.Reason)
			}
			for _, f := range cleaned.Failed {
				fmt.Fprintf(io.out, "failed  %s: %v\n", f.Name, f.Err)
			}
			if err != nil {
				return environmentError(err)
			}
			if len(cleaned.Removed)+len(cleaned.Kept) == 0 {
				fmt.Fprintln(io.out, "nothing of segtest's is left")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also the clusters of runs that still go, and those without a state file")
	return cmd
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
		Args:   cobra.NoArgs,
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
