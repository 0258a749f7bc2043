package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"time"

	"github.com/segtest/segtest/fixtures/revision"
	"github.com/segtest/segtest/suites/diff"
)

// creditDeadline bounds the search for authors: without them a difference is
// still one.
const creditDeadline = 30 * time.Second

// credit finds who last changed each rule of a version, and gives its place as
// the user reaches it. What cannot be found is said to w.
func (v side) credit(ctx context.Context, causes []*diff.Cause, w io.Writer) {
	if v.repo == nil {
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, creditDeadline, fmt.Errorf("it takes longer than %s", creditDeadline))
	defer cancel()
	sorted := slices.SortedStableFunc(slices.Values(causes), func(a, b *diff.Cause) int { return a.Origin.Compare(b.Origin) })
	for len(sorted) > 0 {
		file := sorted[0].Origin.File
		n := slices.IndexFunc(sorted, func(c *diff.Cause) bool { return c.Origin.File != file })
		if n < 0 {
			n = len(sorted)
		}
		err := v.creditFile(ctx, file, sorted[:n])
		if errors.Is(context.Cause(ctx), errInterrupted) {
			return
		}
		if err != nil {
			fmt.Fprintf(w, "warning: who wrote the rules of %s cannot be told: %v\n", cmp.Or(file, "an unknown file"), err)
		}
		sorted = sorted[n:]
	}
}

// creditFile credits the rules of one file.
func (v side) creditFile(ctx context.Context, file string, causes []*diff.Cause) error {
	name := file
	if v.Commit.Hash == "" {
		name = v.repo.Inside(file)
	} else {
		for _, c := range causes {
			c.Origin.File = v.repo.Reach(file)
		}
	}
	causes = slices.DeleteFunc(slices.Clone(causes), func(c *diff.Cause) bool { return c.Origin.Line == 0 || c.Origin.Via == "rendered" })
	if len(causes) == 0 {
		return nil
	}
	data, err := v.content(file)
	if err != nil {
		return err
	}
	spans := make([]revision.Span, len(causes))
	for i, c := range causes {
		spans[i] = extent(data, c.Origin.Line, c.Origin.Column)
	}
	commits, err := v.repo.Blame(ctx, v.Commit.Hash, path.Clean(name), spans)
	if err != nil {
		return err
	}
	for i, c := range causes {
		c.Credit = diff.Credit{Known: true, Commit: commits[i]}
	}
	return nil
}

// extent is the lines of what begins at a place of a YAML file: those that follow
// and are indented as far, up to the end of the document.
func extent(data []byte, line, column int) revision.Span {
	span := revision.Span{First: line, Last: line}
	for i, text := range bytes.Split(data, []byte("\n")) {
		number, content := i+1, bytes.TrimLeft(text, " ")
		switch {
		case number <= line, len(bytes.TrimSpace(content)) == 0:
			continue
		case bytes.HasPrefix(text, []byte("---")), bytes.HasPrefix(text, []byte("...")), len(text)-len(content) < column-1:
			return span
		}
		span.Last = number
	}
	return span
}
