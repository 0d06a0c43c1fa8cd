//go:build race

package validate_test

// The race detector makes statistics over many worlds take ten times as long, and
// looks for something else: with it, they look at a tenth.
const underRace = true
