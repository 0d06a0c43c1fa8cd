package graph

// A Queue hands out the smallest number first. It is a binary heap like that of
// container/heap, without an interface and an allocation for every number.
type Queue struct{ heap []int32 }

// Len returns how many numbers are in the queue.
func (q *Queue) Len() int { return len(q.heap) }

// Push adds a number.
func (q *Queue) Push(n int32) {
	q.heap = append(q.heap, n)
	for i := len(q.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if q.heap[parent] <= n {
			break
		}
		q.heap[i], q.heap[parent] = q.heap[parent], n
		i = parent
	}
}

// Pop removes the smallest number and returns it.
func (q *Queue) Pop() int32 {
	h, last := q.heap, len(q.heap)-1
	smallest := h[0]
	h[0] = h[last]
	h = h[:last]
	q.heap = h
	for i := 0; ; {
		child := 2*i + 1
		if child+1 < len(h) && h[child+1] < h[child] {
			child++
		}
		if child >= len(h) || h[i] <= h[child] {
			return smallest
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}
