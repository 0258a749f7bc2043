package judge_test

import (
	"fmt"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/run/record"
)

// A denied flow got through once. That the next try was clean does not help.
func ExampleJudge() {
	rec := complete(flow(denied, matrix.Deny, matrix.Deny), tries(matrix.Connected, matrix.TimedOut))
	result := judge.Judge(rec)
	for _, c := range result.Cases {
		if c.Phase == record.PhaseMatrix {
			fmt.Printf("%s: %s (%s), expected %s, observed %s\n", c.Name, c.Verdict, c.Kind, c.Expected, c.Observed)
		}
	}
	fmt.Println("exit code", result.ExitCode())
	// Output:
	// shop/attacker-0 → shop/db-0 TCP/5432: fail (leak: enforcement), expected deny, observed connected
	// exit code 1
}
