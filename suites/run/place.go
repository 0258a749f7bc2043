package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/segtest/segtest/fixtures/cluster"
	"github.com/segtest/segtest/fixtures/deploy"
	"github.com/segtest/segtest/fixtures/image"
	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/prober"
	"github.com/segtest/segtest/suites/run/record"
)

// place is where a run happens.
type place struct {
	cluster    cluster.Cluster
	client     kubernetes.Interface
	probe      *image.Image // nil: every node has the image
	deployment Deployment
	fleet      *prober.Fleet
}

// startCluster makes the cluster and writes its facts down. The probe image is
// built first: it is the quicker one to fail.
func (s *Session) startCluster(ctx context.Context) error {
	sc := s.opts.Scenario
	if s.opts.ProbeImage == "" {
		var err error
		s.opts.Progress("building the probe image")
		if s.place.probe, err = image.Probe(ctx, image.Source{}); err != nil {
			return err
		}
	}
	manifests := make([]string, len(sc.Cluster.CNI.Manifests))
	for i, m := range sc.Cluster.CNI.Manifests {
		abs, err := filepath.Abs(filepath.FromSlash(m))
		if err != nil {
			return fmt.Errorf("finding %s: %w", m, err)
		}
		manifests[i] = abs
	}
	var err error
	s.place.cluster, err = s.opts.Provider.Create(ctx, cluster.Spec{
		RunID: s.opts.RunID, Workers: sc.Cluster.Workers, Family: sc.Cluster.Family, Image: sc.Cluster.Image,
		CNI: cluster.CNI{Flavour: sc.Cluster.CNI.Flavour, Manifests: manifests, Profile: sc.Cluster.CNI.Profile},
	}, s.opts.Progress)
	if err != nil {
		return err
	}
	facts := maps.Clone(s.place.cluster.Facts())
	maps.Copy(facts, shadowFacts(sc))
	if err := s.write(record.Event{Facts: facts}); err != nil {
		return err
	}
	s.place.client, err = kubernetes.NewForConfig(s.place.cluster.REST())
	return err
}

// deploy puts the probe image and the workloads on the cluster, without policies.
func (s *Session) deploy(ctx context.Context) error {
	if _, borrowed := s.place.cluster.(cluster.Borrowed); borrowed {
		if err := CheckCluster(s.opts.Scenario, borrowed); err != nil {
			return err
		}
	}
	probe, err := s.loadProbe(ctx)
	if err != nil {
		return err
	}
	plan := deployPlan(s.opts.Scenario, s.opts.RunID, probe)
	s.place.deployment, err = s.deployment(plan)
	if err != nil {
		return err
	}
	s.opts.Progress("deploying %d workloads and %d services", len(plan.Workloads), len(plan.Services))
	if n := len(s.opts.Scenario.Manifests.Dropped); n > 0 {
		s.opts.Progress("%d parts of the manifests have no stand-in: the record and `segtest plan -o json` list them", n)
	}
	if said := shadowFacts(s.opts.Scenario)["podSecurity"]; said != "" {
		s.opts.Progress("pod security: %s", said)
	}
	if err := s.place.deployment.Up(ctx); err != nil {
		return err
	}
	s.place.fleet = prober.NewFleet(s.place.deployment, prober.Limits{})
	return nil
}

// loadProbe puts the probe image on every node and returns its reference.
func (s *Session) loadProbe(ctx context.Context) (string, error) {
	if s.opts.ProbeImage != "" {
		return s.opts.ProbeImage, nil
	}
	loader, ok := s.place.cluster.(cluster.ImageLoader)
	if !ok {
		return "", fmt.Errorf("cluster %s has no way to load an image: put the probe image on its nodes and name it with --probe-image", s.place.cluster.Name())
	}
	s.opts.Progress("loading the probe image")
	return s.place.probe.Ref, loader.LoadImage(ctx, s.place.probe.Ref, s.place.probe.Open)
}

// policies are the scenario's, as they are applied.
func policies(sc *scenario.Scenario) []*networkingv1.NetworkPolicy {
	list := make([]*networkingv1.NetworkPolicy, len(sc.Policies))
	for i, p := range sc.Policies {
		list[i] = p.NetworkPolicy
	}
	return list
}

