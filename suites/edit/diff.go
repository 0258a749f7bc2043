package edit

import (
	"strings"

	"sigs.k8s.io/yaml"
)

// text is a value as lines of YAML; none for nil.
func text(v any) []string {
	if v == nil {
		return nil
	}
	b, err := yaml.Marshal(v)
	if err != nil {
		return nil // the types of the API can be written
	}
	return strings.Split(strings.TrimRight(string(b), "\n"), "\n")
}

// difference of two texts, line by line: what both have stays.
func difference(before, after []string) []Line {
	// longest[i][j] is how many lines before[i:] and after[j:] have in common.
	longest := make([][]int, len(before)+1)
	longest[len(before)] = make([]int, len(after)+1)
	for i := len(before) - 1; i >= 0; i-- {
		longest[i] = make([]int, len(after)+1)
		for j := len(after) - 1; j >= 0; j-- {
			if longest[i][j] = max(longest[i+1][j], longest[i][j+1]); before[i] == after[j] {
				longest[i][j] = longest[i+1][j+1] + 1
			}
		}
	}
	var out []Line
	i, j := 0, 0
	for i < len(before) || j < len(after) {
		switch {
		case i < len(before) && j < len(after) && before[i] == after[j]:
			out = append(out, Line{' ', before[i]})
			i, j = i+1, j+1
		case j == len(after) || i < len(before) && longest[i+1][j] >= longest[i][j+1]:
			out = append(out, Line{'-', before[i]})
			i++
		default:
			out = append(out, Line{'+', after[j]})
			j++
		}
	}
	return out
}
