#!/usr/bin/env bash
# Runs the named parts of the tests (unit, differential, simnet, kernel, e2e), sets up what each
# needs, and ends with the time of each part and go test's own summary lines.
# Exits 1 when a test fails, 3 where the host lacks what a part needs.
# shellcheck disable=SC2317 # the parts are called by name
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
# shellcheck source=hack/lib.sh
source hack/lib.sh

log=$(mktemp)
trap 'rm -f "$log"' EXIT
times=()
status=0

# part NAME COMMAND…: runs the command, keeps its time and its summary lines.
part() {
  local name=$1 start=$SECONDS
  shift
  say "$name: $*"
  "$@" 2>&1 | tee -a "$log"
  local rc=${PIPESTATUS[0]}
  times+=("$(printf '%-12s %4d s  exit %d' "$name" $((SECONDS - start)) "$rc")")
  if ((rc != 0)); then status=$rc; fi
  return "$rc"
}

# The race detector needs a C compiler. Where none may be installed the tests
# run without it, and say so: they need no root. So that all ends within a minute:
# a process under the detector ends at once and not after a second of waiting, of
# which there would be hundreds; tests that wait let others run; the laws are tried
# on fewer worlds, and on all of them by the differential part; the Go linker
# links, and not the host's, which a loader of plug-ins that nobody uses asks for.
unit() {
  local race=(-race)
  if ! install_missing "$(go env CC)" gcc /usr/include/stdlib.h libc6-dev; then
    say "unit: no C compiler, so WITHOUT the race detector"
    race=()
  fi
  part unit env GORACE="atexit_sleep_ms=0 ${GORACE-}" \
    go test "${race[@]}" -short -parallel 8 -ldflags=-linkmode=internal ./... &&
    part unit-image go -C hack/node-image/routed test ./...
}

# The laws in full, as the unit part does not try them. The oracle against other
# engines: a million random packets, and the data of the catalogue; a module of
# its own.
differential() {
  local laws
  mapfile -t laws < <(grep -rl --include='*_test.go' 'testing\.Short()' chaos cmd fixtures probes suites | xargs -n1 dirname | sort -u)
  part laws go test -count=1 "${laws[@]/#/./}" &&
    part differential go -C hack/differential test -count=1 ./...
}

# Every named defect of the network in memory over 100 seeds; the unit tests try
# one. Without the race detector, and with less garbage collection, it takes
# seconds.
simnet() {
  part simnet env SEGTEST_SEEDS=100 GOGC=400 go test -count=1 -run '^TestSimnet' ./suites/run
}

kernel() {
  part kernel-host kernel_host &&
    part kernel env SEGTEST_NETNS=1 go test -count=1 -parallel 4 -timeout 10m ./probes/netns/...
}

# kernel_host makes sure that the host can run the real-kernel tests.
kernel_host() {
  if ((EUID != 0)); then
    echo "the real-kernel tests make network namespaces: run them as root (or run 'make test-unit')" >&2
    return 3
  fi
  install_missing nft nftables ip iproute2
}

# With -p 1 two clusters never share the host, and go test shows what happens
# while it happens.
e2e() {
  part build go build -trimpath -o bin/segtest ./cmd/segtest &&
    part docker hack/docker/up.sh &&
    part node-image ensure_node_image &&
    part e2e env SEGTEST_E2E=1 go test -count=1 -v -run '^TestE2E' -timeout 24m -p 1 \
      ./cmd/segtest ./suites/segmentation ./fixtures/cluster/kindcluster ./fixtures/deploy ./chaos/...
}

need_go
for name in "$@"; do
  case $name in
    unit | differential | simnet | kernel | e2e) "$name" || break ;;
    *) echo "hack/test.sh: no part $name (unit, differential, simnet, kernel, e2e)" >&2; exit 2 ;;
  esac
done

say "time per part"
printf '%s\n' "${times[@]}"
say "summary"
grep -E '^(ok|FAIL|---? FAIL|\?|panic:)[[:space:]]' "$log" | grep -v 'no test files' || true
exit "$status"