// members are the agents as they are now.
func members(pods []deploy.Pod) []prober.Member {
	var list []prober.Member
	for _, p := range pods {
		if p.UID == "" || len(p.Addresses) == 0 {
			continue
		}
		m := prober.Member{Endpoint: p.Endpoint, Node: p.Node, PodUID: p.UID}
		for _, a := range p.Addresses {
			m.IPs = append(m.IPs, a.String())
		}
		list = append(list, m)
	}
	return list
}

// question says where a flow leads at the moment; false when one of its ends
// has no pod with an address.
func question(number int, f matrix.Flow, pods map[matrix.Endpoint]deploy.Pod) (prober.Question, bool) {
	to, ok := pods[f.To]
	if _, sender := pods[f.From]; !ok || !sender {
		return prober.Question{}, false
	}
	i := slices.IndexFunc(to.Addresses, func(a netip.Addr) bool { return a.Is4() == (f.Family == matrix.IPv4) })
	if i < 0 {
		return prober.Question{}, false
	}
	return prober.Question{
		Flow: number, From: f.From, Protocol: f.Protocol, To: []matrix.Endpoint{f.To},
		Address: net.JoinHostPort(to.Addresses[i].String(), strconv.Itoa(int(f.Port))),
	}, true
}

func byEndpoint(pods []deploy.Pod) map[matrix.Endpoint]deploy.Pod {
	m := make(map[matrix.Endpoint]deploy.Pod, len(pods))
	for _, p := range pods {
		if p.UID != "" && len(p.Addresses) > 0 {
			m[p.Endpoint] = p
		}
	}
	return m
}

// nodesDeadline bounds the question how the nodes are.
const nodesDeadline = 10 * time.Second

// sickNodes is an error that names the nodes that are not Ready or dead, nil
// when all are well. It tells a machine that died from a network that denies.
func (s *Session) sickNodes(ctx context.Context) error {
	asking, cancel := context.WithTimeoutCause(ctx, nodesDeadline, fmt.Errorf("the API server does not answer within %s", nodesDeadline))
	defer cancel()
	list, err := s.place.client.CoreV1().Nodes().List(asking, metav1.ListOptions{})
	if err != nil {
		return errors.Join(fmt.Errorf("asking for the nodes: %w", errors.Join(err, context.Cause(asking))), s.deadNodes(ctx))
	}
	var sick []error
	for _, n := range list.Items {
		for _, c := range n.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
				sick = append(sick, fmt.Errorf("node %s is not Ready (%s: %s)", n.Name, c.Reason, c.Message))
			}
		}
	}
	return errors.Join(append(sick, s.deadNodes(ctx))...)
}

// deadNodes is an error that names the nodes that answer no command, nil when
// all do or when this cluster's nodes take none.
func (s *Session) deadNodes(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, nodesDeadline, fmt.Errorf("no answer within %s", nodesDeadline))
	defer cancel()
	nodes := s.place.cluster.Nodes()
	dead := make([]error, len(nodes))
	var all sync.WaitGroup
	for i, n := range nodes {
		if c, ok := n.(cluster.Commander); ok {
			all.Go(func() {
				if _, err := c.Run(ctx, nil, "true"); err != nil {
					dead[i] = fmt.Errorf("node %s answers no command: %w", n.Name(), err)
				}
			})
		}
	}
	all.Wait()
	return errors.Join(dead...)
}

// Close removes what the run made, unless keep is set, and ends the record.
// The error names what could not be removed.
func (s *Session) Close(ctx context.Context, keep bool) error {
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Minute)
	defer cancel()
	var left error
	if s.place.fleet != nil {
		closing, stop := context.WithTimeout(cleanup, 5*time.Second)
		left = errors.Join(left, s.place.fleet.Close(closing))
		stop()
	}
	if s.place.cluster != nil && !keep {
		what := "cluster"
		if _, borrowed := s.place.cluster.(cluster.Borrowed); borrowed {
			what = "what this run made on"
		}
		s.opts.Progress("removing %s %s", what, s.place.cluster.Name())
		left = errors.Join(left, s.place.cluster.Delete(cleanup))
	}
	unwritten := s.finish(ctx, left)
	if err := s.opts.History.Close(); !errors.Is(unwritten, err) { // it repeats its first error
		unwritten = errors.Join(unwritten, err)
	}
	return errors.Join(left, unwritten)
}
