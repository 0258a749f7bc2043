package outside

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// Pod stands for the pods that no file holds and that have labels like it: it has
// those which some policy asks for and no more, and no address that is known.
type Pod struct {
	oracle.Pod
	// Other is one more of them, to whom it can speak. It has no name where there is
	// no cluster-wide policy, as no other one has a say between them.
	Other     oracle.Pod
	Namespace oracle.Namespace
}

// Pods are stand-ins for the pods of namespaces that no file holds: one of any
// namespace, then, in order of the policies, one for what a selector of other
// namespaces fits, and those that differ from it in one label that the selector
// asks for. There is none for what a selector asks for in a namespace by its name
// and each world holds: a pod that is held does not speak for other namespaces.
// There are at most as many as selectors name values.
//
// Names are "elsewhere/any", "monitoring/any", "team=a/app=prometheus": the name
// of the namespace if a policy asks for it, else its labels.
func Pods(worlds ...oracle.World) []Pod { return find(worlds, false) }

// AllPods are those of Pods, and stand-ins for other pods of the namespaces that
// the worlds hold: for what a peer asks for and no pod there has, be it in the
// policy's own namespace, and for who lacks it where all who are held there have
// it. Who is held stands only for those whom no peer tells from him.
func AllPods(worlds ...oracle.World) []Pod { return find(worlds, true) }

func find(worlds []oracle.World, all bool) []Pod {
	f := finder{
		all:   all,
		pairs: slices.ContainsFunc(worlds, func(w oracle.World) bool { return len(w.ClusterPolicies) > 0 }), ports: served(worlds),
		labels: map[string]labels.Set{}, named: map[string]string{}, taken: map[string]bool{},
	}
	f.look(worlds)
	f.add(labels.Set{}, labels.Set{})
	for r := range rules(worlds) {
		for _, c := range r.choices {
			f.choice(kindsOf(c.namespaces), kindsOf(c.pods))
		}
		if all {
			for _, p := range r.own {
				f.near(r.home, kindsOf(p))
			}
		}
	}
	return f.found
}

// Add stand-ins to a world that they were found for. It shares all else with the
// world.
func Add(w oracle.World, pods []Pod) oracle.World {
	known := map[string]bool{}
	for _, n := range w.Namespaces {
		known[n.Name] = true
	}
	w.Pods, w.Namespaces = slices.Clip(w.Pods), slices.Clip(w.Namespaces)
	for _, p := range pods {
		if w.Pods = append(w.Pods, p.Pod); p.Other.Name != "" {
			w.Pods = append(w.Pods, p.Other)
		}
		if !known[p.Namespace.Name] {
			known[p.Namespace.Name] = true
			w.Namespaces = append(w.Namespaces, p.Namespace)
		}
	}
	return w
}

// finder of stand-ins.
type finder struct {
	all   bool // of namespaces that are held, too
	pairs bool // stand-ins have an Other
	ports []oracle.Port
	found []Pod

	held   [][]one               // the pods of each world that selectors fit
	labels map[string]labels.Set // of the namespaces of all worlds and stand-ins
	named  map[string]string     // names of the stand-ins' namespaces, by their labels
	taken  map[string]bool       // names of namespaces, and "namespace/name" of pods
}

// one pod, as selectors see it.
type one struct{ namespace, pod labels.Set }

// look at what the worlds hold.
func (f *finder) look(worlds []oracle.World) {
	for _, w := range worlds {
		known := map[string]labels.Set{}
		hold := func(name string, set labels.Set) {
			if known[name] == nil {
				known[name] = labels.Merge(set, labels.Set{corev1.LabelMetadataName: name})
			}
			if f.labels[name] == nil {
				f.labels[name] = known[name]
			}
			f.taken[name] = true
		}
		for _, n := range w.Namespaces {
			hold(n.Name, n.Labels)
		}
		for _, p := range w.Policies {
			if p.NetworkPolicy != nil {
				f.taken[p.Namespace] = true
			}
		}
		var held []one
		for _, p := range w.Pods {
			hold(p.Name.Namespace(), nil)
			f.taken[string(p.Name)] = true
			if !p.HostNetwork {
				held = append(held, one{known[p.Name.Namespace()], p.Labels})
			}
		}
		f.held = append(f.held, held)
	}
	for r := range rules(worlds) {
		for _, c := range r.choices {
			for _, set := range kindsOf(c.namespaces).sets {
				f.taken[set[corev1.LabelMetadataName]] = true
			}
		}
	}
}

