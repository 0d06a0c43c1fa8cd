package graph

import "container/heap"

// A Queue hands out the smallest number first.
type Queue struct{ heap ascending }

// Len returns how many numbers are in the queue.
func (q *Queue) Len() int { return len(q.heap) }

// Push adds a number.
func (q *Queue) Push(n int32) { heap.Push(&q.heap, n) }

// Pop removes the smallest number and returns it.
func (q *Queue) Pop() int32 { return heap.Pop(&q.heap).(int32) }

type ascending []int32

func (h ascending) Len() int           { return len(h) }
func (h ascending) Less(i, j int) bool { return h[i] < h[j] }
func (h ascending) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *ascending) Push(n any)        { *h = append(*h, n.(int32)) }

func (h *ascending) Pop() any {
	last := len(*h) - 1
	n := (*h)[last]
	*h = (*h)[:last]
	return n
}
