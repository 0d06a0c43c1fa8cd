package rerun

// A queue hands out the smallest number first. It is a binary heap, as in
// container/heap, without an interface and an allocation for every number.
type queue []int32

func (q *queue) push(n int32) {
	h := append(*q, n)
	i := len(h) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if h[parent] <= n {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = n
	*q = h
}

func (q *queue) pop() int32 {
	h := *q
	first, n := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	*q = h
	if len(h) == 0 {
		return first
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1] < h[child] {
			child++
		}
		if n <= h[child] {
			break
		}
		h[i] = h[child]
		i = child
	}
	h[i] = n
	return first
}
