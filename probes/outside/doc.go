// Package outside gives stand-ins for all that policies can tell apart and no
// file holds: addresses outside of the cluster, and pods of other namespaces.
// Without them a rule that keeps such out would seem to change nothing.
package outside
