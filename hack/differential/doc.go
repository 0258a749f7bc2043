// Package differential holds the oracle, and the data that the oracle is tested
// with, against engines that others wrote. All of it is tests.
package differential
