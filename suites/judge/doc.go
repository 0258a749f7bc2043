// Package judge turns the record of a run into a result. It is pure: the same
// record gives the same result on any machine, so that a dispute can be
// replayed. It knows no cluster, no clock and no test framework.
//
// What a cell of the matrix means is the table in table.go. What a fault means
// is in fault.go: leak and outage windows with bounds (window.go), compared
// with what the fault and the CNI's profile explain (explained.go).
//
// Three rules run through all of it:
//
//   - Nothing unproven is a pass. What nobody saw, or what could have another
//     cause, is Inconclusive, and the reason is named.
//   - What got through a deny is proof by itself. One arrival is a Fail, however
//     many tries before and after were clean.
//   - An answer that came too late, or on no known flow, is evidence too: it is
//     reported, and never made to fit.
package judge
