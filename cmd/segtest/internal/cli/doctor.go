package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/segtest/segtest/cmd/segtest/internal/doctor"
	"github.com/segtest/segtest/fixtures/cluster/kindcluster"
	"github.com/segtest/segtest/fixtures/image"
	"github.com/segtest/segtest/suites/report"
)

func newDoctor(io stdio) *cobra.Command {
	as, only := output(), choice{words: []string{"docker", "image", "kernel"}}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "look at the host: what a run would use, and what is missing",
		Long: `Looks at Docker, at the source of the probe agent, at the node image that a run would use and why, and finds out
by trying what the kernel can do for policy engines and faults. Changes nothing
that lasts. Exits 3 when something is missing without which no run can start.`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks, err := examine(cmd.Context(), only.value)
			if err != nil {
				return &exitError{code: exitInterrupted, err: err}
			}
			if err := printChecks(io.out, as.value, columns(io.out), checks); err != nil {
				return environmentError(err)
			}
			for _, c := range checks {
				if c.Required && c.State != doctor.OK {
					return &exitError{code: exitEnvironment}
				}
			}
			return nil
		},
	}
	cmd.Flags().VarP(&as, "output", "o", "how to print it")
	cmd.Flags().Var(&only, "only", "look at this alone")
	return cmd
}

// examine runs the checks; only an interrupt keeps it from their end.
func examine(ctx context.Context, only string) ([]doctor.Check, error) {
	docker := kindcluster.CLI{}
	var checks []doctor.Check
	want := func(name string) bool { return only == "" || only == name }
	if want("docker") {
		checks = append(checks, doctor.Docker(ctx, docker))
	}
	if only == "" {
		checks = append(checks, doctor.Go(ctx), doctor.Agent(ctx, image.Source{}))
	}
	var node string
	if want("image") || want("kernel") {
		check, choice := doctor.Image(ctx, docker)
		if want("image") {
			checks = append(checks, check)
		}
		node = choice.Image
	}
	if want("kernel") {
		checks = append(checks, doctor.Kernel(ctx, node)...)
	}
	return checks, errors.Join(context.Cause(ctx))
}

// printChecks as text, in lines of a width (0 does not wrap), or as json.
func printChecks(w io.Writer, as string, width int, checks []doctor.Check) error {
	if as == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(struct {
			Schema string         `json:"schema"`
			Checks []doctor.Check `json:"checks"`
		}{"segtest.dev/doctor/v1alpha1", checks})
	}
	for _, c := range checks {
		mark := map[doctor.State]string{doctor.OK: "✓", doctor.Missing: "✗", doctor.Unknown: "?"}[c.State]
		if c.State == doctor.Missing && !c.Required {
			mark = "!"
		}
		text := hanging(mark+" ", c.Name+": "+c.Detail, width)
		if c.Cure != "" {
			text += hanging("    → ", c.Cure, width)
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
	return nil
}

// hanging is a text behind a mark, whose later lines begin where the first does.
func hanging(mark, text string, width int) string {
	indent := utf8.RuneCountInString(mark)
	lines := []string{text}
	if width > 0 {
		lines = report.Wrap(text, width-indent)
	}
	return mark + strings.Join(lines, "\n"+strings.Repeat(" ", indent)) + "\n"
}
