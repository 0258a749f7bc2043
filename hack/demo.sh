#!/usr/bin/env bash
# The main job from nothing: builds segtest, shows the plan of the online shop,
# makes sure of Docker and a node image, and runs the scenario with its faults.
# Exits as segtest does (0: as expected), or 3 where it may not install.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=hack/lib.sh
source hack/lib.sh

scenario=fixtures/catalog/online-shop
out=${SEGTEST_OUT:-out/demo}

need_go
say "building segtest"
go build -trimpath -o bin/segtest ./cmd/segtest

say "the plan: what is declared, and what the policies compute to (no cluster needed)"
bin/segtest plan "$scenario"

say "a Docker daemon"
hack/docker/up.sh
say "a node image"
ensure_node_image

say "running $scenario"
mkdir -p "$out"
bin/segtest run "$scenario" --out "$out" \
  --report "junit=$out/junit.xml" --report "json=$out/result.json"
