package differential_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle/cases"
)

// TestConformanceCatalogue checks the data of the ClusterNetworkPolicy cases,
// not the oracle: every probe of every subtest of the conformance suite, read
// from the suite's source, is expected to end as the suite expects it.
func TestConformanceCatalogue(t *testing.T) {
	t.Parallel()
	all, err := cases.Load(os.DirFS(catalogue + "clusternetworkpolicy"))
	if err != nil {
		t.Fatal(err)
	}
	suite := conformanceProbes(t)
	total := 0
	for _, c := range all {
		subtests := suite[c.Name]
		if len(subtests) != len(c.Steps) {
			t.Errorf("%s has %d steps, and %d subtests in the suite", c.Name, len(c.Steps), len(subtests))
			continue
		}
		for i, s := range c.Steps {
			for _, p := range subtests[i] {
				total++
				if want := expected(t, s, p.flow); (want == matrix.Allow) != p.connects {
					t.Errorf("%s, step %q: %s: the data says %s, the suite %t", c.Name, s.Name, p.flow, want, p.connects)
				}
			}
		}
		delete(suite, c.Name)
	}
	for name := range suite {
		t.Errorf("test %s of the suite is no case of ours", name)
	}
	if total < 280 {
		t.Errorf("only %d probes compared: the suite's source was not understood", total)
	}
	t.Logf("%d probes compared", total)
}

func expected(t *testing.T, s cases.Step, f matrix.Flow) matrix.Intent {
	t.Helper()
	for _, c := range s.Cells {
		if c.Flow == f {
			return c.Intent()
		}
	}
	t.Errorf("step %q does not ask %s", s.Name, f)
	return matrix.Unstated
}

// probe is one call of the suite's PokeServer.
type probe struct {
	flow     matrix.Flow
	connects bool
}

// conformanceProbes reads, by name of the test, the probes of its subtests.
func conformanceProbes(t *testing.T) map[string][][]probe {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/network-policy-api").Output()
	if err != nil {
		t.Fatalf("finding the suite's source: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "conformance", "tests", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	suite := map[string][][]probe{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		r := sourceReader{t: t, suite: suite, pods: map[string]matrix.Endpoint{}}
		ast.Inspect(parsed, r.visit)
	}
	return suite
}

// sourceReader goes through a file in order of its text: a name, then subtests,
// in which pods are looked up and probed.
type sourceReader struct {
	t     *testing.T
	suite map[string][][]probe
	test  string
	pods  map[string]matrix.Endpoint // by variable
}

func (r *sourceReader) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && key.Name == "ShortName" {
			r.test = r.text(n.Value)
		}
	case *ast.AssignStmt:
		if call, ok := n.Rhs[0].(*ast.CallExpr); ok && method(call) == "GetPod" {
			r.pods[n.Lhs[0].(*ast.Ident).Name] = r.pod(call.Args[2], call.Args[3])
		}
	case *ast.CallExpr:
		switch method(n) {
		case "Run":
			r.suite[r.test] = append(r.suite[r.test], nil)
		case "PokeServer":
			last := &r.suite[r.test][len(r.suite[r.test])-1]
			*last = append(*last, r.probe(n.Args))
		}
	}
	return true
}

// probe reads PokeServer(t, clientset, config, namespace, pod, protocol,
// variable.Status.PodIP, int32(port), timeouts, connects).
func (r *sourceReader) probe(args []ast.Expr) probe {
	p := probe{connects: args[9].(*ast.Ident).Name == "true"}
	p.flow.From = r.pod(args[3], args[4])
	p.flow.To = r.pods[args[6].(*ast.SelectorExpr).X.(*ast.SelectorExpr).X.(*ast.Ident).Name]
	if err := p.flow.Protocol.UnmarshalText([]byte(strings.ToUpper(r.text(args[5])))); err != nil {
		r.t.Fatal(err)
	}
	switch port := args[7].(*ast.CallExpr).Args[0].(type) {
	case *ast.BasicLit:
		p.flow.Port = r.number(port)
	case *ast.IndexExpr: // HostNetworkPorts[i], which is 36001+i here
		p.flow.Port = 36001 + r.number(port.Index.(*ast.BasicLit))
	default:
		r.t.Fatalf("a port of type %T", port)
	}
	return p
}

// pod is our name for one of the suite's pods, which are numbered by a suffix.
func (r *sourceReader) pod(namespace, name ast.Expr) matrix.Endpoint {
	house := strings.TrimPrefix(r.text(namespace), "network-policy-conformance-")
	side, ok := map[string]string{
		"gryffindor": "north", "ravenclaw": "west", "hufflepuff": "south", "slytherin": "east", "forbidden-forrest": "hosts",
	}[house]
	if !ok {
		r.t.Fatalf("an unknown namespace %q", house)
	}
	_, number, _ := strings.Cut(r.text(name)[strings.LastIndex(r.text(name), "-"):], "-")
	return matrix.Endpoint(fmt.Sprintf("%s/p-%s", side, number))
}

func (r *sourceReader) text(e ast.Expr) string {
	s, err := strconv.Unquote(e.(*ast.BasicLit).Value)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *sourceReader) number(e *ast.BasicLit) uint16 {
	n, err := strconv.ParseUint(e.Value, 10, 16)
	if err != nil {
		r.t.Fatal(err)
	}
	return uint16(n)
}

func method(call *ast.CallExpr) string {
	if s, ok := call.Fun.(*ast.SelectorExpr); ok {
		return s.Sel.Name
	}
	return ""
}
