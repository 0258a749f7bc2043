# Finds out by trying what this kernel can do for policy engines and faults.
# Runs as root in a network namespace of its own, so that nothing it makes
# outlives it. Prints one line per feature: NAME ok|no REASON.
try() {
  name=$1
  shift
  if message=$("$@" 2>&1); then
    echo "$name ok"
  else
    echo "$name no $(echo "$message" | grep -m 1 -i error || echo "$message" | tail -n 1)"
  fi
}
need() { command -v "$1" >/dev/null || { echo "$2 unknown there is no $1 command to try it with"; return 1; }; }

ip link set lo up 2>/dev/null
if need nft nft-queue; then
  try nft-queue nft 'add table inet t; add chain inet t c { type filter hook output priority 0; }; add rule inet t c meta l4proto sctp queue num 9 bypass'
fi
if need iptables nfqueue-target; then
  try nfqueue-target iptables -w -t mangle -A POSTROUTING -p sctp -j NFQUEUE --queue-num 9 --queue-bypass
fi
if need tc netem; then
  try netem tc qdisc add dev lo root netem delay 1ms
fi
try ipv6 sh -c 'test -e /proc/net/if_inet6 && echo 0 > /proc/sys/net/ipv6/conf/lo/disable_ipv6 && grep -q lo /proc/net/if_inet6 || { echo "IPv6 is off in this kernel"; false; }'
try sctp sh -c 'modprobe sctp 2>/dev/null; test -e /proc/net/sctp/snmp || { echo "the sctp module is missing"; false; }'
