#!/usr/bin/env bash
# assemble.sh: runs inside the build container, on the node's root file system with our
# files already in place, and does what is left of kind's base image and node image.
# Reads image archives from /segtest-images and removes them.
set -euo pipefail

# Services, as images/base/Dockerfile of kind has it.
find /lib/systemd/system/sysinit.target.wants/ -name systemd-tmpfiles-setup.service -delete
rm -f /lib/systemd/system/multi-user.target.wants/* \
  /etc/systemd/system/*.wants/* \
  /lib/systemd/system/local-fs.target.wants/* \
  /lib/systemd/system/sockets.target.wants/*udev* \
  /lib/systemd/system/sockets.target.wants/*initctl* \
  /lib/systemd/system/basic.target.wants/*
echo ReadKMsg=no >>/etc/systemd/journald.conf
systemctl enable kubelet.service containerd.service undo-mount-hacks.service
systemctl mask systemd-binfmt.service
mkdir -p /etc/kubernetes/manifests

# containerd: kind's configuration, a host that may not lower oom scores, and a network
# configuration that it renders itself, so that no daemon has to write one.
config=/etc/containerd/config.toml
sed -i 's/^\( *restrict_oom_score_adj = \).*/\1true/' "$config"
grep -q 'restrict_oom_score_adj = true' "$config"
cat >>"$config" <<'TOML'

[plugins."io.containerd.grpc.v1.cri".cni]
  conf_template = "/etc/containerd/cni.tmpl"
TOML
ctr oci spec |
  jq '.hooks.createContainer[.hooks.createContainer | length] |= . + {"path": "/kind/bin/mount-product-files.sh"}
    | del(.process.rlimits)' >/etc/containerd/cri-base.json

# Images, into containerd's content store.
containerd >/tmp/containerd.log 2>&1 &
daemon=$!
for ((i = 0; ; i++)); do
  ctr version >/dev/null 2>&1 && break
  if ((i == 150)) || ! kill -0 "$daemon"; then
    cat /tmp/containerd.log
    exit 1
  fi
  sleep 0.2
done
for archive in /segtest-images/*.tar; do
  ctr --namespace=k8s.io images import --label=io.cri-containerd.pinned=pinned \
    --all-platforms --no-unpack "$archive"
done
ctr --namespace=k8s.io images list -q | sort >/kind/segtest-images
kill "$daemon"
wait "$daemon" || true
rm -rf /segtest-images /tmp/containerd.log /assemble.sh /run/containerd /etc/resolv.conf.orig
