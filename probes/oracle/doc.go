// Package oracle decides what a set of policies allows, independently of any
// cluster: World in, Decision per Flow out, with the policy and rule that
// decided and where they stand in the team's files. It is pure: no clock, no
// chance, no network, no client-go.
//
// Endpoints that no policy can tell apart are one class. Everything is asked of
// classes, by one path: a question (may this class of senders pass that one's
// policies?) has an outcome, and the outcome is put into words for the names at
// hand, or for a whole Grid at once.
package oracle
