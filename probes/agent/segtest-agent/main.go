// Segtest-agent is the process that runs in every fixture pod.
package main

import (
	"os"

	"github.com/segtest/segtest/probes/agent"
)

func main() { os.Exit(agent.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
