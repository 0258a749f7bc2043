package oracle

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/segtest/segtest/probes/matrix"
)

// servicesOf the world by name and by address. Of those that share an address,
// which differ in their ports, the first has it.
func servicesOf(w World, found *problems) (services map[matrix.Endpoint]*Service, fronts map[netip.Addr]*Service) {
	services, fronts = make(map[matrix.Endpoint]*Service, len(w.Services)), map[netip.Addr]*Service{}
	for i := range w.Services {
		s := &w.Services[i]
		if s.Name.Namespace() == "" || s.Name.Name() == "" {
			found.add(s.Origin, "service "+string(s.Name), "has no namespace", "name it namespace/name")
		}
		if first, ok := services[s.Name]; ok {
			found.add(s.Origin, "service "+string(s.Name), "is there twice", "rename one, the other is at "+first.Origin.String())
		}
		services[s.Name] = s
		for _, a := range s.Addresses {
			if _, shared := fronts[a.Unmap()]; !shared {
				fronts[a.Unmap()] = s
			}
		}
	}
	return services, fronts
}

// backend is a pod behind a Service and the port to which it is led.
type backend struct {
	pod  *endpoint
	port uint16
}

func (b backend) String() string { return fmt.Sprintf("%s port %d", b.pod.name, b.port) }

// backends of a Service's port, in order of the world; the text says why there
// are none.
func (o *Oracle) backends(s *Service, protocol matrix.Protocol, port uint16) ([]backend, string) {
	if len(s.Selector) == 0 {
		return nil, fmt.Sprintf("Service %s has no selector: where it leads is not part of this world", s.Name)
	}
	leads := ServicePort{TargetPort: port} // a headless Service leads to the port itself
	if !s.Headless {
		var ok bool
		if leads, ok = s.port(protocol, port); !ok {
			return nil, fmt.Sprintf("Service %s has no port %s/%d", s.Name, protocol, port)
		}
	}
	var found []backend
	selected := false
	for i := range o.endpoints {
		e := &o.endpoints[i]
		if e.class.nature.isPod() && e.name.Namespace() == s.Name.Namespace() && s.selects(e) {
			selected = true
			if target := leads.at(e, protocol); target != 0 {
				found = append(found, backend{e, target})
			}
		}
	}
	switch {
	case !selected:
		return nil, fmt.Sprintf("no pod is behind Service %s: its selector fits none", s.Name)
	case len(found) == 0:
		return nil, fmt.Sprintf("no pod behind Service %s has a port named %s for %s/%d", s.Name, leads.TargetName, protocol, port)
	}
	return found, ""
}

func (s *Service) port(protocol matrix.Protocol, port uint16) (ServicePort, bool) {
	for _, p := range s.Ports {
		if p.Protocol == protocol && p.Port == port {
			return p, true
		}
	}
	return ServicePort{}, false
}

func (s *Service) selects(e *endpoint) bool {
	for k, v := range s.Selector {
		if have, ok := e.labels[k]; !ok || have != v {
			return false
		}
	}
	return true
}

// at is the target port at one pod, 0 where the pod has no port of that name.
func (p ServicePort) at(e *endpoint, protocol matrix.Protocol) uint16 {
	if p.TargetName == "" {
		if p.TargetPort == 0 {
			return p.Port // as the API server defaults it
		}
		return p.TargetPort
	}
	for _, have := range e.ports {
		if have.Name == p.TargetName && have.Protocol == protocol {
			return have.Port
		}
	}
	return 0
}

// throughService decides a flow to a Service as one to each pod behind it,
// after the address is rewritten. All of them must come to the same, because
// nobody knows which one is chosen.
func (o *Oracle) throughService(from *endpoint, f matrix.Flow) (Decision, trail) {
	s, ok := o.services[f.To]
	if !ok {
		return undefined("%s is not a Service of this world", f.To), trail{}
	}
	if !f.Protocol.HasPorts() {
		return undefined("Service %s forwards ports, and %s has none", s.Name, f.Protocol), trail{}
	}
	behind, why := o.backends(s, f.Protocol, f.Port)
	if why != "" {
		return undefined("%s", why), trail{}
	}
	var first Decision
	var asked trail
	differs := -1
	for i, b := range behind {
		d, t := o.rewrite(from, s, b, f)
		switch {
		case d.Intent == matrix.Undefined:
			d.Reason = fmt.Sprintf("Service %s leads to %s: %s", s.Name, b, d.Reason)
			return d, t
		case i == 0:
			first, asked = d, t
		case d.Intent != first.Intent && differs < 0:
			differs = i
		}
	}
	if differs >= 0 {
		first.Reason = fmt.Sprintf("Service %s leads to %s (%s) and to %s (not), and nobody knows which one is chosen", s.Name, behind[0], first.Intent, behind[differs])
		first.Intent = matrix.Undefined
		return first, asked
	}
	texts := make([]string, len(behind))
	for i, b := range behind {
		texts[i] = b.String()
	}
	first.Reason = fmt.Sprintf("Service %s leads to %s", s.Name, strings.Join(texts, ", "))
	return first, asked
}

// rewrite decides a flow to a Service as one to a pod behind it.
func (o *Oracle) rewrite(from *endpoint, s *Service, b backend, f matrix.Flow) (Decision, trail) {
	led := f
	led.To, led.Port, led.Way = b.pod.name, b.port, matrix.PodIP
	switch {
	case s.Headless:
		return o.between(from, b.pod, led)
	case from == b.pod:
		return undefined("the specification leaves open whether a pod may reach itself through its own Service"), trail{}
	}
	t := trail{true, [2]question{
		egress:  ask(egress, from.class, b.pod.class, led, apart),
		ingress: ask(ingress, from.class, b.pod.class, led, distanceOf(from, b.pod)),
	}, names{string(from.name), string(b.pod.name)}}
	out, in := &t.by[egress], &t.by[ingress]
	after := out.decide()
	sent := o.lexicon.half(out, after, t.names)
	if sent.Isolated {
		blind := *out
		blind.peer, blind.shown = o.veiled(b.pod.class, rewritten), f.Port // a selector means a pod, and its port
		if before := blind.decide(); before.intent != after.intent {
			sent.Intent = matrix.Undefined
			sent.Reason = fmt.Sprintf("%s after the Service's address and port are rewritten, %s before, and the specification leaves open which policies see", after.intent, before.intent)
		}
	}
	if from.class.nature == stranger {
		in.peer, in.distance = o.veiled(from.class, translated), unclear
	}
	return join(sent, o.lexicon.half(in, in.decide(), t.names)), t
}
