// Command redis is a lookalike job that writes Redis sets, guarded, and a sweep over
// all of them. It works on the Redis that REDIS_URL names, or starts a redis-server of
// its own. With -break the model of the last night finds nobody, as it happened in
// March 2024.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/redis/go-redis/v9"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

var (
	seed   = segment.ID{SiteGroup: "site-a", Name: "cars"}
	extend = segment.Lookalike(segment.ID{SiteGroup: "site-a", Name: "cars-like"}, seed)
)

// A model returns the users who are like those of a seed.
type model func(seed []string) []string

// lookalike extends the seed to all users like it, and makes them live.
func lookalike(ctx context.Context, guard *segment.Guard, s *store, similar model, run segment.Run) error {
	staged := s.stage(&run)
	run.Stored, run.Staging = staged.summarize, segment.Staging{Commit: staged.publish, Discard: staged.discard}
	_, err := guard.Do(ctx, run, func(ctx context.Context, run *segment.Run) (err error) {
		// The site counts its visitors as they come: another path than the set. Where
		// nothing counts the seed, Expected is what the model put out, as in
		// examples/lookalike.
		if run.Expected, err = s.visitors(ctx, seed); err != nil {
			return err
		}
		var read, written validate.Digest
		users, err := s.read(ctx, seed, &read)
		if err != nil {
			return err
		}
		found := similar(users)
		written.AddStrings(found)
		run.Read, run.Written = read.Summary(), written.Summary()
		return staged.write(ctx, found)
	})
	return err
}

// rules are the same for guard and monitor. A HyperLogLog of Redis is off by a
// standard error of 0.81%. Three of them are noise in the verdict, and the count
// itself may be off by three: a tolerance of 5% holds, and less does not.
func rules(context.Context, segment.Job) (segment.Rule, error) {
	return segment.Rule{Policy: validate.Policy{
		Reading: validate.Within(0.05),
		Mapping: validate.Ratio{Min: 2, Max: 3}, // users found for each of the seed
	}}, nil
}

func main() {
	broken := flag.Bool("break", false, "have the model find nobody in the last night")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := connected(ctx, *broken)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func connected(ctx context.Context, broken bool) (err error) {
	options, stop, err := connect(ctx, os.Getenv("REDIS_URL"))
	if err != nil {
		return err
	}
	client := redis.NewClient(options)
	defer func() { err = errors.Join(err, client.Close(), stop()) }()
	return nights(ctx, client, broken, os.Stdout)
}
