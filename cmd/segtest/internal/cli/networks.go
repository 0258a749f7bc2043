package cli

import (
	"errors"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"
)

// networks of the cluster for which policies are judged. The zero value is that
// nobody knows them.
type networks struct{ pods, services cidrs }

// flag adds --pod-cidr and --service-cidr to a verb; otherwise says what holds
// without them.
func (n *networks) flag(cmd *cobra.Command, otherwise string) {
	cmd.Flags().Var(&n.pods, "pod-cidr", "networks of the pods (default: "+otherwise+")")
	cmd.Flags().Var(&n.services, "service-cidr", "networks of the Services (default: "+otherwise+")")
}

// unknownNetworks is what holds of blocks where no flag says it.
const unknownNetworks = "not known, so that blocks with addresses of pods may leave flows undefined"

// cidrs is a flag that takes networks, also when it is repeated. It implements
// pflag.Value.
type cidrs []netip.Prefix

// Type is what the help shows behind the flag's name.
func (c *cidrs) Type() string { return "cidr,..." }

func (c *cidrs) String() string {
	texts := make([]string, len(*c))
	for i, p := range *c {
		texts[i] = p.String()
	}
	return strings.Join(texts, ",")
}

// wantCIDR is what a network is.
const wantCIDR = "an address and a length, for example 10.244.0.0/16"

// Set implements pflag.Value.
func (c *cidrs) Set(text string) error {
	for _, word := range strings.Split(text, ",") {
		p, err := netip.ParsePrefix(strings.TrimSpace(word))
		if err != nil {
			return errors.New("want " + wantCIDR)
		}
		*c = append(*c, p.Masked())
	}
	return nil
}
