package validate

import (
	"math"
	"math/bits"
)

// Registers estimate how many distinct users came: HyperLogLog, Flajolet, Fusy,
// Gandouet and Meunier (2007), on the half of the hash that the sample does not
// look at. They cannot see a few lost or repeated users.
type registers [1 << registerBits]uint8

const (
	registerBits   = 16
	registersError = 1.04 / (1 << (registerBits / 2)) // 0.41%, the standard error given there
	maxRank        = 64 - registerBits + 1
)

func (r *registers) add(hash uint64) {
	i := hash >> (64 - registerBits)
	rank := uint8(bits.LeadingZeros64(hash<<registerBits|1<<(registerBits-1))) + 1 //nolint:gosec // at most maxRank
	if r[i] < rank {
		r[i] = rank
	}
}

func (r *registers) merge(other *registers) {
	for i, rank := range other {
		r[i] = max(r[i], rank)
	}
}

func (r *registers) clone() *registers {
	if r == nil {
		return nil
	}
	c := *r
	return &c
}

// registers of all users of a sample that has dropped none.
func (s *sample) registers() *registers {
	r := new(registers)
	r.addAll(s)
	return r
}

func (r *registers) addAll(s *sample) {
	for _, u := range s.users {
		r.add(u.hash.low)
	}
}

// estimate is the improved raw estimator, which needs no tables and has no bias
// at the ends: Ertl, "New cardinality estimation algorithms for HyperLogLog
// sketches" (2017), algorithm 6.
func (r *registers) estimate() int64 {
	var ranks [maxRank + 1]int
	for _, rank := range r {
		ranks[rank]++
	}
	const m = float64(len(r))
	z := m * tau(1-float64(ranks[maxRank])/m)
	for k := maxRank - 1; k >= 1; k-- {
		z = 0.5 * (z + float64(ranks[k]))
	}
	z += m * sigma(float64(ranks[0])/m)
	return int64(math.Round(m * m / (2 * math.Ln2) / z))
}

func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	z, y := x, 1.0
	for last := math.NaN(); z != last; y += y {
		x *= x
		last = z
		z += x * y
	}
	return z
}

func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	z, y := 1-x, 1.0
	for last := math.NaN(); z != last; {
		x = math.Sqrt(x)
		last = z
		y *= 0.5
		z -= (1 - x) * (1 - x) * y
	}
	return z / 3
}
