package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

func TestNights(t *testing.T) {
	client := newClient(t, &redis.Options{Network: "unix", Addr: newServer(t)})
	var out bytes.Buffer
	require.NoError(t, nights(t.Context(), client, false, &out))
	require.Equal(t, "monday: 5737 users live\ntuesday: 5737 users live\nwednesday: 5737 users live\nsweep: 2 segments, 0 affected\n", out.String())

	out.Reset()
	require.NoError(t, client.FlushAll(t.Context()).Err())
	err := nights(t.Context(), client, true, &out)
	require.ErrorIs(t, err, validate.Short)
	require.ErrorContains(t, err, "site-a/cars-like: mapped 0 of 2,538 users read")
	require.Equal(t, "monday: 5737 users live\ntuesday: 5737 users live\nwednesday: 5737 users live\n", out.String())
}

const seeds = 12_000 // for which 30,000 are found: three pipelines

// twoAndAHalf finds so many for each of the seed.
func twoAndAHalf(seed []string) (found []string) {
	for i, user := range seed {
		found = append(found, user, user+"-like")
		if i%2 == 0 {
			found = append(found, user+"-too")
		}
	}
	return found
}

// A world is a Redis with one segment live, and a guard that works over a network.
type world struct {
	*store // over the network

	t       *testing.T
	admin   *redis.Client // on another way
	network *network
	hook    *hook
	rule    segment.Rule
	ledger  *segment.Memory
	guard   *segment.Guard
	monitor *segment.Monitor
	before  []string // who is live
}

func newWorld(t *testing.T) *world {
	t.Helper()
	socket := newServer(t)
	w := &world{t: t, network: &network{socket: socket}, hook: &hook{times: map[string]int{}}, ledger: segment.NewMemory()}
	w.admin = newClient(t, &redis.Options{Network: "unix", Addr: socket})
	w.store = &store{newClient(t, &redis.Options{Dialer: w.network.dial, MaxRetryBackoff: time.Millisecond, DialerRetryTimeout: time.Millisecond, PoolSize: 1})}
	w.client.AddHook(w.hook)
	var err error
	w.rule, err = rules(t.Context(), extend)
	require.NoError(t, err)
	rule := func(context.Context, segment.Job) (segment.Rule, error) { return w.rule, nil }
	quiet := segment.LogAlerter(slog.New(slog.DiscardHandler))
	w.guard, err = segment.NewGuard(segment.GuardConfig{Ledger: w.ledger, Rules: rule, Alerter: quiet})
	require.NoError(t, err)
	w.monitor, err = segment.NewMonitor(segment.MonitorConfig{
		Ledger: w.ledger, Rules: rule, Jobs: []segment.Job{extend}, AbsentIsEmpty: true, Alerter: quiet,
		Now: func() time.Time { return time.Now().Add(time.Hour) }, // what came to be a moment ago may be absent from a listing
	})
	require.NoError(t, err)
	users := make([]string, seeds)
	for i := range users {
		users[i] = fmt.Sprint("user-", i)
	}
	require.NoError(t, w.admin.SAdd(t.Context(), liveKey(seed), users).Err())
	require.NoError(t, w.admin.PFAdd(t.Context(), visitorsKey(seed), anys(users)...).Err())
	require.NoError(t, w.night("monday", twoAndAHalf))
	w.before = w.live()
	require.Len(t, w.before, 30_000)
	w.hook.times = map[string]int{}
	return w
}

func anys(users []string) []any {
	all := make([]any, len(users))
	for i, user := range users {
		all[i] = user
	}
	return all
}

func (w *world) night(name string, similar model) error {
	return lookalike(w.t.Context(), w.guard, w.store, similar, segment.Run{ID: name, Job: extend})
}

// tuesday finds others.
func (w *world) tuesday() error {
	return w.night("tuesday", func(seed []string) []string {
		found := twoAndAHalf(seed)
		for i := range found[:min(100, len(found))] {
			found[i] = fmt.Sprint("new-", i)
		}
		return found
	})
}

func (w *world) live() []string {
	users, err := w.admin.SMembers(w.t.Context(), liveKey(extend.To)).Result()
	require.NoError(w.t, err)
	slices.Sort(users)
	return users
}

// keeps requires that Tuesday's users did not go live.
func (w *world) keeps() {
	require.True(w.t, slices.Equal(w.before, w.live()), "the live segment does not keep its users")
}

// wentLive requires that they did, for ever.
func (w *world) wentLive() {
	live := w.live()
	require.Len(w.t, live, len(w.before))
	require.Contains(w.t, live, "new-99")
	ttl, err := w.admin.TTL(w.t.Context(), liveKey(extend.To)).Result()
	require.NoError(w.t, err)
	require.EqualValues(w.t, -1, ttl, "the live segment would expire")
}

