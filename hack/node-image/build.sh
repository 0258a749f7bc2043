#!/usr/bin/env bash
# build.sh: build the kind node image segtest.local/node from source, pulling no image.
#
# Everything comes from Go modules (pinned in the go.mod files beside this script) and
# from the host's own Debian package sources. Parts are cached; a rerun builds only what
# changed, and says in one line when nothing did. See README.md.
#
# usage: build.sh [--force]    --force ignores the cache
# exit:  0 the image is there, 1 a part failed, 2 wrong usage, 3 this host lacks
#        something, 130 interrupted
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here"
# shellcheck source-path=SCRIPTDIR source=lib/parts.sh
source lib/parts.sh
# shellcheck source-path=SCRIPTDIR source=lib/archive.sh
source lib/archive.sh

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/segtest/node-image
BUILD_LABEL=segtest.dev/build=node-image
BASE_TAG=segtest.local/node-base:build
PARTS=9
GO_PARTS=(kubernetes tools etcd policy_engine routed pause)

# version_of FOLDER MODULE prints the version that the folder's go.mod requires.
version_of() { sed -n "s,^\(require\)\{0\,1\}[[:space:]]*$2 \(v[^ ]*\).*,\2,p" "$1/go.mod"; }

# module_dir FOLDER MODULE prints where the module's files are, and fetches them if need be.
module_dir() { (cd "$1" && go mod download "$2" && go list -m -f '{{.Dir}}' "$2"); }

# go_build FOLDER OUTPUT [FLAG…] PACKAGE… builds static programs of a nested module.
go_build() {
  local folder=$1 output=$2
  shift 2
  (cd "$here/$folder" && CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOWORK=off nice go build -trimpath -o "$output" "$@")
}

build_rootfs() {
  local release
  release=$(. /etc/os-release && echo "$VERSION_CODENAME")
  package_sources >"$1/sources"
  if [[ ! -s $1/sources ]] && ((EUID == 0)); then # a host that never fetched its lists
    apt-get -q update
    package_sources >"$1/sources"
  fi
  [[ -s $1/sources ]] || {
    echo "apt knows no Debian or Ubuntu package sources"
    return 1
  }
  # shellcheck disable=SC2016 # mmdebstrap gives the hooks their $1
  mmdebstrap --variant=minbase --include="$(paste -sd, rootfs/packages)" \
    --customize-hook="sh $here/rootfs/netfilter-root.sh \"\$1\" $1/netfilter.tar" \
    --customize-hook='rm -f "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/*' \
    "$release" "$1/root.tar" "$1/sources"
  rm "$1/sources"
}

# package_sources prints the distribution's own sources that this host's apt uses.
package_sources() {
  # shellcheck disable=SC2016 # apt's variables, not the shell's
  apt-get indextargets --format '$(ORIGIN)|deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    sed -n 's/^\(Debian\|Ubuntu\)|//p' | sort -u
}

