package main

import (
	"context"
	"math"
	"slices"

	"github.com/segmentguard/segmentguard/validate"
)

// A method says whether a size is off its history, which is not empty.
type method struct {
	name string
	off  func(history []validate.Size, size validate.Size) bool
}

var methods = []method{
	{"segmentguard", checked},
	{"fixed ±50%", fixed},
	{"three sigma, judged value included", func(h []validate.Size, s validate.Size) bool { return sigmas(append(slices.Clip(h), s), s) }},
	{"three sigma, judged value excluded", sigmas},
	{"z-score over 14 days", func(h []validate.Size, s validate.Size) bool { return sigmas(h[max(0, len(h)-14):], s) }},
}

// checked is what users get: history alone decides, as nothing vouches for the
// size.
func checked(history []validate.Size, size validate.Size) bool {
	_, err := validate.Check(context.Background(), validate.Policy{AllowEmpty: true}, validate.Output{
		Expected: validate.Unknown(), Stored: validate.Count(size.Users), Sizes: history, At: size.At,
	})
	return err != nil
}

func fixed(history []validate.Size, size validate.Size) bool {
	before := float64(history[len(history)-1].Users)
	return math.Abs(float64(size.Users)-before) > 0.5*before
}

// sigmas is how the usual tools do it: more than three standard deviations off
// the mean. Where there is no deviation to speak of, they say nothing.
func sigmas(history []validate.Size, size validate.Size) bool {
	n := float64(len(history))
	if n < 2 {
		return false
	}
	var sum, squares float64
	for _, s := range history {
		sum += float64(s.Users)
	}
	mean := sum / n
	for _, s := range history {
		squares += (float64(s.Users) - mean) * (float64(s.Users) - mean)
	}
	deviation := math.Sqrt(squares / (n - 1))
	return deviation > 0 && math.Abs(float64(size.Users)-mean) > 3*deviation
}
