package matrix

import (
	"fmt"
	"slices"
	"strings"
)

// names is the spelling of an enumeration: names[v] is the text of value v.
type names[T ~uint8] []string

func (n names[T]) of(v T) string {
	if int(v) < len(n) {
		return n[v]
	}
	return fmt.Sprintf("invalid(%d)", uint8(v))
}

func (n names[T]) marshal(v T) ([]byte, error) {
	if int(v) >= len(n) {
		return nil, fmt.Errorf("writing %T: %d has no name", v, uint8(v))
	}
	return []byte(n[v]), nil
}

func (n names[T]) unmarshal(v *T, text []byte, what string) error {
	i := slices.Index(n, string(text))
	if i < 0 {
		return fmt.Errorf("%q is not a %s (one of %s)", text, what, strings.Join(n, ", "))
	}
	*v = T(i)
	return nil
}
