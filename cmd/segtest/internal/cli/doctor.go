package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/segtest/segtest/cmd/segtest/internal/doctor"
	"github.com/segtest/segtest/fixtures/cluster/kindcluster"
)

func newDoctor(io stdio) *cobra.Command {
	var output, only string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "look at the host: what a run would use, and what is missing",
		Long: `Looks at Docker, at the node image that a run would use and why, and finds out
by trying what the kernel can do for policy engines and faults. Changes nothing
that lasts. Exits 3 when something is missing without which no run can start.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks, err := examine(cmd.Context(), only)
			if err != nil {
				return err
			}
			if err := printChecks(io.out, output, checks); err != nil {
				return err
			}
			for _, c := range checks {
				if c.Required && c.State != doctor.OK {
					return &exitError{code: exitEnvironment}
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	cmd.Flags().StringVar(&only, "only", "", "docker, image or kernel alone")
	return cmd
}

func examine(ctx context.Context, only string) ([]doctor.Check, error) {
	docker := kindcluster.CLI{}
	var checks []doctor.Check
	want := func(name string) bool { return only == "" || only == name }
	switch only {
	case "", "docker", "image", "kernel":
	default:
		return nil, usageError(fmt.Errorf("--only %q: want docker, image or kernel", only))
	}
	if want("docker") {
		checks = append(checks, doctor.Docker(ctx, docker))
	}
	if only == "" {
		checks = append(checks, doctor.Go(ctx))
	}
	var image string
	if want("image") || want("kernel") {
		check, choice := doctor.Image(ctx, docker)
		if want("image") {
			checks = append(checks, check)
		}
		image = choice.Image
	}
	if want("kernel") {
		checks = append(checks, doctor.Kernel(ctx, image)...)
	}
	return checks, errors.Join(context.Cause(ctx))
}

func printChecks(w io.Writer, output string, checks []doctor.Check) error {
	switch output {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(struct {
			Schema string         `json:"schema"`
			Checks []doctor.Check `json:"checks"`
		}{"segtest.dev/doctor/v1alpha1", checks})
	case "text":
	default:
		return usageError(fmt.Errorf("--output %q: want text or json", output))
	}
	for _, c := range checks {
		mark := map[doctor.State]string{doctor.OK: "✓", doctor.Missing: "✗", doctor.Unknown: "?"}[c.State]
		if c.State == doctor.Missing && !c.Required {
			mark = "!"
		}
		fmt.Fprintf(w, "%s %s: %s\n", mark, c.Name, c.Detail)
		if c.Cure != "" {
			fmt.Fprintf(w, "    → %s\n", c.Cure)
		}
	}
	return nil
}
