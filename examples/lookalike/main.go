// Command lookalike is the smallest honest lookalike job, guarded: it extends a
// seed to all users like it. With -break the last night uploads nothing, as it
// happened in March 2024.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

var extend = segment.Lookalike(segment.ID{SiteGroup: "site-a", Name: "cars-like"}, segment.ID{SiteGroup: "site-a", Name: "cars"})

// lookalike uploads all users who are like the seed.
func lookalike(ctx context.Context, guard *segment.Guard, s *store, night string) error {
	similar := model(s.users, s.seed)

	s.stage(similar)

	// Guard: in place of return s.publish(ctx). Stored must be the very users that
	// the model put out; whether they are enough is judged by the earlier nights.
	// Nothing else counts the seed here: where something does, Expected is its count
	// and the model's rate a Mapping, as in examples/redis.
	_, err := guard.Commit(ctx, segment.Run{
		ID: night, Job: extend,
		Expected: digest(similar),
		Stored:   s.stored,
		Staging:  segment.Staging{Commit: s.publish, Discard: s.discard},
	})
	return err
}

// model keeps the users whose interests point where the seed's do.
func model(users map[string][2]float64, seed [2]float64) (similar []string) {
	for id, interest := range users {
		if interest[0]*seed[0]+interest[1]*seed[1] > 0.9 {
			similar = append(similar, id)
		}
	}
	return similar
}

// digest tells which users they are, not only how many.
func digest(users []string) validate.Summary {
	var d validate.Digest
	d.AddStrings(users)
	return d.Summary()
}

func main() {
	broken := flag.Bool("break", false, "upload nothing in the last night")
	flag.Parse()
	upload := all
	if *broken {
		upload = none
	}
	if err := run(context.Background(), upload, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
