package report

import (
	"fmt"

	"github.com/segtest/segtest/suites/judge"
)

// convergedText is one line for each kind of change: how soon it took effect, and
// what became of connections that are older.
func convergedText(r judge.Result, o TextOptions) []string {
	var out []string
	for _, c := range r.Changes {
		line := c.Name() + ": " + c.String()
		if missing := c.Asked - c.N - c.Never; missing > 0 {
			line += fmt.Sprintf("; %d not measured", missing)
		}
		if c.Never > 0 {
			line += fmt.Sprintf("; %d never", c.Never)
		}
		out = append(out, printable(o, line))
	}
	return out
}

// jsonConverged is how soon one kind of change took effect, in seconds.
type (
	jsonConverged struct {
		What        string      `json:"what"`
		Effect      string      `json:"effect"` // "enforced" or "open"
		Asked       int         `json:"asked"`
		N           int         `json:"n"`
		Never       int         `json:"never"`
		P50         *jsonBounds `json:"p50,omitempty"`
		P95         *jsonBounds `json:"p95,omitempty"`
		Max         *jsonBounds `json:"max,omitempty"`
		Resolution  float64     `json:"resolution"`
		Period      float64     `json:"period"`
		Established *jsonFates  `json:"established,omitempty"`
	}
	jsonBounds struct {
		Lower float64 `json:"lower"`
		Upper float64 `json:"upper"`
	}
	jsonFates struct {
		Kept    int `json:"kept"`
		Reset   int `json:"reset"`
		Stalled int `json:"stalled"`
		Unknown int `json:"unknown"`
	}
)

func convergedJSON(r judge.Result) []jsonConverged {
	var out []jsonConverged
	for _, c := range r.Changes {
		j := jsonConverged{
			What: c.What, Effect: c.Effect(), Asked: c.Asked, N: c.N, Never: c.Never,
			Resolution: c.Resolution.Seconds(), Period: c.Period.Seconds(),
		}
		if c.N > 0 {
			j.P50, j.P95, j.Max = boundsJSON(c.P50), boundsJSON(c.P95), boundsJSON(c.Max)
		}
		if c.Established() > 0 {
			j.Established = &jsonFates{c.Kept, c.Reset, c.Stalled, c.Unknown}
		}
		out = append(out, j)
	}
	return out
}

func boundsJSON(b judge.Bounds) *jsonBounds {
	return &jsonBounds{b.Lower.Seconds(), b.Upper.Seconds()}
}
