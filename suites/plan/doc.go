// Package plan is what a scenario declares of every flow and what its policies
// compute to, before any cluster exists: flow by flow, folded into groups of
// equal endpoints, followed from hop to hop, and written down as an expectation.
package plan
