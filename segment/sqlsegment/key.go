package sqlsegment

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/segmentguard/segmentguard/segment"
)

// keyColumns are the primary key of what is kept of a segment, in the order of
// segment.Key.Compare: what is known of one store lies side by side.
const keyColumns = "store, segment"

// longestStore is how long the name of a store may be in any database, as it is part
// of keys that are as long as they may be.
const longestStore = 255

// keyValues returns keyColumns.
func keyValues(d ledgerDialect, key segment.Key) ([]any, error) {
	text, err := text(d, key.Segment)
	return []any{key.Store, text}, cmp.Or(err, storableStore(d, "Key.Store", key.Store))
}

func storableStore(d ledgerDialect, field, store string) error {
	if len(store) > longestStore {
		return badInput(field, fmt.Sprintf("of %d bytes", len(store)), fmt.Sprintf("%d bytes at most", longestStore))
	}
	return d.storableKey(field, store)
}

// inOrder returns the keys in order, each once: so two transactions never wait for each
// other.
func inOrder(keys []segment.Key) []segment.Key {
	return slices.Compact(slices.SortedFunc(slices.Values(keys), segment.Key.Compare))
}

// A rowKey is keyColumns as a row has them, whatever they hold.
type rowKey struct{ store, segment string }

// after returns the condition of the rows after a key: of one store, whose rows lie side
// by side, or of all.
func (k rowKey) after(d ledgerDialect, store *string) (condition string, args []any) {
	if store == nil {
		return d.after(k.store, k.segment)
	}
	switch cmp.Compare(k.store, *store) {
	case -1:
		k.segment = ""
	case 1:
		return "FALSE", nil
	}
	return "store = ? AND segment > ?", []any{*store, k.segment}
}

// chunks calls do with some keys of one store at a time, which are in order, and with
// the texts of their ids.
func chunks(d ledgerDialect, keys []segment.Key, do func(store string, keys []segment.Key, texts []any) error) error {
	for len(keys) > 0 {
		n := 1
		for n < min(len(keys), chunk) && keys[n].Store == keys[0].Store {
			n++
		}
		texts := make([]any, n)
		for i, key := range keys[:n] {
			values, err := keyValues(d, key)
			if err != nil {
				return err
			}
			texts[i] = values[1]
		}
		if err := do(keys[0].Store, keys[:n], texts); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}
