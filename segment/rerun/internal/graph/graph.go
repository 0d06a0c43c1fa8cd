// Package graph holds algorithms on graphs whose nodes are numbered from 0. A
// plan may be over millions of jobs: what is looked up often must be an index into
// a slice.
package graph

// None stands where there is no number.
const None = -1

// Nones returns n times None.
func Nones(n int) []int32 {
	list := make([]int32, n)
	for i := range list {
		list[i] = None
	}
	return list
}

// Rows are lists of numbers, one after the other in a single slice.
type Rows struct {
	starts []int // of each row, and the end of the last one
	flat   []int32
}

// NewRows returns no rows, with room for as many as given, and for the numbers in
// all of them.
func NewRows(rows, numbers int) Rows {
	return Rows{starts: make([]int, 1, rows+1), flat: make([]int32, 0, numbers)}
}

// Add appends a number to the row that End will end.
func (r *Rows) Add(n int32) { r.flat = append(r.flat, n) }

// End ends a row and begins the next one.
func (r *Rows) End() { r.starts = append(r.starts, len(r.flat)) }

// Row returns the row of a number. It must not be changed.
func (r *Rows) Row(n int32) []int32 { return r.flat[r.starts[n]:r.starts[n+1]] }

// Inverted returns one row for each of count numbers: the rows of r that hold the
// number, in ascending order.
func (r *Rows) Inverted(count int) Rows {
	inverted := Rows{starts: make([]int, count+1), flat: make([]int32, len(r.flat))}
	for _, n := range r.flat {
		inverted.starts[n]++
	}
	end := 0
	for n, length := range inverted.starts {
		end += length
		inverted.starts[n] = end
	}
	for row := int32(len(r.starts)) - 2; row >= 0; row-- { //nolint:gosec // what has rows is numbered by int32
		for _, n := range r.Row(row) {
			inverted.starts[n]--
			inverted.flat[inverted.starts[n]] = row
		}
	}
	return inverted
}

// An Interner numbers keys in the order in which they first come.
type Interner[K comparable] struct {
	Keys []K // by number

	numbers map[K]int32
}

// NewInterner returns an Interner with room for as many keys.
func NewInterner[K comparable](room int) Interner[K] {
	return Interner[K]{Keys: make([]K, 0, room), numbers: make(map[K]int32, room)}
}

// Number returns the number of a key, and whether it is a new one.
func (in *Interner[K]) Number(key K) (n int32, added bool) {
	if n, known := in.numbers[key]; known {
		return n, false
	}
	n = int32(len(in.Keys)) //nolint:gosec // the keys of 2^31 numbers would not fit into memory
	in.numbers[key] = n
	in.Keys = append(in.Keys, key)
	return n, true
}