func (w *world) staged() int64 {
	n, err := w.admin.Exists(w.t.Context(), "staged:{site-a/cars-like}:tuesday:0").Result()
	require.NoError(w.t, err)
	return n
}

func (w *world) do(args ...any) { require.NoError(w.t, w.admin.Do(w.t.Context(), args...).Err()) }

func (w *world) sweep() segment.Sweep {
	s, err := w.monitor.Sweep(w.t.Context(), (&store{w.admin}).sizes(w.t.Context()))
	require.NoError(w.t, err)
	return s
}

// kill breaks every connection but that of admin.
func (w *world) kill() { w.do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") }

// full leaves so many bytes.
func (w *world) full(left int64, policy string) {
	used, err := w.admin.InfoMap(w.t.Context(), "memory").Result()
	require.NoError(w.t, err)
	var bytes int64
	_, err = fmt.Sscan(used["Memory"]["used_memory"], &bytes)
	require.NoError(w.t, err)
	w.do("CONFIG", "SET", "maxmemory-policy", policy)
	w.do("CONFIG", "SET", "maxmemory", bytes+left)
}

func TestRight(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.tuesday())
	w.wentLive()
	require.Zero(t, w.staged())
	require.Empty(t, w.sweep().Affected)
}

// TestFaults: each ends in an error that says what happened, and the live segment
// keeps its users.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		reason string
		inject func(*world)
		is     error  // nil: of no kind, as the write itself failed
		says   string // in the error
		left   int64  // staged sets that are left, which expire
	}{
		{"the staged key is no set", func(w *world) {
			w.do("SET", "staged:{site-a/cars-like}:tuesday:0", "hello")
		}, nil, "WRONGTYPE", 0},
		{"no memory is left in the middle of a pipeline", func(w *world) { w.full(400_000, "noeviction") }, nil, "OOM command not allowed", 0},
		{"the same, and the job does not look at the pipeline's error", func(w *world) {
			w.full(400_000, "noeviction")
			w.hook.swallow = true
		}, validate.Short, "stored ", 0},
		{"the network is gone while it writes", func(w *world) {
			w.hook.before = func(name string, times int) { w.network.cut.Store(name == "sadd" && times > 1) }
		}, nil, "use of closed network connection", 1},
		{"the network is gone while it reads back", func(w *world) {
			w.hook.before = func(name string, times int) { // the scan before is of the seed
				w.network.cut.Store(w.network.cut.Load() || name == "sscan" && w.hook.times["sadd"] > 0 && times > 20)
			}
		}, validate.Unverified, "reading back what is stored", 1},
		{"the staged set expired while it was written", func(w *world) {
			w.hook.before = func(name string, times int) {
				if name == "sadd" && times == 3 {
					w.do("PEXPIRE", "staged:{site-a/cars-like}:tuesday:0", 0)
				}
			}
		}, validate.Short, "stored 10,000 of 30,000 users", 0},
		{"the staged set is gone before it is read back", func(w *world) {
			w.hook.before = func(name string, _ int) {
				if name == "sscan" && w.hook.times["sadd"] > 0 {
					w.do("PEXPIRE", "staged:{site-a/cars-like}:tuesday:0", 0)
				}
			}
		}, validate.Empty, "stored 0 of 30,000 users", 0},
		{"the seed's set lost users", func(w *world) {
			users, err := w.admin.SRandMemberN(w.t.Context(), liveKey(seed), seeds/8).Result()
			require.NoError(w.t, err)
			require.NoError(w.t, w.admin.SRem(w.t.Context(), liveKey(seed), users).Err())
		}, validate.Short, "read 10,500 of about ", 0},
		{"the seed's set was evicted", func(w *world) { w.do("DEL", liveKey(seed)) }, validate.Short, "read 0 of about ", 0},
		{"the seed's own count was evicted", func(w *world) { w.do("DEL", visitorsKey(seed)) }, validate.Surplus, "read 12,000", 0},
	} {
		t.Run(c.reason, func(t *testing.T) {
			w := newWorld(t)
			c.inject(w)
			err := w.tuesday()
			w.network.cut.Store(false)
			w.hook.before, w.hook.swallow = nil, false
			w.do("CONFIG", "SET", "maxmemory", 0)
			require.ErrorContains(t, err, c.says)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			w.keeps()
			require.Equal(t, c.left, w.staged())
			if c.left > 0 {
				ttl, err := w.admin.TTL(t.Context(), "staged:{site-a/cars-like}:tuesday:0").Result()
				require.NoError(t, err)
				require.Positive(t, ttl)
			}
		})
	}
}

