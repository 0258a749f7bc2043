// Package doctor looks at the host before a run does: what it has, what its
// kernel can do, and what to do about what is missing.
package doctor

import (
	"bytes"
	"context"
	_ "embed" // the script that tries the kernel
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/segtest/segtest/suites/judge"
)

//go:embed kernel.sh
var kernelScript []byte

// State of a check. The zero value is Unknown.
type State string

// The states.
const (
	Unknown State = ""
	OK      State = "ok"
	Missing State = "no"
)

// Check is one thing that a run needs or can use.
type Check struct {
	Name   string `json:"name"`
	State  State  `json:"state"`
	Detail string `json:"detail,omitempty"`
	Cure   string `json:"cure,omitempty"` // what to do where it is missing
	// Required: a run cannot start without it.
	Required bool `json:"required"`
}

// features are what kernel.sh tries, in order, and what each is good for.
var features = []struct{ name, use, cure string }{ //nolint:gochecknoglobals // constant table
	{"nft-queue", "policy engines that hand packets over by nft queue (kindnet)", "use the node image from source (make node-image), which falls back to the NFQUEUE target, or load nft_queue"},
	{"nfqueue-target", "the source image's policy engine where nft queue is missing", "load xt_NFQUEUE, or use another CNI with cni.manifests"},
	{"netem", "faults that delay or lose packets", "load sch_netem; the faults of this version do not need it"},
	{"ipv6", "ipFamily: ipv6 and dual", "boot with IPv6 enabled, or stay with ipFamily: ipv4"},
	{"sctp", "flows by SCTP, which are inconclusive without it", judge.LoadSCTP + ", or leave these flows out (--select)"},
}

// Kernel tries the kernel's features inside the given node image when it is
// present, so that neither root nor tools are needed on the host; otherwise
// with the host's own tools when it may.
func Kernel(ctx context.Context, image string) []Check {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	out, err := tryKernel(ctx, image)
	seen := parseFeatures(out)
	checks := make([]Check, 0, len(features))
	for _, f := range features {
		c := Check{Name: "kernel: " + f.name, Detail: f.use, Cure: f.cure}
		if s, ok := seen[f.name]; ok {
			c.State = s.state
			if s.reason != "" {
				c.Detail += ": " + s.reason
			}
		} else if err != nil {
			c.Detail += ": not tried: " + err.Error()
		}
		if c.State == OK {
			c.Cure = ""
		}
		checks = append(checks, c)
	}
	return checks
}

func tryKernel(ctx context.Context, image string) ([]byte, error) {
	var cmd *exec.Cmd
	switch {
	case image != "" && exec.CommandContext(ctx, "docker", "image", "inspect", image).Run() == nil:
		cmd = exec.CommandContext(ctx, "docker", "run", "--rm", "--interactive", "--privileged", "--network", "none",
			"--label", "segtest.dev/doctor=kernel", "--entrypoint", "sh", image, "-s")
	case os.Geteuid() == 0:
		cmd = exec.CommandContext(ctx, "unshare", "--net", "sh", "-s")
	default:
		return nil, fmt.Errorf("it takes a node image in Docker, or root")
	}
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(kernelScript), &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("running %q: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

type feature struct {
	state  State
	reason string
}

func parseFeatures(out []byte) map[string]feature {
	seen := map[string]feature{}
	for line := range strings.Lines(string(out)) {
		f := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(f) < 2 {
			continue
		}
		var reason string
		if len(f) == 3 {
			reason = f[2]
		}
		switch f[1] {
		case "ok":
			seen[f[0]] = feature{OK, reason}
		case "no":
			seen[f[0]] = feature{Missing, reason}
		default:
			seen[f[0]] = feature{Unknown, reason}
		}
	}
	return seen
}
