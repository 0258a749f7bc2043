package doctor

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

func TestParseFeatures(t *testing.T) {
	t.Parallel()
	seen := parseFeatures([]byte("nft-queue no Error: Could not process rule\nipv6 ok\ntc unknown there is no tc\nnoise\n"))
	for name, want := range map[string]feature{
		"nft-queue": {Missing, "Error: Could not process rule"},
		"ipv6":      {OK, ""},
		"tc":        {Unknown, "there is no tc"},
		"sctp":      {},
	} {
		if got := seen[name]; got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}

// Every feature that the table knows is tried by the script, and the other way round.
func TestScriptTriesEveryFeature(t *testing.T) {
	t.Parallel()
	for _, f := range features {
		if !bytes.Contains(kernelScript, []byte("try "+f.name+" ")) {
			t.Errorf("kernel.sh does not try %s", f.name)
		}
	}
	if got, want := strings.Count(string(kernelScript), "\ntry ")+strings.Count(string(kernelScript), "\n  try "), len(features); got != want {
		t.Errorf("kernel.sh tries %d features, the table knows %d", got, want)
	}
}

func TestScriptIsShell(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "sh", "-n")
	cmd.Stdin = bytes.NewReader(kernelScript)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
