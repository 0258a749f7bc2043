package run

import (
	"errors"

	"github.com/segtest/segtest/fixtures/scenario"
	"github.com/segtest/segtest/probes/matrix"
	"github.com/segtest/segtest/probes/oracle"
)

// narrow keeps some flows, with the controls that their denies had among all
// flows.
func (s subject) narrow(keep func(matrix.Flow) bool) (subject, error) {
	var flows []matrix.Flow
	for _, f := range s.index.All() {
		if keep(f) {
			flows = append(flows, f)
		}
	}
	if len(flows) == 0 {
		return subject{}, errors.New("the selection keeps no flow: `segtest plan` lists them all")
	}
	s.controls = s.controlsOf(flows)
	for f := range s.controls {
		flows = append(flows, f) // the index sorts them
	}
	index := matrix.NewIndex(flows)
	declared, computed := matrix.New[scenario.Expectation](index), matrix.New[oracle.Decision](index)
	for i, f := range index.All() {
		d, _ := s.declared.Of(f)
		c, _ := s.computed.Of(f)
		declared.Set(i, d)
		computed.Set(i, c)
	}
	s.index, s.declared, s.computed = index, declared, computed
	return s, nil
}

// controlsOf are allowed flows that were not chosen, one for each sender and
// receiver with a chosen flow that ought to be closed and no chosen one that ought
// to be open: it connects in the same pass, which proves the deny.
func (s subject) controlsOf(chosen []matrix.Flow) map[matrix.Flow]bool {
	type pair struct{ from, to matrix.Endpoint }
	open, wanting := map[pair]bool{}, map[pair]bool{}
	for _, f := range chosen {
		p := pair{f.From, f.To}
		i, _ := s.index.Position(f)
		open[p] = open[p] || s.expected(i) == matrix.Allow
		wanting[p] = wanting[p] || s.expected(i) == matrix.Deny
	}
	controls := map[matrix.Flow]bool{}
	for i, f := range s.index.All() {
		p := pair{f.From, f.To}
		if wanting[p] && !open[p] && s.expected(i) == matrix.Allow {
			controls[f], open[p] = true, true
		}
	}
	return controls
}
