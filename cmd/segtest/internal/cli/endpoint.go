package cli

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/segtest/segtest/fixtures/manifest"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/plan"
)

// speakers are the endpoints that a word means: the pods of a workload, a pod, a
// node or an address.
func speakers(p *plan.Plan, word string) ([]matrix.Endpoint, error) {
	e := matrix.Endpoint(word)
	var found []matrix.Endpoint
	var workloads []string
	for _, pod := range p.World.Pods {
		if pod.Name == e || pod.Workload == e {
			found = append(found, pod.Name)
		}
		workloads = append(workloads, string(pod.Workload))
	}
	switch {
	case found != nil:
		return found, nil
	case isWorld(e):
		return []matrix.Endpoint{e}, possible(e)
	case e.Namespace() == matrix.NodeEndpoint("").Namespace():
		return node(p, e)
	case slices.ContainsFunc(p.World.Services, func(s oracle.Service) bool { return s.Name == e }):
		return nil, usageError(fmt.Errorf("%q is a Service and no workload of %s; ask for the workload, or with --service", word, p.Scenario.Name))
	}
	slices.Sort(workloads)
	return nil, usageError(fmt.Errorf("%q is no workload or pod of %s; %s", word, p.Scenario.Name, nearest(word, slices.Compact(workloads))))
}

// nearest suggests an endpoint, the one of the same name first where the
// namespace was forgotten. That a namespace is the same makes no name near.
func nearest(word string, known []string) string {
	e := matrix.Endpoint(word)
	var same, near []string
	for _, k := range known {
		other := matrix.Endpoint(k)
		if other.Name() == word {
			same = append(same, fmt.Sprintf("%q", k))
		}
		if e.Namespace() == "" || other.Namespace() == "" || resembles(e.Namespace(), other.Namespace()) && resembles(e.Name(), other.Name()) {
			near = append(near, k)
		}
	}
	switch {
	case len(same) > 0:
		return "did you mean " + or(same) + "?"
	case len(near) > 0 && manifest.Nearest(word, near) != "":
		return manifest.Suggest(word, near)
	}
	return manifest.List(known)
}

// resembles reports words that are the same, or one is probably meant by the other.
func resembles(word, other string) bool {
	return word == other || manifest.Nearest(word, []string{other}) != ""
}

func isWorld(e matrix.Endpoint) bool {
	return e.Namespace() == matrix.WorldEndpoint("").Namespace()
}

// possible refuses an endpoint that no scenario can have.
func possible(e matrix.Endpoint) error {
	if _, err := netip.ParseAddr(e.Name()); isWorld(e) && err != nil {
		return usageError(fmt.Errorf("%q: want world/ADDRESS, for example world/192.0.2.7", e))
	}
	return nil
}

// node finds a node of the world.
func node(p *plan.Plan, e matrix.Endpoint) ([]matrix.Endpoint, error) {
	var nodes []string
	for _, n := range p.World.Nodes {
		if matrix.NodeEndpoint(n.Name) == e {
			return []matrix.Endpoint{e}, nil
		}
		nodes = append(nodes, string(matrix.NodeEndpoint(n.Name)))
	}
	hint := "its files hold no Node"
	if len(nodes) > 0 {
		hint = manifest.Suggest(string(e), nodes)
	}
	return nil, usageError(fmt.Errorf("%q is no node of %s; %s", e, p.Scenario.Name, hint))
}

// service finds a Service and its ports.
func service(p *plan.Plan, name string) ([]matrix.Endpoint, []oracle.Port, error) {
	var services []string
	for _, s := range p.World.Services {
		if string(s.Name) == name {
			var ports []oracle.Port
			for _, port := range s.Ports {
				ports = append(ports, oracle.Port{Name: port.Name, Protocol: port.Protocol, Port: port.Port})
			}
			return []matrix.Endpoint{s.Name}, ports, nil
		}
		services = append(services, string(s.Name))
	}
	hint := "it has none"
	if len(services) > 0 {
		hint = nearest(name, services)
	}
	return nil, nil, usageError(fmt.Errorf("%q is no Service of %s; %s", name, p.Scenario.Name, hint))
}

