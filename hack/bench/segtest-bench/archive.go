package main

import (
	"archive/tar"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// packProgram writes a docker-archive of an image with one static program in
// its root.
func packProgram(program, ref, archive string) error {
	tag, err := name.NewTag(ref)
	if err != nil {
		return fmt.Errorf("packing %s: %w", program, err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return tarOf(program), nil })
	if err != nil {
		return fmt.Errorf("packing %s: %w", program, err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return fmt.Errorf("packing %s: %w", program, err)
	}
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{
		OS: "linux", Architecture: runtime.GOARCH, Config: v1.Config{Entrypoint: []string{"/" + filepath.Base(program)}},
		RootFS: v1.RootFS{Type: "layers", DiffIDs: diffIDs(layer)},
	})
	if err != nil {
		return fmt.Errorf("packing %s: %w", program, err)
	}
	return tarball.WriteToFile(archive, tag, image)
}

func diffIDs(layer v1.Layer) []v1.Hash {
	id, err := layer.DiffID()
	if err != nil {
		return nil // mutate refuses the image
	}
	return []v1.Hash{id}
}

// tarOf streams a tar archive of one program.
func tarOf(program string) io.ReadCloser {
	out, in := io.Pipe()
	go func() { in.CloseWithError(writeTar(in, program)) }()
	return out
}

func writeTar(to io.Writer, program string) error {
	f, err := os.Open(program)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // nothing was written
	info, err := f.Stat()
	if err != nil {
		return err
	}
	w := tar.NewWriter(to)
	if err := w.WriteHeader(&tar.Header{Name: filepath.Base(program), Mode: 0o755, Size: info.Size(), Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	if _, err := io.Copy(w, f); err != nil {
		return err
	}
	return w.Close()
}

func openFile(path string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return os.Open(path) }
}
