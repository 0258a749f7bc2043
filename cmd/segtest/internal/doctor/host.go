package doctor

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/segtest/segtest/fixtures/cluster/kindcluster"
	"github.com/segtest/segtest/fixtures/image"
)

// Docker asks the daemon who it is.
func Docker(ctx context.Context, docker kindcluster.Docker) Check {
	c := Check{Name: "docker", Required: true}
	host, err := kindcluster.Inspect(ctx, docker)
	if err != nil {
		c.State, c.Detail = Missing, err.Error()
		c.Cure = "start Docker, or in a checkout of segtest: make docker-up"
		return c
	}
	c.State = OK
	c.Detail = fmt.Sprintf("version %s, kernel %s, cgroup v%s, %s", host.Docker, host.Kernel, host.Cgroup, host.Arch)
	return c
}

// Image says which node image a run would use, and why. One that is not here
// is asked for at its registry, without pulling it.
func Image(ctx context.Context, docker kindcluster.Docker) (Check, kindcluster.Choice) {
	c := Check{Name: "node image", Required: true}
	choice, err := kindcluster.ChooseImage(ctx, docker, "")
	if err != nil {
		c.State, c.Detail = Missing, err.Error()
		c.Cure = "mend Docker first"
		return c, choice
	}
	c.Detail = fmt.Sprintf("%s: %s", choice.Image, choice.Why)
	if len(choice.Flavours) > 0 {
		c.Detail += "; flavours " + strings.Join(choice.Flavours, ", ")
	}
	if !choice.Pull {
		c.State = OK
		return c, choice
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 20*time.Second, errors.New("no answer within 20 s"))
	defer cancel()
	if _, err := docker.Run(ctx, nil, "manifest", "inspect", choice.Image); err != nil {
		c.State = Missing
		c.Detail += "; its registry does not answer"
		c.Cure = "build it from source: make node-image (about 12 minutes, once)"
		return c, choice
	}
	c.State = OK
	c.Detail += "; its registry has it"
	return c, choice
}

// Go is needed to build the probe agent from source.
func Go(ctx context.Context) Check {
	c := Check{Name: "go", Required: true, Detail: "builds the probe agent"}
	out, err := exec.CommandContext(ctx, "go", "version").Output()
	if err != nil {
		c.State = Missing
		c.Cure = "install Go 1.26 or newer"
		return c
	}
	c.State, c.Detail = OK, strings.TrimSpace(string(out))
	return c
}

// Agent says from which source a run would build the probe agent. The zero
// Source looks where a run does.
func Agent(ctx context.Context, source image.Source) Check {
	c := Check{Name: "probe agent", Required: true}
	dir, err := source.Locate(ctx)
	if err != nil {
		c.State, c.Detail = Missing, err.Error()
		c.Cure = "run segtest inside a checkout of " + image.Module + ", or `make install` it from one that stays"
		return c
	}
	c.State, c.Detail = OK, "built from the source in "+dir+", once"
	return c
}
