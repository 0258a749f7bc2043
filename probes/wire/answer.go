package wire

// MaxNonce is the longest nonce that an agent repeats, in bytes, the newline
// that ends it not counted.
const MaxNonce = 64

// Answer is what an agent says to whoever reaches one of its ports: one line
// of JSON, on TCP and on UDP. The caller sent its nonce and a newline.
type Answer struct {
	Nonce string `json:"nonce"`
	Identity
}
