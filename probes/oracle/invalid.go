package oracle

import (
	"cmp"
	"errors"
	"slices"
)

// InvalidError is one reason why a World cannot be judged.
type InvalidError struct {
	Origin  Origin
	Subject string // "policy shop/db"
	Message string // what is wrong
	Hint    string // what to do
}

func (e *InvalidError) Error() string {
	return e.Origin.String() + ": " + e.Subject + ": " + e.Message + ": " + e.Hint
}

// problems collects what New finds.
type problems []*InvalidError

func (p *problems) add(at Origin, subject, message, hint string) {
	*p = append(*p, &InvalidError{Origin: at, Subject: subject, Message: message, Hint: hint})
}

// err joins the problems in order of place, nil when there are none.
func (p problems) err() error {
	slices.SortStableFunc(p, func(a, b *InvalidError) int {
		return cmp.Or(a.Origin.Compare(b.Origin), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Message, b.Message))
	})
	joined := make([]error, len(p))
	for i, e := range p {
		joined[i] = e
	}
	return errors.Join(joined...)
}
