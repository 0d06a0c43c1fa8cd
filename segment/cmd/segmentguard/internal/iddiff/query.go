package iddiff

import (
	"context"
	"database/sql"
	"iter"

	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

// Query returns a side that is what a query yields.
func Query(name string, db *sql.DB, u sqlsegment.Users) *Side {
	return &Side{Name: name, All: func(ctx context.Context) iter.Seq2[[][]byte, error] {
		return func(yield func([][]byte, error) bool) {
			p := page{ids: make([][]byte, 0, pageIDs)}
			for id, err := range u.All(ctx, db) {
				if err != nil {
					yield(nil, err)
					return
				}
				p.keep(id)
				if len(p.ids) == pageIDs && !yield(p.take(), nil) {
					return
				}
			}
			if len(p.ids) > 0 {
				yield(p.take(), nil)
			}
		}
	}}
}
