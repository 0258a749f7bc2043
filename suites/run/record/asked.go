package record

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/segtest/segtest/probes/matrix"
)

// Asked is what the user asked for beyond the scenario. The zero value is one run
// over all flows.
type Asked struct {
	// Select are patterns as the user wrote them; the flows that fit one are asked.
	Select []string `json:"select,omitempty"`
	Shard  string   `json:"shard,omitempty"` // "2/3"
	// Rerun is the run whose flows are asked again that failed there.
	Rerun string `json:"rerun,omitempty"`
	// Repeat is how often the matrix is asked; 0 is once, or without a bound where
	// UntilFailure is set, which ends it before: when a flow failed, and after that time.
	Repeat       int           `json:"repeat,omitempty"`
	UntilFailure time.Duration `json:"untilFailure,omitempty"`
}

// Part says in words which flows were chosen, "" for all.
func (a Asked) Part() string {
	var parts []string
	if a.Rerun != "" {
		parts = append(parts, "those that did not pass in run "+a.Rerun)
	}
	for _, s := range a.Select {
		parts = append(parts, fmt.Sprintf("'%s'", s))
	}
	if a.Shard != "" {
		parts = append(parts, "shard "+a.Shard)
	}
	return strings.Join(parts, ", ")
}

// Digest tells a set of flows from every other one; their order matters.
func Digest(flows iter.Seq2[int, matrix.Flow]) string {
	sum := sha256.New()
	for _, f := range flows {
		_, _ = io.WriteString(sum, f.String()+"\n") // a hash takes everything
	}
	return hex.EncodeToString(sum.Sum(nil))[:12]
}
