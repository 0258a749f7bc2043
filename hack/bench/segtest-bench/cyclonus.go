package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/segtest/segtest/fixtures/cluster"
	"github.com/segtest/segtest/fixtures/deploy"
)

const (
	peerVersion = "v0.5.6"
	// peerImage is the one that cyclonus v0.5.6 names in its pods.
	peerImage = "registry.k8s.io/e2e-test-images/agnhost:2.43"
)

// cyclonusFigures is what the program in ../cyclonus prints, and the medians.
type cyclonusFigures struct {
	Version string  `json:"version"`
	Flows   int     `json:"flows"`
	Denied  int     `json:"denied"`
	Workers int     `json:"workers"`
	Timeout int     `json:"timeoutSeconds"`
	Passes  []pass  `json:"passes"`
	Median  float64 `json:"medianSeconds"`
	Fastest float64 `json:"fastestSeconds"`
}

// timeCyclonus gives cyclonus the cluster, cleared of segtest's pods.
func timeCyclonus(ctx context.Context, in inputs, on cluster.Cluster, progress cluster.Progress) (f cyclonusFigures, err error) {
	if err := removeWorkloads(ctx, on); err != nil {
		return f, err
	}
	progress("loading %s, built from source", peerImage)
	loader, ok := on.(cluster.ImageLoader)
	if !ok {
		return f, fmt.Errorf("cluster %s has no way to load an image", on.Name())
	}
	archive := filepath.Join(in.out, "agnhost.tar")
	if err := packProgram(in.agnhost, peerImage, archive); err != nil {
		return f, err
	}
	if err := loader.LoadImage(ctx, peerImage, openFile(archive)); err != nil {
		return f, err
	}
	var result bytes.Buffer
	cmd := exec.CommandContext(ctx, in.cyclonus, filepath.Join(in.scenario, "policies.yaml"))
	cmd.Env = append(os.Environ(), "KUBECONFIG="+on.Kubeconfig())
	cmd.Stdout, cmd.Stderr = &result, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return f, fmt.Errorf("running %s: %w", in.cyclonus, err)
	}
	if err := json.Unmarshal(result.Bytes(), &f); err != nil {
		return f, fmt.Errorf("reading what %s printed: %w", in.cyclonus, err)
	}
	f.Version = peerVersion
	return f, nil
}

// removeWorkloads deletes the namespaces that segtest made and waits until
// they are gone: cyclonus makes its own of the same names.
func removeWorkloads(ctx context.Context, on cluster.Cluster) error {
	client, err := kubernetes.NewForConfig(on.REST())
	if err != nil {
		return err
	}
	spaces, ours := client.CoreV1().Namespaces(), metav1.ListOptions{LabelSelector: deploy.RunLabel}
	list, err := spaces.List(ctx, ours)
	if err != nil {
		return fmt.Errorf("listing segtest's namespaces: %w", err)
	}
	for _, ns := range list.Items {
		if err := spaces.Delete(ctx, ns.Name, metav1.DeleteOptions{}); err != nil {
			return fmt.Errorf("deleting namespace %s: %w", ns.Name, err)
		}
	}
	err = wait.PollUntilContextTimeout(ctx, 250*time.Millisecond, 2*time.Minute, true, func(ctx context.Context) (bool, error) {
		list, err := spaces.List(ctx, ours)
		return err == nil && len(list.Items) == 0, err
	})
	if err != nil {
		return fmt.Errorf("waiting until segtest's namespaces are gone: %w", err)
	}
	return nil
}
