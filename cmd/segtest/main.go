// Command segtest proves network segmentation on ephemeral Kubernetes clusters.
package main

import (
	"os"

	"github.com/segtest/segtest/cmd/segtest/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
