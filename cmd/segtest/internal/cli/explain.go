package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/segtest/segtest/fixtures/scenario"
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
	flags := explainFlags{output: output(), want: choice{words: []string{"allow", "deny"}}, family: choice{words: []string{"ipv4", "ipv6"}}}
	cmd := &cobra.Command{
		Use:   "explain FROM TO:PORT [SCENARIO|FOLDER]",
		Short: "say why a flow is allowed or denied, and how to change that; needs no cluster",
		Long: `Shows every policy that selects the sender and the receiver, every rule of
theirs, and why it fits the flow or does not: first what lets it out, then what
lets it in. Where scenario and policies differ, the smallest edit follows that
makes it as declared: every candidate was tried out, and none that breaks another
declared flow is shown. Exits 1 when they differ, and 4 when the policies leave
open what is declared.

FROM is a workload, a pod, node/NAME or world/ADDRESS; TO is likewise, or with
--service a Service. PORT is a number or the name of a port; TCP unless it says
UDP/53 or 53/UDP. ICMP stands for an echo request, which has no port. A flow as reports write it will do, too. kube-system/coredns,
which every cluster has, can be asked where no file holds it. SCENARIO is the
current folder unless it is given.`,
		Example: `  segtest explain shop/web shop/db:5432 shop.yaml
  segtest explain shop/web kube-system/coredns:UDP/53 deploy/
  segtest explain shop/web-0 shop/db:postgres --want deny
  segtest explain 'shop/web-0 → shop/db-0 TCP/5432'
  segtest explain world/203.0.113.7 shop/web:http`,
		Args: func(cmd *cobra.Command, args []string) error {
			_, target, err := questionOf(cmd.Name(), args)
			if err == nil && target != "" && flags.file != "" {
				return misuse("--file %s and %s are two scenarios; name one", flags.file, target)
			}
			return err
		},
		RunE: func(cmd *cobra.Command, args []string) error { return flags.run(cmd.Context(), io, args) },
	}
	f := cmd.Flags()
	f.StringVarP(&flags.file, "file", "f", "", "another way to name the SCENARIO")
	f.VarP(&flags.output, "output", "o", "how to print it")
	f.Var(&flags.want, "want", "search the edit that makes it so (default: what the scenario declares)")
	f.Var(&flags.family, "family", "IP family of the flow (default: that of the address, else ipv4)")
	f.BoolVar(&flags.service, "service", false, "TO is a Service, and PORT is the Service's")
	flags.loading.flag(cmd)
	flags.loading.networks.flag(cmd, unknownNetworks)
	return cmd
}

func (flags explainFlags) run(ctx context.Context, io stdio, args []string) error {
	q, target, err := questionOf("explain", args)
	if err != nil {
		return err
	}
	if flags.service {
		q.way = matrix.ServiceIP
	}
	if err := flags.speak(&q); err != nil {
		return err
	}
	sc, err := flags.loading.load(ctx, cmp.Or(target, flags.file, "."), io.err)
	if err != nil {
		return err
	}
	p, err := plan.Of(sc)
	if err != nil {
		return usageError(err)
	}
	p, flows, err := ask(p, q, io.err)
	if err != nil {
		return err
	}
	e, off, err := flags.explained(ctx, p, flows)
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
	return differs(off, sc.Expect.Snapshot)
}

// speak takes the family of the flag, which must be that of the addresses.
func (flags explainFlags) speak(q *question) error {
	if flags.family.value == "" {
		return nil
	}
	q.family = map[string]matrix.Family{"ipv4": matrix.IPv4, "ipv6": matrix.IPv6}[flags.family.value]
	return q.speak(true)
}

// explained answers the question, and counts the flows on which the policies differ
// from what is declared or wanted.
func (flags explainFlags) explained(ctx context.Context, p *plan.Plan, flows []matrix.Flow) (report.Explained, plan.Tally, error) {
	wanted := map[string]matrix.Intent{"allow": matrix.Allow, "deny": matrix.Deny}[flags.want.value]
	e := report.Explained{Name: p.Scenario.Name, File: p.Scenario.Source.File, Want: wanted}
	aim := edit.Aim{Want: wanted}
	var off plan.Tally
	known := map[string]int{} // answers, by what they say
	for _, f := range flows {
		flow := p.Flow(f)
		if f.Way == matrix.ServiceIP {
			flow.Declared.Intent, flow.Declared.Reason, flow.Declared.Origin = 0, "", oracle.Origin{} // it is about pods
		}
		key := fmt.Sprint(flow.Declared, flow.Computed.Intent, flow.Computed.Egress.By, flow.Computed.Ingress.By)
		if at, ok := known[key]; ok {
			e.Answers[at].Alike++
		} else {
			known[key] = len(e.Answers)
			e.Answers = append(e.Answers, report.Answer{Flow: flow, Explanation: p.Oracle.Explain(f)})
		}
		switch {
		case wanted != matrix.Unstated && flow.Computed.Intent != wanted:
			off.Disagree++
		case wanted == matrix.Unstated && judge.Disagree(flow):
			if off.Disagree++; judge.Undecidable(flow) {
				off.Undecidable++
			}
			if e.Want == matrix.Unstated && flow.Declared.Intent != matrix.Undefined {
				e.Want, aim.Want = flow.Declared.Intent, flow.Declared.Intent
			}
		}
		if wanted != matrix.Unstated || flow.Declared.Intent == e.Want {
			aim.Flows = append(aim.Flows, f)
		}
	}
	aim.Flows = slices.DeleteFunc(aim.Flows, func(f matrix.Flow) bool { return f.From == f.To })
	if off.Disagree == 0 || flows[0].Way == matrix.ServiceIP || e.Want == matrix.Unstated || len(aim.Flows) == 0 {
		return e, off, nil // no policy changes what a pod asks of itself
	}
	found, err := edit.Smallest(ctx, p, aim)
	if err != nil {
		return e, off, &exitError{code: exitInterrupted, err: err}
	}
	e.Search = &found
	return e, off, nil
}

// ask finds the flows that a question means, and the plan that knows their ends:
// one with the cluster's DNS only where that is asked about. Notes go to w.
func ask(p *plan.Plan, q question, w io.Writer) (*plan.Plan, []matrix.Flow, error) {
	whole, err := p.With(scenario.WithDNS(p.World))
	if err != nil {
		return nil, nil, usageError(err)
	}
	flows, err := q.flows(whole)
	if err != nil {
		return nil, nil, err
	}
	dns := scenario.DNS + "-0"
	if slices.ContainsFunc(flows, func(f matrix.Flow) bool { return f.From == dns || f.To == dns }) && len(whole.World.Pods) > len(p.World.Pods) {
		fmt.Fprintf(w, "note: no file holds %s; it is taken to be as in every cluster, with the label k8s-app=kube-dns and port 53\n", scenario.DNS)
		p = whole
	}
	if note := undeclared(whole, flows[0]); note != "" {
		fmt.Fprintln(w, "note:", note)
	}
	return p, flows, nil
}
