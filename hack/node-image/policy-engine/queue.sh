#!/bin/sh
# queue.sh [WORD…]: send packets to the policy engine where its own nftables rules cannot.
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
set -eu
queue=98 # --nfqueue-id of the engine

if nft -f - 2>/dev/null <<RULES
table inet segtest-probe { chain c { queue flags bypass to 65535; }; }
RULES
then
  nft delete table inet segtest-probe
  echo "nft queue works: leaving the rules to the engine"
  exit 0
fi

flags=
state="-m conntrack --ctstate NEW"
labelled=
for word in "$@"; do
  case "$word" in
  bypass) flags=--queue-bypass ;;
  # The engine's accept label, bit 100 of its big-endian mask: byte 3, bit 4.
  label)
    labelled="-A SEGTEST-POLICY -m connlabel --label 28 -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN"
    state=
    ;;
  esac
done

# Packets that leave towards a pod, or pass through: after DNAT and before SNAT, as in
# the engine. Not those of root on the node itself: kubelet's probes must not depend on
# policies. Then new connections from this node's pods to the node itself.
rules() {
  cat <<RULES
*mangle
:SEGTEST-POLICY - [0:0]
:SEGTEST-TO-NODE - [0:0]
$1
-A SEGTEST-POLICY -m owner --uid-owner 0 -j RETURN
$labelled
-A SEGTEST-POLICY $state -j NFQUEUE --queue-num $queue $flags
-A SEGTEST-TO-NODE -m conntrack --ctstate NEW -j NFQUEUE --queue-num $queue $flags
COMMIT
RULES
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
