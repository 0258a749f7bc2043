// Package kinds lists the kinds of fault. A new kind is one folder beside this
// one with an example and a test, and one line here.
package kinds

import (
	"fmt"
	"strings"

	"github.com/segtest/segtest/chaos"
	"github.com/segtest/segtest/chaos/nodepause"
	"github.com/segtest/segtest/chaos/podkill"
	"github.com/segtest/segtest/chaos/policyagentkill"
)

// All lists the kinds in order of name.
func All() []chaos.Kind {
	return []chaos.Kind{
		nodepause.Kind(),
		podkill.Kind(),
		policyagentkill.Kind(),
	}
}

// Lookup finds a kind by its name; the error lists those there are.
func Lookup(name string) (chaos.Kind, error) {
	var names []string
	for _, k := range All() {
		if k.Name == name {
			return k, nil
		}
		names = append(names, k.Name)
	}
	return chaos.Kind{}, fmt.Errorf("%q is not a fault (one of %s)", name, strings.Join(names, ", "))
}
