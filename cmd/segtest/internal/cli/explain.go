package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/segtest/segtest/fixtures/manifest"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
	"github.com/segtest/segtest/suites/edit"
	"github.com/segtest/segtest/suites/judge"
	"github.com/segtest/segtest/suites/plan"
	"github.com/segtest/segtest/suites/report"
)

// explainFlags are the flags of one invocation.
type explainFlags struct {
	loading              loading
	file                 string
	output, want, family choice
	service              bool
}

func newExplain(io stdio) *cobra.Command {
	flags := explainFlags{output: output(), want: choice{words: []string{"allow", "deny"}}, family: choice{"ipv4", []string{"ipv4", "ipv6"}}}
	cmd := &cobra.Command{
		Use:   "explain FROM TO:PORT",
		Short: "say why a flow is allowed or denied, and how to change that; needs no cluster",
		Long: `Shows every policy that selects the sender and the receiver, every rule of
theirs, and why it fits the flow or does not: first what lets it out, then what
lets it in. Where scenario and policies differ, the smallest edit follows that
makes it as declared: every candidate was tried out, and none that breaks another
declared flow is shown. Exits 1 when they differ.

FROM is a workload, a pod, node/NAME or world/ADDRESS; TO is likewise, or with
--service a Service. PORT is a number or the name of a port; TCP unless it says
UDP/53 or 53/UDP.`,
		Example: `  segtest explain -f shop.yaml shop/web shop/db:5432
  segtest explain -f deploy/ shop/web kube-system/coredns:UDP/53
  segtest explain shop/web-0 shop/db:postgres --want deny
  segtest explain world/203.0.113.7 shop/web:http`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return misuse("explain needs FROM and TO:PORT, for example shop/web shop/db:5432")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return flags.run(cmd.Context(), io, args[0], args[1])
		},
	}
	f := cmd.Flags()
	f.StringVarP(&flags.file, "file", "f", ".", "scenario, folder of manifests, or kustomization")
	f.VarP(&flags.output, "output", "o", "how to print it")
	f.Var(&flags.want, "want", "search the edit that makes it so (default: what the scenario declares)")
	f.Var(&flags.family, "family", "IP family of the flow")
	f.BoolVar(&flags.service, "service", false, "TO is a Service, and PORT is the Service's")
	flags.loading.flag(cmd)
	return cmd
}

func (flags explainFlags) run(ctx context.Context, io stdio, from, to string) error {
	sc, err := flags.loading.load(ctx, flags.file, io.err)
	if err != nil {
		return err
	}
	p, err := plan.Of(sc)
	if err != nil {
		return usageError(err)
	}
	flows, err := flags.flows(p, from, to)
	if err != nil {
		return err
	}
	e, differs, err := flags.explained(ctx, p, flows)
	if err != nil {
		return err
	}
	if flags.output.value == "json" {
		err = report.ExplainJSON(io.out, e)
	} else {
		err = report.ExplainText(io.out, e, terminal(io.out))
	}
	if err != nil {
		return environmentError(err)
	}
	if differs {
		return &exitError{code: exitViolated}
	}
	return nil
}

// explained answers the question, and says whether the policies differ from what
// is declared or wanted.
func (flags explainFlags) explained(ctx context.Context, p *plan.Plan, flows []matrix.Flow) (report.Explained, bool, error) {
	wanted := map[string]matrix.Intent{"allow": matrix.Allow, "deny": matrix.Deny}[flags.want.value]
	e := report.Explained{Name: p.Scenario.Name, File: p.Scenario.Source.File, Want: wanted}
	aim := edit.Aim{Want: wanted}
	differs := false
	known := map[string]int{} // answers, by what they say
	for _, f := range flows {
		flow := p.Flow(f)
		if flags.service {
			flow.Declared.Intent, flow.Declared.Reason, flow.Declared.Origin = 0, "", oracle.Origin{} // it is about pods
		}
		key := fmt.Sprint(flow.Declared, flow.Computed.Intent, flow.Computed.Egress.By, flow.Computed.Ingress.By)
		if at, ok := known[key]; ok {
			e.Answers[at].Alike++
		} else {
			known[key] = len(e.Answers)
			e.Answers = append(e.Answers, report.Answer{Flow: flow, Explanation: p.Oracle.Explain(f)})
		}
		off := judge.Disagree(flow)
		if wanted != matrix.Unstated {
			off = flow.Computed.Intent != wanted
		} else if off && e.Want == matrix.Unstated {
			e.Want, aim.Want = flow.Declared.Intent, flow.Declared.Intent
		}
		differs = differs || off
		if wanted != matrix.Unstated || flow.Declared.Intent == e.Want {
			aim.Flows = append(aim.Flows, f)
		}
	}
	aim.Flows = slices.DeleteFunc(aim.Flows, func(f matrix.Flow) bool { return f.From == f.To })
	if !differs || flags.service || len(aim.Flows) == 0 {
		return e, differs, nil // no policy changes what a pod asks of itself
	}
	found, err := edit.Smallest(ctx, p, aim)
	if err != nil {
		return e, differs, &exitError{code: exitInterrupted, err: err}
	}
	e.Search = &found
	return e, differs, nil
}