// familyOf a world/ADDRESS.
func familyOf(e matrix.Endpoint) matrix.Family {
	if a, err := netip.ParseAddr(e.Name()); err == nil && !a.Unmap().Is4() {
		return matrix.IPv6
	}
	return matrix.IPv4
}

// served refuses a port that a Service does not have, and names those that it has
// and the one that is probably meant: the one that leads there.
func served(w oracle.World, name matrix.Endpoint, protocol matrix.Protocol, port uint16) error {
	s := w.Services[slices.IndexFunc(w.Services, func(s oracle.Service) bool { return s.Name == name })]
	if !protocol.HasPorts() {
		return usageError(fmt.Errorf("a Service forwards ports, and %s has none; ask a pod behind %s", protocol, name))
	}
	if s.Headless {
		return nil // it leads to the port itself
	}
	var ports []string
	meant := ""
	for _, p := range s.Ports {
		if p.Protocol == protocol && p.Port == port {
			return nil
		}
		text := fmt.Sprintf("%s/%d", p.Protocol, p.Port)
		if p.Port == port || leads(w, s, p, port) {
			meant = text
		}
		if p.Name != "" {
			text += " (" + p.Name + ")"
		}
		ports = append(ports, text)
	}
	hint := "it has none"
	if len(ports) > 0 {
		hint = "it has " + strings.Join(ports, ", ")
	}
	if meant != "" {
		hint += "; did you mean " + meant + "?"
	}
	return usageError(fmt.Errorf("service %s has no port %s/%d; %s", name, protocol, port, hint))
}

// leads reports that a port of a Service leads to a port of its pods.
func leads(w oracle.World, s oracle.Service, p oracle.ServicePort, to uint16) bool {
	return p.TargetPort == to || p.TargetName != "" && slices.ContainsFunc(w.Pods, func(pod oracle.Pod) bool {
		return behind(s, pod) && slices.Contains(pod.Ports, oracle.Port{Name: p.TargetName, Protocol: p.Protocol, Port: to})
	})
}

// behind reports that a Service selects a pod.
func behind(s oracle.Service, pod oracle.Pod) bool {
	selects := len(s.Selector) > 0 && s.Name.Namespace() == pod.Name.Namespace()
	for k, v := range s.Selector {
		have, ok := pod.Labels[k]
		selects = selects && ok && have == v
	}
	return selects
}

// fronts are the Services of a pod's namespace that lead to it from a port.
func fronts(w oracle.World, pod oracle.Pod, protocol matrix.Protocol, port uint16) []string {
	var names []string
	for _, s := range w.Services {
		if behind(s, pod) && slices.ContainsFunc(s.Ports, func(p oracle.ServicePort) bool { return p.Protocol == protocol && p.Port == port }) {
			names = append(names, string(s.Name))
		}
	}
	return names
}

// undeclared is a note on a port that the receivers do not declare: it is that of
// a Service, or a slip of the keyboard. The canary stands for all such ports.
func undeclared(p *plan.Plan, f matrix.Flow) string {
	i := slices.IndexFunc(p.World.Pods, func(pod oracle.Pod) bool { return pod.Name == f.To })
	if i < 0 || f.Way != matrix.PodIP || !f.Protocol.HasPorts() || p.Scenario.IsCanary(f) {
		return ""
	}
	pod := p.World.Pods[i]
	var ports []string
	for _, port := range pod.Ports {
		if port.Protocol == f.Protocol && port.Port == f.Port {
			return ""
		}
		text := fmt.Sprintf("%s/%d", port.Protocol, port.Port)
		if port.Name != "" {
			text += " (" + port.Name + ")"
		}
		ports = append(ports, text)
	}
	note := fmt.Sprintf("%s does not declare %s/%d", pod.Workload, f.Protocol, f.Port)
	if names := fronts(p.World, pod, f.Protocol, f.Port); len(names) > 0 {
		return note + ", which is a port of Service " + or(names) + ": --service asks that"
	}
	if len(ports) > 0 {
		note += ", but " + strings.Join(ports, ", ")
	}
	return note
}
