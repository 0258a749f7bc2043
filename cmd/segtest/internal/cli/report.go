package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/segtest/segtest/fixtures/manifest"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/report"
	"github.com/segtest/segtest/suites/run/record"
)

func newReport(io stdio) *cobra.Command {
	var reports []string
	cmd := &cobra.Command{
		Use:   "report RECORD",
		Short: "judge a record again and write reports from it",
		Long: "Reads the record of a run, a record.jsonl or the output folder that holds it,\n" +
			"judges it and writes reports. Exits as the run did, and for a record that ends\n" +
			"early, because the run died, with 3, or 1 where it holds a violation. The formats\n" +
			"are:\n\n" + formatList(),
		Example: "  segtest report .segtest/runs/0a1b2c3d --report junit=out/junit.xml",
		Args:    one("RECORD", "a record.jsonl, or the output folder of a run"),
		RunE: func(_ *cobra.Command, args []string) error {
			sinks, err := parseReports(reports)
			if err != nil {
				return err
			}
			file, err := findRecord(args[0])
			if err != nil {
				return usageError(err)
			}
			if err := apart(sinks, file); err != nil {
				return err
			}
			rec, err := record.ReadFile(file)
			if err != nil {
				return usageError(err)
			}
			result := judge.Judge(rec)
			if err := writeAll(io.out, sinks, result); err != nil {
				return environmentError(err)
			}
			if code := result.ExitCode(); code != exitOK {
				return &exitError{code: code}
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&reports, "report", nil, "FORMAT=FILE, may be repeated; - is the standard output")
	return cmd
}

// findRecord is a record file, or the one in the output folder of a run.
func findRecord(name string) (string, error) {
	info, problems := manifest.NewReader(nil).Stat(manifest.Clean(name), oracle.Origin{})
	if problems != nil {
		return "", fmt.Errorf("reading the record: %s; %s", problems[0].Message, problems[0].Hint)
	}
	if !info.IsDir() {
		return name, nil
	}
	file := recordFile(name)
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the record: the folder %s holds no %s; name the output folder of one run, such as .segtest/runs/RUN, or its record", name, filepath.Base(file))
	}
	return file, nil
}

func formatList() string {
	var b strings.Builder
	for _, f := range report.Formats() {
		fmt.Fprintf(&b, "  %-8s %s\n", f.Name, f.Summary)
	}
	return b.String()
}
