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
}

func (s *store) stage(users []string, lost bool) {
	s.staged = users
	if lost {
		s.staged = nil
	}
}

func (s *store) stored(context.Context) (validate.Summary, error) {
	return validate.Count(int64(len(s.staged))), nil
}

func (s *store) publish(context.Context) error {
	s.live, s.staged = s.staged, nil
	return nil
}

func (s *store) discard(context.Context) error {
	s.staged = nil
	return nil
}

// run plays three nights and looks what is live after each.
func run(ctx context.Context, broken bool, out io.Writer) error {
	s := &store{users: map[string][2]float64{}, seed: [2]float64{1, 0}}
	for i := range 40_000 {
		sin, cos := math.Sincos(float64(i))
		s.users[fmt.Sprint("user-", i)] = [2]float64{cos, sin}
	}
	guard, err := segment.NewGuard(segment.GuardConfig{History: segment.NewMemory()})
	if err != nil {
		return err
	}
	for _, night := range []string{"monday", "tuesday", "wednesday"} {
		failed := lookalike(ctx, guard, s, night, broken && night == "wednesday")
		fmt.Fprintf(out, "%s: %d users live\n", night, len(s.live))
		if failed != nil {
			return failed
		}
	}
	return nil
}
