#!/usr/bin/env bash
# Times segtest's matrix against cyclonus's probe on one cluster and writes
# out/bench/bench.json and bench.txt. See README.md.
# Exits 0 when measured, 1 on a false verdict or a size over its bound, 3 where
# the host lacks what a cluster needs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=hack/lib.sh
source hack/lib.sh

out=${SEGTEST_OUT:-out/bench}

need_go
mkdir -p "$out/bin"
bin=$(cd "$out/bin" && pwd)

say "building segtest, cyclonus and agnhost (from source; the first time about 2 min)"
go build -trimpath -o bin/segtest ./cmd/segtest
go build -trimpath -o "$bin/segtest-bench" ./hack/bench/segtest-bench
go build -C hack/bench/cyclonus -trimpath -o "$bin/cyclonus" .
CGO_ENABLED=0 go build -C hack/node-image/kubernetes -trimpath -ldflags '-s -w' -o "$bin/agnhost" k8s.io/kubernetes/test/images/agnhost

say "a Docker daemon"
hack/docker/up.sh
say "a node image"
ensure_node_image

# The benchmark removes its cluster itself; this is for when it was killed. With a
# state folder of its own it knows of no cluster but the benchmark's.
XDG_STATE_HOME=$(cd "$out" && pwd)/state
export XDG_STATE_HOME
trap 'bin/segtest clean' EXIT

say "measuring (about 4 min)"
"$bin/segtest-bench" hack/bench "$out" "$bin/agnhost" "$bin/cyclonus"
say "written: $out/bench.json $out/bench.txt"
