package matrix

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/bits"
	"strconv"
	"strings"
)

// ID is a short name of the flow, 12 hexadecimal digits that depend on nothing
// but its String: the same in every run, on every machine and in every order.
func (f Flow) ID() string { return fmt.Sprintf("%016x", f.hash())[:12] }

// hash is FNV-1a of String, mixed so that each of its bits depends on every
// character.
func (f Flow) hash() uint64 {
	sum := fnv.New64a()
	_, _ = io.WriteString(sum, f.String()) // a hash takes everything
	h := sum.Sum64()
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// Shard is one of several parts into which all flows fall, each flow into exactly
// one of them. The zero value is all flows.
type Shard struct{ Index, Of int } // 1 ≤ Index ≤ Of

// ParseShard reads "1/3".
func ParseShard(s string) (Shard, error) {
	index, of, _ := strings.Cut(s, "/")
	i, errIndex := strconv.Atoi(index)
	n, errOf := strconv.Atoi(of)
	if errors.Join(errIndex, errOf) != nil {
		return Shard{}, errors.New("want I/N, the number of this shard and of all, for example 1/3")
	}
	if n < 1 || i < 1 || i > n {
		return Shard{}, errors.New("want I/N with I from 1 to N, for example 1/3")
	}
	return Shard{i, n}, nil
}

// String is what ParseShard reads, "" for all flows.
func (s Shard) String() string {
	if s.Of == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Of)
}

// Has reports that a flow falls into this shard. It depends on the flow's ID and
// the number of shards alone, so that a new flow moves no other one.
func (s Shard) Has(f Flow) bool {
	if s.Of == 0 {
		return true
	}
	part, _ := bits.Mul64(f.hash(), uint64(s.Of))
	return int(part) == s.Index-1
}
