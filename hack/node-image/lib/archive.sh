# archive.sh: makes container image archives with tar alone. Sourced by build.sh.
# shellcheck shell=bash

# image_archive FILE TAG ROOT [ENTRYPOINT] writes a docker archive with one layer that
# holds the folder ROOT, owned by root. Equal input gives an equal archive.
image_archive() {
  local file=$1 tag=$2 root=$3 entrypoint=${4:-} work layer config
  work=$(mktemp -d -p "$(dirname "$file")")
  reproducible_tar "$work/layer.tar" "$root"
  layer=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
  # Every node gets a copy of all layers and unpacks those it runs: small copies win.
  gzip -1 -n "$work/layer.tar"
  jq -n --arg layer "sha256:$layer" --arg entrypoint "$entrypoint" --arg arch "$(go env GOARCH)" '{
    architecture: $arch, os: "linux", created: "1970-01-01T00:00:00Z",
    config: ({Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
      + if $entrypoint == "" then {} else {Entrypoint: [$entrypoint]} end),
    rootfs: {type: "layers", diff_ids: [$layer]},
    history: [{created: "1970-01-01T00:00:00Z", created_by: "segtest hack/node-image"}]
  }' >"$work/config.json"
  config=$(sha256sum "$work/config.json" | cut -d' ' -f1).json
  mv "$work/config.json" "$work/$config"
  jq -n --arg config "$config" --arg tag "$tag" \
    '[{Config: $config, RepoTags: [$tag], Layers: ["layer.tar.gz"]}]' >"$work/manifest.json"
  reproducible_tar "$file" "$work"
  rm -rf "$work"
}

reproducible_tar() {
  tar --create --file="$1" --sort=name --mtime=@0 --numeric-owner --owner=0 --group=0 --directory="$2" .
}
