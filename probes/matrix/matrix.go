package matrix

import (
	"iter"
	"slices"
	"time"
)

// Sample is one probe of one Flow.
type Sample struct {
	Outcome Outcome `json:"outcome"`
	// Start is when the first packet of this probe was handed to the kernel,
	// on CLOCK_MONOTONIC of the machine, in nanoseconds. All containers of a
	// machine share that clock.
	Start time.Duration `json:"start"`
	// RTT is the time from Start to the answer or to giving up.
	RTT time.Duration `json:"rtt"`
	// Attempts counts the connections or datagrams that were tried.
	Attempts int `json:"attempts,omitempty"`
	// Lost counts the attempts that had no answer when a later one had it: their
	// packets were lost, not denied.
	Lost int `json:"lost,omitempty"`
	// Denial is how a blocked probe was told so.
	Denial Denial `json:"denial,omitempty"`
	// Starved says that the prober itself was frozen or starved for a good part of
	// the probe: silence may be its own.
	Starved bool `json:"starved,omitempty"`
	// Detail says more: the error number, the ICMP type and code, who answered
	// instead.
	Detail string `json:"detail,omitempty"`
}

// Index is an ordered set of flows: the shape that matrices of one run share.
// A flow's position is its number on the wire. The zero value is empty.
type Index struct {
	flows []Flow
	pos   map[Flow]int
}

// NewIndex sorts the flows and drops doubles.
func NewIndex(flows []Flow) *Index {
	sorted := slices.Clone(flows)
	slices.SortFunc(sorted, Flow.Compare)
	sorted = slices.Compact(sorted)
	pos := make(map[Flow]int, len(sorted))
	for i, f := range sorted {
		pos[f] = i
	}
	return &Index{flows: sorted, pos: pos}
}

// Len is the number of flows.
func (x *Index) Len() int { return len(x.flows) }

// Flow is the flow at position i, 0 ≤ i < Len.
func (x *Index) Flow(i int) Flow { return x.flows[i] }

// Position of a flow, false when the index does not hold it.
func (x *Index) Position(f Flow) (int, bool) {
	i, ok := x.pos[f]
	return i, ok
}

// All yields the flows in order with their positions.
func (x *Index) All() iter.Seq2[int, Flow] { return slices.All(x.flows) }

// Matrix holds one value per Flow of an Index. Declared, computed and observed
// are all this type. Copies share their cells.
type Matrix[T any] struct {
	index *Index
	cells []T
}

// New makes a matrix of zero values.
func New[T any](x *Index) Matrix[T] {
	return Matrix[T]{index: x, cells: make([]T, x.Len())}
}

// Index is the shape of the matrix; nil for the zero Matrix.
func (m Matrix[T]) Index() *Index { return m.index }

// Len is the number of cells.
func (m Matrix[T]) Len() int { return len(m.cells) }

// At is the value at position i, 0 ≤ i < Len.
func (m Matrix[T]) At(i int) T { return m.cells[i] }

// Set stores the value at position i, 0 ≤ i < Len.
func (m Matrix[T]) Set(i int, v T) { m.cells[i] = v }

// Of is the value of a flow, false when the matrix does not hold the flow.
func (m Matrix[T]) Of(f Flow) (T, bool) {
	if m.index != nil {
		if i, ok := m.index.Position(f); ok {
			return m.cells[i], true
		}
	}
	var zero T
	return zero, false
}

// All yields flows and values in the order of the index.
func (m Matrix[T]) All() iter.Seq2[Flow, T] {
	return func(yield func(Flow, T) bool) {
		for i, v := range m.cells {
			if !yield(m.index.Flow(i), v) {
				return
			}
		}
	}
}
