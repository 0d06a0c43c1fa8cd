package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// sizes yields the size of every segment, as Monitor.Sweep takes them. An empty one is
// no key, so it is not listed: set MonitorConfig.AbsentIsEmpty. SCAN lists keys in no
// order, and some more than once; so all ids are held until they are sorted, some 100
// bytes for each. On a cluster, scan each of its masters.
func (s *store) sizes(ctx context.Context) iter.Seq2[segment.CurrentSize, error] {
	return func(yield func(segment.CurrentSize, error) bool) {
		ids, err := s.segments(ctx)
		for some := range slices.Chunk(ids, usersAtOnce) {
			counts, failure := s.count(ctx, some)
			if failure != nil {
				err = failure
				break
			}
			for i, id := range some {
				if !yield(segment.CurrentSize{Segment: id, Stored: counts[i]}, nil) {
					return
				}
			}
		}
		if err != nil {
			yield(segment.CurrentSize{}, fmt.Errorf("listing the segments: %w", err))
		}
	}
}

// segments returns all segments in byte order of their texts.
func (s *store) segments(ctx context.Context) (ids []segment.ID, err error) {
	scan := s.client.Scan(ctx, 0, "segment:{*}", usersAtOnce).Iterator()
	for scan.Next(ctx) {
		text := strings.TrimSuffix(strings.TrimPrefix(scan.Val(), "segment:{"), "}")
		id, err := segment.ParseID(text)
		if err != nil {
			return nil, fmt.Errorf("the key %q: %w", scan.Val(), err)
		}
		ids = append(ids, id)
	}
	slices.SortFunc(ids, segment.ID.Compare)
	return slices.Compact(ids), scan.Err()
}

// count asks for the sizes of some segments at once. One whose key is no set has
// none, and the others have theirs.
func (s *store) count(ctx context.Context, ids []segment.ID) ([]validate.Summary, error) {
	answers, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, id := range ids {
			p.SCard(ctx, liveKey(id))
		}
		return nil
	})
	if _, answered := errors.AsType[redis.Error](err); err != nil && !answered {
		return nil, err
	}
	counts := make([]validate.Summary, len(ids))
	for i, answer := range answers {
		counts[i] = validate.Unmeasured(answer.Err())
		if card, ok := answer.(*redis.IntCmd); ok && card.Err() == nil {
			counts[i] = validate.Count(card.Val())
		}
	}
	return counts, nil
}
