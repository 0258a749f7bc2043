// Package matrix is the vocabulary of segtest: who speaks to whom (Endpoint,
// Flow), what should happen (Intent), what was seen (Outcome, Sample), what
// that means (Verdict), and one value per Flow (Matrix). It imports only the
// standard library, because everything else imports it.
package matrix
