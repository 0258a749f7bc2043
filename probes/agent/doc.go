// Package agent is what runs in a fixture pod: it listens on the pod's ports
// and says who it is, it tries flows and samples them on request, and it logs
// what arrived. Everything that touches the network happens on one goroutine,
// the loop, with nonblocking sockets: a thousand waiting flows cost a thousand
// small structs, and the local address of every try is known, also of those
// that nobody answered.
//
// The harness speaks to it through package wire over a unix socket in the
// abstract namespace of the pod; a relay process, started by exec, carries the
// bytes. A sampler does not depend on that stream.
package agent
