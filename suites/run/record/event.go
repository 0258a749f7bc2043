package record

import (
	"errors"
	"fmt"
	"maps"
)

// fields counts the set fields of an event and names the last of them.
func (e Event) fields() (n int, kind string) {
	for _, f := range []struct {
		set  bool
		kind string
	}{
		{e.Header != nil, "header"},
		{e.Flow != nil, "flow"},
		{e.Facts != nil, "facts"},
		{e.Phase != nil, "phase"},
		{e.Pass != nil, "pass"},
		{e.Enforcement != nil, "enforcement"},
		{e.Convergence != nil, "convergence"},
		{e.Mutant != nil, "mutant"},
		{e.Change != nil, "change"},
		{e.Fault != nil, "fault"},
		{e.End != nil, "end"},
	} {
		if f.set {
			n++
			kind = f.kind
		}
	}
	return n, kind
}

// check reports why an event cannot follow what a record holds so far.
// opened says that the record has its header.
func (e Event) check(opened bool) error {
	n, kind := e.fields()
	switch {
	case n != 1:
		return fmt.Errorf("an event sets exactly one field, this one sets %d", n)
	case kind == "header" && opened:
		return errors.New("a record has one header, this is the second")
	case kind == "header" && e.Header.Schema != Schema:
		return fmt.Errorf("schema %q is not %q: read this record with the segtest that wrote it", e.Header.Schema, Schema)
	case kind != "header" && !opened:
		return fmt.Errorf("the first event of a record is its header, this is a %s", kind)
	}
	return nil
}

// Add appends one event. It refuses an event that sets no field or several,
// one that comes before the header, and one that speaks of a flow that the
// record does not hold; the record is then unchanged.
func (r *Record) Add(e Event) error {
	if err := e.check(r.Header.Schema != ""); err != nil {
		return err
	}
	switch {
	case e.Header != nil:
		r.Header = *e.Header
	case e.Flow != nil:
		r.Flows = append(r.Flows, *e.Flow)
	case e.Facts != nil:
		facts := maps.Clone(r.Header.Facts)
		if facts == nil {
			facts = map[string]string{}
		}
		maps.Copy(facts, e.Facts)
		r.Header.Facts = facts
	case e.Phase != nil:
		r.Phases = append(r.Phases, *e.Phase)
	case e.Pass != nil:
		for _, c := range e.Pass.Cells {
			if err := r.knows(c.Flow); err != nil {
				return fmt.Errorf("a cell of a %s pass: %w", e.Pass.Phase, err)
			}
		}
		r.Passes = append(r.Passes, *e.Pass)
	case e.Enforcement != nil:
		r.Enforcement = e.Enforcement
	case e.Change != nil:
		r.Changes = append(r.Changes, *e.Change)
	case e.Convergence != nil:
		r.Convergence = append(r.Convergence, *e.Convergence)
	case e.Mutant != nil:
		for _, f := range e.Mutant.Flips {
			if err := r.knows(f.Flow); err != nil {
				return fmt.Errorf("a flow of the mutant: %w", err)
			}
		}
		r.Mutant = e.Mutant
	case e.Fault != nil:
		for _, w := range e.Fault.Watched {
			if err := r.knows(w.Flow); err != nil {
				return fmt.Errorf("a watched flow of fault %s: %w", e.Fault.ID, err)
			}
		}
		r.Faults = append(r.Faults, *e.Fault)
	case e.End != nil:
		r.End = e.End
	}
	return nil
}

func (r *Record) knows(flow int) error {
	if flow < 0 || flow >= len(r.Flows) {
		return fmt.Errorf("flow %d does not exist, the record holds %d flows so far", flow, len(r.Flows))
	}
	return nil
}
