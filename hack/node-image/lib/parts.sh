# parts.sh: builds parts, each once per set of inputs. Sourced by build.sh.
#
# A part is a function build_NAME that fills a folder. It runs with errexit, its output
# goes to a log, and its folder gets its name only when it is complete, so that an
# interrupt at any moment leaves nothing that could be taken for whole.
# shellcheck shell=bash

# By part: key, folder, and, while it builds, process, start, title and working folder.
declare -A PART_KEY PART_DIR PART_PID PART_SINCE PART_TITLE PART_WORK
PART_NUMBER=0
HEARTBEAT=15 # seconds

say() { printf 'node-image: %s\n' "$*" >&2; }

# die CODE MESSAGE…
die() {
  say "${@:2}"
  exit "$1"
}

# hash_of FILE_OR_FOLDER… prints one hash over names and contents.
hash_of() {
  find "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16
}

# define_part NAME INPUT… makes the part's key from its function, the Go version, the
# given files and folders, and words that start with "=".
define_part() {
  local name=$1 files=() words=()
  shift
  for input in "$@"; do
    case "$input" in
    =*) words+=("$input") ;;
    *) files+=("$input") ;;
    esac
  done
  PART_KEY[$name]=$({
    declare -f "build_$name" go_build
    echo "$GO_VERSION ${words[*]}"
    ((${#files[@]} == 0)) || hash_of "${files[@]}"
  } | sha256sum | cut -c1-16)
  PART_DIR[$name]=$CACHE/$name-${PART_KEY[$name]}
}

# start_part NAME TITLE [HINT] starts building the part unless it is there.
start_part() {
  local name=$1 title=$2 hint=${3:+ ($3)}
  PART_NUMBER=$((PART_NUMBER + 1))
  local label="[$PART_NUMBER/$PARTS] $title"
  PART_TITLE[$name]=$label
  if [[ -d ${PART_DIR[$name]} ]]; then
    say "$label: done before"
    return
  fi
  say "$label: building$hint"
  local work # a new name each time: what a killed build left running must not write here
  work=$(mktemp -d "$CACHE/tmp.$name.XXXXXX")
  PART_WORK[$name]=$work
  PART_SINCE[$name]=$SECONDS
  set -m # a process group of its own, so that an interrupt reaches all of it
  (
    set -euo pipefail
    trap - EXIT INT TERM
    begin=$SECONDS
    "build_$name" "$work"
    echo $((SECONDS - begin)) >"$work/.seconds"
  ) >"$CACHE/$name.log" 2>&1 </dev/null 9>&- &
  PART_PID[$name]=$!
  set +m
}

# finish_part NAME waits for a started part and puts it in its place.
finish_part() {
  local name=$1
  [[ -v PART_PID[$name] ]] || return 0
  wait_loudly "${PART_PID[$name]}" "${PART_TITLE[$name]}" "${PART_SINCE[$name]}" || {
    tail -n 25 "$CACHE/$name.log" >&2
    die 1 "${PART_TITLE[$name]}: failed; the end of $CACHE/$name.log is above"
  }
  unset "PART_PID[$name]"
  rm -rf "$CACHE/$name"-*
  mv -T "${PART_WORK[$name]}" "${PART_DIR[$name]}"
  say "${PART_TITLE[$name]}: built in $(cat "${PART_DIR[$name]}/.seconds") s"
}

# part NAME TITLE [HINT] builds a part and waits for it.
part() {
  start_part "$@"
  finish_part "$1"
}

# wait_loudly PID LABEL SINCE waits for a child, says every HEARTBEAT that it still
# runs, and returns its status.
wait_loudly() {
  local pid=$1 label=$2 since=$3 beat=$((SECONDS + HEARTBEAT))
  while kill -0 "$pid" 2>/dev/null; do
    if ((SECONDS >= beat)); then
      say "$label: $((SECONDS - since)) s so far"
      beat=$((SECONDS + HEARTBEAT))
    fi
    sleep 0.2
  done
  wait "$pid"
}

# stop_parts ends whatever still builds, with all its children.
stop_parts() {
  local name
  for name in "${!PART_PID[@]}"; do
    kill -TERM -- "-${PART_PID[$name]}" 2>/dev/null || true
    wait "${PART_PID[$name]}" 2>/dev/null || true
    rm -rf "${PART_WORK[$name]}"
  done
}

# timings prints what each part took when it was last built.
timings() {
  local name total=0 seconds
  for name in "$@"; do
    seconds=$(cat "${PART_DIR[$name]}/.seconds")
    total=$((total + seconds))
    printf 'node-image:   %-16s %4d s\n' "$name" "$seconds" >&2
  done
}
