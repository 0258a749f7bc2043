package cli

import (
	"testing"

	"github.com/segtest/segtest/fixtures/revision"
)

// A rule is all of its lines, and none of the next rule.
func TestExtent(t *testing.T) {
	t.Parallel()
	const text = `# comment
kind: NetworkPolicy
spec:
  ingress:
  - from:
    - podSelector: {}

    ports: [{port: 80}]
    # of this rule
  - ports: [{port: 81}]
  egress: []
---
kind: Other
`
	for _, row := range []struct {
		name         string
		line, column int
		want         revision.Span
	}{
		{"a rule", 5, 5, revision.Span{First: 5, Last: 9}},
		{"the next rule", 10, 5, revision.Span{First: 10, Last: 10}},
		{"a policy", 2, 1, revision.Span{First: 2, Last: 11}},
		{"the last document", 13, 1, revision.Span{First: 13, Last: 13}},
	} {
		if got := extent([]byte(text), row.line, row.column); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
}