// choice of a policy: it tells apart kinds of namespaces and of pods.
func (f *finder) choice(namespaces, pods kinds) {
	if len(namespaces.sets) == 0 || len(pods.sets) == 0 {
		return // it fits nobody
	}
	for _, n := range namespaces.sets {
		f.want(namespaces, pods, n, pods.sets[0])
	}
	for _, p := range pods.sets[1:] {
		f.want(namespaces, pods, namespaces.sets[0], p)
	}
}

// near is a peer of a policy's own namespace.
func (f *finder) near(home string, pods kinds) {
	set := labels.Set{corev1.LabelMetadataName: home}
	for _, p := range pods.sets {
		f.want(kinds{sets: []labels.Set{set}}, pods, set, p)
	}
}

// want a stand-in unless each world holds somebody who stands for it. Who is held
// speaks for his own namespace alone, which other peers may name.
func (f *finder) want(namespaces, pods kinds, namespace, pod labels.Set) {
	stands := func(h one) bool {
		if f.all {
			return namespaces.alike(namespace, h.namespace) && pods.same(pod, h.pod)
		}
		return namespaces.alike(namespace, h.namespace) && pods.alike(pod, h.pod)
	}
	for _, held := range f.held {
		if namespace[corev1.LabelMetadataName] == "" || !slices.ContainsFunc(held, stands) {
			f.add(namespace, pod)
			return
		}
	}
}

// add a stand-in that is not there yet.
func (f *finder) add(namespace, pod labels.Set) {
	home, ok := f.home(namespace)
	if !ok || slices.ContainsFunc(f.found, func(p Pod) bool { return p.Namespace.Name == home.Name && labels.Equals(p.Labels, pod) }) {
		return
	}
	p := Pod{Namespace: home, Pod: oracle.Pod{Labels: pod, Ports: f.ports}}
	p.Name = matrix.Endpoint(f.free(home.Name + "/" + cmp.Or(text(pod), "any")))
	p.Workload = p.Name
	if f.pairs {
		p.Other = p.Pod
		p.Other.Name = matrix.Endpoint(f.free(string(p.Name) + "-other"))
	}
	f.found = append(f.found, p)
}

// home of a stand-in whose namespace has these labels; false where there can be
// none, as the namespace of that name has others.
func (f *finder) home(set labels.Set) (oracle.Namespace, bool) {
	name, asked := set[corev1.LabelMetadataName]
	key := set.String()
	switch {
	case asked:
		if at := matrix.Endpoint(name + "/"); name == "" || at == matrix.NodeEndpoint("") || at == matrix.WorldEndpoint("") {
			return oracle.Namespace{}, false
		}
	case f.named[key] != "":
		name = f.named[key]
	default:
		name = f.free(cmp.Or(text(set), "elsewhere"))
		f.named[key] = name
	}
	if f.labels[name] == nil {
		f.labels[name] = labels.Merge(set, labels.Set{corev1.LabelMetadataName: name})
	}
	return oracle.Namespace{Name: name, Labels: f.labels[name]}, within(set, f.labels[name])
}

// free is the name, or one like it that nobody has.
func (f *finder) free(name string) string {
	out := name
	for i := 2; f.taken[out]; i++ {
		out = fmt.Sprintf("%s-%d", name, i)
	}
	f.taken[out] = true
	return out
}

// text of labels: "app=prometheus,team=a", without the prefixes of keys.
func text(set labels.Set) string {
	var words []string
	for _, k := range slices.Sorted(maps.Keys(set)) {
		words = append(words, k[strings.LastIndex(k, "/")+1:]+"="+set[k])
	}
	return strings.Join(words, ",")
}
