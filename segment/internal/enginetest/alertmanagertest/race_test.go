//go:build race

package alertmanagertest_test

// Eight processes on few cores take many minutes under the race detector.
const underRace = true
