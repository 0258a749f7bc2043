// Package oracle decides what a set of policies allows, independently of any
// cluster: World in, Decision per Flow out, with the policy and rule that
// decided and where they stand in the team's files. It is pure: no clock, no
// chance, no network, no client-go.
package oracle
