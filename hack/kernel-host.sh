#!/usr/bin/env bash
# Makes sure that the host can run the real-kernel tests: root, nft and ip.
# Exits 3 with what to do where it may not install.
set -euo pipefail
missing=()
command -v nft >/dev/null || missing+=(nftables)
command -v ip >/dev/null || missing+=(iproute2)
if ((EUID != 0)); then
  echo "the real-kernel tests make network namespaces: run them as root (or run 'make test-unit')" >&2
  exit 3
fi
((${#missing[@]} == 0)) && exit 0
if ! command -v apt-get >/dev/null; then
  echo "install ${missing[*]} with this host's package manager, then try again" >&2
  exit 3
fi
echo "installing ${missing[*]} (for the real-kernel tests)"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
