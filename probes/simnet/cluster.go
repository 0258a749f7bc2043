package simnet

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/segtest/segtest/fixtures/cluster"
	"github.com/segtest/segtest/probes/matrix"
)

// node of the cluster, in which no command can be run.
type node struct {
	name    string
	control bool
}

func (n node) Name() string       { return n.name }
func (n node) ControlPlane() bool { return n.control }

// simulated is the cluster around a network.
type simulated struct {
	net  *Network
	spec cluster.Spec
}

// Create makes the network's nodes and the cluster around them, once. It speaks
// IPv4 only.
func (n *Network) Create(_ context.Context, spec cluster.Spec, _ cluster.Progress) (cluster.Cluster, error) {
	if spec.Family != "ipv4" {
		return nil, fmt.Errorf("creating a cluster in memory: family %q is not ipv4", spec.Family)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.nodes) > 0 {
		return nil, fmt.Errorf("creating a cluster in memory: the network has one already")
	}
	n.nodes = []node{{name: "control-plane", control: true}}
	for i := range spec.Workers {
		n.nodes = append(n.nodes, node{name: fmt.Sprintf("worker-%d", i+1)})
	}
	return &simulated{net: n, spec: spec}, nil
}

func (c *simulated) Name() string       { return cmp.Or(c.spec.Name, "simnet") }
func (c *simulated) Kubeconfig() string { return "" }

// REST leads to an API server in memory that knows pods, what they are, and how
// to delete one.
func (c *simulated) REST() *rest.Config {
	return &rest.Config{Host: "http://simnet.invalid", Transport: apiServer{c.net}, QPS: -1}
}

func (c *simulated) Nodes() []cluster.Node {
	var all []cluster.Node
	for _, n := range c.net.nodes {
		all = append(all, n)
	}
	return all
}

// Facts name the profile of engines that nothing opens or closes.
func (c *simulated) Facts() map[string]string {
	return map[string]string{"kubernetes": "simulated", "profile": cmp.Or(c.spec.CNI.Profile, "fail-static")}
}

// Delete ends everything that runs on the network.
func (c *simulated) Delete(context.Context) error {
	c.net.close()
	return nil
}

// apiServer answers for the pods of a network.
type apiServer struct{ net *Network }

// RoundTrip implements http.RoundTripper.
func (s apiServer) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, status := s.serve(r)
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, fmt.Errorf("answering %s %s: %w", r.Method, r.URL, err)
	}
	return &http.Response{
		StatusCode: status, Request: r, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(text)),
	}, nil
}

// serve nodes, pods, and the deletion of a pod.
func (s apiServer) serve(r *http.Request) (any, int) {
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/v1/"), "/")
	switch {
	case r.Method == http.MethodGet && slices.Equal(path, []string{"nodes"}):
		return corev1.NodeList{}, http.StatusOK // of which none is sick
	case len(path) < 3 || path[0] != "namespaces" || path[2] != "pods":
	case r.Method == http.MethodGet && len(path) == 3:
		return s.list(path[1]), http.StatusOK
	case len(path) == 4:
		return s.pod(r.Method, path[1], path[3])
	}
	missing := apierrors.NewNotFound(corev1.Resource("resource"), r.URL.Path).Status()
	return missing, int(missing.Code)
}

func (s apiServer) list(namespace string) corev1.PodList {
	var list corev1.PodList
	for _, p := range s.net.Pods() {
		if p.Endpoint.Namespace() == namespace {
			list.Items = append(list.Items, s.object(p))
		}
	}
	return list
}

func (s apiServer) pod(method, namespace, name string) (any, int) {
	endpoint := matrix.Endpoint(namespace + "/" + name)
	for _, p := range s.net.Pods() {
		if p.Endpoint != endpoint {
			continue
		}
		if method == http.MethodDelete {
			if err := s.net.kill(endpoint); err != nil {
				break
			}
		}
		return s.object(p), http.StatusOK
	}
	missing := apierrors.NewNotFound(corev1.Resource("pods"), name).Status()
	return missing, int(missing.Code)
}

// object is a pod as the API server tells it. Every slot has a controller of its
// own.
func (s apiServer) object(p Pod) corev1.Pod {
	ready := corev1.ConditionFalse
	if p.Ready {
		ready = corev1.ConditionTrue
	}
	controls := true
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.Endpoint.Namespace(), Name: p.Endpoint.Name(), UID: types.UID(p.UID),
			OwnerReferences: []metav1.OwnerReference{{UID: types.UID("owner of " + p.Endpoint), Controller: &controls}},
		},
		Spec: corev1.PodSpec{NodeName: p.Node},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: p.Addresses[0].String(), PodIPs: []corev1.PodIP{{IP: p.Addresses[0].String()}},
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}},
		},
	}
}
