# Shared by the scripts in hack: what a host needs before segtest can run.
# shellcheck shell=bash

# say prints one line about what happens next.
say() { printf '\n==> %s\n' "$*"; }

# need_go stops with 3 where the go command is missing.
need_go() {
  command -v go >/dev/null && return
  echo "segtest needs Go 1.26 or newer on PATH; install it from your distribution or https://go.dev/dl and try again" >&2
  exit 3
}

# ensure_node_image makes sure that a node image is present or can be pulled,
# and builds one from source where neither is so. Expects bin/segtest and a
# Docker daemon.
ensure_node_image() {
  if docker image inspect segtest.local/node:v1.37.2 >/dev/null 2>&1 || ! bin/segtest doctor --only image; then
    hack/node-image/build.sh
  fi
}
