//go:build race

package enginetest_test

// The race detector makes SQLite, which is all Go here, many times as slow.
const underRace = true
