package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/internal/fleettest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

// A desk is somebody on call, with a ledger.
type desk struct {
	t      *testing.T
	path   string // of the file
	dsn    string
	now    time.Time
	stdin  string
	db     *sql.DB
	ledger *sqlsegment.Ledger
}

// newDesk returns a desk with the ledger of a night on which two bugs came.
func newDesk(t *testing.T) *desk {
	t.Helper()
	ledger, err := night()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "ledger.db")
	require.NoError(t, os.WriteFile(path, ledger, 0o600))
	return openDesk(t, path)
}

// night fills a ledger once, for all tests.
var night = sync.OnceValues(func() (file []byte, err error) {
	folder, err := os.MkdirTemp("", "segmentguard-night-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	path := filepath.Join(folder, "ledger.db")
	db, err := sql.Open("sqlite", "file:"+path+fast+"&_pragma=locking_mode(EXCLUSIVE)") // it is nobody else's
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	ledger, err := sqlsegment.NewLedger(db, sqlsegment.SQLite)
	if err == nil {
		err = ledger.Migrate(context.Background())
	}
	if err == nil {
		_, err = fleettest.Fill(context.Background(), ledger)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// fast waits for no disk: nobody needs what tests keep.
const fast = "?_pragma=synchronous(OFF)&_pragma=journal_mode(MEMORY)"

// emptyDesk returns a desk with an SQLite file in which nothing is.
func emptyDesk(t *testing.T) *desk {
	t.Helper()
	d := openDesk(t, filepath.Join(t.TempDir(), "ledger.db"))
	_, err := d.db.ExecContext(t.Context(), "CREATE TABLE of_others (id INTEGER)")
	require.NoError(t, err)
	return d
}

func (d *desk) migrate() {
	d.t.Helper()
	require.NoError(d.t, d.ledger.Migrate(d.t.Context()))
}

// run runs the command, and returns what it printed.
func (d *desk) run(args ...string) (code int, stdout, stderr string) {
	d.t.Helper()
	return d.runIn(d.t.Context(), args...)
}

func (d *desk) runIn(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	d.t.Helper()
	env := func(name string) string {
		return map[string]string{"SEGMENTGUARD_DSN": d.dsn, "USER": "mira"}[name]
	}
	var out, errs bytes.Buffer
	a := &app{in: strings.NewReader(d.stdin), out: newPrinter(&out, env), err: newPrinter(&errs, env), env: env, now: func() time.Time { return d.now }}
	code = run(ctx, args, a)
	if errs.Len() > 0 {
		require.Equal(d.t, 1, strings.Count(errs.String(), "\n"), "one line: %s", errs.String())
	}
	return code, out.String(), errs.String()
}

// says runs what must exit with a status and print nothing on standard error.
func (d *desk) says(code int, args ...string) string {
	d.t.Helper()
	got, out, errs := d.run(args...)
	require.Empty(d.t, errs)
	require.Equal(d.t, code, got, out)
	return out
}

// refuses runs what must do nothing, and returns why.
func (d *desk) refuses(args ...string) string {
	d.t.Helper()
	before := d.dump()
	code, _, errs := d.run(args...)
	require.Equal(d.t, unsure, code)
	require.NotEmpty(d.t, errs)
	require.Equal(d.t, before, d.dump(), "nothing is changed")
	return errs
}

// into runs what prints JSON.
func (d *desk) into(v any, code int, args ...string) {
	d.t.Helper()
	require.NoError(d.t, json.Unmarshal([]byte(d.says(code, append([]string{"--json"}, args...)...)), v))
}

// dump returns all that the ledger keeps: a file is written only where something changes.
func (d *desk) dump() string {
	d.t.Helper()
	b, err := os.ReadFile(d.path)
	require.NoError(d.t, err)
	return fmt.Sprintf("%x", sha256.Sum256(b))
}

func (d *desk) clock() time.Time { return d.now }

// openDesk returns a desk with the ledger of a file.
func openDesk(t *testing.T, path string) *desk {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+fast)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	ledger, err := sqlsegment.NewLedger(db, sqlsegment.SQLite)
	require.NoError(t, err)
	return &desk{t: t, path: path, dsn: "file:" + path + fast, now: fleettest.Now, db: db, ledger: ledger}
}

func run2(t *testing.T, a *app, args []string) int {
	t.Helper()
	return run(t.Context(), args, a)
}

func unmarshal(s string, v any) error { return json.Unmarshal([]byte(s), v) }

// served asks the dashboard that serve serves, by a name, and returns its status.
func (d *desk) served(host string) int {
	d.t.Helper()
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(d.t.Context())
	env := func(name string) string { return map[string]string{"SEGMENTGUARD_DSN": d.dsn}[name] }
	a := &app{out: newPrinter(w, env), err: newPrinter(io.Discard, env), env: env, now: d.clock}
	ended := make(chan int)
	go func() { ended <- run(ctx, []string{"serve", "--port", "0"}, a) }()
	line, err := bufio.NewReader(r).ReadString('\n')
	require.NoError(d.t, err)
	address := strings.Fields(line)[4]
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	require.NoError(d.t, err)
	req.Host = host
	resp, err := http.DefaultClient.Do(req)
	require.NoError(d.t, err)
	require.NoError(d.t, resp.Body.Close())
	cancel()
	require.Equal(d.t, well, <-ended)
	return resp.StatusCode
}
