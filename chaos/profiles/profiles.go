// Package profiles holds what each policy engine is known to do, as data: one
// YAML file per profile. A gap belongs to the owner pattern of a flow, that is
// to the nodes that enforce it, and has a bound and a link.
package profiles

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/segtest/segtest/chaos"
)

//go:embed *.yaml
var files embed.FS

// All lists the profiles in order of name.
func All() ([]chaos.Profile, error) {
	names, err := fs.Glob(files, "*.yaml") // sorted
	if err != nil {
		return nil, fmt.Errorf("listing profiles: %w", err)
	}
	all := make([]chaos.Profile, 0, len(names))
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading profile %s: %w", name, err)
		}
		var p chaos.Profile
		if err := yaml.UnmarshalStrict(text, &p); err != nil {
			return nil, fmt.Errorf("reading profile %s: %w", name, err)
		}
		all = append(all, p)
	}
	return all, nil
}

// Lookup finds a profile by its name; the error lists those there are.
func Lookup(name string) (chaos.Profile, error) {
	all, err := All()
	if err != nil {
		return chaos.Profile{}, err
	}
	var names []string
	for _, p := range all {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return chaos.Profile{}, fmt.Errorf("%q is not a profile (one of %s)", name, strings.Join(names, ", "))
}
