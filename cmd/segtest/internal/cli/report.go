package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
			"judges it and writes reports. Exits as the run did, and with 3 for the record of\n" +
			"a run that died. The formats are:\n\n" + formatList(),
		Example: "  segtest report .segtest/runs/0a1b2c3d --report junit=out/junit.xml",
		Args:    one("RECORD", "a record.jsonl, or the output folder of a run"),
		RunE: func(_ *cobra.Command, args []string) error {
			sinks, err := parseReports(reports)
			if err != nil {
				return err
			}
			rec, err := readRecord(args[0])
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

// readRecord reads a record file, or the one in the output folder of a run.
func readRecord(name string) (record.Record, error) {
	info, problems := manifest.NewReader(nil).Stat(manifest.Clean(name), oracle.Origin{})
	if problems != nil {
		return record.Record{}, fmt.Errorf("reading the record: %s; %s", problems[0].Message, problems[0].Hint)
	}
	if info.IsDir() {
		file := recordFile(name)
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return record.Record{}, fmt.Errorf("reading the record: the folder %s holds no %s; name the output folder of one run, such as .segtest/runs/RUN, or its record", name, filepath.Base(file))
		}
		name = file
	}
	f, err := os.Open(name)
	if err != nil {
		return record.Record{}, fmt.Errorf("reading the record: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	rec, err := record.Read(f)
	if err != nil {
		return record.Record{}, fmt.Errorf("reading %s: %w", name, err)
	}
	return rec, nil
}

func formatList() string {
	var b strings.Builder
	for _, f := range report.Formats() {
		fmt.Fprintf(&b, "  %-8s %s\n", f.Name, f.Summary)
	}
	return b.String()
}

// sink is one --report.
type sink struct {
	format report.Format
	path   string
}

func parseReports(texts []string) ([]sink, error) {
	var sinks []sink
	for _, text := range texts {
		name, path, ok := strings.Cut(text, "=")
		if !ok || path == "" {
			return nil, misuse("--report %q: want FORMAT=FILE, for example junit=out/junit.xml", text)
		}
		format, ok := report.Find(name)
		if !ok {
			var known []string
			for _, f := range report.Formats() {
				known = append(known, f.Name)
			}
			return nil, misuse("--report %q: %q is not a report format; want %s", text, name, or(known))
		}
		sinks = append(sinks, sink{format, path})
	}
	return sinks, nil
}

// standardOutput as a path stands for the standard output, and takes the place
// of the page for people.
const standardOutput = "-"

// writeAll writes the result to the terminal and to every sink. One that
// cannot be written does not keep the others from it.
func writeAll(out io.Writer, sinks []sink, result judge.Result) error {
	var errs []error
	if !slices.ContainsFunc(sinks, func(s sink) bool { return s.path == standardOutput }) {
		errs = append(errs, report.Text(out, result, terminal(out)))
	}
	for _, s := range sinks {
		if err := s.write(out, result); err != nil {
			errs = append(errs, fmt.Errorf("writing the %s report: %w", s.format.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (s sink) write(out io.Writer, result judge.Result) (err error) {
	if s.path == standardOutput {
		return s.format.Write(out, result)
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(s.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return s.format.Write(f, result)
}

// terminal says how to write text for whoever reads out.
func terminal(out io.Writer) report.TextOptions {
	o := report.TextOptions{Color: colour(out), Width: cmp.Or(columns(out), 100)}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(name); v != "" {
			o.ASCII = !strings.Contains(strings.ToUpper(strings.ReplaceAll(v, "-", "")), "UTF8")
			break
		}
	}
	return o
}
