# common.sh: what up.sh and down.sh agree on. Sourced, never run.
# shellcheck shell=bash disable=SC2034 # the variables are used by the two scripts

RUN=/run/segtest              # gone after a reboot, as the daemon is
PIDFILE=$RUN/dockerd.pid      # written by dockerd itself
LOG=/var/log/segtest-dockerd.log
WRAPPER=/var/lib/segtest/runc-capped # a copy: /run may be noexec, a checkout may move

say() { printf 'docker: %s\n' "$*" >&2; }

# die MESSAGE… exits 3, the code for a problem of the environment.
die() {
  say "$@"
  exit 3
}

# our_daemon prints the process id of the dockerd that up.sh started; fails if
# there is none.
our_daemon() {
  local pid
  pid=$(cat "$PIDFILE" 2>/dev/null) && [[ $pid =~ ^[0-9]+$ ]] && is_ours "$pid" && echo "$pid"
}

# is_ours PID succeeds if the process is a dockerd with our pid file. The number
# alone proves nothing: process ids are reused. A zombie has no command line.
is_ours() {
  local args
  args=$(tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline") && [[ $args == *dockerd*" --pidfile=$PIDFILE "* ]]
}

# wait_for SECONDS COMMAND… repeats the command until it succeeds; fails at the
# deadline. Prints a line every 10 s, so that a wait is never silent.
wait_for() {
  local deadline=$((SECONDS + $1)) beat=$((SECONDS + 10))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    if ((SECONDS >= beat)); then
      say "still waiting ($((deadline - SECONDS)) s left)"
      beat=$((SECONDS + 10))
    fi
    sleep 0.2
  done
}
