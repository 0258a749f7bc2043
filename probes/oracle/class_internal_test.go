package oracle

import (
	"fmt"
	"net/netip"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/segtest/segtest/probes/matrix"
)

// TestClasses counts the classes of 20 pods in three namespaces under one policy
// over namespace a.
func TestClasses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*Pod, int)
		peer   networkingv1.NetworkPolicyPeer
		want   int
	}{
		{"namespaces that hold a policy and those that do not", func(*Pod, int) {}, networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{}}, 2},
		{"labels that no selector names", func(p *Pod, i int) { p.Labels["pod-template-hash"] = fmt.Sprint(i) }, networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{}}, 2},
		{"values that no selector tells apart", func(p *Pod, i int) { p.Labels["role"] = fmt.Sprint(i + 1) }, by("role", "0"), 2},
		{"values that a selector tells apart", func(p *Pod, i int) { p.Labels["role"] = fmt.Sprint(i % 2) }, by("role", "0"), 4},
		{"addresses on one side of a block", func(p *Pod, i int) { p.Addresses = []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})} }, inside("10.0.0.0/24"), 2},
		{"addresses on both sides of a block", func(p *Pod, i int) { p.Addresses = []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})} }, inside("10.0.0.0/30"), 4},
		{"ports that no policy names", func(p *Pod, i int) { p.Ports = []Port{{Name: "metrics", Protocol: matrix.TCP, Port: uint16(i)}} }, by("role", "0"), 2},
		{"ports that a policy names", func(p *Pod, i int) { p.Ports = []Port{{Name: "web", Protocol: matrix.TCP, Port: uint16(80 + i%2)}} }, by("role", "0"), 4},
		{"nodes, which no policy names", func(p *Pod, i int) { p.Node = fmt.Sprint(i) }, by("role", "0"), 2},
		{"the networks of nodes", func(p *Pod, i int) { p.HostNetwork = i < 4 }, by("role", "0"), 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o, err := New(classWorld(c.change, c.peer))
			if err != nil {
				t.Fatal(err)
			}
			distinct := map[*class]bool{}
			for _, e := range o.endpoints {
				distinct[e.class] = true
			}
			if len(distinct) != c.want {
				t.Errorf("got %d classes, want %d", len(distinct), c.want)
			}
		})
	}
}

func by(key, value string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}}
}

func inside(cidr string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: cidr}}
}

func classWorld(change func(*Pod, int), peer networkingv1.NetworkPolicyPeer) World {
	p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p"}}
	web := intstr.FromString("web")
	p.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{
		From: []networkingv1.NetworkPolicyPeer{peer}, Ports: []networkingv1.NetworkPolicyPort{{Port: &web}},
	}}
	w := World{Policies: []Policy{{NetworkPolicy: p}}}
	for i := range 20 {
		pod := Pod{Name: matrix.Endpoint(fmt.Sprintf("%c/p-%d", 'a'+i%3, i)), Labels: map[string]string{"role": "x"}}
		change(&pod, i/3)
		w.Pods = append(w.Pods, pod)
	}
	return w
}
