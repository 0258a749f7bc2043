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

# install_missing THING PACKAGE…: installs the Debian packages of those things,
# programs or files by their path, that the host lacks; or returns 3 and says what
# a person should do.
install_missing() {
  local missing=()
  while (($#)); do
    [[ -e $1 ]] || command -v "$1" >/dev/null || missing+=("$2")
    shift 2
  done
  ((${#missing[@]} == 0)) && return
  if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
    echo "missing: ${missing[*]}. Install them as root with this host's package manager, then try again" >&2
    return 3
  fi
  say "installing ${missing[*]}"
  apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
}
