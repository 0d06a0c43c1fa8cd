package main

import (
	"sync"
	"time"

	"github.com/segmentguard/segmentguard/segment/internal/text"
)

// progress says on a terminal how far something is that takes longer than a second,
// until the function that it returns is called.
func (a *app) progress(doing string, done func() int64) (stop func()) {
	if !a.err.terminal {
		return func() {}
	}
	quit := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		shown := false
		for {
			select {
			case <-quit:
				if shown {
					a.err.printf("\r\x1b[K")
				}
				return
			case <-tick.C:
				shown = true
				a.err.printf("\r\x1b[K%s: %s …", doing, text.Thousands(done()))
			}
		}
	})
	return sync.OnceFunc(func() {
		close(quit)
		ended.Wait()
	})
}
