package main

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A store holds the users, with their interests as vectors of length 1, and one
// segment: what is live of it, and what is staged.
type store struct {
	users        map[string][2]float64
	seed         [2]float64
	live, staged []string
	upload       upload
}

// An upload returns the users that arrive of those that are uploaded.
type upload func([]string) []string

func all(users []string) []string { return users }
func none([]string) []string      { return nil } // the bug

func (s *store) stage(users []string) { s.staged = s.upload(users) }

func (s *store) stored(context.Context) (validate.Summary, error) {
	return digest(s.staged), nil
}

func (s *store) publish(context.Context) error {
	s.live, s.staged = s.staged, nil
	return nil
}

func (s *store) discard(context.Context) error {
	s.staged = nil
	return nil
}

// run plays three nights, the last one with an upload of its own, and looks what
// is live after each.
func run(ctx context.Context, last upload, out io.Writer) error {
	s := &store{users: map[string][2]float64{}, seed: [2]float64{1, 0}, upload: all}
	for i := range 40_000 {
		sin, cos := math.Sincos(float64(i))
		s.users[fmt.Sprint("user-", i)] = [2]float64{cos, sin}
	}
	guard, err := segment.NewGuard(segment.GuardConfig{Ledger: segment.NewMemory()})
	if err != nil {
		return err
	}
	for _, night := range []string{"monday", "tuesday", "wednesday"} {
		if night == "wednesday" {
			s.upload = last
		}
		failed := lookalike(ctx, guard, s, night)
		fmt.Fprintf(out, "%s: %d users live\n", night, len(s.live))
		if failed != nil {
			return failed
		}
	}
	return nil
}
