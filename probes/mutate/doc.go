// Package mutate finds out what an expectation would notice. Mutants makes the
// small mistakes that people make in policies, one at a time; Score asks for
// each whether a declared flow flips. One that changes flows which nobody
// declared survives, with the rule that would have noticed it.
package mutate
