package chaos_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segtest/segtest/chaos"
	"github.com/segtest/segtest/probes/matrix"
)

// shop is db on worker, web on both workers.
func shop() chaos.Inventory {
	inv := chaos.Inventory{
		Cluster: "segtest-1",
		Nodes: []chaos.Node{
			{Name: "segtest-1-worker2"},
			{Name: "segtest-1-worker"},
			{Name: "segtest-1-control-plane", ControlPlane: true},
		},
	}
	for _, p := range []struct{ slot, workload, node string }{
		{"shop/web-1", "shop/web", "segtest-1-worker2"},
		{"shop/db-0", "shop/db", "segtest-1-worker"},
		{"shop/web-0", "shop/web", "segtest-1-worker"},
	} {
		inv.Pods = append(inv.Pods, chaos.Pod{
			Endpoint: matrix.Endpoint(p.slot), Workload: matrix.Endpoint(p.workload), Node: p.node,
			UID: "uid-" + p.slot, Namespace: "shop",
		})
	}
	inv.Sort()
	return inv
}

func TestSelectFindsNodesByStableNames(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, node, want, words string }{
		{"of a pod", "of shop/web-1", "segtest-1-worker2", "node segtest-1-worker2 (of shop/web-1)"},
		{"of a workload's first pod", "of shop/web", "segtest-1-worker", "node segtest-1-worker (of shop/web-0)"},
		{"the first worker", "worker-1", "segtest-1-worker", "node segtest-1-worker (worker-1)"},
		{"the second worker", "worker-2", "segtest-1-worker2", "node segtest-1-worker2 (worker-2)"},
		{"the control plane", "control-plane", "segtest-1-control-plane", "node segtest-1-control-plane (control-plane)"},
		{"its own name", "segtest-1-worker2", "segtest-1-worker2", "node segtest-1-worker2"},
		{"all", "all", "segtest-1-control-plane segtest-1-worker segtest-1-worker2", "all nodes"},
		{"a third worker", "worker-3", "", ""},
		{"worker zero", "worker-0", "", ""},
		{"of nobody", "of shop/cache", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			nodes, words, err := shop().Select(chaos.Target{Node: tc.node})
			var none *chaos.NoTargetError
			if tc.want == "" {
				if !errors.As(err, &none) {
					t.Fatalf("found %v, error %v; want a NoTargetError", nodes, err)
				}
				return
			}
			var names []string
			for _, n := range nodes {
				names = append(names, n.Name)
			}
			if got := strings.Join(names, " "); got != tc.want || words != tc.words || err != nil {
				t.Errorf("found %q (%s), error %v; want %q (%s)", got, words, err, tc.want, tc.words)
			}
		})
	}
}

func TestChoosePodIsReproducibleAndReachesEveryReplica(t *testing.T) {
	t.Parallel()
	seen := map[matrix.Endpoint]bool{}
	for seed := range uint64(64) {
		first, err := shop().ChoosePod(chaos.Rand(seed, "1-pod-kill"), "shop/web")
		if err != nil {
			t.Fatal(err)
		}
		again, err := shop().ChoosePod(chaos.Rand(seed, "1-pod-kill"), "shop/web")
		if err != nil || again.UID != first.UID {
			t.Fatalf("seed %d chose %s, then %s (%v)", seed, first.Endpoint, again.Endpoint, err)
		}
		seen[first.Endpoint] = true
	}
	if !seen["shop/web-0"] || !seen["shop/web-1"] {
		t.Errorf("64 seeds chose only %v", seen)
	}
	if pod, err := shop().ChoosePod(chaos.Rand(1, ""), "shop/web-1"); err != nil || pod.Endpoint != "shop/web-1" {
		t.Errorf("a slot chose %s (%v)", pod.Endpoint, err)
	}
	var none *chaos.NoTargetError
	if _, err := shop().ChoosePod(chaos.Rand(1, ""), "shop/bd"); !errors.As(err, &none) || !strings.Contains(none.Reason, "shop/db, shop/web") {
		t.Errorf("a wrong name gives %v; want a NoTargetError that lists the workloads", err)
	}
}

