package sqlsegment

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

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
func moveEarlier(ctx context.Context, s session, d ledgerDialect, earlier catalog) error {
	if earlier["segmentguard_attempts.segment"] {
		if _, err := s.ExecContext(ctx, moveLog(earlier)+d.unlimited()); err != nil {
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
	const attempts = `SELECT id AS place, 0 AS decided, id AS turn, segment, at, 'recorded' AS action, run, '' AS by_whom, '' AS why, attempt,
	CASE WHEN state = 'accepted' THEN 'passed' ELSE state END AS state, job, kind, build, users, read_users, %s AS counter, FALSE AS live, report, 0 AS number, FALSE AS overlapped, FALSE AS settled
FROM segmentguard_attempts`
	const words = `
UNION ALL SELECT coalesce((SELECT max(a.id) FROM segmentguard_attempts a WHERE a.at <= w.at), 0), 1, w.id, w.segment, w.at, w.word, w.run, w.by_whom, w.why, %s
FROM segmentguard_words w`
	all := fmt.Sprintf(attempts, counter)
	if earlier["segmentguard_words.word"] {
		all += fmt.Sprintf(words, list("NULL", 13))
	}
	return "INSERT INTO segmentguard_log (" + logColumns + ") SELECT " + logColumns + " FROM (" + all + ") entries ORDER BY place, decided, turn"
}

// moveFromLog makes the state of each segment from its records, as if they were
// recorded now.
func moveFromLog(ctx context.Context, s session, d ledgerDialect) error {
	return inChunks(ctx, s, d, "segmentguard_log", func(ids []segment.ID) error {
		keys, err := texts(d, ids)
		if err != nil {
			return err
		}
		records := map[segment.ID][]segment.Record{}
		query := "SELECT id, " + logColumns + " FROM segmentguard_log WHERE segment IN (" + list("?", len(keys)) + ") AND action = 'recorded' ORDER BY id" + d.unlimited()
		err = each(ctx, s, d.bind(query), keys, func(scan scanner) error {
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
		return changeNow(ctx, s, d, ids, func(state *segment.SegmentState) error {
			for _, r := range records[state.Segment] {
				state.Record(r)
			}
			return nil
		})
	})
}

// moveAlerts puts alerts where the rest is known of their segments.
func moveAlerts(ctx context.Context, s session, d ledgerDialect) error {
	return inChunks(ctx, s, d, "segmentguard_alerts", func(ids []segment.ID) error {
		keys, err := texts(d, ids)
		if err != nil {
			return err
		}
		alerts := map[segment.ID]segment.AlertState{}
		query := "SELECT segment, state FROM segmentguard_alerts WHERE segment IN (" + list("?", len(keys)) + ")" + d.unlimited()
		err = each(ctx, s, d.bind(query), keys, func(scan scanner) error {
			var key, state []byte
			if err := scan(&key, &state); err != nil {
				return err
			}
			id, err := segment.ParseID(string(key))
			if err == nil {
				alerts[id], err = earlierAlert(state)
			}
			return err
		})
		if err != nil {
			return err
		}
		return changeNow(ctx, s, d, ids, func(state *segment.SegmentState) error {
			state.Alert = alerts[state.Segment]
			return nil
		})
	})
}

// inChunks calls do with the segments of a table, some at a time.
func inChunks(ctx context.Context, s session, d ledgerDialect, table string, do func([]segment.ID) error) error {
	query := d.bind("SELECT DISTINCT segment FROM " + table + " WHERE segment > ? ORDER BY segment LIMIT ?")
	for after := ""; ; {
		var ids []segment.ID
		err := each(ctx, s, query, []any{after, chunk}, func(scan scanner) error {
			var id segment.ID
			err := scan(&after)
			if err == nil {
				id, err = segment.ParseID(after)
			}
			ids = append(ids, id)
			return err
		})
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := do(ids); err != nil {
			return err
		}
	}
}

// changeNow changes segments in a transaction that there is.
func changeNow(ctx context.Context, s session, d ledgerDialect, ids []segment.ID, change func(*segment.SegmentState) error) error {
	locked, err := lockRows(ctx, s, d, ids)
	if err != nil {
		return err
	}
	changed, err := changeRows(locked, change)
	if err != nil {
		return err
	}
	return saveRows(ctx, s, d, locked, changed)
}

// earlierAlert reads an alert in which a run was called run, not run_id, and the
// kind of an incident's job was called job.
func earlierAlert(state []byte) (found segment.AlertState, err error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(state, &fields); err != nil {
		return found, err
	}
	for _, name := range []string{"open", "told"} {
		err := rename(fields, name, func(alert map[string]json.RawMessage) error {
			move(alert, "run", "run_id")
			return rename(alert, "incident", func(incident map[string]json.RawMessage) error {
				move(incident, "job", "job_kind")
				return nil
			})
		})
		if err != nil {
			return found, err
		}
	}
	state, err = json.Marshal(fields)
	if err == nil {
		err = json.Unmarshal(state, &found)
	}
	return found, err
}

// rename changes the fields of an object in another one, if it is there.
func rename(fields map[string]json.RawMessage, name string, change func(map[string]json.RawMessage) error) error {
	raw, ok := fields[name]
	if !ok || strings.TrimSpace(string(raw)) == "null" {
		return nil
	}
	var inner map[string]json.RawMessage
	err := json.Unmarshal(raw, &inner)
	if err == nil {
		err = change(inner)
	}
	if err == nil {
		fields[name], err = json.Marshal(inner)
	}
	return err
}

// move gives a field its new name, unless there is one of that name.
func move(fields map[string]json.RawMessage, before, after string) {
	if value, ok := fields[before]; ok && fields[after] == nil {
		fields[after] = value
		delete(fields, before)
	}
}
