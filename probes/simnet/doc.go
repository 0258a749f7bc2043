// Package simnet is a network in memory: agents that speak the wire protocol,
// nodes with a policy engine that decides by the oracle, and a cluster around
// them. An engine may be given one of several named defects. It proves that a
// run finds each of them and nothing else, and never stands in for the cluster
// of a user.
//
// A network lives in one testing/synctest bubble, so that its time is virtual.
package simnet
