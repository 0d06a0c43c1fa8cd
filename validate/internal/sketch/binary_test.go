package sketch

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// read returns what a reader finds wrong with what a writer wrote.
func read(write func(*Writer), reads func(*Reader)) error {
	var w Writer
	write(&w)
	r := NewReader(w)
	reads(r)
	r.End()
	return r.Err()
}

// requireSays holds an error to a text, and to none where that is empty.
func requireSays(t *testing.T, err error, says, reason string) {
	t.Helper()
	if says == "" {
		require.NoError(t, err, reason)
		return
	}
	require.ErrorContains(t, err, says, reason)
}

// TestWhatNoCheckpointsAre: at each limit they are read, and beyond it refused.
func TestWhatNoCheckpointsAre(t *testing.T) {
	for _, c := range []struct {
		reason string
		edit   func(*Checkpoints)
		says   string
	}{
		{"two pages", func(*Checkpoints) {}, ""},
		{"the last one at all users", func(c *Checkpoints) { c.List[1] = Checkpoint{Users: 5, Sum: Sum{7}} }, ""},
		{"the last one at all users, with another sum", func(c *Checkpoints) { c.List[1].Users = 5 }, "its sum is not that of all"},
		{"in no order", func(c *Checkpoints) { c.List[1].Users = 1 }, "checkpoint at 1 after one at 2"},
		{"one twice", func(c *Checkpoints) { c.List[1].Users = 2 }, "checkpoint at 2 after one at 2"},
		{"one at nothing", func(c *Checkpoints) { c.List[0].Users = 0 }, "checkpoint at 0 after one at 0"},
		{"one behind the users", func(c *Checkpoints) { c.List[1].Users = 6 }, "checkpoint: want a number up to 5"},
		{"one at an unknown place", func(c *Checkpoints) { c.List[1].At = AtSeam + 1 }, "place: want a number up to 2"},
		{"doubled too often", func(c *Checkpoints) { c.Doublings = 62 }, "doubled 62 times is too large"},
		{"more than are kept", func(c *Checkpoints) { c.List = make([]Checkpoint, MaxCheckpoints+1) }, "checkpoints: want a number up to 10000"},
	} {
		list := Checkpoints{List: []Checkpoint{{Users: 2}, {Users: 4}}}
		c.edit(&list)
		err := read(list.Append, func(r *Reader) { r.Checkpoints(5, 2, XXH3, Sum{7}) })
		requireSays(t, err, c.says, c.reason)
	}
}

// side is a sample of users with ascending hashes, and what they add up to.
func side(users int) (s Sample, total int64, sum Sum) {
	for i := range users {
		h := Hash{High: uint64(i+1) << 40, Low: uint64(i) * 0x9e3779b97f4a7c15}
		s.Add(h, int64(1+i%3), total)
		sum = XXH3.Add(sum, XXH3.Times(int64(1+i%3), XXH3.Sum(h)))
		total += int64(1 + i%3)
		if s.Full() {
			s.Shrink()
		}
	}
	return s, total, sum
}

func TestWhatNoSampleIs(t *testing.T) {
	for _, c := range []struct {
		reason string
		users  int
		edit   func(*Sample, *int64, *Sum)
		says   string
	}{
		{"none", 0, func(*Sample, *int64, *Sum) {}, ""},
		{"all of them", 8191, func(*Sample, *int64, *Sum) {}, ""},
		{"some of them", 8192, func(*Sample, *int64, *Sum) {}, ""},
		{"not all, and none was dropped", 5, func(_ *Sample, n *int64, _ *Sum) { *n++ }, "and none was dropped"},
		{"others than those of the sum", 5, func(_ *Sample, _ *int64, sum *Sum) { sum[0]++ }, "not those of the sum"},
		{"a floor and nobody", 0, func(s *Sample, _ *int64, _ *Sum) { s.Floor = 1 }, "0 users of 0 above a floor"},
		{"a floor and too few", 9000, func(s *Sample, _ *int64, _ *Sum) {
			slices.SortFunc(s.Users, byHash)
			s.Users = s.Users[:SampleSize-1]
		}, "above a floor"},
		{"a floor that no user is at", 9000, func(s *Sample, _ *int64, _ *Sum) { s.Floor-- }, "want the floor to be that of"},
		{"a floor, and none was dropped", 8192, func(s *Sample, n *int64, _ *Sum) {
			*n = 0
			for i := range s.Users {
				s.Users[i].First, *n = *n, *n+s.Users[i].Count
			}
		}, "and others dropped"},
		{"more than are kept", 8191, func(s *Sample, _ *int64, _ *Sum) { s.Users = append(s.Users, Sampled{}) }, "sample: want a number up to 8191"},
		{"one below the floor", 9000, func(s *Sample, _ *int64, _ *Sum) { s.Users[0].Hash.High = s.Floor - 1 }, "a user below its floor"},
		{"one that never came", 5, func(s *Sample, _ *int64, _ *Sum) { s.Users[0].Count = 0 }, "or that never came"},
		{"one more often than there are users", 5, func(s *Sample, _ *int64, _ *Sum) { s.Users[4].Count = 3 }, "count: want a number up to 2"},
		{"one that came after all", 5, func(s *Sample, n *int64, _ *Sum) { s.Users[0].First = *n }, "came after all"},
		{"one whose repeats came after all", 5, func(s *Sample, n *int64, _ *Sum) { s.Users[2].First = *n - 2 }, "came after all"},
		{"two at one place", 5, func(s *Sample, _ *int64, _ *Sum) { s.Users[1].First = 0 }, "two users at place 0"},
		{"one twice", 5, func(s *Sample, _ *int64, _ *Sum) { s.Users[1].Hash = s.Users[0].Hash }, "a user twice"},
	} {
		s, total, sum := side(c.users)
		c.edit(&s, &total, &sum)
		err := read(s.Append, func(r *Reader) { r.Sample(total, XXH3, sum) })
		requireSays(t, err, c.says, c.reason)
	}
}

