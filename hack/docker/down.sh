#!/usr/bin/env bash
# down.sh: stop the dockerd that up.sh started, and wait until it is gone.
#
# Only that one: the pid file and the command line must both say so. Its
# containers stop with it; images and volumes stay.
#
# usage: down.sh      exit 0: it is gone, or there was none; 3: it does not stop; 2: usage
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$here/common.sh"

main() {
  if (($#)); then
    say "usage: down.sh (it takes no arguments)"
    exit 2
  fi
  local pid
  if ! pid=$(our_daemon); then
    say "no dockerd of ours is running, nothing to do"
    return
  fi
  say "stopping dockerd, process $pid (its containers stop with it)"
  kill "$pid" || die "cannot stop process $pid: run this as the user who ran up.sh"
  # shellcheck disable=SC2317 # called by wait_for
  gone() { ! is_ours "$pid"; }
  wait_for 90 gone || die "process $pid does not stop; see $LOG"
  rm -f "$PIDFILE"
  say "stopped"
}

main "$@"
