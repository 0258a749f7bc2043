// Package prober asks the agents in the pods: it keeps one stream to each,
// sends every sender its flows at the same moment, asks the receivers what
// arrived, and puts both together. It observes and never judges; what it could
// not observe is Unknown with a cause, never a deny.
package prober
