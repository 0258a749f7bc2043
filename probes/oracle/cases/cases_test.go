package cases_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/probes/oracle/cases"
)

const worldText = `
namespaces: {x: {ns: x}, w: {ns: w}}
nodes: {n-0: {addresses: [192.168.0.1]}}
pods: {x/a: {labels: {pod: a}, addresses: [10.0.0.1]}, x/b: {}, w/a: {ports: {api: TCP/1 UDP/2}}}
serve: {web: TCP/80}
ask: [TCP/80, TCP/81, UDP/80]
`

func load(text string) ([]cases.Case, error) {
	return cases.Load(fstest.MapFS{"world.yaml": {Data: []byte(worldText)}, "a.yaml": {Data: []byte(text)}})
}

// expectations lists the cells that are not allowed both ways.
func expectations(s cases.Step) string {
	var lines []string
	for _, c := range s.Cells {
		if c.Egress != matrix.Allow || c.Ingress != matrix.Allow {
			lines = append(lines, fmt.Sprintf("%s: %s, %s: %s", c.Flow, c.Egress, c.Ingress, c.Intent()))
		}
	}
	return strings.Join(lines, "\n")
}

func TestPeersAndPorts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"open where nothing is said", `{}`, ""},
		{"nobody where no port is named", `{in: {w/a: {TCP UDP/80: any}, x/b: {any: any, UDP/80: w/a}}}`, "x/a → x/b UDP/80: allow, deny: deny"},
		{"the most exact port holds", `{in: {w/a: {any: any, TCP: x/a, TCP/81: any}}}`, "x/b → w/a TCP/80: allow, deny: deny"},
		{
			"taken away and open", `{in: {w/a: {any: any -x/a ~x/b}}}`,
			"x/a → w/a TCP/80: allow, deny: deny\nx/a → w/a TCP/81: allow, deny: deny\nx/a → w/a UDP/80: allow, deny: deny\n" +
				"x/b → w/a TCP/80: allow, undefined: undefined\nx/b → w/a TCP/81: allow, undefined: undefined\nx/b → w/a UDP/80: allow, undefined: undefined",
		},
		{
			"both ends", `{in: {w/a: {any: ~x/b, TCP: any}}, out: {x/a: {any: any -node/n-0, UDP: any}, x/b: {TCP: any, UDP/80: x/a node/n-0}}}`,
			"x/a → node/n-0 TCP/80: deny, allow: deny\nx/a → node/n-0 TCP/81: deny, allow: deny\nx/a → w/a UDP/80: allow, deny: deny\nx/b → w/a UDP/80: deny, undefined: deny",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			all, err := load("cases: [{name: a, steps: [{name: s, " + strings.TrimPrefix(c.text, "{") + "]}]")
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(expectations(all[0].Steps[0]), "\n")
			for _, line := range strings.Split(c.want, "\n") {
				if !strings.Contains("\n"+strings.Join(lines, "\n")+"\n", "\n"+line+"\n") {
					t.Errorf("missing %q", line)
				}
			}
			if want := strings.Count(c.want, "\n") + 1; len(lines) != want {
				t.Errorf("got %d cells, want %d:\n%s", len(lines), want, strings.Join(lines, "\n"))
			}
		})
	}
}

func TestStepsAddUp(t *testing.T) {
	t.Parallel()
	all, err := load(`cases: [{name: a, steps: [
		{name: one, policies: {x/p: {podSelector: {}}, w/p: {podSelector: {}}}, pods: {x/c: {labels: {pod: c}}}, in: {x/*: {}, w/a: {}}},
		{name: two, policies: {x/p: null}, namespaces: {w: null}, clusterPolicies: {c: {tier: Admin, priority: 1, subject: {namespaces: {}}}}},
		{name: three, pods: {x/c: null}, invalid: nonsense}]}, {name: b}]`)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range all {
		for _, s := range c.Steps {
			names := []string{s.Name, s.Invalid}
			for _, n := range s.World.Namespaces {
				names = append(names, n.Name)
			}
			for _, p := range s.World.Pods {
				names = append(names, string(p.Name))
			}
			for _, p := range s.World.Policies {
				names = append(names, p.Key())
			}
			for _, p := range s.World.ClusterPolicies {
				names = append(names, p.Name)
			}
			got = append(got, strings.Join(names, " "))
		}
	}
	want := []string{
		"one  w x w/a x/a x/b x/c w/p x/p", "two  x x/a x/b x/c c", "three nonsense x x/a x/b c", "  w x w/a x/a x/b",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if p := all[0].Steps[0].World.Pods[0]; !reflect.DeepEqual(p.Ports, []oracle.Port{{Name: "api", Protocol: matrix.TCP, Port: 1}, {Name: "api", Protocol: matrix.UDP, Port: 2}}) {
		t.Errorf("w/a serves %v", p.Ports)
	}
}

func TestWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{`cases: [{name: a}, {name: a}]`, `case "a" has no name of its own`},
		{`cases: [{}]`, `has no name of its own`},
		{`cases: [{name: a, in: {}, steps: [{name: b}]}]`, "belongs into them"},
		{`cases: [{name: a, steps: [{}]}]`, "step 0 has no name"},
		{`cases: [{name: a, in: {x/z: {}}}]`, `"x/z" fits nothing`},
		{`cases: [{name: a, in: {x/a: {any: x/z}}}]`, `"x/z" fits nothing`},
		{`cases: [{name: a, in: {x/a: {any: "[" }}}]`, "syntax error in pattern"},
		{`cases: [{name: a, out: {x/a x/*: {}}}]`, "x/a is there twice"},
		{`cases: [{name: a, out: {x/a: {TCP/9: any}}}]`, `nobody asks for port "TCP/9"`},
		{`cases: [{name: a, pods: {x/a: {ports: {web: "80"}}}}]`, `port "80" is not PROTOCOL/NUMBER`},
		{`cases: [{name: a, colour: red}]`, "unknown field"},
		{`cases: [{name: a, policies: {x/p: {podSelectors: {}}}}]`, "unknown field"},
	} {
		if _, err := load(c.text); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "a.yaml") {
			t.Errorf("%s: got %v, want an error that says %q and names the file", c.text, err, c.want)
		}
	}
	if _, err := cases.Load(fstest.MapFS{}); err == nil {
		t.Error("a folder without world.yaml is read")
	}
}

func TestRandomWorldsAreTheSameEveryTime(t *testing.T) {
	t.Parallel()
	a, b := cases.NewRandom(3, 4), cases.NewRandom(3, 4)
	w, v := a.World(), b.World()
	if !reflect.DeepEqual(w, v) || a.Flow(w) != b.Flow(v) || reflect.DeepEqual(w, cases.NewRandom(3, 5).World()) {
		t.Error("worlds do not depend on seed and number alone")
	}
}
