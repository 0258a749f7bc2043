#!/usr/bin/env bash
# Times the oracle against cyclonus's simulated engine and writes
# out/bench/oracle.json and oracle.txt. See README.md. Needs no cluster.
# Exits 0 when measured, 1 on a time or a size over its bound or on an answer
# that differs, 3 where the host lacks Go.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=hack/lib.sh
source hack/lib.sh

out=${SEGTEST_OUT:-out/bench}

need_go
mkdir -p "$out/bin"
bin=$(cd "$out/bin" && pwd)

say "building the benchmark of the oracle"
go build -C hack/bench/oracle -trimpath -o "$bin/oracle-bench" .
say "measuring (about 1 min)"
"$bin/oracle-bench" "$out"
say "written: $out/oracle.json $out/oracle.txt"
