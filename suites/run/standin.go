package run

import (
	"context"
	"time"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/segtest/segtest/chaos"
	"github.com/segtest/segtest/fixtures/deploy"
	"github.com/segtest/segtest/probes/prober"
)

// StandIn is a network in memory in the place of a cluster's, over which tests
// prove that a run finds what is wrong with a network. The zero value is the
// cluster's own network; nothing that a user runs sets anything else.
type StandIn struct {
	// Deploy makes a deployment; nil is deploy.New.
	Deploy func(deploy.Plan) (Deployment, error)
	// Now is the clock of the record, with which the agents stamp their samples
	// too; nil is CLOCK_MONOTONIC.
	Now func() time.Duration
}

// Deployment is the workloads and the sentinels of a run, on some network.
type Deployment interface {
	prober.Dialer
	workloads
	enforced
	guarding
	mended
}

// workloads are pods that come and go, see deploy.Deployment.
type workloads interface {
	Up(ctx context.Context) error
	Pods(ctx context.Context) ([]deploy.Pod, error)
	Sentinels(ctx context.Context) ([]deploy.Sentinel, error)
}

// enforced are the policies over them, see deploy.Deployment.
type enforced interface {
	ApplyPolicies(ctx context.Context, policies []*networkingv1.NetworkPolicy) error
	DeletePolicies(ctx context.Context) error
}

// guarding are the policy and the labels of the sentinels, see deploy.Deployment.
type guarding interface {
	ApplySentinelPolicy(ctx context.Context) error
	DeleteSentinelPolicy(ctx context.Context) error
	Guard(ctx context.Context, s deploy.Sentinel, on bool) error
}

// deployment of a plan, on the stand-in where there is one.
func (s *Session) deployment(plan deploy.Plan) (Deployment, error) {
	if s.opts.StandIn.Deploy != nil {
		return s.opts.StandIn.Deploy(plan)
	}
	return deploy.New(s.place.cluster.REST(), plan, s.opts.Progress)
}

// now is CLOCK_MONOTONIC, which the agents stamp their samples with too, or the
// clock of the stand-in.
func (s *Session) now() time.Duration {
	if s.opts.StandIn.Now != nil {
		return s.opts.StandIn.Now()
	}
	return chaos.Now()
}

// mended changes one of the policies, see deploy.Deployment.
type mended interface {
	SetPolicy(ctx context.Context, policy *networkingv1.NetworkPolicy) error
	DeletePolicy(ctx context.Context, namespace, name string) error
}
