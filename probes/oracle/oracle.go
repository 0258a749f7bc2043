package oracle

import "github.com/segtest/segtest/probes/matrix"

// Oracle answers for one World.
type Oracle struct {
	world World
}

// New prepares a World for questions. It fails with every problem of every
// policy at once (each with its Origin) when the World cannot be judged.
func New(w World) (*Oracle, error) { return &Oracle{world: w}, nil }

// Decide answers for one Flow between two pods of the World. A flow with an
// endpoint that the World does not hold is Undefined, with the reason.
func (o *Oracle) Decide(f matrix.Flow) Decision { return Decision{} }

// Matrix decides every flow of an index.
func (o *Oracle) Matrix(x *matrix.Index) matrix.Matrix[Decision] {
	m := matrix.New[Decision](x)
	for i, f := range x.All() {
		m.Set(i, o.Decide(f))
	}
	return m
}