// TestEvicted: a server that drops keys when its memory is full loses users without
// an error. The run that lost them fails; what it dropped of live segments, a sweep
// finds.
func TestEvicted(t *testing.T) {
	w := newWorld(t)
	w.hook.before = func(name string, times int) {
		if name == "sadd" && times == 3 {
			w.evict("staged:{site-a/cars-like}:tuesday:0")
		}
	}
	err := w.tuesday()
	require.ErrorIs(t, err, validate.Short)
	require.ErrorContains(t, err, "stored 10,000 of 30,000 users")
	if w.exists(liveKey(extend.To)) {
		w.keeps()
	}
	w.evict(liveKey(extend.To))
	s := w.sweep()
	require.Len(t, s.Findings, 1, "%+v", s)
	require.Equal(t, extend.To, s.Findings[0].Segment)
	require.Equal(t, validate.Empty, s.Findings[0].Kind)
}

// evict has others write until the server drops a key.
func (w *world) evict(key string) {
	w.full(100_000, "allkeys-lru")
	for i := 0; w.exists(key); i++ {
		require.Less(w.t, i, 100_000)
		require.NoError(w.t, w.admin.Set(w.t.Context(), fmt.Sprint("other-", i), make([]byte, 10_000), 0).Err())
	}
	w.do("CONFIG", "SET", "maxmemory", 0)
}

func (w *world) exists(key string) bool {
	n, err := w.admin.Exists(w.t.Context(), key).Result()
	require.NoError(w.t, err)
	return n > 0
}

// TestPipelineFailsInPart: of one pipeline some commands work, and some do not.
func TestPipelineFailsInPart(t *testing.T) {
	w := newWorld(t)
	w.full(400_000, "noeviction")
	var refused redis.Error
	require.ErrorAs(t, w.tuesday(), &refused)
	require.Positive(t, w.hook.succeeded)
	require.Positive(t, w.hook.failed)
}

// TestConnectionsAreKilled: the client connects again and repeats what had no answer,
// which changes nothing: sets keep a user once, and so does the digest.
func TestConnectionsAreKilled(t *testing.T) {
	w := newWorld(t)
	w.hook.before = func(name string, times int) {
		if name == "sadd" || name == "sscan" && times%5 == 0 {
			w.kill()
		}
	}
	require.NoError(t, w.tuesday())
	w.wentLive()
}

// TestExpiredBeforeCommit: nobody but the server knows that RENAME did nothing, so
// the outcome is unknown until a sweep has seen the store.
func TestExpiredBeforeCommit(t *testing.T) {
	w := newWorld(t)
	w.hook.before = func(name string, _ int) {
		if name == "multi" || name == "persist" {
			w.do("PEXPIRE", "staged:{site-a/cars-like}:tuesday:0", 0)
		}
	}
	var unknown *segment.UnknownError
	err := w.tuesday()
	require.ErrorAs(t, err, &unknown)
	require.ErrorContains(t, err, "no such key")
	w.keeps()
	w.settles()
}

// TestAnswerIsLost: the set was renamed, and nobody was told.
func TestAnswerIsLost(t *testing.T) {
	w := newWorld(t)
	w.network.answer.Store(new("rename"))
	var unknown *segment.UnknownError
	err := w.tuesday()
	require.ErrorAs(t, err, &unknown)
	require.ErrorIs(t, err, io.EOF)
	w.wentLive()
	w.settles()
}

// settles requires that sweeps end the alert of an unknown outcome.
func (w *world) settles() {
	for range 2 {
		require.Empty(w.t, w.sweep().Affected)
	}
	for s, err := range w.ledger.Segments(w.t.Context(), segment.SegmentFilter{Affected: true}) {
		require.NoError(w.t, err)
		w.t.Fatalf("%s is still said to be affected: %s", s.Segment, s.Alert.Open.Text)
	}
}

func TestModelFindsFew(t *testing.T) {
	w := newWorld(t)
	require.ErrorIs(t, w.night("tuesday", nobody), validate.Short)
	w.keeps()
	half := func(seed []string) []string { return twoAndAHalf(seed)[:15_000] }
	require.ErrorIs(t, w.night("wednesday", half), validate.Short)
	w.keeps()
}