// flows that two words mean: all pairs of their pods.
func (flags explainFlags) flows(p *plan.Plan, from, to string) ([]matrix.Flow, error) {
	senders, err := speakers(p, from)
	if err != nil {
		return nil, err
	}
	i := strings.LastIndex(to, ":")
	if i < 0 {
		return nil, usageError(fmt.Errorf("%q names no port: want TO:PORT, for example %s:5432", to, to))
	}
	name, port := to[:i], to[i+1:]
	flow := matrix.Flow{Family: map[string]matrix.Family{"ipv4": matrix.IPv4, "ipv6": matrix.IPv6}[flags.family.value]}
	var receivers []matrix.Endpoint
	var named []oracle.Port
	if flags.service {
		flow.Way = matrix.ServiceIP
		receivers, named, err = service(p, name)
	} else if receivers, err = speakers(p, name); err == nil {
		for _, pod := range p.World.Pods {
			if slices.Contains(receivers, pod.Name) {
				named = append(named, pod.Ports...)
			}
		}
	}
	if err != nil {
		return nil, err
	}
	if flow.Protocol, flow.Port, err = portOf(port, named); err != nil {
		return nil, usageError(fmt.Errorf("%q: %w", to, err))
	}
	var flows []matrix.Flow
	for _, a := range senders {
		for _, b := range receivers {
			if a != b || len(senders)*len(receivers) == 1 {
				flow.From, flow.To = a, b
				flows = append(flows, flow)
			}
		}
	}
	return flows, nil
}

// service finds a Service and its ports.
func service(p *plan.Plan, name string) ([]matrix.Endpoint, []oracle.Port, error) {
	var known []string
	for _, s := range p.World.Services {
		if string(s.Name) == name {
			var ports []oracle.Port
			for _, port := range s.Ports {
				ports = append(ports, oracle.Port{Name: port.Name, Protocol: port.Protocol, Port: port.Port})
			}
			return []matrix.Endpoint{s.Name}, ports, nil
		}
		known = append(known, string(s.Name))
	}
	return nil, nil, usageError(fmt.Errorf("%q is no Service of %s; %s", name, p.Scenario.Name, manifest.Suggest(name, known)))
}

// portOf reads "5432", "UDP/53", "53/UDP" or a name among the ports.
func portOf(word string, named []oracle.Port) (matrix.Protocol, uint16, error) {
	protocol, number := matrix.TCP, word
	if a, b, ok := strings.Cut(word, "/"); ok {
		if protocol.UnmarshalText([]byte(strings.ToUpper(a))) == nil && protocol != 0 {
			number = b
		} else if protocol.UnmarshalText([]byte(strings.ToUpper(b))) == nil && protocol != 0 {
			number = a
		} else {
			return 0, 0, fmt.Errorf("%q is no port: want 5432, UDP/53, 53/UDP or the name of a port", word)
		}
	}
	if n, err := strconv.ParseUint(number, 10, 16); err == nil && n > 0 {
		return protocol, uint16(n), nil
	}
	var known []string
	for _, p := range named {
		if p.Name == number && p.Name != "" && (number == word || p.Protocol == protocol) {
			return p.Protocol, p.Port, nil
		}
		if p.Name != "" {
			known = append(known, p.Name)
		}
	}
	slices.Sort(known)
	return 0, 0, fmt.Errorf("%q is no port from 1 to 65535 and no name of one there; %s", word, manifest.Suggest(number, slices.Compact(known)))
}