build_kubernetes() {
  local version package flags="-s -w" programs=()
  version=$(version_of kubernetes k8s.io/kubernetes)
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=$version -X $package.gitTreeState=clean"
    flags+=" -X $package.gitMajor=$(cut -d. -f1 <<<"${version#v}") -X $package.gitMinor=$(cut -d. -f2 <<<"$version")"
  done
  for package in kubeadm kubelet kubectl kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do
    programs+=("k8s.io/kubernetes/cmd/$package")
  done
  go_build kubernetes "$1/" -ldflags "$flags" "${programs[@]}"
}

build_tools() {
  local containerd=github.com/containerd/containerd/v2 cni=github.com/containernetworking/plugins/plugins
  local tags='no_btrfs no_devmapper no_zfs no_aufs osusergo netgo'
  mkdir "$1/bin" "$1/cni"
  go_build tools "$1/bin/" -tags "$tags" -ldflags "-s -w -X $containerd/version.Version=$(version_of tools $containerd)" \
    $containerd/cmd/{containerd,containerd-shim-runc-v2,ctr}
  go_build tools "$1/cni/" -tags "$tags" -ldflags '-s -w' $cni/{ipam/host-local,main/loopback,main/ptp,meta/portmap}
  go_build tools "$1/" -tags "$tags" -ldflags '-s -w' github.com/coredns/coredns
}

build_etcd() { go_build etcd "$1/etcd" -ldflags '-s -w' .; }

build_policy_engine() {
  local engine=sigs.k8s.io/kube-network-policies/cmd/kube-network-policies crds
  go_build policy-engine "$1/netpol" -ldflags '-s -w' $engine/standard
  go_build policy-engine "$1/netpol-npa-v1alpha2" -ldflags '-s -w' $engine/npa-v1alpha2
  crds=$(module_dir policy-engine sigs.k8s.io/network-policy-api)
  cp "$crds/config/crd/experimental/policy.networking.k8s.io_clusternetworkpolicies.yaml" "$1/crd.yaml"
}

build_routed() { go_build routed "$1/routed" -ldflags '-s -w' .; }
build_pause() { go_build pause "$1/pause" -ldflags '-s -w' .; }

# build_images makes the archives that the node brings along, under the names that
# kubeadm, kind's containerd configuration and our manifests use.
build_images() {
  local k8s=${PART_DIR[kubernetes]} version name tag
  version=$(version_of kubernetes k8s.io/kubernetes)
  "$k8s/kubeadm" config images list --kubernetes-version "$version" >"$1/list"
  for name in kube-apiserver kube-controller-manager kube-scheduler; do
    program_image "$1" "$(tag_of "$1" "$name")" "$k8s/$name"
  done
  program_image "$1" "$(tag_of "$1" etcd)" "${PART_DIR[etcd]}/etcd"
  tag=$(tag_of "$1" coredns)
  [[ $tag == *:$(version_of tools github.com/coredns/coredns) ]] || {
    echo "kubeadm wants $tag: set that version in tools/go.mod"
    return 1
  }
  program_image "$1" "$tag" "${PART_DIR[tools]}/coredns" /usr/local/bin/coredns

  local root=$1/root
  netfilter_image "$1" "$(tag_of "$1" kube-proxy)" usr/local/bin "$k8s/kube-proxy"
  netfilter_image "$1" segtest.local/routed:local usr/bin "${PART_DIR[routed]}/routed"
  netfilter_image "$1" segtest.local/kube-network-policies:local usr/bin \
    "${PART_DIR[policy_engine]}"/netpol{,-npa-v1alpha2} policy-engine/queue.sh
  tag=$(sed -n 's/^ *sandbox_image = "\(.*\)"/\1/p' "$(module_dir tools sigs.k8s.io/kind)/images/base/files/etc/containerd/config.toml")
  program_image "$1" "$tag" "${PART_DIR[pause]}/pause" /usr/local/bin/pause
  rm -rf "$root" "$1/list"
}

# tag_of FOLDER NAME prints the full name of the image that kubeadm calls NAME.
tag_of() { grep "/$2:" "$1/list"; }

# program_image FOLDER TAG PROGRAM [ENTRYPOINT]: an image of one static program.
program_image() {
  local root=$1/root
  rm -rf "$root"
  install -D -t "$root/usr/local/bin" "$3"
  image_archive "$1/$(basename "$3").tar" "$2" "$root" "${4:-}"
}

# netfilter_image FOLDER TAG BIN PROGRAM…: an image with nft and iptables beside them.
netfilter_image() {
  local root=$1/root
  rm -rf "$root"
  mkdir "$root"
  tar --extract --file="${PART_DIR[rootfs]}/netfilter.tar" --directory="$root"
  install -D -t "$root/$3" "${@:4}"
  image_archive "$1/$(basename "$4").tar" "$2" "$root"
}

# render_flavours FOLDER writes cni-FLAVOUR.yaml for every line of flavours/table.
render_flavours() {
  local name command queue flags
  while read -r name command queue flags; do
    {
      cat flavours/routes.yaml
      if [[ $command != - ]]; then
        echo ---
        # shellcheck disable=SC2086 # one line per flag
        sed -e "s,@COMMAND@,$command," -e "s/@QUEUE@/${queue//,/, }/" \
          -e "s/^@ARGS@$/$(printf '            - %s\\n' $flags)/" flavours/policy-engine.yaml | sed '/^$/d'
      fi
      if [[ $name == cnp ]]; then
        echo ---
        cat "${PART_DIR[policy_engine]}/crd.yaml"
      fi
    } >"$1/cni-$name.yaml"
  done < <(grep -v '^#' flavours/table)
  cp "$1/cni-kindnet-like.yaml" "$1/default-cni.yaml"
}

flavours() { grep -v '^#' flavours/table | cut -d' ' -f1 | paste -sd,; }

# stage_node FOLDER lays out all files that the node has beyond the Debian root.
stage_node() {
  local kind
  kind=$(module_dir tools sigs.k8s.io/kind)
  mkdir -p "$1"/{usr/bin,usr/local/bin,opt/cni/bin,segtest-images,kind/manifests}
  cp -r "$kind/images/base/files/." "$1/"
  chmod -R u+w,go+rX,go-w "$1"
  find "$1" -type f -exec chmod 0644 {} +
  chmod 0755 "$1"/usr/local/bin/* "$1"/kind/bin/*
  rm -f "$1/usr/local/bin/clean-install"
  install -t "$1/usr/bin" "${PART_DIR[kubernetes]}"/{kubeadm,kubelet,kubectl}
  install -t "$1/usr/local/bin" "${PART_DIR[tools]}"/bin/*
  install -t "$1/opt/cni/bin" "${PART_DIR[tools]}"/cni/*
  install -m 0644 -t "$1/etc/containerd" node/cni.tmpl
  install -m 0644 node/sysctl.conf "$1/etc/sysctl.d/20-segtest.conf"
  install -t "$1" node/assemble.sh
  install -m 0644 -t "$1/kind/manifests" node/default-storage.yaml
  render_flavours "$1/kind/manifests"
  version_of kubernetes k8s.io/kubernetes | tr -d '\n' >"$1/kind/version"
  ln "${PART_DIR[images]}"/*.tar "$1/segtest-images/" 2>/dev/null ||
    cp "${PART_DIR[images]}"/*.tar "$1/segtest-images/"
}

# build_node puts the parts together in a container and commits it as the image.
build_node() {
  local container
  stage_node "$1/stage"
  docker import "${PART_DIR[rootfs]}/root.tar" "$BASE_TAG"
  container=$(docker run --detach --label "$BUILD_LABEL" --privileged --security-opt seccomp=unconfined \
    --network none --stop-signal SIGRTMIN+3 --entrypoint sleep "$BASE_TAG" infinity)
  tar --create --numeric-owner --owner=0 --group=0 --directory="$1/stage" . | docker cp - "$container:/"
  rm -rf "$1/stage"
  docker exec "$container" /assemble.sh
  # The build label must not pass on to the image: remove_leftovers would then take
  # every node that runs it for a leftover.
  docker commit \
    --change 'ENV container=docker' \
    --change 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]' --change 'CMD []' \
    --change "LABEL segtest.dev/build= segtest.dev/inputs=$INPUTS segtest.dev/flavours=$(flavours)" \
    "$container" "$IMAGE"
  remove_leftovers
}

# remove_leftovers removes what a build has in the Docker daemon besides its result.
remove_leftovers() {
  docker ps --all --quiet --filter "label=$BUILD_LABEL" | xargs --no-run-if-empty docker rm --force --volumes >/dev/null
  docker image rm --no-prune "$BASE_TAG" >/dev/null 2>&1 || true
}

# define_parts computes every key and, over all of them, the image's.
define_parts() {
  local flags=()
  define_part rootfs rootfs
  define_part kubernetes kubernetes/go.mod kubernetes/go.sum
  define_part tools tools/go.mod tools/go.sum
  define_part etcd etcd
  define_part policy_engine policy-engine/go.mod policy-engine/go.sum
  define_part routed routed
  define_part pause pause
  for name in rootfs "${GO_PARTS[@]}"; do flags+=("=${PART_KEY[$name]}"); done
  define_part images build.sh lib/archive.sh policy-engine/queue.sh "${flags[@]}"
  define_part node build.sh node flavours "=${PART_KEY[images]}"
  INPUTS=${PART_KEY[node]}
}

# need PROGRAM PACKAGE… checks the host for the programs and installs what is missing,
# or says what a person should do.
need() {
  local missing=()
  while (($#)); do
    command -v "$1" >/dev/null || missing+=("$2")
    shift 2
  done
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null ||
    die 3 "missing: ${missing[*]}. This build takes the node's root file system from Debian packages: run it on Debian or Ubuntu."
  ((EUID == 0)) || die 3 "missing: ${missing[*]}. As root: apt-get install --no-install-recommends ${missing[*]}"
  say "installing ${missing[*]}"
  { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}"; } \
    >"$CACHE/apt.log" 2>&1 </dev/null 9>&- &
  wait_loudly $! "installing ${missing[*]}" "$SECONDS" || {
    tail -n 20 "$CACHE/apt.log" >&2
    die 3 "apt-get failed; the end of $CACHE/apt.log is above"
  }
}

# is_built says so if the image is there and made from the present inputs, else fails.
is_built() {
  [[ $(docker image inspect --format '{{index .Config.Labels "segtest.dev/inputs"}}' "$IMAGE" 2>/dev/null) == "$INPUTS" ]] &&
    say "$IMAGE is up to date ($INPUTS)"
}

build_all() {
  say "building $IMAGE (about 12 min when nothing is cached; logs and parts in $CACHE)"
  start_part rootfs "root file system" "about 1 min, beside the next"
  part kubernetes "kubernetes $(version_of kubernetes k8s.io/kubernetes)" "about 7 min on 2 cores"
  finish_part rootfs
  part tools "containerd, CNI plugins, CoreDNS" "about 3 min"
  part etcd etcd "about 20 s"
  part policy_engine "policy engine" "about 1 min"
  part routed "route daemon" "about 10 s"
  part pause pause
  part images "image archives" "about 10 s"
  rm -rf "${PART_DIR[node]}" # not a cache: the result is in Docker
  part node "node image" "about 30 s"
  # The image that had the tag before, unless a cluster still runs it.
  docker image prune --force --filter label=segtest.dev/inputs >/dev/null
  say "time per part:"
  timings rootfs "${GO_PARTS[@]}" images node
}

main() {
  local force=
  case "$*" in
  "") ;;
  --force) force=yes ;;
  *) die 2 "usage: build.sh [--force]" ;;
  esac
  command -v go >/dev/null || die 3 "missing: go. See https://go.dev/doc/install"
  docker version >/dev/null 2>&1 || die 3 "no Docker daemon answers. hack/docker/up.sh starts one."
  GO_VERSION=$(go env GOVERSION GOARCH | paste -sd' ')
  IMAGE=segtest.local/node:$(version_of kubernetes k8s.io/kubernetes)
  define_parts
  [[ -n $force ]] || ! is_built || return 0
  mkdir -p "$CACHE"
  exec 9>"$CACHE/lock"
  until flock --timeout "$HEARTBEAT" 9; do say "another build is running: waiting for it"; done
  if [[ -n $force ]]; then rm -rf "${PART_DIR[@]}"; elif is_built; then return; fi
  need mmdebstrap mmdebstrap jq jq
  trap 'stop_parts; remove_leftovers' EXIT
  trap 'exit 130' INT TERM HUP
  rm -rf "$CACHE"/tmp.* # of a build that was killed
  remove_leftovers
  build_all
  say "$IMAGE is ready: $(docker image inspect --format '{{.Size}}' "$IMAGE" | awk '{printf "%d MB", $1 / 1e6}') in $SECONDS s"
}

main "$@"
