package validate_test

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/segmentguard/segmentguard/validate"
)

// ids are n ids of some length: random lower-case hexadecimal digits, and
// hyphens where a UUID has them.
func ids(n, length int) []string {
	random := rand.New(rand.NewPCG(1, uint64(length)))
	all := make([]string, n)
	buf := make([]byte, length)
	for i := range all {
		for j := range buf {
			buf[j] = "0123456789abcdef"[random.IntN(16)]
		}
		if length == 36 {
			buf[8], buf[13], buf[18], buf[23] = '-', '-', '-', '-'
		}
		all[i] = string(buf)
	}
	return all
}

var sink uint64

// bare is the least that any fingerprint costs.
func bare(users []string) {
	for i := range users {
		h := xxh3.HashString128(users[i])
		sink += h.Lo ^ h.Hi
	}
}

// BenchmarkDigest measures each way to digest against a bare loop of xxh3 over
// the same ids, in turns, and reports the median of the ratios.
func BenchmarkDigest(b *testing.B) {
	for _, length := range []int{8, 36} {
		users := ids(1_000_000, length)
		bytes := make([][]byte, len(users))
		for i, u := range users {
			bytes[i] = []byte(u)
		}
		ways := []struct {
			name   string
			digest func(*validate.Digest)
		}{
			{"AddString", func(d *validate.Digest) {
				for _, u := range users {
					d.AddString(u)
				}
			}},
			{"Add", func(d *validate.Digest) {
				for _, u := range bytes {
					d.Add(u)
				}
			}},
			{"AddStrings", func(d *validate.Digest) { d.AddStrings(users) }},
			{"AddAll", func(d *validate.Digest) { d.AddAll(bytes) }},
			{"Tee", func(d *validate.Digest) {
				for range validate.Tee(d, stream(users)) {
				}
			}},
		}
		for _, way := range ways {
			b.Run(fmt.Sprintf("%s/%d", way.name, length), func(b *testing.B) {
				d := &validate.Digest{}
				way.digest(d) // warm
				b.ReportAllocs()
				b.ReportMetric(medianRatio(b, func() { way.digest(d) }, func() { bare(users) }), "×xxh3")
			})
		}
	}
}

func stream(users []string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, u := range users {
			if !yield(u, nil) {
				return
			}
		}
	}
}

// BenchmarkDigestTwoGoroutines digests two halves at once and merges them,
// against one digest of the whole.
func BenchmarkDigestTwoGoroutines(b *testing.B) {
	users := ids(4_000_000, 36)
	one := func() {
		var d validate.Digest
		d.AddStrings(users)
	}
	two := func() {
		var halves [2]validate.Digest
		var wg sync.WaitGroup
		for i := range halves {
			wg.Go(func() { halves[i].AddStrings(users[i*len(users)/2 : (i+1)*len(users)/2]) })
		}
		wg.Wait()
		if err := halves[0].Merge(&halves[1]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(1/medianRatio(b, two, one), "×one")
}

// medianRatio runs both in turns and returns the median of subject over base.
func medianRatio(b *testing.B, subject, base func()) float64 {
	b.Helper()
	var ratios []float64
	for b.Loop() {
		first := took(base)
		ratios = append(ratios, took(subject).Seconds()/first.Seconds())
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

func took(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}
