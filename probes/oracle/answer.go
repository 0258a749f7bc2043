package oracle

// truth is a three-valued answer. The zero value is no.
type truth uint8

const (
	no truth = iota
	maybe
	yes
)

// answer is a truth and, where it is maybe, what leaves it open.
type answer struct {
	is  truth
	why string
}

// or is yes where one is; the first maybe gives the reason.
func (a answer) or(b answer) answer {
	if b.is > a.is {
		return b
	}
	return a
}

// and is no where one is; the first maybe gives the reason.
func (a answer) and(b answer) answer {
	if b.is < a.is {
		return b
	}
	return a
}
