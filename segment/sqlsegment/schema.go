package sqlsegment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// segmentguard_segments holds one row a segment and store: its state, packed, and its alert;
// those who change a segment wait for its row. segmentguard_log holds what was
// recorded and decided, in order; the last record of an attempt is its state.
// segmentguard_schema holds the versions that the schema has gone through. Ids
// compare by their bytes, as they do in Go.

// version is the version of the schema that this program reads and writes.
const version = 11

// A migration takes the schema to a version from the one before.
type migration struct {
	version    int
	statements []statement
	// move moves rows, after the statements. It is one step with keeping the
	// version. earlier is what was there before the statements.
	move func(ctx context.Context, s Conn, d ledgerDialect, earlier catalog) error
}

// A statement defines something. Where definitions are not part of transactions it
// may find its own work done, and must not fail by that.
type statement struct {
	sql  string
	only string // where this column was there before the migration, as "table.column", or was not, as "!table.column"; "": always
}

// A catalog is the columns of our tables, as "table.column".
type catalog map[string]bool

func readCatalog(ctx context.Context, s Conn, d ledgerDialect) (catalog, error) {
	found := catalog{}
	err := d.columns(ctx, s, func(scan scanner) error {
		var table, column string
		err := scan(&table, &column)
		found[table+"."+column] = true
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading which tables there are: %w", err)
	}
	return found, nil
}

// readVersion returns the version of the schema, 0 if there is none. The first two
// versions did not say which they were.
func readVersion(ctx context.Context, s Conn, found catalog) (int, error) {
	var kept sql.NullInt64
	if found["segmentguard_schema.version"] {
		if err := one(ctx, s, "SELECT max(version) FROM segmentguard_schema", nil, &kept); err != nil {
			return 0, fmt.Errorf("reading the schema's version: %w", err)
		}
	}
	switch {
	case kept.Valid:
		return int(kept.Int64), nil
	case found["segmentguard_attempts.in_baseline"]:
		return 1, nil
	case found["segmentguard_attempts.counter"], found["segmentguard_segments.packed"]:
		return 2, nil
	}
	return 0, nil
}

// errNewer names the version of a schema that this program must not touch.
func errNewer(found int) error {
	return fmt.Errorf("the schema has version %d, and this program knows versions up to %d: a newer version of this library migrated it, and is needed to use it", found, version)
}

// checkVersion returns an error unless the schema is of this program's version.
func checkVersion(ctx context.Context, s Conn, d ledgerDialect) (catalog, error) {
	columns, err := readCatalog(ctx, s, d)
	if err != nil {
		return nil, err
	}
	found, err := readVersion(ctx, s, columns)
	switch {
	case err != nil:
		return nil, err
	case found == 0:
		return nil, notReady{errors.New("the tables of the ledger are not there, or not for this user to see: call Ledger.Migrate first")}
	case found > version:
		return nil, notReady{errNewer(found)}
	case found < version:
		return nil, notReady{fmt.Errorf("the schema has version %d, and this program needs version %d: call Ledger.Migrate first", found, version)}
	}
	return columns, nil
}

// ready checks the version of the schema until it was right once.
func (l *Ledger) ready(ctx context.Context, s Conn) error {
	if l.checked.Load() {
		return nil
	}
	_, err := checkVersion(ctx, s, l.dialect)
	if err == nil {
		l.checked.Store(true)
	}
	return err
}

// Migrate makes the tables, and brings those of earlier versions of this library to
// this one with all that they hold. It can run again, in many processes at once, and
// while jobs run. It returns an error, and changes nothing, if a newer version of
// this library made them.
//
// Where definitions are part of transactions, in PostgreSQL and SQLite, an error
// leaves everything as it was. In MySQL and MariaDB the next Migrate goes on where
// the last one ended. Programs with an earlier version of this library fail from
// then on.
func (l *Ledger) Migrate(ctx context.Context) error {
	current := false
	err := l.dialect.connect(ctx, l.pool, func(b Beginner) error { // waits for nobody where all is done
		columns, err := readCatalog(ctx, b, l.dialect)
		if err != nil {
			return err
		}
		found, err := readVersion(ctx, b, columns)
		current = found == version
		return err
	})
	if err == nil && !current {
		err = l.dialect.exclusive(ctx, l.pool, func(s Conn) error { return migrate(ctx, s, l.dialect) })
	}
	return wrap("migrating", err)
}

func migrate(ctx context.Context, s Conn, d ledgerDialect) error {
	for _, m := range d.migrations() {
		earlier, err := readCatalog(ctx, s, d)
		if err != nil {
			return err
		}
		found, err := readVersion(ctx, s, earlier)
		switch {
		case err != nil:
			return err
		case found > version:
			return errNewer(found)
		case found >= m.version:
			continue
		}
		if err := m.run(ctx, s, d, earlier); err != nil {
			return fmt.Errorf("from version %d to %d: %w", found, m.version, err)
		}
	}
	return nil
}

func (m *migration) run(ctx context.Context, s Conn, d ledgerDialect, earlier catalog) error {
	for _, statement := range m.statements {
		column, absent := strings.CutPrefix(statement.only, "!")
		if column != "" && earlier[column] == absent {
			continue
		}
		if _, err := s.Exec(ctx, statement.sql); err != nil {
			first, _, _ := strings.Cut(statement.sql, "\n")
			return fmt.Errorf("%s: %w", first, err)
		}
	}
	return together(ctx, s, d, func(s Conn) error {
		if m.move != nil {
			if err := m.move(ctx, s, d, earlier); err != nil {
				return err
			}
		}
		_, err := s.Exec(ctx, d.bind("INSERT INTO segmentguard_schema (version, at) VALUES (?, ?)"), m.version, d.time(time.Now()))
		return err
	})
}

// together calls do in a transaction: that of s, or one of its own.
func together(ctx context.Context, s Conn, d ledgerDialect, do func(Conn) error) error {
	if b, ok := s.(Beginner); ok {
		return d.write(ctx, b, do)
	}
	return do(s)
}

// within is a session in a transaction that database/sql does not know of.
type within struct{ Conn }

// Check returns an error unless the database is as this program needs it: it names
// the version, the column that is missing, or the table and the right that this
// user does not have. It changes nothing.
func (l *Ledger) Check(ctx context.Context) error {
	return wrap("checking the schema", l.dialect.connect(ctx, l.pool, func(b Beginner) error {
		columns, err := checkVersion(ctx, b, l.dialect)
		if err != nil {
			return err
		}
		for _, t := range usedTables {
			for _, c := range t.columns {
				if !columns[t.name+"."+c] {
					return fmt.Errorf("table %s: column %s is missing, or not for this user to see", t.name, c)
				}
			}
		}
		for _, t := range usedTables {
			if err := t.checkRights(ctx, b); err != nil {
				return err
			}
		}
		return nil
	}))
}

// A usedTable is a table and what is done with it.
type usedTable struct {
	name    string
	columns []string
	rights  []string
}

var usedTables = []usedTable{
	{"segmentguard_segments", append([]string{"store", "segment", "submitted_until"}, savedColumns...), []string{"SELECT", "INSERT", "UPDATE", "DELETE"}},
	{"segmentguard_log", strings.Split("id, "+logColumns, ", "), []string{"SELECT", "INSERT", "DELETE"}},
	{"segmentguard_commits", append([]string{"store", "segment"}, commitColumns...), []string{"SELECT", "INSERT", "UPDATE"}},
	{"segmentguard_numbers", []string{"number"}, []string{"SELECT", "UPDATE"}},
	{"segmentguard_incidents", append(slices.Clone(incidentColumns), "id"), []string{"SELECT", "INSERT", "UPDATE"}},
	{"segmentguard_ledger", []string{"identity"}, []string{"SELECT", "UPDATE"}},
	{"segmentguard_sweeps", sweepColumns, []string{"SELECT", "INSERT", "UPDATE"}},
	{"segmentguard_jobs", []string{"job", "segment", "kind", "definition"}, []string{"SELECT", "INSERT", "DELETE"}},
	{"segmentguard_reads", []string{"segment", "job"}, []string{"SELECT", "INSERT", "DELETE"}},
	{"segmentguard_plans", strings.Split(planColumns+", token", ", "), []string{"SELECT", "INSERT", "UPDATE", "DELETE"}},
	{"segmentguard_steps", stepColumns, []string{"SELECT", "INSERT", "UPDATE", "DELETE"}},
	{"segmentguard_mutes", []string{"place", "segment", "store", "site_group", "kind", "until", "by_whom", "mute"}, []string{"SELECT", "INSERT", "DELETE"}},
}

// checkRights does with no row what is done with rows.
func (t *usedTable) checkRights(ctx context.Context, s Conn) error {
	columns := strings.Join(t.columns, ", ")
	written := strings.TrimPrefix(columns, "id, ") // the database makes ids
	var set []string
	for _, c := range t.columns {
		set = append(set, c+" = "+c)
	}
	for _, right := range t.rights {
		statement := map[string]string{
			"SELECT": "SELECT " + columns + " FROM " + t.name + " WHERE 1 = 0",
			"INSERT": "INSERT INTO " + t.name + " (" + written + ") SELECT " + written + " FROM " + t.name + " WHERE 1 = 0",
			"UPDATE": "UPDATE " + t.name + " SET " + strings.Join(set, ", ") + " WHERE 1 = 0",
			"DELETE": "DELETE FROM " + t.name + " WHERE 1 = 0",
		}[right]
		if _, err := s.Exec(ctx, statement); err != nil {
			return fmt.Errorf("table %s: %s is not possible: %w", t.name, right, err)
		}
	}
	return nil
}
