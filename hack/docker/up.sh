#!/usr/bin/env bash
# up.sh: make a Docker daemon answer on this host.
#
# A daemon that answers already (DOCKER_HOST and contexts honoured) is left
# alone. Otherwise Docker is installed from the host's own package sources if it
# is missing, and started: by systemd where systemd runs, else as a detached
# dockerd of our own, which down.sh stops. No configuration file is written.
#
# usage: up.sh        exit 0: Docker answers; 3: it cannot, and the reason is said; 2: usage
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$here/common.sh"

has() { command -v "$1" >/dev/null 2>&1; }

# answers succeeds if the daemon that the client is set up for responds.
answers() { has docker && timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# report prints the one line about a daemon that answers.
report() {
  say "$1: $(docker version --format 'Docker {{.Server.Version}}') at ${DOCKER_HOST:-the default address}"
}

# caps_short succeeds if this process may not hand out every capability that the
# kernel knows. Privileged containers then need the runc-capped wrapper.
caps_short() {
  local bounding last
  bounding=$((16#$(sed -n 's/^CapBnd:[[:space:]]*//p' /proc/self/status)))
  last=$(cat /proc/sys/kernel/cap_last_cap)
  ((bounding != (1 << (last + 1)) - 1))
}

# missing_packages prints the Debian packages whose programs are not there.
missing_packages() {
  has dockerd || echo docker.io
  has iptables || echo iptables
  has runc || echo runc
  if caps_short && ! has jq; then echo jq; fi
}

install_missing() {
  local packages
  mapfile -t packages < <(missing_packages)
  ((${#packages[@]})) || return 0
  has apt-get || die "missing: ${packages[*]}. Install Docker (https://docs.docker.com/engine/install/) and run this again."
  ((EUID == 0)) || die "missing: ${packages[*]}. As root: apt-get install --no-install-recommends ${packages[*]}"

  say "refreshing package lists (apt-get update)"
  apt_quietly update || die "apt-get update failed"
  # From Debian 13 on the client is a package of its own.
  if ! has docker && apt-cache show docker-cli >/dev/null 2>&1; then packages+=(docker-cli); fi
  say "installing ${packages[*]}"
  # RUNLEVEL=1 keeps a sysv init script from starting a daemon without our flags.
  RUNLEVEL=1 apt_quietly install -y --no-install-recommends "${packages[@]}" || die "apt-get install failed"
}

# apt_quietly runs apt-get with its output shown only on failure.
apt_quietly() {
  local output pid
  output=$(mktemp)
  DEBIAN_FRONTEND=noninteractive apt-get -q "$@" >"$output" 2>&1 </dev/null &
  pid=$!
  # shellcheck disable=SC2317 # called by wait_for
  gone() { ! kill -0 "$pid" 2>/dev/null; }
  wait_for 900 gone || kill "$pid"
  local status=0
  wait "$pid" || status=$?
  ((status == 0)) || tail -n 20 "$output" >&2
  rm -f "$output"
  return "$status"
}

# start_detached starts a dockerd of our own on the default socket.
start_detached() {
  local flags=("--pidfile=$PIDFILE")
  if caps_short; then
    say "this host lacks capabilities: registering the runtime wrapper $WRAPPER"
    install -D -m 0755 "$here/runc-capped" "$WRAPPER"
    flags+=("--add-runtime=segtest-capped=$WRAPPER" --default-runtime=segtest-capped)
  fi
  say "starting dockerd ${flags[*]} (log: $LOG)"
  setsid dockerd "${flags[@]}" >>"$LOG" 2>&1 </dev/null 9>&- &
  local pid=$!
  # shellcheck disable=SC2317 # called by wait_for
  up_or_dead() { answers || ! kill -0 "$pid" 2>/dev/null; }
  if ! wait_for 60 up_or_dead || ! answers; then
    tail -n 20 "$LOG" >&2
    die "dockerd does not answer; the end of $LOG is above"
  fi
}

# lock waits for any other up.sh on this host, until this one ends.
lock() {
  mkdir -p "$RUN"
  exec 9>"$RUN/up.lock"
  until flock --timeout 10 9; do say "another up.sh is at work: waiting for it"; done
}

start() {
  ((EUID == 0)) || die "Docker is installed but does not answer. As root: systemctl start docker, or run this script as root."
  if [[ -d /run/systemd/system ]] && ! caps_short; then
    say "starting docker.service (systemctl start docker)"
    systemctl start docker || die "systemctl start docker failed; see: journalctl -u docker"
    wait_for 60 answers || die "docker.service runs but does not answer; see: journalctl -u docker"
  else
    start_detached
  fi
}

main() {
  if (($#)); then
    say "usage: up.sh (it takes no arguments)"
    exit 2
  fi
  if answers; then
    report "already running, nothing to do"
    return
  fi
  case "${DOCKER_HOST:-unix:///var/run/docker.sock}" in
  unix:///var/run/docker.sock | unix:///run/docker.sock) ;;
  *) die "DOCKER_HOST=$DOCKER_HOST does not answer; this script starts only a local daemon. Unset it, or start that one." ;;
  esac
  ((EUID != 0)) || lock # of two that start at once, the second finds the first's daemon
  answers || install_missing
  answers || start # the package may have started it
  report "running"
}

main "$@"
