package cases

import (
	"fmt"
	"io/fs"
	"path"
	"slices"

	"sigs.k8s.io/yaml"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// worldFile holds what all cases of a folder begin with.
const worldFile = "world.yaml"

// Case is one test case: one or more steps, of which each changes what the
// steps before it left.
type Case struct {
	Name  string
	Steps []Step
}

// Step is one state of the world and what is expected of it.
type Step struct {
	Name  string // "" where the case has only one step
	World oracle.World
	// Invalid is what the error of oracle.New has to say; "" for a World that can
	// be judged. Cells are there only in the latter case.
	Invalid string
	Cells   []Cell
}

// Cell is what is expected of one flow: of its sender's half, of its receiver's
// half, and of both together.
type Cell struct {
	Flow            matrix.Flow
	Egress, Ingress matrix.Intent
}

// Intent is the answer for the flow as a whole: a deny of one half is certain
// whatever the other half says.
func (c Cell) Intent() matrix.Intent {
	switch {
	case c.Egress == matrix.Deny || c.Ingress == matrix.Deny:
		return matrix.Deny
	case c.Egress == matrix.Undefined || c.Ingress == matrix.Undefined:
		return matrix.Undefined
	}
	return matrix.Allow
}

// Load reads the cases of a folder: its world.yaml and all other *.yaml files,
// in order of file name. Names of cases are unique.
func Load(folder fs.FS) ([]Case, error) {
	files, err := fs.Glob(folder, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("listing cases: %w", err)
	}
	var base world
	if err := read(folder, worldFile, &base); err != nil {
		return nil, err
	}
	var all []Case
	for _, name := range files {
		if name == worldFile {
			continue
		}
		var f file
		if err := read(folder, name, &f); err != nil {
			return nil, err
		}
		for _, text := range f.Cases {
			if slices.ContainsFunc(all, func(c Case) bool { return c.Name == text.Name }) || text.Name == "" {
				return nil, fmt.Errorf("reading %s: case %q has no name of its own", name, text.Name)
			}
			c, err := text.build(base.clone())
			if err != nil {
				return nil, fmt.Errorf("reading %s: case %q: %w", name, text.Name, err)
			}
			all = append(all, c)
		}
	}
	return all, nil
}

func read(folder fs.FS, name string, into any) error {
	text, err := fs.ReadFile(folder, name)
	if err != nil {
		return fmt.Errorf("reading cases: %w", err)
	}
	// Not UnmarshalStrict: it takes a key beside a merged one for a duplicate.
	if err := yaml.Unmarshal(text, into, yaml.DisallowUnknownFields); err != nil {
		return fmt.Errorf("reading %s: %w", path.Base(name), err)
	}
	return nil
}

// file is one file of cases. Shapes are for YAML anchors that cases share.
type file struct {
	Shapes []any      `json:"shapes"`
	Cases  []caseText `json:"cases"`
}

// caseText is a case as it is written: with steps, or as one step.
type caseText struct {
	Name  string     `json:"name"`
	Steps []stepText `json:"steps"`
	change
	expectation
}

type stepText struct {
	Name string `json:"name"`
	change
	expectation
}

func (t caseText) build(w world) (Case, error) {
	steps := t.Steps
	if len(steps) == 0 {
		steps = []stepText{{change: t.change, expectation: t.expectation}}
	} else if !t.change.isZero() || !t.expectation.isZero() {
		return Case{}, fmt.Errorf("it has steps, so all else belongs into them")
	}
	c := Case{Name: t.Name}
	for i, s := range steps {
		if len(t.Steps) > 0 && s.Name == "" {
			return Case{}, fmt.Errorf("step %d has no name", i)
		}
		w.apply(s.change)
		built := Step{Name: s.Name, World: w.world(), Invalid: s.Invalid}
		if s.Invalid == "" {
			var err error
			if built.Cells, err = s.cells(built.World, w.Ask); err != nil {
				return Case{}, fmt.Errorf("step %q: %w", s.Name, err)
			}
		}
		c.Steps = append(c.Steps, built)
	}
	return c, nil
}
