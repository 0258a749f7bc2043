package prober_test

import (
	"encoding/json"
	"io"

	"github.com/segtest/segtest/probes/wire"
)

// editLines copies responses, each changed by edit.
func editLines(from io.Reader, to io.Writer, edit func(*wire.Response)) {
	in, out := json.NewDecoder(from), json.NewEncoder(to)
	for {
		var r wire.Response
		if in.Decode(&r) != nil {
			return
		}
		edit(&r)
		if out.Encode(r) != nil {
			return
		}
	}
}
