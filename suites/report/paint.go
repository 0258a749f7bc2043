package report

import (
	"strings"
	"unicode/utf8"

	"github.com/segtest/segtest/probes/matrix"
)

// TextOptions say what the terminal can do. The zero value is plain text of 80
// columns with the symbols of Unicode.
type TextOptions struct {
	Color bool // ANSI colours
	ASCII bool // no symbol outside ASCII
	Width int  // columns; 0 is 80
}

func (o TextOptions) width() int {
	if o.Width <= 0 {
		return 80
	}
	return max(o.Width, 40)
}

// The colours, as ANSI writes them.
const (
	plain   = ""
	bold    = "1"
	dim     = "2"
	red     = "1;31"
	green   = "32"
	yellow  = "33"
	magenta = "1;35"
	cyan    = "36"
)

// paint colours a text where colours are wanted.
func (o TextOptions) paint(colour, s string) string {
	if !o.Color || colour == plain || s == "" {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

// ascii replaces the symbols that a terminal without Unicode cannot show.
func (o TextOptions) ascii(s string) string {
	if !o.ASCII {
		return s
	}
	s = strings.NewReplacer("→", "->", "×", "x", "·", "-", "≠", "#", "≤", "<=", "≥", ">=", "…", "...", "↓", "v", "✓", "+", "✗", "x", "◐", "~").Replace(s)
	return strings.Map(func(c rune) rune {
		if c > utf8.RuneSelf {
			return '?'
		}
		return c
	}, s)
}

// glyph is what a cell of the matrix shows. Each has a symbol of its own, so
// that nobody needs the colours. The later a glyph, the more it needs a look.
type glyph uint8

const (
	notAsked glyph = iota
	isOpen
	isClosed
	leftOpen
	inGap
	unproven
	otherwise
	outage
	mistake
	leak
)

// glyphs are the symbol, its ASCII form, its colour and its meaning.
var glyphs = []struct{ symbol, ascii, colour, meaning string }{ //nolint:gochecknoglobals // constant table
	notAsked:  {" ", " ", plain, "not asked"},
	isOpen:    {"●", "o", green, "allowed, open"},
	isClosed:  {"·", ".", dim, "denied, closed"},
	leftOpen:  {"○", "-", dim, "not judged"},
	inGap:     {"◐", "~", yellow, "known gap"},
	unproven:  {"?", "?", yellow, "inconclusive"},
	otherwise: {"◇", "%", red, "denied in another way than expected"},
	outage:    {"▼", "x", red, "outage: allowed, yet closed"},
	mistake:   {"≠", "#", magenta, "scenario and policies differ"},
	leak:      {"▲", "!", red, "leak: denied, yet open"},
}

func (g glyph) good() bool { return g <= leftOpen }

func (o TextOptions) symbol(g glyph) string {
	if o.ASCII {
		return glyphs[g].ascii
	}
	return glyphs[g].symbol
}

// tick is a verdict as a symbol with its colour.
func (o TextOptions) tick(v matrix.Verdict, unjudged bool) string {
	symbol, colour := "?", yellow
	switch {
	case unjudged:
		symbol, colour = o.symbol(leftOpen), dim
	case v == matrix.Pass:
		symbol, colour = o.ascii("✓"), green
	case v == matrix.KnownGap:
		symbol, colour = o.symbol(inGap), yellow
	case v == matrix.Fail:
		symbol, colour = o.ascii("✗"), red
	}
	return o.paint(colour, symbol)
}

// length is the number of columns a text without colours takes.
func length(s string) int { return utf8.RuneCountInString(s) }

// pad fills a text up to a width.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-length(s)))
}

// cut shortens a text to a width.
func (o TextOptions) cut(s string, width int) string {
	more := o.ascii("…")
	if length(s) <= width || width <= length(more) {
		return s
	}
	return string([]rune(s)[:width-length(more)]) + more
}

// flow lays parts out in lines of a width, with an indent before and a gap
// between them. Colours take no room.
func (o TextOptions) flow(indent, gap string, parts []string) []string {
	var out []string
	line, used := "", 0
	later := indent
	if later == "" {
		later = "  "
	}
	for _, p := range parts {
		n := length(ansi.ReplaceAllString(p, ""))
		switch {
		case line == "":
			line, used = indent+p, length(indent)+n
		case used+length(gap)+n > o.width():
			out = append(out, line)
			line, used = later+p, length(later)+n
		default:
			line, used = line+gap+p, used+length(gap)+n
		}
	}
	if line != "" {
		out = append(out, line)
	}
	return out
}

// prose is a text in lines of a width, all of one colour.
func (o TextOptions) prose(colour, indent, s string) []string {
	var out []string
	for _, line := range Wrap(s, o.width()-length(indent)) {
		out = append(out, indent+o.paint(colour, line))
	}
	return out
}

// Wrap breaks a text at spaces into lines of a width. A longer word has a line
// of its own and stays whole.
func Wrap(s string, width int) []string {
	var out []string
	line := ""
	for _, word := range strings.Fields(s) {
		switch {
		case line == "":
			line = word
		case length(line)+1+length(word) > width:
			out = append(out, line)
			line = word
		default:
			line += " " + word
		}
	}
	if line == "" {
		return out
	}
	return append(out, line)
}
