// Cyclonus times the kube probe of cyclonus, by the packages of cyclonus: its
// nine pods, its 15 workers, every port and protocol of every pod. It expects
// a cluster without the namespaces x, y and z at $KUBECONFIG and prints JSON.
//
// usage: cyclonus POLICIES.yaml
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mattfenwick/cyclonus/pkg/connectivity/probe"
	"github.com/mattfenwick/cyclonus/pkg/generator"
	"github.com/mattfenwick/cyclonus/pkg/kube"
	"github.com/mattfenwick/cyclonus/pkg/matcher"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
)

const (
	passes = 3
	// workers is cyclonus's own number, which no flag of it changes.
	workers = 15
	// timeout in seconds is the shortest that cyclonus can be told; its default
	// is 10, which every denied probe waits for.
	timeout = 1
	// startup in seconds is how long the pods may take.
	startup = 120
)

type figures struct {
	Flows   int    `json:"flows"`
	Denied  int    `json:"denied"`
	Workers int    `json:"workers"`
	Timeout int    `json:"timeoutSeconds"`
	Passes  []pass `json:"passes"`
}

type pass struct {
	Seconds float64  `json:"seconds"`
	Load    float64  `json:"load"`
	Wrong   []string `json:"wrong"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cyclonus:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: cyclonus POLICIES.yaml")
	}
	policies, err := readPolicies(args[0])
	if err != nil {
		return err
	}
	cluster, err := kube.NewKubernetesForContext("")
	if err != nil {
		return err
	}
	pods, err := deploy(ctx, cluster, policies)
	if err != nil {
		return err
	}
	builder := &probe.JobBuilder{TimeoutSeconds: timeout}
	every := generator.NewAllAvailable(generator.ProbeModePodIP)
	want := probe.NewSimulatedRunner(matcher.BuildNetworkPolicies(true, policies), builder).RunProbeForConfig(every, pods)
	runner := probe.NewKubeRunner(cluster, workers, builder)
	f := figures{Workers: workers, Timeout: timeout}
	for range passes {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		start := time.Now()
		seen := runner.RunProbeForConfig(every, pods)
		p := pass{Seconds: time.Since(start).Seconds(), Wrong: []string{}}
		f.Flows, f.Denied = compare(&p, want, seen)
		if p.Load, err = load(); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "cyclonus: %d probes in %.1f s, %d wrong\n", f.Flows, p.Seconds, len(p.Wrong))
		f.Passes = append(f.Passes, p)
	}
	return json.NewEncoder(os.Stdout).Encode(f)
}

// deploy applies the policies before the pods, so that nothing has to settle,
// and waits until every container of every pod runs.
func deploy(ctx context.Context, cluster *kube.Kubernetes, policies []*networkingv1.NetworkPolicy) (*probe.Resources, error) {
	namespaces, names := []string{"x", "y", "z"}, []string{"a", "b", "c"}
	for _, ns := range namespaces {
		if _, err := cluster.CreateNamespace(probe.KubeNamespace(ns, map[string]string{"ns": ns})); err != nil {
			return nil, err
		}
	}
	for _, p := range policies {
		if _, err := cluster.CreateNetworkPolicy(p); err != nil {
			return nil, err
		}
	}
	pods, err := probe.NewDefaultResources(cluster, namespaces, names, []int{80, 81},
		[]corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP}, nil, startup, false, "registry.k8s.io")
	if err != nil {
		return nil, err
	}
	err = wait.PollUntilContextTimeout(ctx, 250*time.Millisecond, startup*time.Second, true, func(ctx context.Context) (bool, error) {
		return ready(ctx, cluster, namespaces)
	})
	if err != nil {
		return nil, fmt.Errorf("waiting for cyclonus's pods: %w", err)
	}
	return pods, nil
}

func ready(ctx context.Context, cluster *kube.Kubernetes, namespaces []string) (bool, error) {
	for _, ns := range namespaces {
		list, err := cluster.ClientSet.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		for _, p := range list.Items {
			if !slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
				return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
			}) {
				return false, nil
			}
		}
	}
	return true, nil
}

// compare counts the probes and those that cyclonus's own simulation denies,
// and lists those that came out otherwise. Pods reach themselves whatever the
// policies say, which the simulation does not know: as with cyclonus's flag
// ignore-loopback, these are timed and not compared.
func compare(p *pass, want, seen *probe.Table) (flows, denied int) {
	for _, key := range seen.Wrapped.Keys() {
		expected := want.Get(key.From, key.To).JobResults
		for port, got := range seen.Get(key.From, key.To).JobResults {
			flows++
			if key.From == key.To {
				continue
			}
			if expected[port].Combined == probe.ConnectivityBlocked {
				denied++
			}
			if got.Combined != expected[port].Combined {
				p.Wrong = append(p.Wrong, fmt.Sprintf("%s → %s %s: %s by the policies, seen %s", key.From, key.To, port, expected[port].Combined, got.Combined))
			}
		}
	}
	slices.Sort(p.Wrong)
	return flows, denied
}

func readPolicies(file string) ([]*networkingv1.NetworkPolicy, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var list []*networkingv1.NetworkPolicy
	for d := yaml.NewYAMLOrJSONDecoder(f, 4096); ; {
		var p networkingv1.NetworkPolicy
		switch err := d.Decode(&p); {
		case errors.Is(err, io.EOF):
			return list, nil
		case err != nil:
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		list = append(list, &p)
	}
}

// load is how many processes of the machine wanted to run, over the last minute.
func load() (float64, error) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), " ")
	return strconv.ParseFloat(first, 64)
}
