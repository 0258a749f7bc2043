// Command routed makes the pod networks of a flat kind cluster reachable: on its
// node it keeps a route to every other node's pod networks, IPv4 and IPv6, and
// masquerades pod traffic that leaves the pod and node networks. It enforces nothing.
//
// It takes its node's name from MY_NODE_NAME and needs list and watch on nodes,
// CAP_NET_ADMIN, the node's network namespace and the nft program.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// repairEvery bounds how long damage lasts that no event told us about.
	repairEvery = 5 * time.Second
	// settle lets the events of one change arrive before it is acted on.
	settle = 50 * time.Millisecond
	// kubeletConfig says where the API is.
	kubeletConfig = "/etc/kubernetes/kubelet.conf"
	// readyFile appears once the node's network was in step; the pod's startup probe reads it.
	readyFile = "/run/routed-ready"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv("MY_NODE_NAME")); err != nil {
		slog.Error("routed stops", "error", err)
		os.Exit(1)
	}
}

// run keeps the node's network in step with the Node objects until ctx ends.
func run(ctx context.Context, self string) error {
	if self == "" {
		return errors.New("MY_NODE_NAME is not set")
	}
	config, err := apiConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}

	changed := make(chan struct{}, 1)
	poke := func() {
		select {
		case changed <- struct{}{}:
		default: // a change is already waiting to be acted on
		}
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	nodes := factory.Core().V1().Nodes()
	if _, err := nodes.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { poke() },
		UpdateFunc: func(any, any) { poke() },
		DeleteFunc: func(any) { poke() },
	}); err != nil {
		return fmt.Errorf("watching nodes: %w", err)
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), nodes.Informer().HasSynced) {
		return nil // interrupted
	}
	if err := watchRoutes(ctx, poke); err != nil {
		return err
	}
	slog.Info("routed runs", "node", self)
	var network network
	keep(ctx, changed, func() error {
		all, err := nodes.Lister().List(labels.Everything())
		if err != nil {
			return fmt.Errorf("listing nodes: %w", err)
		}
		want := layoutOf(all, self)
		if err := network.apply(want); err != nil || len(want.local) == 0 {
			return err
		}
		return os.WriteFile(readyFile, []byte("ready\n"), 0o644)
	})
	return nil
}

// apiConfig is the pod's own identity, at the address that the node's kubelet uses:
// the Service address needs kube-proxy, and routes should not have to wait for it.
func apiConfig() (*rest.Config, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the pod's service account: %w", err)
	}
	kubelet, err := clientcmd.LoadFromFile(kubeletConfig)
	if err != nil {
		slog.Info("using the Service address of the API", "reason", err)
		return config, nil
	}
	if current := kubelet.Contexts[kubelet.CurrentContext]; current != nil {
		if cluster := kubelet.Clusters[current.Cluster]; cluster != nil {
			config.Host = cluster.Server
		}
	}
	return config, nil
}

// watchRoutes calls poke whenever a route is removed from the node.
func watchRoutes(ctx context.Context, poke func()) error {
	updates := make(chan netlink.RouteUpdate)
	if err := netlink.RouteSubscribe(updates, ctx.Done()); err != nil {
		return fmt.Errorf("watching routes: %w", err)
	}
	go func() {
		for update := range updates {
			if update.Type == syscall.RTM_DELROUTE {
				poke()
			}
		}
	}()
	return nil
}

// keep calls apply at once, after each change, and every repairEvery, until ctx ends.
// An error is reported when it differs from the last one: the next round tries again.
func keep(ctx context.Context, changed <-chan struct{}, apply func() error) {
	ticker := time.NewTicker(repairEvery)
	defer ticker.Stop()
	reported := ""
	for {
		message := ""
		if err := apply(); err != nil {
			message = err.Error()
		}
		if message != reported {
			slog.Info("network in step", "error", message)
			reported = message
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
			gather(ctx)
		case <-ticker.C:
		}
	}
}

// gather lets the events of one change arrive, or returns when ctx ends.
func gather(ctx context.Context) {
	timer := time.NewTimer(settle)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
