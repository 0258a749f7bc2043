package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
)

// protocol marks our routes in the kernel's table, so that we remove only our own.
const protocol netlink.RouteProtocol = 171

// tableName is the nftables table, of family inet, that holds all our rules.
const tableName = "segtest-routes"

// network is the part of the node's network that we own. Its zero value is ready.
type network struct {
	ruleset string // what our table was last set to
}

// apply makes the node's routes and masquerading match the layout.
func (n *network) apply(l layout) error {
	return errors.Join(syncRoutes(l.routes), n.syncMasquerade(l))
}

// syncRoutes adds what is missing, mends what differs and removes our routes that
// are no longer wanted.
func syncRoutes(wanted []route) error {
	present, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Protocol: protocol}, netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return fmt.Errorf("listing routes: %w", err)
	}
	have := map[route]bool{}
	var failures []error
	for _, r := range present {
		found, ok := routeOf(r)
		if ok && slices.Contains(wanted, found) {
			have[found] = true
		} else if err := netlink.RouteDel(&r); err != nil {
			failures = append(failures, fmt.Errorf("removing the route to %v: %w", r.Dst, err))
		}
	}
	for _, r := range wanted {
		if have[r] {
			continue
		}
		err := netlink.RouteReplace(&netlink.Route{
			Dst:      &net.IPNet{IP: r.to.Addr().AsSlice(), Mask: net.CIDRMask(r.to.Bits(), r.to.Addr().BitLen())},
			Gw:       r.via.AsSlice(),
			Protocol: protocol,
		})
		if err != nil {
			failures = append(failures, fmt.Errorf("adding the route to %v via %v: %w", r.to, r.via, err))
		}
	}
	return errors.Join(failures...)
}

// routeOf converts a kernel route; ok is false if it is not of the kind we make.
func routeOf(r netlink.Route) (_ route, ok bool) {
	if r.Dst == nil {
		return route{}, false
	}
	to, okTo := netip.AddrFromSlice(r.Dst.IP)
	via, okVia := netip.AddrFromSlice(r.Gw)
	bits, _ := r.Dst.Mask.Size()
	return route{to: netip.PrefixFrom(to.Unmap(), bits), via: via.Unmap()}, okTo && okVia
}

// syncMasquerade replaces our table, in one transaction, if it is gone or no longer
// what it should be. Connections that are already translated stay so.
func (n *network) syncMasquerade(l layout) error {
	want := ruleset(l)
	if want == n.ruleset && nft("", "list", "table", "inet", tableName) == nil {
		return nil
	}
	if err := nft(want, "-f", "-"); err != nil {
		return err
	}
	n.ruleset = want
	return nil
}

// nft runs the nft program; its output is part of the error.
func nft(input string, args ...string) error {
	cmd := exec.Command("nft", args...)
	cmd.Stdin = strings.NewReader(input)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(output)))
	}
	return nil
}

// ruleset prints the nftables script: masquerade what comes from this node's pods
// and goes to neither a pod network nor a node.
func ruleset(l layout) string {
	var b strings.Builder
	// Adding before deleting makes the deletion safe where there is no table yet.
	fmt.Fprintf(&b, "add table inet %[1]s\ndelete table inet %[1]s\ntable inet %[1]s {\n", tableName)
	writeSet(&b, "inside4", "ipv4_addr", l.inside, true)
	writeSet(&b, "inside6", "ipv6_addr", l.inside, false)
	b.WriteString("\tchain postrouting {\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n")
	for _, prefix := range l.local {
		family, set := "ip", "inside4"
		if prefix.Addr().Is6() {
			family, set = "ip6", "inside6"
		}
		fmt.Fprintf(&b, "\t\t%s saddr %s %s daddr != @%s masquerade\n", family, prefix, family, set)
	}
	b.WriteString("\t}\n}\n")
	return b.String()
}

func writeSet(b *strings.Builder, name, kind string, prefixes []netip.Prefix, is4 bool) {
	fmt.Fprintf(b, "\tset %s {\n\t\ttype %s\n\t\tflags interval\n\t\tauto-merge\n", name, kind)
	var elements []string
	for _, prefix := range prefixes {
		if prefix.Addr().Is4() == is4 {
			elements = append(elements, prefix.String())
		}
	}
	if len(elements) > 0 {
		fmt.Fprintf(b, "\t\telements = { %s }\n", strings.Join(elements, ", "))
	}
	b.WriteString("\t}\n")
}
