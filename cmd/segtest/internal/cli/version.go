package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version is what this binary was built from.
type version struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// String is what people read.
func (v version) String() string {
	return strings.Join(strings.Fields(fmt.Sprintf("segtest %s %s %s %s", v.Version, v.Revision, v.Go, v.Platform)), " ")
}

func buildVersion() version {
	v := version{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Revision = s.Value
		}
	}
	return v
}

func newVersion(io stdio) *cobra.Command {
	as := output()
	cmd := &cobra.Command{
		Use:   "version",
		Short: "print the version",
		Args:  none,
		RunE: func(*cobra.Command, []string) error {
			v := buildVersion()
			var err error
			if as.value == "json" {
				err = json.NewEncoder(io.out).Encode(v)
			} else {
				_, err = fmt.Fprintln(io.out, v)
			}
			if err != nil {
				return environmentError(fmt.Errorf("printing the version: %w", err))
			}
			return nil
		},
	}
	cmd.Flags().VarP(&as, "output", "o", "how to print it")
	return cmd
}
