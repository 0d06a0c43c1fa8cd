//go:build !race

package enginetest_test

const underRace = false
