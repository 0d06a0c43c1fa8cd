//go:build !race

package alertmanagertest_test

const underRace = false
