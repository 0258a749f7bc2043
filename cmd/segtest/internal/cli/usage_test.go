package cli_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/segtest/segtest/cmd/segtest/internal/cli"
	"github.com/segtest/segtest/suites/report"
)

// TestMisuse: a mistake in the command line is exit 2 and one line, which says
// what is wrong, what is allowed and where the help is.
func TestMisuse(t *testing.T) {
	t.Parallel()
	const seed = "a whole number from 0 to 18446744073709551615"
	const verbs = "known are bisect, clean, completion, diff, doctor, explain, help, lint, mutate, plan, report, run and 1 more"
	for _, row := range []struct{ line, want string }{
		{"paln shop.yaml", `unknown verb "paln"; did you mean "plan"? (see segtest --help)`},
		{"paln --help", `unknown verb "paln"; did you mean "plan"? (see segtest --help)`},
		{"help paln", `unknown verb "paln"; did you mean "plan"? (see segtest help --help)`},
		{"frobnicate", `unknown verb "frobnicate"; ` + verbs + ` (see segtest --help)`},
		{"--keep run x", `flag --keep stands before the verb; write segtest VERB --keep (see segtest --help)`},
		{"--frob", `unknown flag --frob; known are --help, --version (see segtest --help)`},

		{"plan", `plan needs a SCENARIO: a scenario file or folder, or the file or folder of manifests (see segtest plan --help)`},
		{"run", `run needs a SCENARIO: a scenario file or folder, or the file or folder of manifests (see segtest run --help)`},
		{"run a b", `run takes one SCENARIO, not 2: ["a" "b"] (see segtest run --help)`},
		{"diff", `diff needs a BASE: a Git revision, A..B, A...B, a scenario file, or a folder (see segtest diff --help)`},
		{"bisect", `bisect needs FROM and TO:PORT, for example shop/web shop/db:5432 (see segtest bisect --help)`},
		{"bisect a b:1 c d", `bisect takes FROM, TO:PORT and one SCENARIO, not 4 arguments: ["a" "b:1" "c" "d"] (see segtest bisect --help)`},
		{"explain a b:1 c -f d", `--file d and c are two scenarios; name one (see segtest explain --help)`},
		{"lint", `lint needs a SCENARIO or FOLDER: a scenario file or folder, or the file or folder of manifests (--rules lists the rules) (see segtest lint --help)`},
		{"mutate", `mutate needs a SCENARIO: a scenario file or folder, or the file or folder of manifests (--list lists the operators) (see segtest mutate --help)`},
		{"report", `report needs a RECORD: a record.jsonl, or the output folder of a run (see segtest report --help)`},
		{"doctor x", `doctor takes flags only, not "x" (see segtest doctor --help)`},
		{"clean x", `clean takes flags only, not "x" (see segtest clean --help)`},
		{"version x", `version takes flags only, not "x" (see segtest version --help)`},

		{"run x --sed 7", `unknown flag --sed; did you mean "--seed"? (see segtest run --help)`},
		{"run x -q", `unknown flag -q (see segtest run --help)`},
		{"run x --seed seven", `--seed "seven": want ` + seed + ` (see segtest run --help)`},
		{"run x --seed -1", `--seed "-1": want ` + seed + ` (see segtest run --help)`},
		{"run x --seed", `--seed needs a value: ` + seed + ` (see segtest run --help)`},
		{"run x --image", `--image needs a value: node image (default: chosen, see 'segtest doctor') (see segtest run --help)`},
		{"run x --keep=maybe", `--keep "maybe": want true or false, or no value at all (see segtest run --help)`},
		{"run x --report pdf=o", `--report "pdf=o": "pdf" is not a report format; want ` + formats() + ` (see segtest run --help)`},
		{"report x --report junit", `--report "junit": want FORMAT=FILE, for example junit=out/junit.xml (see segtest report --help)`},
		{"run x --select a", `--select "a": want FROM -> TO, FROM -> TO PROTOCOL/PORT or the ID of a flow, for example 'shop/web-0 -> shop/db-0 TCP/5432' or 'shop/* -> shop/db' (see segtest run --help)`},
		{"run x --select a->*→b", `--select "a->*→b": want one sender, one arrow and one receiver; * stands for any (see segtest run --help)`},
		{"run x --shard x", `--shard "x": want I/N, the number of this shard and of all, for example 1/3 (see segtest run --help)`},
		{"run x --shard 0/3", `--shard "0/3": want I/N with I from 1 to N, for example 1/3 (see segtest run --help)`},
		{"run x --shard 4/3", `--shard "4/3": want I/N with I from 1 to N, for example 1/3 (see segtest run --help)`},
		{"run x --shard", `--shard needs a value: ask only one of several parts of the flows, I/N, for example 1/3 (see segtest run --help)`},
		{"run x --repeat 0", `--repeat "0": want a whole number from 1 (see segtest run --help)`},
		{"run x --repeat -1", `--repeat "-1": want a whole number from 1 (see segtest run --help)`},
		{"run x --repeat often", `--repeat "often": want a whole number from 1 (see segtest run --help)`},
		{"run x --repeat", `--repeat needs a value: a whole number from 1 (see segtest run --help)`},
		{"run x --until-failure=0s", `--until-failure "0s": want a length of time behind the =, for example 10m, or no value at all (see segtest run --help)`},
		{"run x --until-failure=soon", `--until-failure "soon": want a length of time behind the =, for example 10m, or no value at all (see segtest run --help)`},
		{"run x --until-failure 10m", `--until-failure 10m: write --until-failure=10m (see segtest run --help)`},
		{"lint x --fail-on grave", `--fail-on "grave": want error, warning, info or never (see segtest lint --help)`},
		{"mutate x --min-score 0.8", `--min-score "0.8": want a percentage from 1 to 100 (see segtest mutate --help)`},
		{"mutate x --min-score", `--min-score needs a value: a percentage from 1 to 100 (see segtest mutate --help)`},
		{"doctor --only moon", `--only "moon": want docker, image or kernel (see segtest doctor --help)`},
		{"doctor -o xml", `--output "xml": want text or json (see segtest doctor --help)`},
		{"version --output=", `--output "": want text or json (see segtest version --help)`},
		{"plan --=x", `bad flag syntax: --=x (see segtest plan --help)`},
		{"completion bash x", `unknown command "x" for "segtest completion bash" (see segtest completion bash --help)`},
	} {
		t.Run(row.line, func(t *testing.T) {
			t.Parallel()
			code, out, errOut := segtest(strings.Fields(row.line)...)
			if code != 2 || out != "" || errOut != "segtest: "+row.want+"\n" {
				t.Errorf("exit %d, want 2; got %q and on standard error\n%s, want\n%s", code, out, errOut, row.want)
			}
		})
	}
}

