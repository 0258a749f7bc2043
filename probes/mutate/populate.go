package mutate

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// populate says which workloads make a scenario hold the ends of a change that it
// does not hold.
func (s *scorer) populate(r *Remedy, c change) {
	var workloads, namespaces []string
	for _, i := range slices.Compact([]int{c.from, c.to}) {
		g := s.groups[i]
		if g.outside == nil {
			continue
		}
		fields := []string{"name: " + plain(g.outside.Name.Name()), "namespace: " + s.namespace(g)}
		if text := labelText(g.outside.Labels); text != "" {
			fields = append(fields, text)
		}
		if c.from == c.to {
			fields = append(fields, "replicas: 2")
		}
		if i == c.to {
			fields = append(fields, "ports: ["+portText(g.pod, c.Flow)+"]")
		}
		workloads = append(workloads, "- {"+strings.Join(fields, ", ")+"}")
		known := slices.ContainsFunc(s.given, func(n oracle.Namespace) bool { return n.Name == g.outside.Namespace.Name })
		if text := labelText(g.outside.Namespace.Labels); text != "" && !known {
			namespaces = append(namespaces, "- {name: "+s.namespace(g)+", "+text+"}")
		}
	}
	r.Workloads, r.Namespaces = strings.Join(workloads, "\n"), strings.Join(slices.Compact(namespaces), "\n")
}

// namespace of a stand-in as one can write it.
func (s *scorer) namespace(g *group) string {
	name := g.outside.Namespace.Name
	written := plain(name)
	for written != name && s.labels[written] != nil {
		written += "-other"
	}
	return written
}

// plain is a name of a stand-in as a name of Kubernetes.
func plain(name string) string {
	return strings.Trim(regexp.MustCompile("[^a-z0-9-]+").ReplaceAllString(strings.ToLower(name), "-"), "-")
}

// labelText is "labels: {…}" without the label that the API server sets, "" where
// none is left.
func labelText(set map[string]string) string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(set)) {
		if k != corev1.LabelMetadataName {
			all = append(all, scalar(k)+": "+scalar(set[k]))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return "labels: {" + strings.Join(all, ", ") + "}"
}

// scalar is a text in YAML, in quotes where it could be taken for something else.
func scalar(s string) string {
	if regexp.MustCompile(`^[A-Za-z]{2,}[A-Za-z0-9./_-]*$`).MatchString(s) && !slices.Contains([]string{"true", "false", "yes", "no", "on", "off", "null"}, strings.ToLower(s)) {
		return s
	}
	return fmt.Sprintf("%q", s)
}

// portText is the port of a flow as a workload declares it, by name where the
// pod has one for it.
func portText(to *oracle.Pod, f matrix.Flow) string {
	for _, p := range to.Ports {
		if p.Port == f.Port && p.Protocol == f.Protocol {
			return fmt.Sprintf("{name: %s, port: %d, protocol: %s}", scalar(p.Name), p.Port, p.Protocol)
		}
	}
	return fmt.Sprintf("%s/%d", f.Protocol, f.Port)
}