// TestEmpty: a segment that is allowed to be empty is no key.
func TestEmpty(t *testing.T) {
	w := newWorld(t)
	w.rule.Policy.AllowEmpty = true
	w.do("DEL", liveKey(seed), visitorsKey(seed))
	require.Error(t, w.night("tuesday", twoAndAHalf), "a model's own word is not enough against its history")
	w.keeps()
	require.NoError(t, segment.Forget(t.Context(), w.ledger, segment.Selection{Keys: []segment.Key{extend.To.In("")}}, segment.Decision{By: "ann", Why: "it is empty from now on", At: time.Now()}))
	require.NoError(t, w.night("wednesday", twoAndAHalf))
	require.False(t, w.exists(liveKey(extend.To)))
}

// TestListing: in byte order, each once; what is no set has no size, and what is gone
// is empty.
func TestListing(t *testing.T) {
	w := newWorld(t)
	require.Empty(t, w.sweep().Affected)
	for i := range 3000 {
		w.do("SADD", liveKey(segment.ID{SiteGroup: fmt.Sprint("site-", i%7), Name: fmt.Sprintf("}{ %d Ä", i)}), "a", "b")
	}
	var all []segment.ID
	for size, err := range w.sizes(t.Context()) {
		require.NoError(t, err)
		if size.Segment.SiteGroup != "site-a" {
			require.EqualValues(t, 2, size.Stored.Users())
		}
		all = append(all, size.Segment)
	}
	require.Len(t, all, 3002)
	require.True(t, slices.IsSortedFunc(all, segment.ID.Compare))
	require.Len(t, slices.Compact(all), 3002)
	for range w.sizes(t.Context()) {
		break
	}

	w.do("DEL", liveKey(extend.To))
	s := w.sweep()
	require.Equal(t, []segment.Affected{{Segment: extend.To, Users: 30_000}}, s.Affected)
	require.Equal(t, validate.Empty, s.Findings[0].Kind)
	require.Equal(t, segment.Page, s.Findings[0].Urgency)

	w.do("SET", liveKey(extend.To), "hello")
	s = w.sweep()
	require.Len(t, s.Affected, 1)
	require.Equal(t, validate.Unverified, s.Findings[0].Kind)
	require.Contains(t, s.Findings[0].Text, "WRONGTYPE")

	w.do("SADD", "segment:{of no site group}", "a")
	_, err := w.monitor.Sweep(t.Context(), w.sizes(t.Context()))
	require.ErrorContains(t, err, `the key "segment:{of no site group}"`)
	w.do("DEL", "segment:{of no site group}")
	w.hook.before = func(name string, times int) { w.network.cut.Store(name == "scard" && times > 1) }
	s, err = w.monitor.Sweep(t.Context(), w.sizes(t.Context()))
	require.Error(t, err)
	require.False(t, s.Complete)
}

// TestScanRepeats: SSCAN may return a user more than once while the set's table
// shrinks, and the digest has each once. It often does not, so it is tried again.
func TestScanRepeats(t *testing.T) {
	w := newWorld(t)
	const many, few = 20_000, 1000
	users := make([]string, many)
	for i := range users {
		users[i] = fmt.Sprint("user-", i)
	}
	yielded, kept := 0, map[string]bool{}
	for trial := 0; yielded == len(kept); trial++ {
		require.Less(t, trial, 200)
		require.NoError(t, w.admin.SAdd(t.Context(), liveKey(seed), users).Err())
		var d validate.Digest
		yielded = 0
		clear(kept)
		for user, err := range validate.TeeOnce(&d, w.members(t.Context(), liveKey(seed)), mostUsers) {
			require.NoError(t, err)
			if yielded++; yielded == many/2 {
				w.do("EVAL", "return redis.call('SPOP', KEYS[1], ARGV[1]) and 1", 1, liveKey(seed), many-few)
			}
			kept[user] = true
		}
		require.EqualValues(t, len(kept), d.Users())
	}
}

// TestToleranceHolds: a count by HyperLogLog never fails a read that is whole, and
// never passes one that lacks a tenth.
func TestToleranceHolds(t *testing.T) {
	w := newWorld(t)
	for i := range 60 {
		users := make([]string, 1000+500*i)
		for k := range users {
			users[k] = fmt.Sprintf("%d-%d", i, k)
		}
		id := segment.ID{SiteGroup: "site-a", Name: fmt.Sprint(i)}
		require.NoError(t, w.admin.PFAdd(t.Context(), visitorsKey(id), anys(users)...).Err())
		expected, err := w.visitors(t.Context(), id)
		require.NoError(t, err)
		check := func(read int) error {
			n := validate.Count(int64(read))
			_, err := validate.Check(t.Context(), validate.Policy{Reading: w.rule.Policy.Reading}, validate.Output{Expected: expected, Read: n, Stored: validate.Count(int64(read))})
			return err
		}
		require.NoError(t, check(len(users)))
		require.Error(t, check(len(users)*9/10))
	}
}
