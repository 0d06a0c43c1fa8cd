package sqlsegment

import (
	"context"
	"fmt"

	"github.com/segmentguard/segmentguard/segment"
)

// Two schemas came before versions were counted. The first had
// segmentguard_attempts, a log without the column counter, and segmentguard_runs,
// the newest attempt of each run. The second had segmentguard_segments, with what is
// packed in the column packed; segmentguard_attempts; segmentguard_alerts; and
// segmentguard_words, what people decided. The program of the second, run on a
// database of the first, made its own tables beside what was there. Both are in
// testdata as they were, with data.

// dropEarlier drops what moveEarlier has moved.
var dropEarlier = []statement{
	{"DROP TABLE IF EXISTS segmentguard_attempts", ""},
	{"DROP TABLE IF EXISTS segmentguard_words", ""},
	{"DROP TABLE IF EXISTS segmentguard_alerts", ""},
	{"DROP TABLE IF EXISTS segmentguard_runs", ""},
}

// moveEarlier moves what tables of either schema hold. The sizes of the second are
// where they belong: unpack reads its form.
func moveEarlier(ctx context.Context, s Conn, d ledgerDialect, earlier catalog) error {
	if earlier["segmentguard_attempts.segment"] {
		if _, err := s.Exec(ctx, moveLog(earlier)+d.unlimited()); err != nil {
			return fmt.Errorf("moving the log: %w", err)
		}
	}
	if earlier["segmentguard_attempts.in_baseline"] {
		if err := moveFromLog(ctx, s, d); err != nil {
			return fmt.Errorf("making the sizes from the log: %w", err)
		}
	}
	if earlier["segmentguard_alerts.state"] {
		if err := moveAlerts(ctx, s, d); err != nil {
			return fmt.Errorf("moving the alerts: %w", err)
		}
	}
	return nil
}

// moveLog returns the statement that writes what was recorded and decided into one
// log. Where a decision came among the records its time has to tell.
func moveLog(earlier catalog) string {
	counter := "''"
	if earlier["segmentguard_attempts.counter"] {
		counter = "counter"
	}
	const attempts = `SELECT id AS place, 0 AS decided, id AS turn, '' AS store, segment, at, 'recorded' AS action, run, '' AS by_whom, '' AS why, attempt,
	CASE WHEN state = 'accepted' THEN 'passed' ELSE state END AS state, job, kind, build, users, read_users, %s AS counter, FALSE AS live, report, 0 AS number, FALSE AS overlapped, FALSE AS settled
FROM segmentguard_attempts`
	const words = `
UNION ALL SELECT coalesce((SELECT max(a.id) FROM segmentguard_attempts a WHERE a.at <= w.at), 0), 1, w.id, '', w.segment, w.at, w.word, w.run, w.by_whom, w.why, %s
FROM segmentguard_words w`
	all := fmt.Sprintf(attempts, counter)
	if earlier["segmentguard_words.word"] {
		all += fmt.Sprintf(words, list("NULL", 13))
	}
	return "INSERT INTO segmentguard_log (" + recordColumns + ") SELECT " + recordColumns + " FROM (" + all + ") entries ORDER BY place, decided, turn"
}

// moveFromLog makes the state of each segment from its records, as if they were
// recorded now.
func moveFromLog(ctx context.Context, s Conn, d ledgerDialect) error {
	return inChunks(ctx, s, d, "segmentguard_log", "TRUE", func(keys []segment.Key, texts []any) error {
		records := map[segment.ID][]segment.Record{}
		query := "SELECT id, " + logColumns + " FROM segmentguard_log WHERE segment IN (" + list("?", len(texts)) + ") AND action = 'recorded' ORDER BY id" + d.unlimited()
		err := each(ctx, s, d.bind(query), texts, func(scan scanner) error {
			e, err := scanEntry(scan)
			if err == nil && e.Damaged != nil {
				err = e.Damaged
			}
			if err == nil && e.Record != nil {
				records[e.Segment] = append(records[e.Segment], *e.Record)
			}
			return err
		})
		if err != nil {
			return err
		}
		return changeNow(ctx, s, d, keys, func(state *segment.SegmentState) error {
			for _, r := range records[state.Segment] {
				state.Record(r)
			}
			return nil
		})
	})
}

// moveAlerts puts alerts where the rest is known of their segments.
func moveAlerts(ctx context.Context, s Conn, d ledgerDialect) error {
	return inChunks(ctx, s, d, "segmentguard_alerts", "TRUE", func(keys []segment.Key, texts []any) error {
		alerts := map[segment.ID]segment.AlertState{}
		query := "SELECT segment, state FROM segmentguard_alerts WHERE segment IN (" + list("?", len(texts)) + ")" + d.unlimited()
		err := each(ctx, s, d.bind(query), texts, func(scan scanner) error {
			var key, state []byte
			if err := scan(&key, &state); err != nil {
				return err
			}
			id, err := segment.ParseID(string(key))
			if err == nil {
				alerts[id], err = readAlert(state)
			}
			return err
		})
		if err != nil {
			return err
		}
		return changeNow(ctx, s, d, keys, func(state *segment.SegmentState) error {
			state.Alert = alerts[state.Segment]
			return nil
		})
	})
}

// inChunks calls do with the segments of those rows of a table for which a condition
// holds, some at a time: with their keys and the texts of their ids. Up to version 6 no store had
// a name.
func inChunks(ctx context.Context, s Conn, d ledgerDialect, table, condition string, do func(keys []segment.Key, texts []any) error) error {
	query := d.bind("SELECT DISTINCT segment FROM " + table + " WHERE segment > ? AND " + condition + " ORDER BY segment LIMIT ?")
	for after := ""; ; {
		var keys []segment.Key
		var texts []any
		err := each(ctx, s, query, []any{after, chunk}, func(scan scanner) error {
			var id segment.ID
			err := scan(&after)
			if err == nil {
				id, err = segment.ParseID(after)
			}
			keys, texts = append(keys, id.In("")), append(texts, after)
			return err
		})
		if err != nil || len(keys) == 0 {
			return err
		}
		if err := do(keys, texts); err != nil {
			return err
		}
	}
}

// changeNow changes segments in a transaction that there is.
func changeNow(ctx context.Context, s Conn, d ledgerDialect, keys []segment.Key, change func(*segment.SegmentState) error) error {
	locked, err := lockRows(ctx, s, d, keys)
	if err != nil {
		return err
	}
	changed, err := changeRows(locked, change)
	if err != nil {
		return err
	}
	return saveRows(ctx, s, d, locked, changed)
}