// TestVersion: the flag prints what the verb prints.
func TestVersion(t *testing.T) {
	t.Parallel()
	_, verb, _ := segtest("version")
	code, flag, errOut := segtest("--version")
	if code != 0 || errOut != "" || flag != verb || !strings.HasPrefix(flag, "segtest ") {
		t.Errorf("exit %d: the flag prints %q, the verb %q (%s)", code, flag, verb, errOut)
	}
}

// TestHelp: help is help, however it is asked for.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, row := range [][2]string{{"help", "--help"}, {"help", ""}, {"help plan", "plan --help"}, {"help run", "run -h"}} {
		code, out, errOut := segtest(strings.Fields(row[0])...)
		_, same, _ := segtest(strings.Fields(row[1])...)
		if code != 0 || errOut != "" || out != same || !strings.Contains(out, "Usage:\n  segtest") {
			t.Errorf("%q: exit %d, %q\n%s\nand %q:\n%s", row[0], code, errOut, out, row[1], same)
		}
	}
}

func segtest(args ...string) (code int, out, errOut string) {
	var o, e bytes.Buffer
	code = cli.Main(args, nil, &o, &e)
	return code, o.String(), e.String()
}

// formats lists the report formats as a mistake does.
func formats() string {
	var names []string
	for _, f := range report.Formats() {
		names = append(names, f.Name)
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
