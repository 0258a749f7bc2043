package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	discard "io" // io is what the verb reads and writes
	"io/fs"
	"os"
	"path/filepath"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/suites/plan"
)

// snapshot writes the expectation and reads it back: what was written is proven
// to agree.
func (flags planFlags) snapshot(ctx context.Context, io stdio, p *plan.Plan) error {
	rules := p.Snapshot()
	text, err := flags.document(p, rules)
	if err != nil {
		return err
	}
	if flags.write == standardOutput {
		if _, err := io.out.Write(text); err != nil {
			return environmentError(fmt.Errorf("writing the expectation: %w", err))
		}
		return nil
	}
	if err := replace(flags.write, text); err != nil {
		return err
	}
	sc, err := flags.loading.load(ctx, flags.write, discard.Discard) // what there is to warn of was said
	if err != nil {
		return err
	}
	again, err := plan.Of(sc)
	if err != nil {
		return usageError(err)
	}
	t := again.Sheet(true).Tally
	word := "rules"
	if len(rules) == 1 {
		word = "rule"
	}
	open := ""
	if n := t.Computed[matrix.Undefined]; n > 0 {
		open = fmt.Sprintf(", %d of them left undefined", n)
	}
	fmt.Fprintf(io.out, "%s expects what the policies allow, with %d %s: it agrees on %d of %d flows%s\n", flags.write, len(rules), word, t.Agree, t.Flows, open)
	return differs(t, true)
}

// document is the new scenario. Its paths are as seen from its own folder.
func (flags planFlags) document(p *plan.Plan, rules []plan.Statement) ([]byte, error) {
	source := p.Scenario.Source
	var old []byte
	base := "."
	if !source.Folder {
		var err error
		if old, err = os.ReadFile(filepath.FromSlash(source.File)); err != nil {
			return nil, usageError(fmt.Errorf("reading the scenario: %w", err))
		}
		base = filepath.Dir(filepath.FromSlash(source.File))
	}
	folder := "."
	if flags.write != standardOutput {
		folder = filepath.Dir(flags.write)
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, environmentError(fmt.Errorf("finding the folder of %s: %w", flags.write, err))
	}
	text, err := p.Document(old, rules, func(path string) (string, error) {
		if filepath.IsAbs(path) {
			return path, nil
		}
		abs, err := filepath.Abs(filepath.Join(base, filepath.FromSlash(path)))
		if err != nil {
			return "", err
		}
		seen, err := filepath.Rel(folder, abs)
		return filepath.ToSlash(seen), err
	})
	if err != nil {
		return nil, usageError(err)
	}
	return text, nil
}

// replace writes a file that is not there, or that plan --write made.
func replace(path string, text []byte) error {
	old, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return usageError(fmt.Errorf("--write: %w", err))
	case !bytes.Contains(old, []byte(plan.Mark)):
		return usageError(fmt.Errorf("--write: %s is there and was not written by segtest: name another file, or remove it", path))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return environmentError(fmt.Errorf("--write: %w", err))
	}
	if err := os.WriteFile(path+".new", text, 0o644); err != nil { //nolint:gosec // it is to be committed
		return environmentError(fmt.Errorf("--write: %w", err))
	}
	if err := os.Rename(path+".new", path); err != nil {
		return environmentError(fmt.Errorf("--write: %w", err))
	}
	return nil
}