func TestWhatNoTableIs(t *testing.T) {
	for _, c := range []struct {
		reason string
		edit   func(*Table, *Sample)
		says   string
	}{
		{"one of 9,000 users", func(*Table, *Sample) {}, ""},
		{"one that is too small", func(t *Table, _ *Sample) { *t = *t.Fold(TableSize / 2) }, "table: 4096 cells in each part"},
		{"one cut short", func(t *Table, _ *Sample) { t.parts[2] = t.parts[2][:TableSize-1] }, "cell: want a number"},
		{"another number of users in a part", func(t *Table, _ *Sample) { t.parts[1][filled(t.parts[1])].count-- }, "a part lacks 1 of 18000 users"},
		{"others in one part", func(t *Table, _ *Sample) { t.parts[1][filled(t.parts[1])].low++ }, "the parts do not hold the same users"},
		{"another check in one part", func(t *Table, _ *Sample) { t.parts[2][filled(t.parts[2])].check++ }, "the parts do not hold the same users"},
		{"others in all parts", func(t *Table, _ *Sample) {
			for _, part := range t.parts {
				part[filled(part)].low++
			}
		}, "or not those of the sum"},
		{"one of the sample is not there", func(t *Table, s *Sample) {
			t.AddTimes(s.Users[0].Hash.Key(), -s.Users[0].Count)
			t.AddTimes(5, s.Users[0].Count-1)
			t.AddTimes(uint64(s.Users[0].Count)*s.Users[0].Hash.Key()-5*uint64(s.Users[0].Count-1), 1)
		}, "table: it lacks users of the sample"},
		{"another check of a user of the sample", func(t *Table, s *Sample) {
			for _, c := range t.alone(s) {
				c.check++
			}
		}, "table: it lacks users of the sample"},
		{"single users in each other's cells", func(t *Table, s *Sample) {
			*s = Sample{}
			for _, part := range t.parts {
				i := single(part, 0)
				j := single(part, i+1)
				part[i], part[j] = part[j], part[i]
			}
		}, "table: a user in a cell where it does not belong"},
		{"keys that are too large", func(t *Table, _ *Sample) {
			for _, part := range t.parts {
				i := filled(part)
				part[i].high = uint64(part[i].count)
			}
		}, "keys: want a number up to"},
	} {
		s, total, sum := side(9000)
		all, _, _ := side(0)
		for i := range 9000 {
			all.Users = append(all.Users, Sampled{Hash: Hash{Low: uint64(i) * 0x9e3779b97f4a7c15}, Count: int64(1 + i%3)})
		}
		table := all.Table(TableSize)
		c.edit(table, &s)
		err := read(table.Append, func(r *Reader) { r.Table(total, XXH3.Keys(sum), &s) })
		requireSays(t, err, c.says, c.reason)
	}
}

// alone returns the cells of a user of the sample that shares none of them.
func (t *Table) alone(s *Sample) (cells []*cell) {
	for _, u := range s.Users {
		cells = nil
		at, _ := mix(u.Hash.Key())
		for _, part := range t.parts {
			if c := &part[at&mask(part)]; c.count == u.Count {
				cells = append(cells, c)
			}
			at >>= PositionBits
		}
		if len(cells) == len(t.parts) {
			return cells
		}
	}
	return nil
}

// filled is the first cell of a part with users in it, single the first with one
// row from a place on.
func filled(part []cell) int { return slices.IndexFunc(part, func(c cell) bool { return c.count > 0 }) }

func single(part []cell, from int) int {
	return from + slices.IndexFunc(part[from:], func(c cell) bool { return c.count == 1 })
}

// TestTableRoundTrips: what is written is read as it was, of any size, up to the
// largest numbers.
func TestTableRoundTrips(t *testing.T) {
	for _, size := range []int{TableSize, 4 * TableSize} {
		table := NewTable(size)
		table.AddTimes(math.MaxUint64, math.MaxInt64-5)
		table.AddTimes(0, 1)
		table.AddTimes(99, 4)
		var w Writer
		table.Append(&w)
		r := NewReader(w)
		got := r.Table(math.MaxInt64, sumOfKeys(table), &Sample{})
		r.End()
		require.NoError(t, r.Err())
		require.Equal(t, table, got)
	}
}

func sumOfKeys(t *Table) (keys uint64) {
	for i := range t.parts[0] {
		keys += t.parts[0][i].low
	}
	return keys
}

// TestNumbersHaveOneForm: a number that is written longer than it need be is none.
func TestNumbersHaveOneForm(t *testing.T) {
	r := NewReader([]byte{0x85, 0x00})
	require.Zero(t, r.Number("n", 100))
	require.ErrorContains(t, r.Err(), "n: want a number up to 100")
	require.EqualValues(t, 5, NewReader([]byte{5}).Number("n", 5))
	require.EqualValues(t, 0, NewReader([]byte{0}).Number("n", 5))
}
