package oracle_test

import (
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

func Example() {
	db := networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db"}}
	db.Spec.PodSelector.MatchLabels = map[string]string{"app": "db"}
	db.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{
		{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "api"}}},
	}}}
	o, err := oracle.New(oracle.World{
		Pods: []oracle.Pod{
			{Name: "shop/api-0", Labels: map[string]string{"app": "api"}},
			{Name: "shop/web-0", Labels: map[string]string{"app": "web"}},
			{Name: "shop/db-0", Labels: map[string]string{"app": "db"}},
		},
		Policies: []oracle.Policy{{NetworkPolicy: &db, Origin: oracle.Origin{File: "db.yaml", Line: 1, Column: 1}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, from := range []matrix.Endpoint{"shop/api-0", "shop/web-0"} {
		f := matrix.Flow{From: from, To: "shop/db-0", Protocol: matrix.TCP, Port: 5432}
		d := o.Decide(f)
		fmt.Printf("%s: %s by %s\n", f, d.Intent, d.Ingress.By[0])
	}
	// Output:
	// shop/api-0 → shop/db-0 TCP/5432: allow by shop/db rule 0 (db.yaml:1:1)
	// shop/web-0 → shop/db-0 TCP/5432: deny by shop/db (db.yaml:1:1)
}
