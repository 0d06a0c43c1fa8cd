package main

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A store keeps each segment as a set, which is absent where it has no users. What is
// read back is asked of the server that was written to: a replica is behind, and does
// not say by how much.
type store struct{ client *redis.Client }

const (
	usersAtOnce    = 1000           // in one SADD, and about as many in an answer of SSCAN
	commandsAtOnce = 10             // in one pipeline
	stagedFor      = 24 * time.Hour // then what a job that died left behind is gone
	mostUsers      = 50_000_000     // of one set; TeeOnce takes 30 to 60 bytes for each that is there
)

// The braces are for clusters: the keys of one segment are on one server, so that
// they can be renamed.
func liveKey(id segment.ID) string     { return "segment:{" + id.String() + "}" }
func visitorsKey(id segment.ID) string { return "visitors:{" + id.String() + "}" }

// visitors returns the site's own count of a segment's users.
func (s *store) visitors(ctx context.Context, id segment.ID) (validate.Summary, error) {
	users, err := s.client.PFCount(ctx, visitorsKey(id)).Result()
	if err != nil {
		return validate.Summary{}, fmt.Errorf("counting the visitors of %s: %w", id, err)
	}
	return validate.Estimate(users, 0.0081), nil
}

// read returns a segment's users and digests them.
func (s *store) read(ctx context.Context, id segment.ID, d *validate.Digest) (users []string, err error) {
	for user, err := range validate.TeeOnce(d, s.members(ctx, liveKey(id)), mostUsers) {
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", id, err)
		}
		users = append(users, user)
	}
	slices.Sort(users)
	return slices.Compact(users), nil
}

// members yields the users of a set. While Redis makes a set's table larger or
// smaller, SSCAN may return a user more than once: digest them with TeeOnce.
func (s *store) members(ctx context.Context, key string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		scan := s.client.SScan(ctx, key, 0, "", usersAtOnce).Iterator()
		for scan.Next(ctx) {
			if !yield(scan.Val(), nil) {
				return
			}
		}
		if err := scan.Err(); err != nil {
			yield("", err)
		}
	}
}

// A stage is the set that one attempt writes beside the live one.
type stage struct {
	*store

	key, live string
	users     int64 // as read back
}

func (s *store) stage(run *segment.Run) *stage {
	return &stage{store: s, live: liveKey(run.Job.To), key: fmt.Sprintf("staged:{%s}:%s:%d", run.Job.To, run.ID, run.Attempt)}
}

// write adds users. A pipeline in which any command failed returns that error; the
// others have had their effect.
func (s *stage) write(ctx context.Context, users []string) error {
	for some := range slices.Chunk(users, commandsAtOnce*usersAtOnce) {
		_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for few := range slices.Chunk(some, usersAtOnce) {
				p.SAdd(ctx, s.key, few)
			}
			p.Expire(ctx, s.key, stagedFor)
			return nil
		})
		if err != nil {
			return fmt.Errorf("writing %s: %w", s.key, err)
		}
	}
	return nil
}

func (s *stage) summarize(ctx context.Context) (validate.Summary, error) {
	var d validate.Digest
	for _, err := range validate.TeeOnce(&d, s.members(ctx, s.key), mostUsers) {
		if err != nil {
			return validate.Summary{}, err
		}
	}
	s.users = d.Users()
	return d.Summary(), nil
}

// publish puts the staged set in the place of the live one. RENAME takes the time
// along at which a key expires, so it has none from here on. Where the staged set is
// gone by now, RENAME returns an error and the live one stays. An output without users,
// which a rule may allow, has no staged set: then there is to be no live one either.
func (s *stage) publish(ctx context.Context) error {
	if s.users == 0 {
		return s.client.Del(ctx, s.live).Err()
	}
	_, err := s.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Persist(ctx, s.key)
		p.Rename(ctx, s.key, s.live)
		return nil
	})
	return err
}

func (s *stage) discard(ctx context.Context) error { return s.client.Del(ctx, s.key).Err() }