func TestChecksOfTargetsAndTimes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		wrong []string
		want  string // "" is nothing
	}{
		{"a workload", chaos.Target{Endpoint: "shop/db"}.CheckPod(), ""},
		{"no pod", chaos.Target{}.CheckPod(), "target is missing"},
		{"a node for a pod", chaos.Target{Node: "worker-1"}.CheckPod(), "is a node; give a workload"},
		{"no namespace", chaos.Target{Endpoint: "db"}.CheckPod(), "not NAMESPACE/NAME"},
		{"a node", chaos.Target{Node: "of shop/db"}.CheckNode(false), ""},
		{"all nodes", chaos.Target{Node: "all"}.CheckNode(true), ""},
		{"all nodes where one is meant", chaos.Target{Node: "all"}.CheckNode(false), "too much"},
		{"a pod for a node", chaos.Target{Endpoint: "shop/db"}.CheckNode(true), "{node: of shop/db}"},
		{"no node", chaos.Target{}.CheckNode(true), "target is missing"},
		{"of what", chaos.Target{Node: "of db"}.CheckNode(true), "not NAMESPACE/NAME"},
		{"good times", chaos.Params{Hold: time.Second}.CheckTimes(), ""},
		{"a negative hold", chaos.Params{Hold: -1}.CheckTimes(), "hold -1ns is negative"},
		{"a negative bound", chaos.Params{RecoverWithin: -1}.CheckTimes(), "recoverWithin"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := strings.Join(tc.wrong, "\n")
			if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// profile opens flows when all their owners are dead, and while a pod starts.
func profile() chaos.Profile {
	return chaos.Profile{
		Agent: chaos.AgentDeath{
			Unselected: []chaos.Datapath{chaos.DatapathIPTables},
			Opens:      &chaos.Gap{ID: "opens", Bound: chaos.Duration(3 * time.Second), Link: "https://example.org"},
		},
		PodStart: &chaos.Gap{ID: "starts", Bound: chaos.Duration(time.Second)},
	}
}

func TestAgentDeathOpensFlowsWhoseOwnersAreAllDead(t *testing.T) {
	t.Parallel()
	const a, b = "segtest-1-worker", "segtest-1-worker2"
	far := matrix.Flow{From: "shop/web-1", To: "shop/db-0"}  // b → a
	near := matrix.Flow{From: "shop/web-0", To: "shop/db-0"} // a → a
	for _, tc := range []struct {
		name     string
		path     chaos.Datapath
		selected []matrix.Endpoint
		flow     matrix.Flow
		dead     []string
		gap      bool
		closes   bool // had the profile said so
	}{
		{"nft: the receiver's node alone enforces", chaos.DatapathNFT, []matrix.Endpoint{"shop/db-0"}, far, []string{a}, true, true},
		{"nft: the sender's node does not enforce", chaos.DatapathNFT, []matrix.Endpoint{"shop/db-0"}, far, []string{b}, false, false},
		{"nft: both enforce, one dies", chaos.DatapathNFT, []matrix.Endpoint{"shop/db-0", "shop/web-1"}, far, []string{a}, false, true},
		{"nft: both enforce, both die", chaos.DatapathNFT, []matrix.Endpoint{"shop/db-0", "shop/web-1"}, far, []string{a, b}, true, true},
		{"nft: nobody enforces", chaos.DatapathNFT, nil, far, []string{a, b}, false, false},
		{"iptables: the sender's node enforces too", chaos.DatapathIPTables, []matrix.Endpoint{"shop/db-0"}, far, []string{a}, false, true},
		{"iptables: both die", chaos.DatapathIPTables, []matrix.Endpoint{"shop/db-0"}, far, []string{a, b}, true, true},
		{"iptables: same node", chaos.DatapathIPTables, []matrix.Endpoint{"shop/db-0"}, near, []string{a}, true, true},
		{"another node dies", chaos.DatapathIPTables, []matrix.Endpoint{"shop/db-0"}, near, []string{b}, false, false},
		{"to itself", chaos.DatapathIPTables, []matrix.Endpoint{"shop/db-0"}, matrix.Flow{From: "shop/db-0", To: "shop/db-0"}, []string{a}, false, false},
		{"a service with one backend behind dead agents", chaos.DatapathIPTables, nil, matrix.Flow{From: "shop/db-0", To: "shop/web", Way: matrix.ServiceIP}, []string{a}, true, true},
		{"unknown data path: only selected pods' nodes", "", []matrix.Endpoint{"shop/db-0"}, far, []string{a}, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			inv := shop()
			for i := range inv.Nodes {
				inv.Nodes[i].Datapath = tc.path
			}
			for i := range inv.Pods {
				inv.Pods[i].Ingress = slices.Contains(tc.selected, inv.Pods[i].Endpoint)
			}
			p := profile()
			got := p.ExpectAgentsDead(inv, tc.flow, tc.dead, time.Second)
			want := chaos.Expect{}
			if tc.gap {
				want = chaos.Expect{Gap: "opens", Bound: 4 * time.Second, Grace: 3 * time.Second, Link: "https://example.org"}
			}
			if got != want {
				t.Errorf("a profile that opens explains %+v, want %+v", got, want)
			}
			p.Agent.Opens, p.Agent.Closes = nil, &chaos.Outage{Why: "dropped"}
			if got, want := p.ExpectAgentsDead(inv, tc.flow, tc.dead, 0), (chaos.Expect{Outage: tc.closes}); got != want {
				t.Errorf("a profile that closes explains %+v, want %+v", got, want)
			}
		})
	}
}

func TestGoneAndReplacedPods(t *testing.T) {
	t.Parallel()
	inv := shop()
	for i := range inv.Pods {
		inv.Pods[i].Ingress = inv.Pods[i].Endpoint == "shop/db-0"
	}
	db, web := inv.PodsOf("shop/db-0")[0], inv.PodsOf("shop/web-0")[0]
	gone := chaos.Expect{Outage: true, Unobservable: true}
	start := gone
	start.Gap, start.Bound, start.Grace = "starts", time.Second, time.Second
	for _, tc := range []struct {
		name string
		flow matrix.Flow
		pod  chaos.Pod
		want chaos.Expect
	}{
		{"to the isolated pod", matrix.Flow{From: "shop/web-0", To: "shop/db-0"}, db, start},
		{"from a pod that is isolated in the other direction", matrix.Flow{From: "shop/db-0", To: "shop/web-0"}, db, gone},
		{"to a pod that is not isolated", matrix.Flow{From: "shop/db-0", To: "shop/web-0"}, web, gone},
		{"elsewhere", matrix.Flow{From: "shop/web-1", To: "shop/db-0"}, web, chaos.Expect{}},
		{"a service with another backend", matrix.Flow{From: "shop/db-0", To: "shop/web"}, web, chaos.Expect{Outage: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := profile().ExpectReplaced(inv, tc.flow, tc.pod); got != tc.want {
				t.Errorf("explains %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestFreezeOpensFlowsThatNobodyElseEnforces(t *testing.T) {
	t.Parallel()
	inv := shop()
	for i := range inv.Nodes {
		inv.Nodes[i].Datapath = chaos.DatapathIPTables
	}
	p := profile()
	p.AgentFreeze = &chaos.Gap{ID: "freezes", Bound: chaos.Duration(time.Second), Link: "https://example.org"}
	frozen := chaos.Expect{Outage: true, Unobservable: true}
	opens := frozen
	opens.Gap, opens.Bound, opens.Grace, opens.Link = "freezes", 11*time.Second, time.Second, "https://example.org"
	for _, tc := range []struct {
		name string
		flow matrix.Flow
		want chaos.Expect
	}{
		{"within the frozen node", matrix.Flow{From: "shop/web-0", To: "shop/db-0"}, opens},
		{"another node enforces too", matrix.Flow{From: "shop/web-1", To: "shop/db-0"}, frozen},
		{"elsewhere", matrix.Flow{From: "shop/web-1", To: "shop/web-1"}, chaos.Expect{}},
	} {
		if got := p.ExpectFrozen(inv, tc.flow, "segtest-1-worker", 10*time.Second); got != tc.want {
			t.Errorf("%s: explains %+v, want %+v", tc.name, got, tc.want)
		}
	}
}
