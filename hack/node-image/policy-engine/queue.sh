#!/bin/sh
# queue.sh [WORD…]: send packets to the policy engine where its own nftables rules cannot.
# queue.sh hold: keep the engine from trying its own rules, for as long as this runs.
#
# The engine asks nftables for `queue`. Kernels without CONFIG_NFT_QUEUE refuse all of
# its rules; iptables' NFQUEUE does the same there, so this script says with iptables
# what the engine says with nftables. Where nft queue works it does nothing.
#
#   bypass   accept while no engine holds the queue (fail open); else such packets drop
#   label    queue all packets of a connection until the engine has labelled it, so
#            that it can take a label back (strict mode); else only the first ones
#
# The rules outlive the engine, and running this again replaces them in one step.
#
# An engine whose rules the kernel refuses tries them again every second. Each time it
# adds chains and the kernel takes them back, and with a chain the kernel drops every
# packet that waits in a queue. In a table that another process owns no chain is added,
# so `hold` owns the engine's.
set -eu
queue=98                    # --nfqueue-id of the engine
table=kube-network-policies # its nftables table

# hold COMMAND… runs the command, whose input is a line and then nothing, until the
# container is stopped or its input, which nobody writes to, ends.
hold() {
  trap 'exit 0' TERM
  exec 3<&0
  { echo "add table inet $table { flags owner; }" && read -r _ <&3; } | "$@" >/dev/null &
  wait
}

if nft -f - 2>/dev/null <<RULES
table inet segtest-probe { chain c { queue flags bypass to 65535; }; }
RULES
then
  nft delete table inet segtest-probe
  echo "nft queue works: leaving the rules to the engine"
  if [ "${1:-}" = hold ]; then hold grep -q nothing; fi
  exit 0
fi

if [ "${1:-}" = hold ]; then
  echo "keeping the engine out of table $table"
  hold nft -i # when it ends the table is gone
  exit
fi

flags=
state="-m conntrack --ctstate NEW"
labelled=
for word in "$@"; do
  case "$word" in
  bypass) flags=--queue-bypass ;;
  label)
    labelled="-A SEGTEST-POLICY -m connlabel --label 28 -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN"
    state=
    ;;
  esac
done

# The engine labels a connection with its verdict: bit 100 counted from the end of 16
# bytes, which is bit 28 in the kernel's order. A kernel without
# CONFIG_NETFILTER_NETLINK_GLUE_CT ignores that, so what got past the queue is labelled
# here, one hook later. Taking a label back works on every kernel.
if [ -n "$labelled" ]; then
  nft -f - <<RULES
add table inet segtest-label
delete table inet segtest-label
table inet segtest-label {
  chain forwarded { type filter hook postrouting priority mangle + 10; ct label set 28; }
  chain to-node { type filter hook input priority mangle + 10; ct label set 28; }
}
RULES
fi

# Packets that leave towards a pod, or pass through: after DNAT and before SNAT, as in
# the engine. Not those of root on the node itself: kubelet's probes must not depend on
# policies. Then new connections from this node's pods to the node itself.
rules() {
  echo "*mangle
:SEGTEST-POLICY - [0:0]
:SEGTEST-TO-NODE - [0:0]
$1
-A SEGTEST-POLICY -m owner --uid-owner 0 -j RETURN
$labelled
-A SEGTEST-POLICY $state -j NFQUEUE --queue-num $queue $flags
-A SEGTEST-TO-NODE -m conntrack --ctstate NEW -j NFQUEUE --queue-num $queue $flags
COMMIT"
}

# ensure IPTABLES CHAIN MATCH… appends a rule if it is not there.
ensure() {
  tables=$1
  shift
  "$tables" -w -t mangle -C "$@" 2>/dev/null || "$tables" -w -t mangle -A "$@"
}

# Neighbour discovery is not for policies to decide.
neighbours=$(for type in 133 134 135 136 137; do
  echo "-A SEGTEST-POLICY -p icmpv6 --icmpv6-type $type -j RETURN"
done)
rules "" | iptables-restore -w --noflush
rules "$neighbours" | ip6tables-restore -w --noflush
for tables in iptables ip6tables; do
  ensure "$tables" POSTROUTING -j SEGTEST-POLICY
  ensure "$tables" INPUT -i veth+ -j SEGTEST-TO-NODE
done
echo "no nft queue on this kernel: iptables feeds queue $queue ${*:-}"
